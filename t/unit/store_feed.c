/*
 * store_feed: saves made-up messages, for tests of the store.
 *
 *     store_feed CONFIG COUNT [THREADS [PAUSE_US [DRAIN_MS]]]
 *
 * Prints "ID redis" or "ID spool" for each message as it is acknowledged, "failed WHY" for
 * others; notices and, at the end, what the store counted go to standard error.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/config.h"
#include "core/id.h"
#include "store/store.h"
#include "t/unit/made_up.h"

struct feed {
    struct mw_store *store;
    struct mw_id_source *ids;
    long count;
    unsigned pause_us;
    atomic_long next, slowest_ms;
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell(void *user, enum mw_log_level level, const char *text)
{
    (void)user;
    fprintf(stderr, "notice %s: %s\n", mw_log_level_name(level), text);
}

static void save_one(struct feed *feed, long number)
{
    static const char *const names[] = {"nowhere", "redis", "spool"};
    char line[1200];
    struct mw_error error = {0};
    enum mw_store_kept kept = MW_KEPT_NOWHERE;
    struct mw_report *report = made_up_report(feed->ids, number);
    long long start = now_ms();
    int result = mw_store_save(feed->store, report, &kept, &error);
    long took = (long)(now_ms() - start), slowest = feed->slowest_ms;
    while (took > slowest && !atomic_compare_exchange_weak(&feed->slowest_ms, &slowest, took))
        continue;
    int size = result == 0 ? snprintf(line, sizeof line, "%s %s\n", report->id, names[kept])
                           : snprintf(line, sizeof line, "failed %s\n", error.text);
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        exit(3);
    mw_report_free(report);
}

static void *run(void *argument)
{
    struct feed *feed = argument;
    for (long number; (number = atomic_fetch_add(&feed->next, 1)) < feed->count;) {
        save_one(feed, number);
        if (feed->pause_us > 0)
            usleep(feed->pause_us);
    }
    return NULL;
}

static void print_state(struct feed *feed)
{
    struct mw_store_state state;
    mw_store_get_state(feed->store, &state);
    fprintf(stderr,
            "state up=%d trouble=%s saved=%llu spooled=%llu replayed=%llu repeated=%llu "
            "failed=%llu refused=%llu dropped=%llu entries=%llu past=%llu slowest_ms=%ld\n",
            state.up, state.trouble, (unsigned long long)state.saved,
            (unsigned long long)state.spooled, (unsigned long long)state.replayed,
            (unsigned long long)state.repeated, (unsigned long long)state.failed,
            (unsigned long long)state.refused, (unsigned long long)state.dropped,
            (unsigned long long)state.spool_entries, (unsigned long long)state.past,
            (long)feed->slowest_ms);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    struct mw_error error = {0};
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load(argv[1], arena, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        fprintf(stderr, "%s\n", mistakes.items[i]);
    struct feed feed = {.count = atol(argv[2]), .ids = mw_id_source_new()};
    long threads = argc > 3 ? atol(argv[3]) : 1;
    feed.pause_us = argc > 4 ? (unsigned)atol(argv[4]) : 0;
    if (!config || !(feed.store = mw_store_new(&config->store, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    mw_store_on_notice(feed.store, tell, NULL);
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run, &feed);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    if (argc > 5 && mw_store_drain(feed.store, (unsigned)atol(argv[5]), &error) != 0)
        fprintf(stderr, "not drained: %s\n", error.text);
    print_state(&feed);
    mw_store_free(feed.store);
    mw_config_free(config);
    mw_id_source_free(feed.ids);
    mw_arena_free(arena);
    free(ids);
    return 0;
}
