/* look: what the store's thread asks of Redis now and then: whether it is there, whether it
 * still has what it was told, of which version that is, and what time it is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "core/time.h"
#include "store/store_private.h"

enum { CLOCK_FAR_MS = 120000, CLOCK_NEAR_MS = 60000 };

static void look_free_flight(void *flight)
{
    mw_flight_free(flight);
}

/* An empty flight that goes with the arena, its replies too. */
static struct mw_flight *look_flight(struct mw_arena *arena)
{
    struct mw_flight *flight = mw_flight_new();
    mw_arena_own(arena, look_free_flight, flight);
    return flight;
}

/* The text of a reply, or NULL when it has none. */
static const char *look_text(const struct mw_flight *flight, size_t index)
{
    const redisReply *reply = mw_flight_reply(flight, index);
    return reply && reply->type == REDIS_REPLY_STRING ? reply->str : NULL;
}

static const char *look_key(struct mw_store *store, struct mw_arena *arena, const char *name)
{
    return mw_arena_printf(arena, "%s%s", store->settings->prefix, name);
}

/* --- the version ---------------------------------------------------------------------------- */

static void keep_version(struct mw_store *store, unsigned version)
{
    pthread_mutex_lock(&store->lock);
    store->version = version;
    pthread_mutex_unlock(&store->lock);
}

unsigned mw_store_version(struct mw_store *store)
{
    pthread_mutex_lock(&store->lock);
    unsigned version = store->version;
    pthread_mutex_unlock(&store->lock);
    return version;
}

static void add_version(struct mw_store *store, struct mw_flight *flight, struct mw_arena *arena)
{
    mw_flight_add(flight, "GET", look_key(store, arena, "schema"), NULL);
    mw_flight_add(flight, "EXISTS", look_key(store, arena, "messages"),
                  look_key(store, arena, "events"), look_key(store, arena, "attachments"), NULL);
}

/* A store without a version is of the first, but for one that is empty, or whose version was
 * known: that one forgot. */
static enum mw_redis_trouble take_version(struct mw_store *store, struct mw_arena *arena,
                                          const struct mw_flight *asked, size_t first,
                                          int64_t deadline, struct mw_error *error)
{
    unsigned version = 1;
    const char *text = look_text(asked, first);
    const redisReply *there = mw_flight_reply(asked, first + 1);
    if (text) {
        if (mw_schema_version(text, &version, error) != 0)
            return MW_REDIS_NEWER;
    } else if (mw_store_version(store) == MW_SCHEMA_VERSION || (there && there->integer == 0)) {
        struct mw_flight *flight = look_flight(arena);
        version = MW_SCHEMA_VERSION;
        mw_flight_add(flight, "SET", look_key(store, arena, "schema"),
                      mw_arena_printf(arena, "%d", MW_SCHEMA_VERSION), "NX", NULL);
        enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, false, error);
        if (trouble != MW_REDIS_FINE)
            return trouble;
    }
    keep_version(store, version);
    return MW_REDIS_FINE;
}

enum mw_redis_trouble mw_store_learn_version(struct mw_store *store, int64_t deadline,
                                             struct mw_error *error)
{
    if (mw_store_version(store) != 0)
        return MW_REDIS_FINE;
    struct mw_arena *arena = mw_arena_new();
    struct mw_flight *flight = look_flight(arena);
    add_version(store, flight, arena);
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, true, error);
    if (trouble == MW_REDIS_FINE)
        trouble = take_version(store, arena, flight, 0, deadline, error);
    mw_arena_free(arena);
    return trouble;
}

/* --- the clock ------------------------------------------------------------------------------ */

/* Redis' clock, as it went on since it told; the first guess is ours when the store began. */
int64_t mw_store_older_clock_ms(struct mw_store *store)
{
    pthread_mutex_lock(&store->lock);
    int64_t redis = store->clock_ms + mw_clock_ms() - store->clock_at_ms;
    pthread_mutex_unlock(&store->lock);
    int64_t own = mw_time_now();
    return own < redis ? own : redis;
}

void mw_store_take_clock(struct mw_store *store, int64_t redis_ms)
{
    int64_t skew = mw_time_now() - redis_ms, far = llabs(skew);
    pthread_mutex_lock(&store->lock);
    store->clock_ms = redis_ms;
    store->clock_told = true;
    store->clock_at_ms = mw_clock_ms();
    store->skew_ms = skew;
    bool tell = far > CLOCK_FAR_MS && !store->skew_told;
    store->skew_told = far > (store->skew_told ? CLOCK_NEAR_MS : CLOCK_FAR_MS);
    pthread_mutex_unlock(&store->lock);
    if (tell)
        mw_store_tell(store, MW_LOG_WARNING,
                      "our clock is %lld s %s that of Redis: messages would be found under wrong "
                      "times and kept too short or too long; let both be set by NTP",
                      (long long)(far / 1000), skew > 0 ? "ahead of" : "behind");
}

/* --- the server ----------------------------------------------------------------------------- */

void mw_store_note_server(struct mw_store *store, const struct mw_server *now)
{
    pthread_mutex_lock(&store->lock);
    struct mw_server *known = &store->server;
    const char *why = store->recent ? mw_server_forgot(known, now) : NULL;
    store->repeat_wanted += why != NULL;
    if (*now->run_id)
        snprintf(known->run_id, MW_SERVER_ID, "%s", now->run_id);
    if (*now->replid) {
        snprintf(known->replid, MW_SERVER_ID, "%s", now->replid);
        known->offset = now->offset;
    }
    if (*now->marker)
        snprintf(known->marker, MW_SERVER_ID, "%s", now->marker);
    if (why)
        pthread_cond_broadcast(&store->wake);
    pthread_mutex_unlock(&store->lock);
    if (why)
        mw_store_tell(store, MW_LOG_NOTICE,
                      "Redis may have forgotten messages (%s): it is told again what is kept on "
                      "disk",
                      why);
}

/* Leaves a marker where there is none; another host's that was faster is as good. */
static enum mw_redis_trouble leave_marker(struct mw_store *store, struct mw_arena *arena,
                                          int64_t deadline, struct mw_server *now,
                                          struct mw_error *error)
{
    const char *key = look_key(store, arena, "marker"), *left;
    struct mw_flight *flight = look_flight(arena);
    mw_server_new_marker(now->marker);
    mw_flight_add(flight, "SET", key, now->marker, "NX", NULL);
    mw_flight_add(flight, "GET", key, NULL);
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, true, error);
    if (trouble == MW_REDIS_FINE && (left = look_text(flight, 1)))
        snprintf(now->marker, MW_SERVER_ID, "%s", left);
    return trouble;
}

/* A user who may not ask for INFO is no trouble: then the marker alone tells. */
static enum mw_redis_trouble ask_info(struct mw_store *store, struct mw_arena *arena,
                                      int64_t deadline, struct mw_server *now,
                                      struct mw_error *error)
{
    int64_t clock_ms = 0;
    if (store->info_denied)
        return MW_REDIS_FINE;
    struct mw_flight *flight = look_flight(arena);
    mw_flight_add(flight, "INFO", "server", NULL);
    mw_flight_add(flight, "INFO", "replication", NULL);
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, true, error);
    store->info_denied = trouble == MW_REDIS_DENIED || trouble == MW_REDIS_REFUSED;
    if (store->info_denied)
        return MW_REDIS_FINE;
    for (size_t i = 0; trouble == MW_REDIS_FINE && i < 2; i++)
        if (look_text(flight, i))
            mw_server_read_info(now, look_text(flight, i), &clock_ms);
    if (clock_ms > 0)
        mw_store_take_clock(store, clock_ms);
    return trouble;
}

enum mw_redis_trouble mw_store_look(struct mw_store *store, struct mw_error *error)
{
    struct mw_server now;
    mw_server_clear(&now);
    int64_t deadline = mw_clock_ms() + store->settings->redis.command_ms;
    struct mw_arena *arena = mw_arena_new();
    struct mw_flight *flight = look_flight(arena);
    mw_flight_add(flight, "GET", look_key(store, arena, "marker"), NULL);
    add_version(store, flight, arena);
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, true, error);
    if (trouble == MW_REDIS_FINE)
        trouble = take_version(store, arena, flight, 1, deadline, error);
    if (trouble == MW_REDIS_FINE && look_text(flight, 0))
        snprintf(now.marker, MW_SERVER_ID, "%s", look_text(flight, 0));
    else if (trouble == MW_REDIS_FINE)
        trouble = leave_marker(store, arena, deadline, &now, error);
    if (trouble == MW_REDIS_FINE)
        trouble = ask_info(store, arena, deadline, &now, error);
    if (trouble == MW_REDIS_FINE)
        mw_store_note_server(store, &now);
    mw_arena_free(arena);
    return trouble;
}
