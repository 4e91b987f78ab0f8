/* What the two kinds of workers' sandboxes share. */
#ifndef MW_WORKER_SANDBOX_PRIVATE_H
#define MW_WORKER_SANDBOX_PRIVATE_H

#include <stdint.h>

#include "worker/sandbox.h"

extern const char mw_sandbox_no_landlock[], mw_sandbox_no_seccomp[];

/*
 * Add to a filter (scmp_filter_ctx) the system calls of a kind of process; 0, or a negative errno.
 * A worker's says what may be done, with a runner beside it or not, by the process pid; the
 * others what may not.
 * Those of a program go with the process that asks: it starts the program.
 */
int mw_sandbox_calls_of_worker(void *filter, bool runner, uint32_t pid);
int mw_sandbox_calls_of_runner(void *filter);
int mw_sandbox_calls_of_program(void *filter, bool network);

/* Has the kernel end this process first when memory is short; its children inherit that. */
void mw_sandbox_first_to_go(void);

/* Becomes the user called name (NULL: nobody), when that can be done. */
int mw_sandbox_change_user(const char *name, struct mw_error *error);

/* Notes what the system does not have; MW_ERR_MISSING when all is required. */
int mw_sandbox_missing(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                       struct mw_texts *missing, const char *what, struct mw_error *error);

#endif
