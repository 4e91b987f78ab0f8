/* sightings: sets of a few marks, each the beginning of a SHA-256 and its time. */
#include "worker/sightings.h"

#include <stdlib.h>

#include "core/bytes.h"

enum { WAYS = 4 };

struct sighting {
    uint64_t mark;
    int64_t until_us; /* 0: free */
    bool settled;
};

struct mw_sightings {
    int64_t lasts_us;
    size_t sets;
    struct sighting *all;
};

struct mw_sightings *mw_sightings_new(unsigned places, int64_t lasts_us)
{
    struct mw_sightings *sightings = calloc(1, sizeof *sightings);
    if (!sightings)
        return NULL;
    sightings->lasts_us = lasts_us;
    sightings->sets = places / WAYS + 1;
    sightings->all = calloc(sightings->sets * WAYS, sizeof *sightings->all);
    if (sightings->all)
        return sightings;
    free(sightings);
    return NULL;
}

void mw_sightings_free(struct mw_sightings *sightings)
{
    if (!sightings)
        return;
    free(sightings->all);
    free(sightings);
}

/* Its place, or the one to forget for it. */
static struct sighting *find(const struct mw_sightings *sightings, uint64_t mark)
{
    struct sighting *set = sightings->all + mark % sightings->sets * WAYS, *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].until_us > 0 && set[i].mark == mark)
            return &set[i];
        if (set[i].until_us < oldest->until_us)
            oldest = &set[i];
    }
    return oldest;
}

static struct sighting *note(struct mw_sightings *sightings, const unsigned char *sha256,
                             int64_t now_us, bool *known)
{
    uint64_t mark = mw_bytes_get_little(sha256, sizeof mark);
    struct sighting *one = find(sightings, mark);
    *known = one->mark == mark && one->until_us > now_us;
    if (!*known)
        *one = (struct sighting){mark, now_us + sightings->lasts_us, false};
    return one;
}

bool mw_sightings_again(struct mw_sightings *sightings, const unsigned char *sha256, int64_t now_us)
{
    bool known;
    const struct sighting *one = note(sightings, sha256, now_us, &known);
    return known && !one->settled;
}

void mw_sightings_settle(struct mw_sightings *sightings, const unsigned char *sha256,
                         int64_t now_us)
{
    bool known;
    note(sightings, sha256, now_us, &known)->settled = true;
}
