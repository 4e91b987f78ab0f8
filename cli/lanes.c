/* lanes: a ring of items; threads take them in turn, the caller takes them back. */
#include "cli/lanes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { AHEAD = 4 }; /* items waiting for each thread, so that none waits for the caller */

struct slot {
    void *item;
    bool ready; /* worked on */
};

struct mw_lanes {
    struct mw_lanes_work work;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot *slots;
    size_t room;
    size_t given, taken, started; /* counts since the beginning: slot = count % room */
    pthread_t *threads;
    unsigned count;
    bool ending;
};

static void *run(void *argument)
{
    struct mw_lanes *lanes = argument;
    pthread_mutex_lock(&lanes->lock);
    for (;;) {
        while (lanes->started == lanes->given && !lanes->ending)
            pthread_cond_wait(&lanes->changed, &lanes->lock);
        if (lanes->started == lanes->given)
            break;
        struct slot *slot = &lanes->slots[lanes->started++ % lanes->room];
        void *item = slot->item;
        pthread_mutex_unlock(&lanes->lock);
        lanes->work.work(lanes->work.user, item);
        pthread_mutex_lock(&lanes->lock);
        slot->ready = true;
        pthread_cond_broadcast(&lanes->changed);
    }
    pthread_mutex_unlock(&lanes->lock);
    return NULL;
}

struct mw_lanes *mw_lanes_new(unsigned count, const struct mw_lanes_work *work,
                              struct mw_error *error)
{
    struct mw_lanes *lanes = calloc(1, sizeof *lanes);
    size_t room = (size_t)count * AHEAD;
    struct slot *slots = calloc(room, sizeof *slots);
    pthread_t *threads = calloc(count, sizeof *threads);
    if (!lanes || !slots || !threads) {
        mw_fail_errno(error, "cannot start %u threads", count);
        free(lanes);
        free(slots);
        free(threads);
        return NULL;
    }
    *lanes = (struct mw_lanes){.work = *work, .slots = slots, .room = room, .threads = threads};
    pthread_mutex_init(&lanes->lock, NULL);
    pthread_cond_init(&lanes->changed, NULL);
    for (; lanes->count < count; lanes->count++) {
        if (pthread_create(&threads[lanes->count], NULL, run, lanes) == 0)
            continue;
        mw_fail_errno(error, "cannot start %u threads", count);
        mw_lanes_free(lanes);
        return NULL;
    }
    return lanes;
}

/* Takes back the oldest item when it is ready, or waits until it is. With the
 * lock held, which is given up while done runs. */
static int take(struct mw_lanes *lanes)
{
    struct slot *slot = &lanes->slots[lanes->taken % lanes->room];
    while (!slot->ready)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    void *item = slot->item;
    *slot = (struct slot){0};
    lanes->taken++;
    pthread_mutex_unlock(&lanes->lock);
    int result = lanes->work.done(lanes->work.user, item);
    pthread_mutex_lock(&lanes->lock);
    return result;
}

int mw_lanes_add(struct mw_lanes *lanes, void *item)
{
    int result = 0;
    pthread_mutex_lock(&lanes->lock);
    while (lanes->taken < lanes->given && (lanes->given - lanes->taken == lanes->room ||
                                           lanes->slots[lanes->taken % lanes->room].ready)) {
        int one = take(lanes);
        result = result == 0 ? one : result;
    }
    lanes->slots[lanes->given++ % lanes->room].item = item;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
    return result;
}

int mw_lanes_finish(struct mw_lanes *lanes)
{
    int result = 0;
    pthread_mutex_lock(&lanes->lock);
    while (lanes->taken < lanes->given) {
        int one = take(lanes);
        result = result == 0 ? one : result;
    }
    pthread_mutex_unlock(&lanes->lock);
    return result;
}

void mw_lanes_free(struct mw_lanes *lanes)
{
    if (!lanes)
        return;
    pthread_mutex_lock(&lanes->lock);
    lanes->ending = true;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
    for (unsigned i = 0; i < lanes->count; i++)
        pthread_join(lanes->threads[i], NULL);
    pthread_mutex_destroy(&lanes->lock);
    pthread_cond_destroy(&lanes->changed);
    free(lanes->slots);
    free(lanes->threads);
    free(lanes);
}
