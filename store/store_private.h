/* What store.c (saving) and replay.c (the store's thread) share. */
#ifndef MW_STORE_STORE_PRIVATE_H
#define MW_STORE_STORE_PRIVATE_H

#include <pthread.h>

#include "store/connections.h"
#include "store/schema.h"
#include "store/server.h"
#include "store/spool.h"
#include "store/store.h"

enum { MW_SCRIPT_HASH = 41 };

/* What one save works with; kept for the next. */
struct mw_store_tools {
    struct mw_flight *flight;
    struct mw_squeezer *squeezer;
    struct mw_store_tools *next;
};

struct mw_store {
    const struct mw_store_settings *settings;
    char script_hash[MW_SCRIPT_HASH];
    struct mw_connections *connections;
    int folder_lock;                           /* descriptor; -1: no spool */
    struct mw_spool *spool, *recent, *refused; /* NULL: not used */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t wake, settled;
    pthread_t thread;
    bool has_thread, begun, ending;
    struct mw_store_tools *tools;
    mw_store_notice *notice;
    void *notice_user;
    char untold[1024]; /* what happened before there was a notice; "" nothing */
    enum mw_log_level untold_level;
    bool up, recent_failing, looked;     /* looked: the thread has tried Redis once */
    uint64_t repeat_wanted, repeat_done; /* times that all was to be told again, and was */
    enum mw_redis_trouble trouble;
    int64_t since;    /* seconds since 1970 */
    int64_t since_ms; /* of mw_clock_ms */
    char why[256];
    struct mw_server server;                /* the Redis last written to */
    unsigned version;                       /* of what it keeps; 0: not known */
    int64_t clock_ms, clock_at_ms, skew_ms; /* Redis' clock, when it told (mw_clock_ms); ours is
                                               ahead by skew_ms */
    bool skew_told, clock_told;             /* clock_told: by Redis, to this process */
    struct mw_server saved_server;          /* as in its file; the thread's own, as the next */
    bool info_denied;
    unsigned backoff_ms;
    uint64_t saved, spooled, replayed, repeated, failed, past, refused_count;
};

/* A report made ready: its JSON squeezed, its pieces for the spool. */
struct mw_store_parcel {
    const struct mw_report *report;
    struct mw_bytes json;
    const char *const *holders; /* mw_schema_holders */
};

/* With the lock held. */
static inline bool mw_store_must_repeat(const struct mw_store *store)
{
    return store->repeat_done != store->repeat_wanted;
}

struct mw_store_tools *mw_store_take_tools(struct mw_store *store);
void mw_store_give_tools(struct mw_store *store, struct mw_store_tools *tools);

/* Sends the message to Redis, noting it among the recent ones first. */
enum mw_redis_trouble mw_store_send(struct mw_store *store, struct mw_store_tools *tools,
                                    struct mw_arena *arena, const struct mw_store_parcel *parcel,
                                    struct mw_error *error);

/* Sends a flight, a second time when a connection had died while idle. Its replies are
 * there afterwards (mw_flight_reply) when keep_replies. */
enum mw_redis_trouble mw_store_exchange(struct mw_store *store, struct mw_flight *flight,
                                        int64_t deadline, bool keep_replies,
                                        struct mw_error *error);

/* Redis takes no writes, or does again: told once each. */
void mw_store_went_away(struct mw_store *store, enum mw_redis_trouble trouble,
                        const struct mw_error *why);
void mw_store_came_back(struct mw_store *store);

/* Tells the notice; not with the lock held. */
void mw_store_tell(struct mw_store *store, enum mw_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells of damaged places in a spool's files; what names them. spool may be NULL. */
void mw_store_tell_damage(struct mw_store *store, struct mw_spool *spool, const char *what);

/* look.c: asks how Redis is; leaves the marker, takes version and clock. */
enum mw_redis_trouble mw_store_look(struct mw_store *store, struct mw_error *error);

/* The version of what Redis keeps, asked for when it is not known; MW_REDIS_NEWER when we do
 * not know that version. */
enum mw_redis_trouble mw_store_learn_version(struct mw_store *store, int64_t deadline,
                                             struct mw_error *error);
unsigned mw_store_version(struct mw_store *store);

/* What time it is at Redis; a clock that is far from ours is told. */
void mw_store_take_clock(struct mw_store *store, int64_t redis_ms);

/* Now, by the older of our clock and Redis', milliseconds since 1970. */
int64_t mw_store_older_clock_ms(struct mw_store *store);

/* What is now known of the server: when it may have forgotten something all is to be told
 * again. */
void mw_store_note_server(struct mw_store *store, const struct mw_server *now);

/* replay.c: the store's thread, and the Redis last written to, kept in a file. */
void *mw_store_run(void *store);
void mw_store_load_server(struct mw_store *store);

#endif
