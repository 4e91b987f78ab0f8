/* store: a report's way to Redis, or into the spool. */
#include "store/store.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/ascii.h"
#include "core/clock.h"
#include "store/record.h"
#include "store/store_private.h"

enum { REPORT_LEVEL = 1, BACKOFF_LEAST = 100, STEADY_MS = 10000 };

/* --- starting and ending ---------------------------------------------------------------- */

bool mw_store_is_wanted(const struct mw_store_settings *settings)
{
    return settings->redis.address || settings->redis.sentinels.count > 0;
}

static void hash_script(char out[MW_SCRIPT_HASH])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(mw_schema_script, strlen(mw_schema_script), hash, &size, EVP_sha1(), NULL) != 1)
        abort();
    mw_hex_write(out, hash, size);
}

/* One of the spools of a folder: what it is called, and where the store has it. */
struct kind {
    const char *name;
    struct mw_spool **place;
    bool wanted;
    struct mw_spool_options options;
};

enum { KINDS = 3 };

static void list_kinds(struct mw_store *store, struct kind kinds[KINDS])
{
    const struct mw_spool_settings *settings = &store->settings->spool;
    const bool drop = settings->full == MW_SPOOL_DROP_OLDEST;
    const struct mw_spool_options spool = {.folder = settings->folder,
                                           .kind = MW_SPOOL_KIND,
                                           .size_max = settings->size_max,
                                           .drop_oldest = drop,
                                           .sync = true};
    kinds[0] = (struct kind){MW_SPOOL_KIND, &store->spool, true, spool};
    kinds[1] = (struct kind){MW_REFUSED_KIND, &store->refused, true, spool};
    kinds[1].options.kind = MW_REFUSED_KIND;
    kinds[1].options.drop_oldest = false;
    /* Old records go by files: a file must not span the whole time they are kept. */
    kinds[2] = (struct kind){MW_RECENT_KIND,
                             &store->recent,
                             settings->recent_s > 0,
                             {.folder = settings->folder,
                              .kind = MW_RECENT_KIND,
                              .size_max = settings->recent_max,
                              .drop_oldest = true,
                              .file_s = settings->recent_s / 8 + 1}};
}

/* Whether before has the folder, which has one writer. */
static bool shares_folder(const struct mw_store *store, const struct mw_store *before)
{
    return before && before->folder_lock >= 0 && store->settings->spool.folder &&
           strcmp(before->settings->spool.folder, store->settings->spool.folder) == 0;
}

/* Those that before does not have. */
static int open_spools(struct mw_store *store, struct mw_store *before, struct mw_error *error)
{
    const bool shared = shares_folder(store, before);
    struct kind kinds[KINDS], theirs[KINDS];
    if (!store->settings->spool.folder)
        return 0;
    if (!shared) {
        store->folder_lock = mw_spool_lock(store->settings->spool.folder, error);
        if (store->folder_lock < 0)
            return store->folder_lock;
    }
    list_kinds(store, kinds);
    if (shared)
        list_kinds(before, theirs);
    for (size_t i = 0; i < KINDS; i++) {
        if (!kinds[i].wanted || (shared && *theirs[i].place))
            continue;
        *kinds[i].place = mw_spool_open(&kinds[i].options, error);
        if (!*kinds[i].place)
            return error->code;
    }
    return 0;
}

static void prepare(struct mw_store *store, const struct mw_store_settings *settings)
{
    mw_clock_condition(&store->wake);
    mw_clock_condition(&store->settled);
    pthread_mutex_init(&store->lock, NULL);
    store->settings = settings;
    store->folder_lock = -1;
    store->up = true; /* until something says otherwise */
    store->since = (int64_t)time(NULL);
    store->since_ms = store->clock_at_ms = mw_clock_ms();
    store->clock_ms = store->since * 1000;
    store->backoff_ms = BACKOFF_LEAST;
    hash_script(store->script_hash);
}

/* The thread is there before it is needed, so that nothing is left to fail then. */
static void *run_when_begun(void *argument)
{
    struct mw_store *store = argument;
    pthread_mutex_lock(&store->lock);
    while (!store->begun && !store->ending)
        pthread_cond_wait(&store->wake, &store->lock);
    pthread_mutex_unlock(&store->lock);
    return mw_store_run(store);
}

struct mw_store *mw_store_prepare(const struct mw_store_settings *settings, struct mw_store *before,
                                  struct mw_error *error)
{
    struct mw_error own = {0};
    if (!error)
        error = &own;
    struct mw_store *store = calloc(1, sizeof *store);
    if (!store) {
        mw_fail_errno(error, "cannot prepare the store");
        return NULL;
    }
    prepare(store, settings);
    store->connections = mw_connections_new(&settings->redis, mw_schema_script, error);
    if (store->connections && open_spools(store, before, error) == 0) {
        errno = pthread_create(&store->thread, NULL, run_when_begun, store);
        store->has_thread = errno == 0;
        if (store->has_thread)
            return store;
        mw_fail_errno(error, "cannot start the store's thread");
    }
    mw_store_free(store);
    return NULL;
}

/* A wrong password and the like; not that it is away. */
int mw_store_check_login(struct mw_store *store, struct mw_error *error)
{
    const struct mw_redis_settings *settings = &store->settings->redis;
    struct mw_redis *redis = NULL;
    struct mw_error why = {0};
    bool fresh;
    enum mw_redis_trouble trouble = mw_connections_take(
        store->connections, mw_clock_ms() + settings->connect_ms, &redis, &fresh, &why);
    if (trouble == MW_REDIS_FINE)
        mw_connections_give(store->connections, redis, false);
    return trouble == MW_REDIS_NOAUTH || trouble == MW_REDIS_REFUSED
               ? mw_fail(error, MW_ERR_INPUT, "redis: %s", why.text)
               : 0;
}

/* Takes the folder and what is open in it. */
static void take_spools(struct mw_store *store, struct mw_store *before)
{
    struct kind kinds[KINDS], theirs[KINDS];
    store->folder_lock = before->folder_lock;
    before->folder_lock = -1;
    list_kinds(store, kinds);
    list_kinds(before, theirs);
    for (size_t i = 0; i < KINDS; i++) {
        if (!kinds[i].wanted || *kinds[i].place)
            continue;
        *kinds[i].place = *theirs[i].place;
        *theirs[i].place = NULL;
        mw_spool_set_bounds(*kinds[i].place, kinds[i].options.size_max,
                            kinds[i].options.drop_oldest, kinds[i].options.file_s);
    }
}

void mw_store_replace(struct mw_store *store, struct mw_store *before)
{
    if (shares_folder(store, before))
        take_spools(store, before);
    mw_store_free(before);
    mw_store_load_server(store);
    pthread_mutex_lock(&store->lock);
    store->begun = true;
    pthread_cond_broadcast(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

struct mw_store *mw_store_new(const struct mw_store_settings *settings, struct mw_error *error)
{
    struct mw_store *store = mw_store_prepare(settings, NULL, error);
    if (store)
        mw_store_replace(store, NULL);
    return store;
}

void mw_store_stop(struct mw_store *store)
{
    if (!store || !store->has_thread)
        return;
    pthread_mutex_lock(&store->lock);
    store->ending = true;
    pthread_cond_broadcast(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->has_thread = false;
}

void mw_store_free(struct mw_store *store)
{
    if (!store)
        return;
    mw_store_stop(store);
    for (struct mw_store_tools *next, *tools = store->tools; tools; tools = next) {
        next = tools->next;
        mw_flight_free(tools->flight);
        mw_squeezer_free(tools->squeezer);
        free(tools);
    }
    mw_spool_close(store->spool);
    mw_spool_close(store->refused);
    mw_spool_close(store->recent);
    if (store->folder_lock >= 0)
        close(store->folder_lock);
    mw_connections_free(store->connections);
    pthread_cond_destroy(&store->wake);
    pthread_cond_destroy(&store->settled);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

struct mw_store_tools *mw_store_take_tools(struct mw_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct mw_store_tools *tools = store->tools;
    if (tools)
        store->tools = tools->next;
    pthread_mutex_unlock(&store->lock);
    if (tools)
        return tools;
    tools = calloc(1, sizeof *tools);
    if (!tools)
        abort();
    tools->flight = mw_flight_new();
    tools->squeezer = mw_squeezer_new();
    return tools;
}

void mw_store_give_tools(struct mw_store *store, struct mw_store_tools *tools)
{
    /* What one large message needed is not kept for all that follow. */
    mw_flight_clear(tools->flight);
    mw_squeezer_rest(tools->squeezer);
    pthread_mutex_lock(&store->lock);
    tools->next = store->tools;
    store->tools = tools;
    pthread_mutex_unlock(&store->lock);
}

/* --- what is told ------------------------------------------------------------------------- */

/* A log may be slow: it is never told with the lock held, for which messages wait. */
void mw_store_on_notice(struct mw_store *store, mw_store_notice *notice, void *user)
{
    char text[sizeof store->untold];
    pthread_mutex_lock(&store->lock);
    store->notice = notice;
    store->notice_user = user;
    enum mw_log_level level = store->untold_level;
    memcpy(text, store->untold, sizeof text);
    store->untold[0] = '\0';
    pthread_mutex_unlock(&store->lock);
    if (notice && text[0])
        notice(user, level, text);
}

/* With the lock held: more than one thing may happen before there is a notice. */
static void add_untold(struct mw_store *store, const char *text)
{
    size_t used = strlen(store->untold);
    snprintf(store->untold + used, sizeof store->untold - used, "%s%s", used > 0 ? "; " : "", text);
}

void mw_store_tell(struct mw_store *store, enum mw_log_level level, const char *format, ...)
{
    char text[sizeof store->untold];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&store->lock);
    mw_store_notice *notice = store->notice;
    void *user = store->notice_user;
    if (!notice)
        add_untold(store, text);
    store->untold_level = level;
    pthread_mutex_unlock(&store->lock);
    if (notice)
        notice(user, level, text);
}

/* What opening the spool's files, or reading them, has found. */
void mw_store_tell_damage(struct mw_store *store, struct mw_spool *spool, const char *what)
{
    struct mw_spool_state state = {0};
    if (!spool)
        return;
    mw_spool_get_state(spool, &state);
    if (state.damaged > 0)
        mw_store_tell(store, MW_LOG_ERROR,
                      "%s in %s: %llu damaged places were skipped; files that have them are kept "
                      "as *.damaged (%llu so far)",
                      what, store->settings->spool.folder, (unsigned long long)state.damaged,
                      (unsigned long long)state.damaged_files);
    if (state.torn > 0)
        mw_store_tell(store, MW_LOG_NOTICE,
                      "%s in %s: %llu bytes of records that a killed writer left unfinished were "
                      "cut off",
                      what, store->settings->spool.folder, (unsigned long long)state.torn);
}

/* With the lock held. */
static void turn_to(struct mw_store *store, bool up, enum mw_redis_trouble trouble)
{
    store->up = up;
    store->trouble = trouble;
    store->since = (int64_t)time(NULL);
    store->since_ms = mw_clock_ms();
}

void mw_store_went_away(struct mw_store *store, enum mw_redis_trouble trouble,
                        const struct mw_error *why)
{
    char address[300];
    mw_connections_renew(store->connections);
    pthread_mutex_lock(&store->lock);
    bool first = store->up;
    if (first) {
        if (mw_clock_ms() - store->since_ms > STEADY_MS)
            store->backoff_ms = BACKOFF_LEAST;
        turn_to(store, false, trouble);
    }
    store->trouble = trouble;
    snprintf(store->why, sizeof store->why, "%.255s", why->text);
    pthread_cond_broadcast(&store->wake);
    pthread_mutex_unlock(&store->lock);
    if (!first)
        return;
    mw_connections_address(store->connections, address, sizeof address);
    mw_store_tell(store, MW_LOG_WARNING, "Redis%s%s takes no writes (%s): %s; %s%s",
                  *address ? " at " : "", address, mw_redis_trouble_name(trouble), why->text,
                  store->spool ? "messages wait in the spool in "
                               : "messages cannot be stored: no spool is configured",
                  store->spool ? store->settings->spool.folder : "");
}

void mw_store_came_back(struct mw_store *store)
{
    char address[300];
    struct mw_spool_state spool = {0};
    pthread_mutex_lock(&store->lock);
    bool first = !store->up;
    int64_t away = (mw_clock_ms() - store->since_ms) / 1000;
    if (first)
        turn_to(store, true, MW_REDIS_FINE);
    store->why[0] = '\0';
    pthread_mutex_unlock(&store->lock);
    if (!first)
        return;
    if (store->spool)
        mw_spool_get_state(store->spool, &spool);
    mw_connections_address(store->connections, address, sizeof address);
    mw_store_tell(store, MW_LOG_NOTICE,
                  "Redis at %s takes writes again after %lld s; %llu messages wait in the spool",
                  address, (long long)away, (unsigned long long)spool.entries);
}

void mw_store_get_state(struct mw_store *store, struct mw_store_state *state)
{
    struct mw_spool_state spool = {0}, recent = {0}, refused = {0};
    if (store->spool)
        mw_spool_get_state(store->spool, &spool);
    if (store->recent)
        mw_spool_get_state(store->recent, &recent);
    if (store->refused)
        mw_spool_get_state(store->refused, &refused);
    pthread_mutex_lock(&store->lock);
    *state = (struct mw_store_state){
        .up = store->up,
        .since = store->since,
        .saved = store->saved,
        .spooled = store->spooled,
        .replayed = store->replayed,
        .repeated = store->repeated,
        .failed = store->failed,
        .past = store->past,
        .version = store->version,
        .skew_ms = store->skew_ms,
        .refused = refused.entries,
        .dropped = spool.dropped,
        .spool_entries = spool.entries,
        .spool_bytes = spool.bytes,
        .recent_entries = recent.entries,
        .recent_bytes = recent.bytes,
        .damaged = spool.damaged + recent.damaged + refused.damaged,
        .damaged_files = spool.damaged_files + recent.damaged_files + refused.damaged_files,
    };
    snprintf(state->trouble, sizeof state->trouble, "%s", mw_redis_trouble_name(store->trouble));
    snprintf(state->why, sizeof state->why, "%s", store->why);
    pthread_mutex_unlock(&store->lock);
    mw_connections_address(store->connections, state->address, sizeof state->address);
}

/* --- to Redis ------------------------------------------------------------------------------- */

/* Another run of Redis than the one last written to may have forgotten something. */
static void note_run(struct mw_store *store, const struct mw_redis *redis)
{
    struct mw_server now;
    mw_server_clear(&now);
    snprintf(now.run_id, sizeof now.run_id, "%s", mw_redis_run_id(redis));
    mw_store_note_server(store, &now);
    if (mw_redis_clock_ms(redis) > 0)
        mw_store_take_clock(store, mw_redis_clock_ms(redis));
}

static bool may_help_to_reconnect(const struct mw_store *store, enum mw_redis_trouble trouble)
{
    return trouble == MW_REDIS_DOWN || trouble == MW_REDIS_NOSCRIPT || trouble == MW_REDIS_NOAUTH ||
           (trouble == MW_REDIS_READONLY && store->settings->redis.sentinels.count > 0);
}

enum mw_redis_trouble mw_store_exchange(struct mw_store *store, struct mw_flight *flight,
                                        int64_t deadline, bool keep_replies, struct mw_error *error)
{
    for (int attempt = 0;; attempt++) {
        struct mw_redis *redis;
        bool fresh;
        /* Before anything can fail: nothing of a first try is taken for the second's. */
        redisReply **replies = keep_replies ? mw_flight_expect(flight) : NULL;
        enum mw_redis_trouble trouble =
            mw_connections_take(store->connections, deadline, &redis, &fresh, error);
        if (trouble != MW_REDIS_FINE)
            return trouble;
        if (fresh)
            note_run(store, redis);
        trouble = mw_redis_fly(redis, flight, deadline, replies, error);
        bool again = !fresh && attempt == 0 && may_help_to_reconnect(store, trouble);
        mw_connections_give(store->connections, redis,
                            trouble == MW_REDIS_FINE || trouble == MW_REDIS_REFUSED);
        if (!again)
            return trouble;
        mw_connections_renew(store->connections);
    }
}

/* Asks which large attachments Redis has already: known[i]. */
static enum mw_redis_trouble ask_known(struct mw_store *store, struct mw_flight *flight,
                                       struct mw_arena *arena,
                                       const struct mw_schema_message *message, int64_t deadline,
                                       bool **known, struct mw_error *error)
{
    const struct mw_attachments *attachments = &message->report->attachments;
    mw_flight_clear(flight);
    for (size_t i = 0; i < attachments->count; i++)
        if (mw_schema_asks(message, i))
            mw_schema_ask(flight, arena, store->settings, &attachments->items[i]);
    if (mw_flight_count(flight) == 0)
        return MW_REDIS_FINE;
    *known = mw_arena_alloc(arena, attachments->count * sizeof **known);
    enum mw_redis_trouble trouble = mw_store_exchange(store, flight, deadline, true, error);
    for (size_t i = 0, next = 0; i < attachments->count; i++)
        if (mw_schema_asks(message, i)) {
            const redisReply *reply = mw_flight_reply(flight, next++);
            (*known)[i] = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        }
    return trouble;
}

static size_t data_max(const struct mw_store_settings *settings)
{
    return settings->data ? settings->data_max : 0;
}

/* A disk that takes nothing only costs the repetition: told, but no failure. */
static void note_recent(struct mw_store *store, struct mw_arena *arena,
                        const struct mw_store_parcel *parcel)
{
    struct mw_error error = {0};
    struct mw_pieces pieces = {0};
    mw_record_write(arena, parcel->report, parcel->json, data_max(store->settings), parcel->holders,
                    &pieces);
    bool failed = mw_spool_append(store->recent, pieces.items, pieces.count, &error) != 0;
    pthread_mutex_lock(&store->lock);
    bool first = failed && !store->recent_failing;
    store->recent_failing = failed;
    pthread_mutex_unlock(&store->lock);
    if (first)
        mw_store_tell(store, MW_LOG_WARNING,
                      "messages go to Redis, but a Redis that forgets could not be told again: %s",
                      error.text);
}

enum mw_redis_trouble mw_store_send(struct mw_store *store, struct mw_store_tools *tools,
                                    struct mw_arena *arena, const struct mw_store_parcel *parcel,
                                    struct mw_error *error)
{
    int64_t deadline = mw_clock_ms() + store->settings->redis.command_ms;
    struct mw_schema_message message = {.settings = store->settings,
                                        .script_hash = store->script_hash,
                                        .report = parcel->report,
                                        .json = parcel->json,
                                        .holders = parcel->holders};
    bool *known = NULL;
    if (mw_schema_check(&message, error) != 0)
        return MW_REDIS_REFUSED;
    enum mw_redis_trouble trouble = mw_store_learn_version(store, deadline, error);
    message.version = mw_store_version(store);
    message.now_ms = mw_store_older_clock_ms(store);
    if (trouble == MW_REDIS_FINE && mw_schema_is_past(&message)) {
        /* It would go as soon as it came. */
        pthread_mutex_lock(&store->lock);
        store->past++;
        pthread_mutex_unlock(&store->lock);
        return MW_REDIS_FINE;
    }
    if (trouble == MW_REDIS_FINE)
        trouble = ask_known(store, tools->flight, arena, &message, deadline, &known, error);
    if (trouble != MW_REDIS_FINE)
        return trouble;
    message.known = known;
    mw_flight_clear(tools->flight);
    mw_schema_write(tools->flight, arena, &message, tools->squeezer);
    /* Before it flies: what Redis confirms and then forgets must be here already. */
    if (store->recent)
        note_recent(store, arena, parcel);
    return mw_store_exchange(store, tools->flight, deadline, false, error);
}

/* --- saving ------------------------------------------------------------------------------------
 */

static int to_spool(struct mw_store *store, struct mw_spool *spool, struct mw_arena *arena,
                    const struct mw_store_parcel *parcel, struct mw_error *error)
{
    struct mw_pieces pieces = {0};
    mw_record_write(arena, parcel->report, parcel->json, data_max(store->settings), parcel->holders,
                    &pieces);
    return mw_spool_append(spool, pieces.items, pieces.count, error);
}

static void count(struct mw_store *store, uint64_t *counter)
{
    pthread_mutex_lock(&store->lock);
    ++*counter;
    pthread_mutex_unlock(&store->lock);
}

/* Redis refused the message itself: set aside, as it would again. */
static int set_aside(struct mw_store *store, struct mw_arena *arena,
                     const struct mw_store_parcel *parcel, struct mw_error *error)
{
    struct mw_error why = *error;
    if (to_spool(store, store->refused, arena, parcel, error) != 0)
        return error->code;
    pthread_mutex_lock(&store->lock);
    bool first = store->refused_count++ == 0;
    pthread_mutex_unlock(&store->lock);
    if (first)
        mw_store_tell(store, MW_LOG_ERROR,
                      "Redis refused message %s and it was set aside in %s, as will others be: %s",
                      parcel->report->id, store->settings->spool.folder, why.text);
    return 0;
}

static int save_elsewhere(struct mw_store *store, struct mw_arena *arena,
                          const struct mw_store_parcel *parcel, enum mw_redis_trouble trouble,
                          struct mw_error *error)
{
    if (!store->spool)
        return error->code;
    if (trouble == MW_REDIS_REFUSED)
        return set_aside(store, arena, parcel, error);
    int result = to_spool(store, store->spool, arena, parcel, error);
    if (result == 0)
        count(store, &store->spooled);
    return result;
}

static bool is_up(struct mw_store *store, enum mw_redis_trouble *trouble, struct mw_error *error)
{
    pthread_mutex_lock(&store->lock);
    bool up = store->up;
    *trouble = store->trouble;
    if (!up)
        mw_fail(error, MW_ERR_BUSY, "%s", store->why);
    pthread_mutex_unlock(&store->lock);
    return up;
}

static int save(struct mw_store *store, struct mw_store_tools *tools, struct mw_arena *arena,
                const struct mw_store_parcel *parcel, enum mw_store_kept *kept,
                struct mw_error *error)
{
    enum mw_redis_trouble trouble;
    if (is_up(store, &trouble, error)) {
        trouble = mw_store_send(store, tools, arena, parcel, error);
        if (trouble == MW_REDIS_FINE) {
            *kept = MW_KEPT_REDIS;
            count(store, &store->saved);
            return 0;
        }
        if (trouble != MW_REDIS_REFUSED)
            mw_store_went_away(store, trouble, error);
    }
    int result = save_elsewhere(store, arena, parcel, trouble, error);
    if (result == 0)
        *kept = MW_KEPT_SPOOL;
    return result;
}

int mw_store_save(struct mw_store *store, const struct mw_report *report, enum mw_store_kept *kept,
                  struct mw_error *error)
{
    struct mw_error own = {0};
    enum mw_store_kept ignored;
    if (!error)
        error = &own;
    if (!kept)
        kept = &ignored;
    *kept = MW_KEPT_NOWHERE;
    struct mw_schema_message check = {.report = report};
    if (mw_schema_check(&check, error) != 0)
        return error->code;
    char *json = mw_report_to_json(report, MW_JSON_LINE, error);
    if (!json)
        return error->code;
    struct mw_arena *arena = mw_arena_new();
    struct mw_store_tools *tools = mw_store_take_tools(store);
    struct mw_store_parcel parcel = {.report = report,
                                     .json = mw_bytes_of(json),
                                     .holders = mw_schema_holders(arena, store->settings, report)};
    struct mw_bytes squeezed;
    /* The squeezer's memory is used again for attachments: the report's frame is copied. */
    if (mw_squeeze(tools->squeezer, REPORT_LEVEL, parcel.json, &squeezed)) {
        parcel.json.data =
            (void *)mw_arena_dup_bytes(arena, (const char *)squeezed.data, squeezed.size);
        parcel.json.size = squeezed.size;
    }
    int result = save(store, tools, arena, &parcel, kept, error);
    if (result != 0)
        count(store, &store->failed);
    mw_store_give_tools(store, tools);
    mw_arena_free(arena);
    free(json);
    return result;
}
