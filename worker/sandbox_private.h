/* What the two kinds of workers' sandboxes share. */
#ifndef MW_WORKER_SANDBOX_PRIVATE_H
#define MW_WORKER_SANDBOX_PRIVATE_H

#include "worker/sandbox.h"

extern const char mw_sandbox_no_landlock[], mw_sandbox_no_seccomp[];

/* Adds to a filter (scmp_filter_ctx) that system calls which nothing that reads files has a
 * use for meet this action. 0, or a negative errno. */
int mw_sandbox_deny(void *filter, uint32_t action);

/* Becomes the user called name (NULL: nobody), when root. */
int mw_sandbox_change_user(const char *name, struct mw_error *error);

/* Notes what the system does not have; MW_ERR_MISSING when all is required. */
int mw_sandbox_missing(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                       struct mw_texts *missing, const char *what, struct mw_error *error);

#endif
