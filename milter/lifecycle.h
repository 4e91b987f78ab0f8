/*
 * lifecycle: the daemon from its start to its end, in one visible order.
 */
#ifndef MW_MILTER_LIFECYCLE_H
#define MW_MILTER_LIFECYCLE_H

#include <stdbool.h>

#include "core/error.h"

struct mw_lifecycle_options {
    const char *config_path; /* NULL: the defaults */
    bool test, background;
};

/* Prints all mistakes of configuration, rules and databases; how many there are. */
int mw_lifecycle_test(const struct mw_lifecycle_options *options);

/* Runs until it is told to end. 0, or why it could not start or go on. */
int mw_lifecycle_run(const struct mw_lifecycle_options *options, struct mw_error *error);

#endif
