/*
 * sightings: which files came lately, so that one that comes again is noticed. Small and
 * forgetful: of too many the oldest are forgotten. Not thread-safe.
 */
#ifndef MW_WORKER_SIGHTINGS_H
#define MW_WORKER_SIGHTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct mw_sightings;

/* Room for about so many, each remembered for so long. NULL when there is no memory. */
struct mw_sightings *mw_sightings_new(unsigned places, int64_t lasts_us);
void mw_sightings_free(struct mw_sightings *sightings);

/* Notes the file with this SHA-256; true when it was noted before and nothing was said to
 * be done about it (mw_sightings_settle). */
bool mw_sightings_again(struct mw_sightings *sightings, const unsigned char *sha256,
                        int64_t now_us);

/* Something is done about it: it is no news for as long as it is remembered. */
void mw_sightings_settle(struct mw_sightings *sightings, const unsigned char *sha256,
                         int64_t now_us);

#endif
