/*
 * store: where reports go. Into Redis while it takes them, else into the spool on disk,
 * from which one thread of the store brings them to Redis, in order, when it is back.
 *
 * What Redis took is also kept on disk for a while (spool.recent): a Redis that starts
 * again, or another that takes its place, is told it once more, as it may have forgotten
 * what it had not yet saved or passed on. All writes are idempotent.
 *
 * All functions may be called from any thread. A program that uses a store ignores SIGPIPE.
 */
#ifndef MW_STORE_STORE_H
#define MW_STORE_STORE_H

#include "core/log.h"
#include "core/report.h"
#include "store/settings.h"

struct mw_store;

/*
 * Settings are borrowed until mw_store_free. Does not fail because Redis is away, but for
 * settings that cannot work (MW_ERR_INPUT), and a spool folder that cannot be used or is
 * in use by another process (MW_ERR_SYSTEM, MW_ERR_BUSY).
 */
struct mw_store *mw_store_new(const struct mw_store_settings *settings, struct mw_error *error);

/*
 * Prepares a store that is to take the place of before (NULL: of none), so that nothing is left
 * to fail: errors as above. Messages go on with before, whose spool is shared when it is in the
 * same folder. Then either mw_store_replace, which frees before, while no message is at either;
 * or mw_store_free, after which all is as it was. Nobody else frees before meanwhile.
 */
struct mw_store *mw_store_prepare(const struct mw_store_settings *settings, struct mw_store *before,
                                  struct mw_error *error);
void mw_store_replace(struct mw_store *store, struct mw_store *before);

/* Asks Redis whether it would have us: MW_ERR_INPUT when it refuses the login or the number of the
 * database. 0 also when it is away. Waits redis.connect_ms at most. */
int mw_store_check_login(struct mw_store *store, struct mw_error *error);

/* Asks Redis now whether it takes writes, instead of remembering: 0, or why not; the state of the
 * store follows. Waits redis.command as a save does. Any thread. */
int mw_store_ask(struct mw_store *store, struct mw_error *error);

/* Ends the store's thread, as a store may be freed under a lock then without waiting for Redis;
 * messages are still saved. NULL allowed. */
void mw_store_stop(struct mw_store *store);

/* Ends the store's thread. What waits in the spool stays there. */
void mw_store_free(struct mw_store *store);

/* Whether the settings name a Redis at all. */
bool mw_store_is_wanted(const struct mw_store_settings *settings);

/*
 * Is told, once each, that Redis went away and came back, that a record was refused or
 * dropped; never for each message. What happened last before there was a notice is told
 * at once. Called from any thread, by several at a time, and never with a lock held.
 */
typedef void mw_store_notice(void *user, enum mw_log_level level, const char *text);
void mw_store_on_notice(struct mw_store *store, mw_store_notice *notice, void *user);

enum mw_store_kept {
    MW_KEPT_NOWHERE,
    MW_KEPT_REDIS, /* Redis confirmed all of it */
    MW_KEPT_SPOOL  /* all of it is on disk (fdatasync) */
};

/*
 * Saves the report and its attachments' bytes. Takes at most redis.command_ms before it
 * turns to the spool. 0 only when the whole message is kept; *kept (may be NULL) says
 * where. MW_ERR_LIMIT when the spool is full too, MW_ERR_INPUT when the report's id is
 * not one of ours.
 */
int mw_store_save(struct mw_store *store, const struct mw_report *report, enum mw_store_kept *kept,
                  struct mw_error *error);

struct mw_store_state {
    bool up;           /* Redis takes writes */
    int64_t since;     /* seconds since 1970 when that began */
    char trouble[16];  /* "fine", "down", "timeout", "oom", "readonly", ... */
    char why[256];     /* a sentence, when not up */
    char address[256]; /* of Redis, the master as last known */
    uint64_t saved;    /* messages that went to Redis at once */
    uint64_t spooled;  /* to the spool */
    uint64_t replayed; /* from the spool to Redis */
    uint64_t repeated; /* told again to a Redis that started anew */
    uint64_t failed;   /* saves that failed: kept nowhere */
    uint64_t past;     /* messages not written, as the time they are kept was over already */
    unsigned version;  /* of what Redis keeps; 0: not known yet */
    int64_t skew_ms;   /* our clock is ahead of Redis' by so much */
    uint64_t refused;  /* records Redis will not have, set aside in the spool folder */
    uint64_t dropped;  /* records dropped because the spool was full */
    uint64_t spool_entries, spool_bytes;
    uint64_t recent_entries, recent_bytes;
    uint64_t damaged;       /* damaged places of spool files that were skipped */
    uint64_t damaged_files; /* files that have such places, kept as *.damaged */
};
void mw_store_get_state(struct mw_store *store, struct mw_store_state *state);

/* Waits until the spool is empty and all was told again; MW_ERR_TIMEOUT when that takes
 * longer, MW_ERR_BUSY with the reason when Redis is away by then. */
int mw_store_drain(struct mw_store *store, unsigned time_ms, struct mw_error *error);

/* Puts records that Redis had refused back into the spool; *count how many. */
int mw_store_retry_refused(struct mw_store *store, uint64_t *count, struct mw_error *error);

/* A file of this name in the spool's folder asks the process that has it to do that; it is
 * removed when that is done. */
#define MW_RETRY_FILE "retry-refused"

/* Kinds of spool files, for readers. */
#define MW_SPOOL_KIND "wait"
#define MW_RECENT_KIND "recent"
#define MW_REFUSED_KIND "refused"

#endif
