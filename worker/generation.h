/*
 * generation: one generation of workers: a process that loads the engines once and keeps
 * a number of confined children alive, each of which takes one job after the other.
 */
#ifndef MW_WORKER_GENERATION_H
#define MW_WORKER_GENERATION_H

#include "worker/sandbox.h"
#include "worker/witness.h"

struct mw_generation_settings {
    unsigned workers;
    unsigned recycle_messages; /* a worker makes way for a fresh one after so many; 0: never */
    size_t recycle_growth;     /* or when its memory grew by so many bytes; 0: never */
    struct mw_sandbox_settings sandbox;
    struct mw_witness_settings witness;
    /*
     * Changes what is above (settings is a copy), in the generation's own process, each
     * time a generation starts; texts may lie in arena. 0, or an error that fails
     * the generation. NULL: nothing to change.
     */
    int (*load)(void *user, struct mw_generation_settings *settings, struct mw_arena *arena,
                struct mw_error *error);
    void *user;
};

/*
 * Runs a generation in the calling process, which must have one thread and owns
 * jobs and control, and a table of verdicts to reuse (-1: none). Says MW_WIRE_READY or
 * MW_WIRE_FAILED on control, then lives until control is closed and every worker has gone (they go
 * when jobs is closed and empty). Never returns.
 */
_Noreturn void mw_generation_run(const struct mw_generation_settings *settings, int jobs,
                                 int control, int table);

/* Milliseconds a worker has beyond the message's own limit before its alarm ends it. */
enum { MW_GENERATION_GRACE_MS = 1000 };

/* And how much longer who asked waits for word of that. */
enum { MW_GENERATION_SPARE_MS = 1500 };

#endif
