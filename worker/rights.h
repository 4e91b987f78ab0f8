/*
 * rights: becoming another user, as root or with the capabilities for that alone.
 */
#ifndef MW_WORKER_RIGHTS_H
#define MW_WORKER_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether this process can become another user: as root, or with CAP_SETUID, beside which
 * CAP_SETGID, CAP_CHOWN and CAP_KILL are wanted. */
bool mw_rights_can_change_user(void);

/* Becomes the user and the one group, and keeps no capability, for good. 0, or -1 with errno;
 * then the process must not go on. */
int mw_rights_become(uid_t user, gid_t group);

/* Gives up all capabilities of this process and of those that it starts, for good; the user
 * stays. 0, or -1 with errno. One thread must exist. */
int mw_rights_drop(void);

#endif
