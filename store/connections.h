/*
 * connections: a small pool of connections to Redis, made when needed; finds the master
 * through Sentinels where those are named (see redis.io, "Sentinel clients").
 *
 * Thread-safe.
 */
#ifndef MW_STORE_CONNECTIONS_H
#define MW_STORE_CONNECTIONS_H

#include "store/redis.h"

struct mw_connections;

/*
 * A pool after settings (borrowed); nothing is connected yet. script (borrowed, may be
 * NULL) is loaded by each connection. NULL for settings that cannot work.
 */
struct mw_connections *mw_connections_new(const struct mw_redis_settings *settings,
                                          const char *script, struct mw_error *error);
void mw_connections_free(struct mw_connections *connections);

/*
 * An idle connection, or a new one (*fresh), or the first given back when all are in use;
 * for the caller alone until mw_connections_give.
 */
enum mw_redis_trouble mw_connections_take(struct mw_connections *connections, int64_t deadline,
                                          struct mw_redis **redis, bool *fresh,
                                          struct mw_error *error);

/* Gives one back; it is closed unless good. */
void mw_connections_give(struct mw_connections *connections, struct mw_redis *redis, bool good);

/* Closes the idle ones and asks the Sentinels anew: after a failure the others are stale. */
void mw_connections_renew(struct mw_connections *connections);

/* Where the connections lead: the address configured, or the master's as last known. */
void mw_connections_address(struct mw_connections *connections, char *text, size_t size);

#endif
