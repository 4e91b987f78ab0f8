/*
 * daemon: what lives as long as mailwitnessd, and what its threads share.
 */
#ifndef MW_MILTER_DAEMON_H
#define MW_MILTER_DAEMON_H

#include <pthread.h>

#include "core/id.h"
#include "core/log.h"
#include "milter/counters.h"
#include "milter/memory.h"
#include "milter/metrics.h"
#include "milter/session.h"
#include "milter/snapshot.h"
#include "worker/pool.h"

/* How the last reload went. */
struct mw_last_reload {
    int64_t at_s;        /* since 1970; 0: there was none */
    struct mw_error why; /* code 0: it worked */
};

/* What a reload cannot change, as "section.option, ..."; "" when the file and the daemon agree. */
enum { MW_RESTART_TEXT = 256 };

struct mw_daemon {
    const char *config_path; /* NULL: the defaults */
    struct mw_log *log;
    struct mw_pool *pool;
    struct mw_id_source *ids;
    struct mw_metrics *metrics;
    struct mw_memory *memory;
    struct mw_repeats *repeats;
    struct mw_admission admission;
    struct mw_counters counters;
    atomic_uint users;       /* messages, questions, reloads under way */
    atomic_bool closing;     /* there may be no more of them */
    int64_t started_s;       /* since 1970 */
    int64_t started_ms;      /* of mw_clock_ms */
    pthread_mutex_t lock;    /* guards snapshot, last_reload and restart */
    pthread_mutex_t reading; /* one reload at a time */
    struct mw_snapshot *snapshot;
    struct mw_snapshot *started; /* the configuration of the start */
    struct mw_last_reload last_reload;
    char restart[MW_RESTART_TEXT];
};

/*
 * Prepares everything but sockets from the configuration (taken over) and starts the
 * workers: no thread may exist yet. NULL with error. log and config_path are borrowed.
 */
struct mw_daemon *mw_daemon_new(struct mw_config *config, const char *config_path,
                                struct mw_log *log, struct mw_error *error);

/* What needs threads, or makes files (filters, metrics): after rights were dropped. */
int mw_daemon_start(struct mw_daemon *daemon, struct mw_error *error);

/* Ends the workers, flushes the filters, closes the store: nothing may use the daemon
 * any more, and no message may be under way. It is not freed: libmilter's threads, which
 * cannot be ended, know it. */
void mw_daemon_rest(struct mw_daemon *daemon);

/* The same for a daemon that no other thread ever knew, and frees it. */
void mw_daemon_free(struct mw_daemon *daemon);

/* Whoever uses the daemon from another thread than the main one says so, unless it is
 * closing (false), and says when it is done: the end waits for that. */
bool mw_daemon_enter(struct mw_daemon *daemon);
void mw_daemon_leave(struct mw_daemon *daemon);

/* The configuration in force, as a use of its own (mw_snapshot_release). */
struct mw_snapshot *mw_daemon_snapshot(struct mw_daemon *daemon);

/*
 * Reads configuration, rules and databases again. Messages under way keep what they
 * began with; when anything is wrong all stays as it was, and error tells. What a
 * running daemon cannot change (sockets, users, the log) waits for the next start, which the log
 * says. Any thread.
 */
int mw_daemon_reload(struct mw_daemon *daemon, struct mw_error *error);

/* How the last one went, and what waits for the next start. Any thread. */
void mw_daemon_get_reload(struct mw_daemon *daemon, struct mw_last_reload *last,
                          char restart[MW_RESTART_TEXT]);

#endif
