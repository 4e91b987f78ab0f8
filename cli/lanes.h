/*
 * lanes: work done side by side, its results taken in the order it was given.
 */
#ifndef MW_CLI_LANES_H
#define MW_CLI_LANES_H

#include "core/error.h"

struct mw_lanes;

struct mw_lanes_work {
    void *user;
    void (*work)(void *user, void *item); /* in a thread of its own */
    int (*done)(void *user, void *item);  /* in the caller's thread, in order; owns item */
};

/* Starts count threads. NULL with error. */
struct mw_lanes *mw_lanes_new(unsigned count, const struct mw_lanes_work *work,
                              struct mw_error *error);

/* Hands item over; waits while all lanes are full. Returns what done returned when
 * that was not 0: nothing more is wanted then. */
int mw_lanes_add(struct mw_lanes *lanes, void *item);

/* Waits for and takes all that is under way. */
int mw_lanes_finish(struct mw_lanes *lanes);

void mw_lanes_free(struct mw_lanes *lanes);

#endif
