/*
 * landlock: what a process can still reach (landlock(7)): files, TCP ports, and other processes.
 */
#ifndef MW_WORKER_LANDLOCK_H
#define MW_WORKER_LANDLOCK_H

#include <stdbool.h>
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

struct mw_landlock_reach {
    const struct mw_path_rule *paths;
    size_t count;
    bool network; /* TCP ports may be bound and connected to */
};

/* The interface of Landlock that this kernel has, counted from 1; 0 when it has none. */
int mw_landlock_version(void);

/*
 * Takes from the calling process and its children, for good, all that is not in reach: files;
 * TCP ports (version 4); signals to processes outside of it and abstract unix sockets made
 * outside (version 6). What is open stays open. An older kernel takes what it knows.
 * no_new_privs must be set. Paths to read or run that do not exist are left out. 1 when the
 * kernel has no Landlock.
 */
int mw_landlock_enter(const struct mw_landlock_reach *reach, struct mw_error *error);

#endif
