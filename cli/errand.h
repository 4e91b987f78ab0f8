/*
 * errand: messages on their way through workers, many side by side; their reports come
 * back in the order in which they were sent.
 */
#ifndef MW_CLI_ERRAND_H
#define MW_CLI_ERRAND_H

#include "core/memfile.h"
#include "worker/pool.h"

/* A message that has come back. */
struct mw_errand {
    const char *source;         /* where it was found */
    struct mw_report *report;   /* owned; NULL when no worker could read it: see error */
    struct mw_error error;      /* names source */
    struct mw_memfile *message; /* owned; NULL when it could not even be sent */
};

struct mw_errands_work {
    void *user;
    /* In the caller's thread. The errand is freed afterwards, with its report unless that
     * was taken out of it. Other than 0 says that no more are wanted. */
    int (*done)(void *user, struct mw_errand *errand);
};

struct mw_errands;

/* Starts the workers; no thread may exist yet. settings must live as long. NULL with error. */
struct mw_errands *mw_errands_new(const struct mw_pool_settings *settings,
                                  const struct mw_errands_work *work, struct mw_error *error);
void mw_errands_free(struct mw_errands *errands);

/* What was loaded with reservations, a line each; the caller frees it. */
char *mw_errands_warnings(struct mw_errands *errands);

/* Sends a copy of raw; waits while all workers have something to do. Returns what done
 * returned when that was not 0. */
int mw_errands_send(struct mw_errands *errands, struct mw_bytes raw, const char *source);

/* Waits for all that are under way; returns the same. */
int mw_errands_finish(struct mw_errands *errands);

#endif
