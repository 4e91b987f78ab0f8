/*
 * condition: whether a scanner wants a part, by its type, name and size.
 */
#ifndef MW_SCANNERS_CONDITION_H
#define MW_SCANNERS_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"

/* Which parts a scanner looks at: all of what is said must hold. Patterns are
 * shell globs, compared without case. */
struct mw_scan_condition {
    const char *name;                  /* of the scanner */
    struct mw_texts types, skip_types; /* the detected type, else the declared one */
    struct mw_texts names, skip_names; /* file names */
    size_t size_min, size_max;         /* bytes; size_max 0: no bound */
};
MW_LIST_TYPE(mw_scan_conditions, struct mw_scan_condition);

struct mw_scan_part;

/* A condition on types or names never holds for a part that has none. */
bool mw_condition_holds(const struct mw_scan_condition *condition, const struct mw_scan_part *part);

#endif
