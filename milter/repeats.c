/* repeats: a ring; so few and so seldom asked that it is searched from end to end. */
#include "milter/repeats.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

enum { PLACES = 1024, DIGEST = 32 };

struct repeat {
    unsigned char sha256[DIGEST];
    int64_t until_us; /* 0: the place is free */
    int code;
    unsigned times;
    char text[160];
};

struct mw_repeats {
    pthread_mutex_t lock;
    unsigned next;    /* the place that is taken next */
    int64_t until_us; /* when the last one is forgotten */
    struct repeat places[PLACES];
};

struct mw_repeats *mw_repeats_new(void)
{
    struct mw_repeats *repeats = calloc(1, sizeof *repeats);
    if (repeats)
        pthread_mutex_init(&repeats->lock, NULL);
    return repeats;
}

void mw_repeats_free(struct mw_repeats *repeats)
{
    if (repeats)
        pthread_mutex_destroy(&repeats->lock);
    free(repeats);
}

static bool repeats_digest(struct mw_bytes raw, unsigned char *sha256)
{
    return EVP_Digest(raw.data, raw.size, sha256, NULL, EVP_sha256(), NULL) == 1;
}

/* With the lock held. */
static struct repeat *find_place(struct mw_repeats *repeats, const unsigned char *sha256)
{
    int64_t now = mw_clock_us();
    for (unsigned i = 0; i < PLACES; i++) {
        struct repeat *place = &repeats->places[i];
        if (place->until_us > now && memcmp(place->sha256, sha256, DIGEST) == 0)
            return place;
    }
    return NULL;
}

unsigned mw_repeats_note(struct mw_repeats *repeats, struct mw_bytes raw,
                         const struct mw_error *error, unsigned seconds)
{
    unsigned char sha256[DIGEST];
    if (seconds == 0 || !repeats_digest(raw, sha256))
        return 1;
    pthread_mutex_lock(&repeats->lock);
    struct repeat *place = find_place(repeats, sha256);
    if (!place) {
        place = &repeats->places[repeats->next++ % PLACES];
        *place = (struct repeat){.times = 0};
        memcpy(place->sha256, sha256, DIGEST);
    }
    place->until_us = mw_clock_us() + (int64_t)seconds * 1000000;
    if (place->until_us > repeats->until_us)
        repeats->until_us = place->until_us;
    place->code = error->code;
    snprintf(place->text, sizeof place->text, "%.*s", (int)sizeof place->text - 1, error->text);
    unsigned times = ++place->times;
    pthread_mutex_unlock(&repeats->lock);
    return times;
}

bool mw_repeats_any(struct mw_repeats *repeats)
{
    pthread_mutex_lock(&repeats->lock);
    bool any = repeats->until_us > 0 && repeats->until_us > mw_clock_us();
    pthread_mutex_unlock(&repeats->lock);
    return any;
}

unsigned mw_repeats_find(struct mw_repeats *repeats, struct mw_bytes raw, struct mw_error *error)
{
    unsigned char sha256[DIGEST];
    unsigned times = 0;
    if (!repeats_digest(raw, sha256))
        return 0;
    pthread_mutex_lock(&repeats->lock);
    struct repeat *place = find_place(repeats, sha256);
    if (place) {
        times = ++place->times;
        mw_fail(error, place->code, "%s; not tried again", place->text);
    }
    pthread_mutex_unlock(&repeats->lock);
    return times;
}

void mw_repeats_forget(struct mw_repeats *repeats)
{
    pthread_mutex_lock(&repeats->lock);
    memset(repeats->places, 0, sizeof repeats->places);
    repeats->until_us = 0;
    pthread_mutex_unlock(&repeats->lock);
}
