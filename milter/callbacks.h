/*
 * callbacks: libmilter's side of the daemon: thin adapters between its calls and
 * session, examine and reply.
 */
#ifndef MW_MILTER_CALLBACKS_H
#define MW_MILTER_CALLBACKS_H

#include "milter/daemon.h"

/*
 * Registers with libmilter. Once a process: libmilter has one filter and hands its
 * callbacks nothing to tell us by, so daemon is kept for as long as the process lives.
 */
int mw_callbacks_register(struct mw_daemon *daemon, struct mw_error *error);

#endif
