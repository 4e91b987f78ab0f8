/*
 * names: what may be chosen, as lists of names with NULL at the end. Case does not matter.
 */
#ifndef MW_CORE_NAMES_H
#define MW_CORE_NAMES_H

#include "core/error.h"

/* Where text stands in names, or -1; text may be NULL. */
int mw_names_find(const char *const *names, const char *text);

/* The same from place first on; MW_ERR_INPUT says what may be chosen. */
int mw_names_choose(const char *const *names, int first, const char *text, struct mw_error *error);

#endif
