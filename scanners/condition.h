/*
 * condition: whether a scanner wants a part, by its type, name and size.
 */
#ifndef MW_SCANNERS_CONDITION_H
#define MW_SCANNERS_CONDITION_H

#include "scanners/scanner.h"
#include "scanners/settings.h"

/* A condition on types or names never holds for a part that has none. */
bool mw_condition_holds(const struct mw_scan_condition *condition, const struct mw_scan_part *part);

#endif
