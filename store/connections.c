/* connections: who has which connection, and where the master is. */
#include "store/connections.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/file.h"

enum { ADDRESS = 300 };

struct mw_connections {
    const struct mw_redis_settings *settings;
    const char *script;
    struct mw_tls *tls;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct mw_redis **idle;
    size_t idle_count, open_count, most;
    char master[ADDRESS]; /* as a Sentinel told; "" when not known */
    size_t next_sentinel;
};

static int check_settings(const struct mw_redis_settings *settings, struct mw_error *error)
{
    for (size_t i = 0; i < settings->sentinels.count; i++)
        if (mw_address_check(settings->sentinels.items[i], error) != 0)
            return error->code;
    if (settings->sentinels.count > 0 && !settings->master)
        return mw_fail(error, MW_ERR_INPUT,
                       "Sentinels are named but no master: say which one with redis.master");
    if (settings->sentinels.count == 0 && !settings->address)
        return mw_fail(error, MW_ERR_INPUT, "neither an address of Redis nor Sentinels are named");
    if (settings->sentinels.count == 0 && mw_address_check(settings->address, error) != 0)
        return error->code;
    if (settings->user && !settings->password_file)
        return mw_fail(error, MW_ERR_INPUT, "the Redis user %s has no password file",
                       settings->user);
    const char *const files[] = {settings->password_file, settings->sentinel_password_file};
    struct mw_error why = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] && mw_file_check(files[i], &why) != 0)
            return mw_fail(error, why.code, "cannot read the password file %s", why.text);
    return 0;
}

struct mw_connections *mw_connections_new(const struct mw_redis_settings *settings,
                                          const char *script, struct mw_error *error)
{
    if (check_settings(settings, error) != 0)
        return NULL;
    struct mw_connections *connections = calloc(1, sizeof *connections);
    if (!connections) {
        mw_fail_errno(error, "cannot prepare connections to Redis");
        return NULL;
    }
    mw_clock_condition(&connections->given);
    pthread_mutex_init(&connections->lock, NULL);
    connections->settings = settings;
    connections->script = script;
    connections->most = settings->connections > 0 ? settings->connections : 1;
    connections->idle = calloc(connections->most, sizeof(struct mw_redis *));
    if (connections->idle && (!settings->tls || (connections->tls = mw_tls_new(settings, error))))
        return connections;
    mw_connections_free(connections);
    return NULL;
}

void mw_connections_free(struct mw_connections *connections)
{
    if (!connections)
        return;
    for (size_t i = 0; connections->idle && i < connections->idle_count; i++)
        mw_redis_free(connections->idle[i]);
    free(connections->idle);
    mw_tls_free(connections->tls);
    pthread_cond_destroy(&connections->given);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

/* --- Sentinels --------------------------------------------------------------------------- */

static enum mw_redis_trouble ask_sentinel(struct mw_connections *connections, const char *address,
                                          int64_t deadline, char master[ADDRESS],
                                          struct mw_error *error)
{
    const struct mw_redis_settings *settings = connections->settings;
    struct mw_redis_settings as_sentinel = *settings;
    as_sentinel.user = settings->sentinel_user;
    as_sentinel.password_file = settings->sentinel_password_file;
    as_sentinel.database = 0;
    struct mw_redis *redis = NULL;
    enum mw_redis_trouble trouble =
        mw_redis_open(&redis, &as_sentinel, address, connections->tls, NULL, deadline, error);
    if (trouble != MW_REDIS_FINE)
        return trouble;
    redisReply *reply = mw_redis_ask(redis, deadline, &trouble, error,
                                     "SENTINEL get-master-addr-by-name %s", settings->master);
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->str && reply->element[1]->str) {
        const char *host = reply->element[0]->str;
        snprintf(master, ADDRESS, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
                 reply->element[1]->str);
    } else if (reply) {
        mw_fail(error, MW_ERR_MISSING, "the Sentinel %s knows no master named %s", address,
                settings->master);
        trouble = MW_REDIS_DOWN;
    }
    if (reply)
        freeReplyObject(reply);
    mw_redis_free(redis);
    return trouble;
}

/* Asks one Sentinel after the other, beginning with the one that answered last. */
static enum mw_redis_trouble find_master(struct mw_connections *connections, int64_t deadline,
                                         char master[ADDRESS], struct mw_error *error)
{
    const struct mw_texts *sentinels = &connections->settings->sentinels;
    enum mw_redis_trouble trouble = MW_REDIS_DOWN;
    pthread_mutex_lock(&connections->lock);
    size_t first = connections->next_sentinel;
    pthread_mutex_unlock(&connections->lock);
    for (size_t i = 0; i < sentinels->count; i++) {
        size_t at = (first + i) % sentinels->count;
        /* One that hangs must leave time for the others. */
        int64_t now = mw_clock_ms(), share = (deadline - now) / (int64_t)(sentinels->count - i);
        trouble = ask_sentinel(connections, sentinels->items[at], now + share, master, error);
        if (trouble != MW_REDIS_FINE)
            continue;
        pthread_mutex_lock(&connections->lock);
        connections->next_sentinel = at;
        snprintf(connections->master, sizeof connections->master, "%s", master);
        pthread_mutex_unlock(&connections->lock);
        return MW_REDIS_FINE;
    }
    return trouble;
}

/* --- connections ---------------------------------------------------------------------------- */

/* A server that a Sentinel calls master may not be one yet, or any more. */
static enum mw_redis_trouble check_role(struct mw_redis *redis, int64_t deadline,
                                        struct mw_error *error)
{
    enum mw_redis_trouble trouble;
    redisReply *reply = mw_redis_ask(redis, deadline, &trouble, error, "ROLE");
    if (!reply)
        return trouble;
    bool master = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                  reply->element[0]->str && strcmp(reply->element[0]->str, "master") == 0;
    freeReplyObject(reply);
    if (master)
        return MW_REDIS_FINE;
    mw_fail(error, MW_ERR_BUSY, "the master named by the Sentinels is a replica for now");
    return MW_REDIS_READONLY;
}

static enum mw_redis_trouble open_one(struct mw_connections *connections, int64_t deadline,
                                      struct mw_redis **redis, struct mw_error *error)
{
    const struct mw_redis_settings *settings = connections->settings;
    bool sentinels = settings->sentinels.count > 0;
    char master[ADDRESS] = "";
    int64_t soon = mw_clock_ms() + settings->connect_ms;
    deadline = soon < deadline ? soon : deadline;
    enum mw_redis_trouble trouble = MW_REDIS_FINE;
    if (sentinels) {
        mw_connections_address(connections, master, sizeof master);
        if (master[0] == '\0')
            trouble = find_master(connections, deadline, master, error);
    }
    if (trouble == MW_REDIS_FINE)
        trouble = mw_redis_open(redis, settings, sentinels ? master : settings->address,
                                connections->tls, connections->script, deadline, error);
    if (trouble == MW_REDIS_FINE && sentinels)
        trouble = check_role(*redis, deadline, error);
    if (trouble != MW_REDIS_FINE) {
        mw_redis_free(*redis);
        *redis = NULL;
        if (sentinels)
            mw_connections_renew(connections);
    }
    return trouble;
}

enum mw_redis_trouble mw_connections_take(struct mw_connections *connections, int64_t deadline,
                                          struct mw_redis **redis, bool *fresh,
                                          struct mw_error *error)
{
    struct timespec until = mw_clock_time(deadline * 1000);
    *redis = NULL;
    *fresh = false;
    pthread_mutex_lock(&connections->lock);
    while (connections->idle_count == 0 && connections->open_count == connections->most)
        if (pthread_cond_timedwait(&connections->given, &connections->lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&connections->lock);
            mw_fail(error, MW_ERR_TIMEOUT, "all %zu connections to Redis were in use for too long",
                    connections->most);
            return MW_REDIS_TIMEOUT;
        }
    if (connections->idle_count > 0)
        *redis = connections->idle[--connections->idle_count];
    else
        connections->open_count++;
    pthread_mutex_unlock(&connections->lock);
    if (*redis)
        return MW_REDIS_FINE;
    *fresh = true;
    enum mw_redis_trouble trouble = open_one(connections, deadline, redis, error);
    if (trouble != MW_REDIS_FINE)
        mw_connections_give(connections, NULL, false);
    return trouble;
}

void mw_connections_give(struct mw_connections *connections, struct mw_redis *redis, bool good)
{
    pthread_mutex_lock(&connections->lock);
    if (good)
        connections->idle[connections->idle_count++] = redis;
    else
        connections->open_count--;
    pthread_cond_signal(&connections->given);
    pthread_mutex_unlock(&connections->lock);
    if (!good)
        mw_redis_free(redis);
}

void mw_connections_renew(struct mw_connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    while (connections->idle_count > 0) {
        mw_redis_free(connections->idle[--connections->idle_count]);
        connections->open_count--;
    }
    connections->master[0] = '\0';
    pthread_cond_broadcast(&connections->given);
    pthread_mutex_unlock(&connections->lock);
}

void mw_connections_address(struct mw_connections *connections, char *text, size_t size)
{
    pthread_mutex_lock(&connections->lock);
    snprintf(text, size, "%s",
             connections->settings->sentinels.count > 0 ? connections->master
                                                        : connections->settings->address);
    pthread_mutex_unlock(&connections->lock);
}
