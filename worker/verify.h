/*
 * verify: the asking side of reuse: notices files that come again, has a verifier
 * (a worker that is made for one file) find out about them beside the mail, and keeps its answer
 * for the workers of the same generation. What a worker said about its mail is never kept.
 */
#ifndef MW_WORKER_VERIFY_H
#define MW_WORKER_VERIFY_H

#include "worker/frame.h"
#include "worker/reuse_entry.h"

struct mw_reuse_settings {
    bool enabled;
    unsigned seconds; /* how long a verdict is good for, and a file is remembered */
    unsigned entries; /* files that are known at once, at most about */
};

struct mw_reuse_state {
    uint64_t hits;          /* attachments that were not scanned again */
    uint64_t verifications; /* files that a verifier was asked about */
    uint64_t kept;          /* answers that were kept */
    uint64_t failures;      /* those that were not: no whole answer */
    uint64_t disagreements; /* nor those: the worker had found something else */
};

/* The verdicts of one generation; any thread. */
struct mw_reuse;

/* With an empty table; NULL with error. */
struct mw_reuse *mw_reuse_new(const struct mw_reuse_settings *settings, struct mw_error *error);

/* The table's descriptor, borrowed, for the generation's processes. */
int mw_reuse_fd(const struct mw_reuse *reuse);

/* Whom to ask: the generation's control channel (borrowed until mw_reuse_retire) and how many
 * ms one file may take (0: no bound). Before the first note. */
void mw_reuse_serve(struct mw_reuse *reuse, struct mw_channel *control, unsigned time_ms);

/* The generation goes, and its verdicts with it: nobody is asked any more. Before its
 * control socket is closed. NULL is allowed. */
void mw_reuse_retire(struct mw_reuse *reuse);

/* Who asks: a thread, once there is something to ask. One for a pool; any thread. */
struct mw_verify;

/* notice is told what is amiss; may be NULL. */
struct mw_verify *mw_verify_new(void (*notice)(void *user, bool bad, const char *text), void *user);

/* Gives up what is under way. NULL is allowed. */
void mw_verify_free(struct mw_verify *verify);

/*
 * Looks at what a worker of the generation reported: counts what it knew already, and has
 * what came for the second time verified, unless too much is waiting. Does not wait. The
 * report's attachments have their bytes, which are what their SHA-256 says.
 */
void mw_verify_note(struct mw_verify *verify, struct mw_reuse *reuse,
                    const struct mw_report *report);

void mw_verify_get_state(struct mw_verify *verify, struct mw_reuse_state *state);

#endif
