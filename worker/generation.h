/*
 * generation: a process that loads the engines once and forks workers, which share them. It
 * reads no mail, and does what the asking side says: it starts, ends and buries
 * workers, each known by a serial number of the asking side's.
 */
#ifndef MW_WORKER_GENERATION_H
#define MW_WORKER_GENERATION_H

#include "worker/sandbox.h"
#include "worker/witness.h"

struct mw_generation_settings {
    unsigned workers;          /* messages that are examined at once */
    unsigned per_client;       /* of these for one client while others wait; 0: no bound */
    unsigned recycle_messages; /* a worker makes way for a fresh one after so many; 0: never */
    size_t recycle_growth;     /* or when its memory grew by so many bytes; 0: never */
    struct mw_sandbox_settings sandbox;
    struct mw_witness_settings witness;
    /*
     * Changes what is above (settings is a copy), in the generation's own process, each
     * time one starts, by what stands in source (empty: there was none); texts may lie
     * in arena. 0, or an error that fails the generation. NULL: nothing to change.
     */
    int (*load)(void *user, struct mw_bytes source, struct mw_generation_settings *settings,
                struct mw_arena *arena, struct mw_error *error);
    void *user;
};

/* What a generation is started with: descriptors that it owns, -1 for those it has not. */
struct mw_generation_start {
    int control;
    int table;  /* verdicts to be reused */
    int source; /* a sealed memory file: for settings.load */
};

/* What it says when it is ready (MW_FRAME_READY), in this order: workers, per_client,
 * recycle_messages, limits.time_ms; its warnings, a line each; its engines, a JSON list. */

/*
 * Runs a generation in the calling process, which must have one thread. Says
 * MW_FRAME_READY or MW_FRAME_FAILED, then does as it is told until control is closed, and
 * ends what workers there are then. Never returns.
 */
_Noreturn void mw_generation_run(const struct mw_generation_settings *settings,
                                 const struct mw_generation_start *start);

/* Milliseconds a worker has beyond the message's own limit before its alarm ends it. */
enum { MW_GENERATION_GRACE_MS = 1000 };

/* And how much longer who asked waits for word of that. */
enum { MW_GENERATION_SPARE_MS = 1500 };

#endif
