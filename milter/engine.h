/*
 * engine: libmilter's main loop, on a listening socket of ours.
 *
 * libmilter opens one socket a process, by a name, without a mode or group, and stops
 * the program when it is sent SIGHUP. So it is given a private socket, in whose place
 * ours is put; and its loop runs beside the main thread, which takes all signals.
 */
#ifndef MW_MILTER_ENGINE_H
#define MW_MILTER_ENGINE_H

#include <stdbool.h>

#include "milter/listen.h"
#include "milter/wake.h"

/* Puts a listening unix socket (borrowed, what is needed of it is kept open) in the place of
 * libmilter's. After mw_callbacks_register. Once a process. */
int mw_engine_prepare(const struct mw_listener *listener, struct mw_error *error);

/* Starts the loop in a thread of its own; wake (borrowed) is woken should it end. */
int mw_engine_start(struct mw_wake *wake, struct mw_error *error);

/*
 * libmilter wakes one idle thread for each connection with something to read, and takes
 * it for idle until it runs: two connections at once may be counted on one thread, and
 * when that waits for a scan the other connection waits too, though nothing is the matter
 * with it. The next thread that finishes anything finds it; when all are waiting none does.
 * So who waits for a scan calls this now and then: when nothing was heard of since the last
 * call (mw_engine_heard, by each callback), it makes and closes a connection, for which
 * libmilter starts a thread that finds what was left.
 */
void mw_engine_nudge(void);
void mw_engine_heard(void);

/* A connection to libmilter from within, not blocking; -1 when there is none to be had. */
int mw_engine_connect(void);

/* No connection is accepted from now on; those there are go on. The loop ends with the
 * process only: smfi_stop may take many seconds to get at libmilter's lock. */
void mw_engine_stop_accepting(void);

/* Whether the loop has ended. */
bool mw_engine_has_ended(void);

#endif
