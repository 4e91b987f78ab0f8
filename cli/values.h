/*
 * values: lists of values, one a line, for the filters.
 */
#ifndef MW_CLI_VALUES_H
#define MW_CLI_VALUES_H

#include "core/arena.h"
#include "core/error.h"

/* Calls take with each line of path ("-": standard input) that is not empty,
 * without its line end; stops with what take returned when that is not 0. */
int mw_values_read(const char *path, int (*take)(void *user, const char *value), void *user,
                   struct mw_error *error);

/* The file of a filter: name itself when it has a / in it, else folder/name.filter. */
const char *mw_filter_path(struct mw_arena *arena, const char *folder, const char *name);

#endif
