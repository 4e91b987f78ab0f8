/*
 * sweep: stored attachments scanned again, side by side in confined workers, each as the
 * part it was: with its name, declared type, sender and subject.
 */
#ifndef MW_CLI_SWEEP_H
#define MW_CLI_SWEEP_H

#include "cli/reach.h"

/* One attachment that was scanned, or could not be. All borrowed for the call. */
struct mw_swept {
    const char *sha256;
    const struct mw_facts *facts;           /* as stored */
    const struct mw_attachment *attachment; /* what was found now; NULL: see why */
    const char *why;
};

struct mw_sweep_work {
    void *user;
    /* In the calling thread, in the order the attachments were given; a negative code ends
     * the sweep. */
    int (*done)(void *user, const struct mw_swept *swept, struct mw_error *error);
};

struct mw_sweep;

/*
 * Starts workers that scan as reach->config says; reach must not have been opened yet, as
 * no thread may exist. NULL with error.
 */
struct mw_sweep *mw_sweep_new(struct mw_reach *reach, const struct mw_sweep_work *work,
                              struct mw_error *error);
void mw_sweep_free(struct mw_sweep *sweep);

/* Scans one attachment, or, in mw_sweep_all, those seen last between the times (0: no bound),
 * the latest first. reach is open now. */
int mw_sweep_one(struct mw_sweep *sweep, const char *sha256, struct mw_error *error);
int mw_sweep_all(struct mw_sweep *sweep, int64_t since_ms, int64_t until_ms,
                 struct mw_error *error);

/* Waits for all that is under way. */
int mw_sweep_finish(struct mw_sweep *sweep, struct mw_error *error);

/* What was given so far; of which the bytes are no longer kept; of which a scan failed. */
struct mw_sweep_counts {
    uint64_t given, gone, failed, total; /* total: of mw_sweep_all */
};
void mw_sweep_get_counts(const struct mw_sweep *sweep, struct mw_sweep_counts *counts);

/* What is known of the attachment now together with what was known: findings of both, and
 * the worse verdict; one that was never scanned takes the new one. In arena. */
struct mw_attachment mw_swept_merge(struct mw_arena *arena, const struct mw_swept *swept);

#endif
