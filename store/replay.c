/* replay: the store's own thread. Looks whether Redis is back, brings it what waits, and
 * tells it again what it may have forgotten. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "store/record.h"
#include "store/store_private.h"

enum { BACKOFF_MOST = 2000, LOOK_MS = 2000, TURN_MS = 200 };

/* --- the Redis last written to ---------------------------------------------------------------- */

static void server_path(const struct mw_store *store, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/run", store->settings->spool.folder);
}

void mw_store_load_server(struct mw_store *store)
{
    char path[PATH_MAX];
    mw_server_clear(&store->server);
    if (!store->recent)
        return;
    server_path(store, path);
    mw_server_load(&store->server, path);
    store->saved_server = store->server;
}

/* Only once all was told again: a store that is killed before starts over. The offset alone is
 * no reason, as it never stands still; an older one is as safe. */
static void save_server(struct mw_store *store)
{
    char path[PATH_MAX];
    if (!store->recent)
        return;
    pthread_mutex_lock(&store->lock);
    bool due = mw_store_must_repeat(store);
    struct mw_server now = store->server, *saved = &store->saved_server;
    pthread_mutex_unlock(&store->lock);
    if (due || (strcmp(now.run_id, saved->run_id) == 0 && strcmp(now.replid, saved->replid) == 0 &&
                strcmp(now.marker, saved->marker) == 0))
        return;
    server_path(store, path);
    /* A file that cannot be written only costs a repetition. */
    if (mw_server_save(&now, path, NULL) == 0)
        *saved = now;
}

/* --- bringing records to Redis ------------------------------------------------------------------
 */

static bool is_going_on(struct mw_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool going_on = store->up && !store->ending;
    pthread_mutex_unlock(&store->lock);
    return going_on;
}

/* 0 when the record is among the refused ones on disk: only then may it be marked as done. */
static int set_aside(struct mw_store *store, const struct mw_spool_entry *entry,
                     struct mw_error *why)
{
    struct mw_error error = {0};
    if (mw_spool_append(store->refused, &entry->record, 1, &error) != 0)
        return mw_fail(why, error.code,
                       "a record that Redis refuses cannot be set aside, and goes on waiting: %s",
                       error.text);
    pthread_mutex_lock(&store->lock);
    bool first = store->refused_count++ == 0;
    pthread_mutex_unlock(&store->lock);
    if (first)
        mw_store_tell(
            store, MW_LOG_ERROR,
            "a record of the spool was refused and set aside in %s, as will others be: %s",
            store->settings->spool.folder, why->text);
    return 0;
}

static enum mw_redis_trouble bring(struct mw_store *store, const struct mw_spool_entry *entry,
                                   struct mw_error *error)
{
    struct mw_store_parcel parcel;
    struct mw_report *report = mw_record_read(entry->record, &parcel.json, error);
    if (!report)
        return MW_REDIS_REFUSED;
    parcel.report = report;
    struct mw_arena *arena = mw_arena_new();
    parcel.holders = mw_schema_holders(arena, store->settings, report);
    struct mw_store_tools *tools = mw_store_take_tools(store);
    enum mw_redis_trouble trouble = mw_store_send(store, tools, arena, &parcel, error);
    mw_store_give_tools(store, tools);
    mw_arena_free(arena);
    mw_report_free(report);
    return trouble;
}

/* Brings the spool's records below the given file, at most `most` of them. Redis going
 * away again ends it. */
static enum mw_redis_trouble bring_all(struct mw_store *store, struct mw_spool *spool,
                                       const char *kind, uint64_t most, uint64_t *counter,
                                       struct mw_error *error)
{
    uint64_t below = mw_spool_turn(spool);
    struct mw_spool_reader *reader =
        mw_spool_reader_new(store->settings->spool.folder, kind, error);
    enum mw_redis_trouble trouble = MW_REDIS_FINE;
    struct mw_spool_entry entry;
    int more = 0;
    while (reader && most > 0 && (more = mw_spool_next(reader, &entry, error)) > 0 &&
           entry.file < below) {
        if (entry.done)
            continue;
        trouble = bring(store, &entry, error);
        if (trouble != MW_REDIS_FINE && trouble != MW_REDIS_REFUSED)
            break;
        if (trouble == MW_REDIS_REFUSED && spool == store->spool &&
            set_aside(store, &entry, error) != 0) {
            trouble = MW_REDIS_DISK;
            break;
        }
        if (mw_spool_done(spool, &entry, error) != 0)
            break;
        pthread_mutex_lock(&store->lock);
        *counter += trouble == MW_REDIS_FINE;
        most = store->ending ? 0 : most - 1;
        pthread_mutex_unlock(&store->lock);
        trouble = MW_REDIS_FINE;
    }
    bool all = reader && trouble == MW_REDIS_FINE && most > 0 &&
               (more == 0 || (more > 0 && entry.file >= below));
    mw_spool_reader_free(reader);
    /* All that is sound was brought: what still counts as waiting changed on the disk. */
    if (all && mw_spool_give_up(spool, below) > 0)
        mw_store_tell_damage(store, spool,
                             spool == store->spool ? "messages that wait for Redis"
                                                   : "messages that Redis took");
    return trouble;
}

/* Being reachable is not enough to be back: then something small is written. */
static enum mw_redis_trouble probe_writes(struct mw_store *store, struct mw_error *error)
{
    char key[256];
    struct mw_flight *flight = mw_flight_new();
    snprintf(key, sizeof key, "%sprobe", store->settings->prefix);
    mw_flight_add(flight, "SET", key, "are writes taken?", "EX", "60", NULL);
    int64_t deadline = mw_clock_ms() + store->settings->redis.command_ms;
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, false, error);
    mw_flight_free(flight);
    return trouble == MW_REDIS_REFUSED ? MW_REDIS_DENIED : trouble;
}

static enum mw_redis_trouble probe(struct mw_store *store, struct mw_error *error)
{
    enum mw_redis_trouble trouble = probe_writes(store, error);
    if (trouble == MW_REDIS_FINE)
        trouble = mw_store_look(store, error);
    return trouble == MW_REDIS_REFUSED ? MW_REDIS_DENIED : trouble;
}

int mw_store_ask(struct mw_store *store, struct mw_error *error)
{
    struct mw_error why = {0};
    enum mw_redis_trouble trouble = probe_writes(store, &why);
    if (trouble == MW_REDIS_FINE)
        return 0;
    mw_store_went_away(store, trouble, &why);
    return mw_fail(error, MW_ERR_BUSY, "%s", why.text);
}

static uint64_t waiting(struct mw_store *store)
{
    struct mw_spool_state state = {0};
    if (store->spool)
        mw_spool_get_state(store->spool, &state);
    return state.entries;
}

/* The first record that waits is the best trial: small ones fit where it may not. */
static enum mw_redis_trouble try_redis(struct mw_store *store, struct mw_error *error)
{
    enum mw_redis_trouble trouble = probe(store, error);
    if (trouble == MW_REDIS_FINE && waiting(store) > 0)
        trouble = bring_all(store, store->spool, MW_SPOOL_KIND, 1, &store->replayed, error);
    return trouble;
}

static void bring_waiting(struct mw_store *store)
{
    struct mw_error error = {0};
    while (waiting(store) > 0 && is_going_on(store)) {
        uint64_t before = waiting(store);
        enum mw_redis_trouble trouble =
            bring_all(store, store->spool, MW_SPOOL_KIND, UINT64_MAX, &store->replayed, &error);
        if (trouble != MW_REDIS_FINE)
            mw_store_went_away(store, trouble, &error);
        else if (waiting(store) >= before)
            break; /* what is left cannot be read */
    }
}

/* --- telling again
 * --------------------------------------------------------------------------------- */

static void repeat_recent(struct mw_store *store)
{
    struct mw_error error = {0};
    pthread_mutex_lock(&store->lock);
    bool due = mw_store_must_repeat(store) && store->up;
    uint64_t wanted = store->repeat_wanted, before = store->repeated;
    pthread_mutex_unlock(&store->lock);
    if (!due) {
        save_server(store);
        return;
    }
    enum mw_redis_trouble trouble =
        bring_all(store, store->recent, MW_RECENT_KIND, UINT64_MAX, &store->repeated, &error);
    pthread_mutex_lock(&store->lock);
    if (trouble == MW_REDIS_FINE && !store->ending)
        store->repeat_done = wanted;
    pthread_mutex_unlock(&store->lock);
    if (trouble != MW_REDIS_FINE)
        mw_store_went_away(store, trouble, &error);
    else
        mw_store_tell(store, MW_LOG_NOTICE,
                      "Redis has been told again: %llu messages were written anew",
                      (unsigned long long)(store->repeated - before));
    save_server(store);
}

/* Not before Redis told what time it is there: by a clock of ours that is ahead, all would be
 * old, and a Redis that forgets could not be told again. */
static void forget_old(struct mw_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool told = store->clock_told;
    pthread_mutex_unlock(&store->lock);
    if (store->recent && told)
        mw_spool_forget(store->recent, mw_store_older_clock_ms(store) / 1000,
                        (int64_t)store->settings->spool.recent_s);
}

/* --- the thread
 * -------------------------------------------------------------------------------------- */

/* Half to one and a half of ms, so that many hosts do not come at once. */
static unsigned with_jitter(unsigned ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        return ms;
    return ms / 2 + random % (ms + 1);
}

static void wait_with_lock(struct mw_store *store, unsigned ms)
{
    struct timespec at = mw_clock_time((mw_clock_ms() + ms) * 1000);
    pthread_cond_timedwait(&store->wake, &store->lock, &at);
}

/* While Redis is away: waits, grows the waiting time, tries. */
static void look_again(struct mw_store *store)
{
    struct mw_error error = {0};
    pthread_mutex_lock(&store->lock);
    int64_t until = mw_clock_ms() + with_jitter(store->backoff_ms);
    store->backoff_ms = store->backoff_ms * 2 < BACKOFF_MOST ? store->backoff_ms * 2 : BACKOFF_MOST;
    for (int64_t now; !store->ending && (now = mw_clock_ms()) < until;)
        wait_with_lock(store, (unsigned)(until - now));
    bool ending = store->ending;
    pthread_mutex_unlock(&store->lock);
    if (ending)
        return;
    enum mw_redis_trouble trouble = try_redis(store, &error);
    if (trouble == MW_REDIS_FINE)
        mw_store_came_back(store);
    else
        mw_store_went_away(store, trouble, &error);
}

/* Another process may ask for it, as it has not got the folder: by a file there. */
static void retry_when_asked(struct mw_store *store)
{
    char path[PATH_MAX];
    struct mw_error error = {0};
    uint64_t count = 0;
    if (!store->refused)
        return;
    snprintf(path, sizeof path, "%s/" MW_RETRY_FILE, store->settings->spool.folder);
    if (access(path, F_OK) != 0)
        return;
    int result = mw_store_retry_refused(store, &count, &error);
    unlink(path);
    mw_store_tell(store, result == 0 ? MW_LOG_NOTICE : MW_LOG_ERROR,
                  "%llu records that Redis had refused are tried again, as was asked for%s%s",
                  (unsigned long long)count, result == 0 ? "" : ": ", error.text);
}

/* While Redis is there: looks now and then, as without mail nobody would notice. */
static void look_after(struct mw_store *store, int64_t *last_look)
{
    struct mw_error error = {0};
    if (mw_clock_ms() - *last_look >= LOOK_MS) {
        enum mw_redis_trouble trouble = mw_store_look(store, &error);
        *last_look = mw_clock_ms();
        if (trouble != MW_REDIS_FINE) {
            mw_store_went_away(store, trouble, &error);
            return;
        }
        retry_when_asked(store);
    }
    repeat_recent(store);
    bring_waiting(store);
    forget_old(store);
}

void *mw_store_run(void *argument)
{
    struct mw_store *store = argument;
    int64_t last_look = mw_clock_ms() - LOOK_MS;
    mw_store_tell_damage(store, store->spool, "messages that wait for Redis");
    mw_store_tell_damage(store, store->refused, "messages that Redis refused");
    mw_store_tell_damage(store, store->recent, "messages that Redis took");
    pthread_mutex_lock(&store->lock);
    while (!store->ending) {
        bool up = store->up;
        pthread_mutex_unlock(&store->lock);
        if (up)
            look_after(store, &last_look);
        else
            look_again(store);
        pthread_mutex_lock(&store->lock);
        store->looked = true;
        pthread_cond_broadcast(&store->settled);
        if (store->up && !store->ending && !mw_store_must_repeat(store))
            wait_with_lock(store, TURN_MS);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* --- asked for from outside
 * ----------------------------------------------------------------------------- */

int mw_store_drain(struct mw_store *store, unsigned time_ms, struct mw_error *error)
{
    int64_t deadline = mw_clock_ms() + time_ms;
    struct timespec at = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    int result = 0;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        bool done =
            store->looked && store->up && !mw_store_must_repeat(store) && waiting(store) == 0;
        if (done)
            break;
        if (mw_clock_ms() >= deadline) {
            result = store->up
                         ? mw_fail(error, MW_ERR_TIMEOUT, "%llu messages still wait",
                                   (unsigned long long)waiting(store))
                         : mw_fail(error, MW_ERR_BUSY, "Redis takes no writes: %s", store->why);
            break;
        }
        pthread_cond_timedwait(&store->settled, &store->lock, &at);
    }
    pthread_mutex_unlock(&store->lock);
    return result;
}

int mw_store_retry_refused(struct mw_store *store, uint64_t *count, struct mw_error *error)
{
    struct mw_error own = {0};
    if (!error)
        error = &own;
    *count = 0;
    if (!store->refused)
        return 0;
    uint64_t below = mw_spool_turn(store->refused);
    struct mw_spool_reader *reader =
        mw_spool_reader_new(store->settings->spool.folder, MW_REFUSED_KIND, error);
    struct mw_spool_entry entry;
    int result = reader ? 0 : error->code;
    while (result == 0 && (result = mw_spool_next(reader, &entry, error)) > 0) {
        result = 0;
        if (entry.file >= below)
            break;
        if (entry.done)
            continue;
        result = mw_spool_append(store->spool, &entry.record, 1, error);
        if (result == 0)
            result = mw_spool_done(store->refused, &entry, error);
        *count += result == 0;
    }
    mw_spool_reader_free(reader);
    return result;
}
