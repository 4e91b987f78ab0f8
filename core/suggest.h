/*
 * suggest: "did you mean ...?"
 */
#ifndef MW_CORE_SUGGEST_H
#define MW_CORE_SUGGEST_H

#include <stddef.h>

/* The one of count names nearest to typed, when it is near enough to be a slip;
 * NULL otherwise. */
const char *mw_suggest(const char *typed, const char *const *names, size_t count);

#endif
