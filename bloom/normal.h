/*
 * normal: one form for values that mean the same, so that a filter knows them again.
 */
#ifndef MW_BLOOM_NORMAL_H
#define MW_BLOOM_NORMAL_H

#include <stdbool.h>

#include "core/arena.h"

enum mw_normal {
    MW_NORMAL_ADDRESS, /* user@domain */
    MW_NORMAL_DOMAIN,
    MW_NORMAL_TEXT /* as it is, without surrounding blanks */
};

/* "address", "domain", "text"; -1 for another. */
int mw_normal_from_name(const char *name);

/*
 * The normal form, in the arena. Of an address: without a display name and angle
 * brackets, local part and domain in lower case (RFC 5321 lets local parts differ
 * by case; nobody's do), the domain as A-labels (IDNA 2008, RFC 5891), and with
 * strip_plus "+tag" left out of the local part. A domain: lower case, A-labels,
 * without a dot at its end. Never NULL.
 */
const char *mw_normalise(struct mw_arena *arena, enum mw_normal kind, const char *value,
                         bool strip_plus);

#endif
