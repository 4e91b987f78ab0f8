/*
 * wake: how the main thread learns of signals and of what other threads tell it.
 *
 * The main thread has HUP, INT, TERM and CHLD unblocked and all others have them blocked, so
 * that the kernel gives them to it and never to libmilter's signal thread, for which
 * each of the first three means the end.
 */
#ifndef MW_MILTER_WAKE_H
#define MW_MILTER_WAKE_H

#include <stdbool.h>

#include "core/error.h"

struct mw_wake;

/*
 * SIGHUP waits from here on until mw_wake_new, which hears of it then: for the first line of
 * main, as the default is to end. Others end the start as they would any program.
 */
void mw_wake_hold_reload(void);

/* The same for SIGINT and SIGTERM, from the first file that is made: the end removes it. */
void mw_wake_hold_end(void);

/* Catches the signals; once a process, in its main thread. */
struct mw_wake *mw_wake_new(struct mw_error *error);

/* Wakes the main thread. Any thread, also in a signal handler. */
void mw_wake_up(struct mw_wake *wake);

/* What arrived since the last call. */
struct mw_wake_signals {
    unsigned reload; /* SIGHUP */
    unsigned end;    /* SIGTERM, SIGINT */
};

/* Waits until something arrives or timeout_ms (-1: none) are over. */
void mw_wake_wait(struct mw_wake *wake, int timeout_ms, struct mw_wake_signals *signals);

/* Starts a detached thread with all signals blocked. */
int mw_wake_thread(void *(*run)(void *), void *argument, struct mw_error *error);

/* Blocks all signals for threads that a library starts, and undoes it. */
void mw_wake_block(bool block);

#endif
