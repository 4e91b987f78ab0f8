/*
 * pool: the asking side of the workers: give a message, wait, get a report.
 */
#ifndef MW_WORKER_POOL_H
#define MW_WORKER_POOL_H

#include <stdint.h>

#include "core/memfile.h"
#include "worker/generation.h"
#include "worker/verify.h"

struct mw_pool_settings {
    struct mw_generation_settings generation;
    struct mw_memfile *source; /* for generation.load: sealed; NULL: none. The pool's */
    unsigned queue_ms;         /* how long a message waits for a free worker at most */
    unsigned queue_most;       /* and how many messages wait */
    /* Workers beside those that examine messages at once: kept free for clients that have fewer
     * than generation.per_client; 0: clients are all one. */
    unsigned spare_workers;
    size_t result_max; /* bytes of a result that are accepted */
    /* Folder in which messages that ended a worker are kept for study, at most so many;
     * NULL: they are not kept. */
    const char *keep_folder;
    unsigned keep_most;
    struct mw_reuse_settings reuse; /* of verdicts about files that come again */
    /* Something for the log: a worker died, a generation came. Called from any
     * thread; may be NULL. */
    void (*notice)(void *user, bool bad, const char *text);
    void *notice_user;
};

/* Usual values; no scanners that need rules or databases. */
void mw_pool_settings_default(struct mw_pool_settings *settings);

struct mw_pool_state {
    unsigned workers;
    uint64_t generation; /* counted from 1 */
    uint64_t busy;       /* messages under way */
    uint64_t done, failed, deaths;
    struct mw_reuse_state reuse;
};

struct mw_pool;

/*
 * Starts the processes; no thread may exist yet. Takes settings->source. Returns when the first
 * generation is ready, or NULL with why it is not. What settings points to must live as long as the
 * pool, in the processes as well.
 */
struct mw_pool *mw_pool_new(const struct mw_pool_settings *settings, struct mw_error *error);

/* Ends the processes and waits for them. No examination may be under way. */
void mw_pool_free(struct mw_pool *pool);

/* Who sent a message, and what a thread does while it waits. */
struct mw_pool_wait {
    const char *client; /* address of IPv4 or IPv6: clients have their turns; NULL: another one */
    unsigned tick_ms;   /* tick(user) is called about so often, in the waiting thread */
    void (*tick)(void *user); /* NULL: nothing is */
    void *user;
};

/*
 * Has a worker examine the sealed message. Returns its report, which the caller
 * frees, or NULL: MW_ERR_BUSY when no worker was free in time, MW_ERR_TIMEOUT when
 * it took too long (and was ended), MW_ERR_INTERNAL when it died, MW_ERR_FORMAT
 * when what it answered was no sound report, MW_ERR_SYSTEM when nobody could be asked.
 * Workers that do not read it, being gone or hung, are replaced meanwhile. Any thread.
 */
struct mw_report *mw_pool_examine(struct mw_pool *pool, const struct mw_memfile *message,
                                  struct mw_error *error);

/* The same, waiting so. */
struct mw_report *mw_pool_examine_waiting(struct mw_pool *pool, const struct mw_memfile *message,
                                          const struct mw_pool_wait *wait, struct mw_error *error);

/*
 * The report of a message that mw_pool_examine could not get one for: its size and
 * hashes, verdict unscanned, and why, named worker.busy, worker.timeout,
 * worker.crashed, worker.report or worker.resources. Reads raw without parsing it. Never NULL.
 */
struct mw_report *mw_pool_unexamined(struct mw_bytes raw, const struct mw_error *why);

/*
 * Starts a new generation and, when it is ready, lets it take over; the old one
 * finishes what it has. It reads source (the pool's in every case; NULL: what the last one
 * read). When it cannot be loaded the old one goes on and error tells why. Any thread; one
 * at a time.
 */
int mw_pool_reload(struct mw_pool *pool, struct mw_memfile *source, struct mw_error *error);

/* From the next generation on verdicts are reused so. Any thread but one that reloads. */
void mw_pool_set_reuse(struct mw_pool *pool, const struct mw_reuse_settings *reuse);

/* Whether the process that starts workers is gone: there can be no new ones, and the
 * pool is of no more use. */
bool mw_pool_is_lost(const struct mw_pool *pool);

/* Warnings of the generation at work, a line each; the caller frees the text. */
char *mw_pool_warnings(struct mw_pool *pool);

/* Its engines, with version and age of what they know: a JSON list of objects as in a
 * report; the caller frees the text. */
char *mw_pool_engines(struct mw_pool *pool);

void mw_pool_get_state(struct mw_pool *pool, struct mw_pool_state *state);

#endif
