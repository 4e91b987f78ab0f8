/*
 * normal: one form for values that mean the same, so that a filter knows them again.
 */
#ifndef MW_BLOOM_NORMAL_H
#define MW_BLOOM_NORMAL_H

#include <stdbool.h>

#include "core/arena.h"

enum mw_normal {
    MW_NORMAL_ADDRESS,  /* user@domain */
    MW_NORMAL_DOMAIN,   /* A-labels */
    MW_NORMAL_CASELESS, /* upper and lower case mean the same */
    MW_NORMAL_TEXT      /* as it is */
};

/* "address", "domain", "caseless", "text"; -1 for another. */
int mw_normal_from_name(const char *name);

/*
 * The normal form, in the arena; surrounding blanks never count. Never NULL, "" when
 * nothing is left. value should be UTF-8; in what is not, only ASCII letters are
 * folded.
 *
 * An address: the mailbox alone, without a display name, comments in front of it and
 * angle brackets; a local part in quotes that it does not need without them
 * (RFC 5321 section 4.1.2); the local part case-folded (Unicode, NFC; RFC 5321 lets
 * it differ by case, nobody's does); the domain as below; with strip_plus "+tag" left
 * out of the local part.
 * A domain: lower case, A-labels (IDNA 2008 by way of UTS 46, RFC 5891), without a dot
 * at its end. What is no domain name (an address literal) is folded only.
 */
const char *mw_normalise(struct mw_arena *arena, enum mw_normal kind, const char *value,
                         bool strip_plus);

#endif
