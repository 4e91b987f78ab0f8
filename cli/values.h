/*
 * values: lists of values, one a line, for the filters.
 */
#ifndef MW_CLI_VALUES_H
#define MW_CLI_VALUES_H

#include "core/error.h"

/* Calls take with each line of path ("-": standard input) that is not empty,
 * without its line end; stops with what take returned when that is not 0. */
int mw_values_read(const char *path, int (*take)(void *user, const char *value), void *user,
                   struct mw_error *error);

#endif
