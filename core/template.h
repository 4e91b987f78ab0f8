/*
 * template: text with ${names} that are filled in. "$" without "{" is itself.
 */
#ifndef MW_CORE_TEMPLATE_H
#define MW_CORE_TEMPLATE_H

#include "core/arena.h"
#include "core/error.h"

/* The value of a name; NULL is shown as "-". */
typedef const char *mw_template_value(void *user, const char *name);

/* Whether every ${name} of text is one of names (NULL-terminated) and closed:
 * 0, or MW_ERR_INPUT with the offender and the nearest name. */
int mw_template_check(const char *text, const char *const *names, struct mw_error *error);

/* text with its names filled in, in the arena; what is not closed stays as it is. */
const char *mw_template_fill(struct mw_arena *arena, const char *text, mw_template_value *value,
                             void *user);

#endif
