/*
 * redis: one connection to Redis: logged in, its database chosen, flights of commands
 * sent in one go and their replies read, every wait bounded.
 *
 * One thread uses a connection at a time. A connection that showed MW_REDIS_DOWN or
 * MW_REDIS_TIMEOUT is out of step and only good for freeing.
 */
#ifndef MW_STORE_REDIS_H
#define MW_STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "store/flight.h"
#include "store/settings.h"
#include "store/transport.h"

/* What can be the matter with Redis. */
enum mw_redis_trouble {
    MW_REDIS_FINE,
    MW_REDIS_DOWN,     /* no connection, or it broke */
    MW_REDIS_TIMEOUT,  /* no answer in time */
    MW_REDIS_NEWER,    /* what it keeps is of a newer version than we know */
    MW_REDIS_OOM,      /* its memory is full */
    MW_REDIS_READONLY, /* it is a replica */
    MW_REDIS_LOADING,  /* it is reading its data, or waiting for its master */
    MW_REDIS_NOAUTH,   /* it does not know our password, or asks for one */
    MW_REDIS_DENIED,   /* our user may not do that */
    MW_REDIS_BUSY,     /* a script holds it, or the cluster is not complete */
    MW_REDIS_DISK,     /* it cannot save to its disk and therefore refuses writes */
    MW_REDIS_NOSCRIPT, /* it forgot our script */
    MW_REDIS_REFUSED   /* it does not want this command: the command's fault */
};

/* "down", "timeout", "oom", ... */
const char *mw_redis_trouble_name(enum mw_redis_trouble trouble);

/* What an error reply's text means. */
enum mw_redis_trouble mw_redis_trouble_of(const char *text);

struct mw_redis;

/*
 * Connects to address and logs in as settings say. The password is read anew each time,
 * so that a changed one is picked up. script (may be NULL) is loaded.
 * On trouble *redis is NULL and error says what is the matter.
 */
enum mw_redis_trouble mw_redis_open(struct mw_redis **redis,
                                    const struct mw_redis_settings *settings, const char *address,
                                    struct mw_tls *tls, const char *script, int64_t deadline,
                                    struct mw_error *error);
void mw_redis_free(struct mw_redis *redis);

/*
 * Sends the flight and reads its replies, one a command, into replies (the caller frees
 * them with freeReplyObject; those not read are NULL). Error replies, also inside EXEC's,
 * are trouble: the first one is told, the replies are there all the same.
 * With replies NULL they are looked through and dropped.
 */
enum mw_redis_trouble mw_redis_fly(struct mw_redis *redis, struct mw_flight *flight,
                                   int64_t deadline, redisReply **replies, struct mw_error *error);

/* One command in printf form (redisFormatCommand: %s, %b with its size); its reply, which
 * the caller frees, or NULL on any trouble. */
redisReply *mw_redis_ask(struct mw_redis *redis, int64_t deadline, enum mw_redis_trouble *trouble,
                         struct mw_error *error, const char *format, ...);

/* The id this run of the server gave itself, "" when it did not tell. Another id after a
 * reconnection means that the server may have forgotten what it was told last. */
const char *mw_redis_run_id(const struct mw_redis *redis);

/* What carries the bytes, for what is no command and reply; the connection is to be closed
 * afterwards. */
struct mw_transport *mw_redis_transport(struct mw_redis *redis);

/* The server's clock when we connected, milliseconds since 1970; 0 when it did not tell. */
int64_t mw_redis_clock_ms(const struct mw_redis *redis);

#endif
