/*
 * sandbox_filter: a worker's filter of system calls (seccomp(2)), compiled once by whoever
 * forks workers: that takes longer than the fork.
 */
#ifndef MW_WORKER_SANDBOX_FILTER_H
#define MW_WORKER_SANDBOX_FILTER_H

#include <stdbool.h>

#include "core/error.h"

struct mw_sandbox_filter;

/* For a worker with a runner beside it, or without; NULL with error. The caller frees it. */
struct mw_sandbox_filter *mw_sandbox_filter_new(bool runner, struct mw_error *error);

/* NULL is allowed. */
void mw_sandbox_filter_free(struct mw_sandbox_filter *filter);

/* Confines the calling process, which has no_new_privs, for good. */
int mw_sandbox_filter_enter(const struct mw_sandbox_filter *filter, struct mw_error *error);

#endif
