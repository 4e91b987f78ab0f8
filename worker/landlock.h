/*
 * landlock: which files a process can still reach (landlock(7)).
 */
#ifndef MW_WORKER_LANDLOCK_H
#define MW_WORKER_LANDLOCK_H

#include <stddef.h>

#include "core/error.h"

enum mw_path_rights {
    MW_PATH_READ,
    MW_PATH_RUN,  /* read, and run as a program */
    MW_PATH_WRITE /* read, make, change, remove; nothing in it is ever run */
};

struct mw_path_rule {
    const char *path; /* a file, or a folder and all below it */
    enum mw_path_rights rights;
};

/*
 * Takes the calling process and its children's access to all files but those of
 * rules, for good; what is open stays open. no_new_privs must be set. Paths to read
 * or run that do not exist are left out. 1 when the kernel has no Landlock.
 */
int mw_landlock_enter(const struct mw_path_rule *rules, size_t count, struct mw_error *error);

#endif
