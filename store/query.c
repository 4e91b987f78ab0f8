/* query: messages and attachments by their names. */
#include "store/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/id.h"
#include "store/query_private.h"

enum { UNPACKED_MOST = 1 << 30 };

/* The facts of a message that schema.c and the script write, but for the report. */
static const char *const message_facts[] = {
    "received",   "queue_id",      "client",      "client_name",   "helo",        "tls",
    "login",      "envelope_from", "envelope_to", "from",          "to",          "subject",
    "date",       "message_id",    "size",        "sha256",        "attachments", "new",
    "verdict",    "unscanned",     "findings",    "findings_json", "action",      "intended",
    "decided_by", "corrected",     "event",       "rescanned",     "report_form", "recipients",
};
enum { MESSAGE_FACTS = sizeof message_facts / sizeof *message_facts };

/* A store without a version is of the first. */
static int ask_version(struct mw_query *query, struct mw_error *error)
{
    struct mw_error own = {0};
    struct mw_arena *arena = mw_arena_new();
    redisReply **replies;
    error = error ? error : &own;
    query->version = 1;
    mw_flight_add(mw_query_begin(query), "GET", mw_query_key(query, arena, "schema"), NULL);
    int result = mw_query_fly(query, arena, 0, &replies, error);
    if (result == 0 && replies[0]->type == REDIS_REPLY_STRING)
        result = mw_schema_version(replies[0]->str, &query->version, error);
    mw_arena_free(arena);
    return result;
}

struct mw_query *mw_query_new(const struct mw_store_settings *settings, struct mw_error *error)
{
    struct mw_query *query = calloc(1, sizeof *query);
    if (!query) {
        mw_fail_errno(error, "cannot prepare to ask Redis");
        return NULL;
    }
    query->settings = settings;
    query->flight = mw_flight_new();
    query->connections = mw_connections_new(&settings->redis, NULL, error);
    if (query->connections) {
        if (ask_version(query, error) == 0)
            return query;
    }
    mw_query_free(query);
    return NULL;
}

void mw_query_free(struct mw_query *query)
{
    if (!query)
        return;
    mw_connections_free(query->connections);
    mw_flight_free(query->flight);
    free(query);
}

struct mw_flight *mw_query_begin(struct mw_query *query)
{
    mw_flight_clear(query->flight);
    return query->flight;
}

static int code_of(enum mw_redis_trouble trouble)
{
    if (trouble == MW_REDIS_DOWN)
        return MW_ERR_SYSTEM;
    if (trouble == MW_REDIS_TIMEOUT)
        return MW_ERR_TIMEOUT;
    return trouble == MW_REDIS_REFUSED ? MW_ERR_FORMAT : MW_ERR_BUSY;
}

int mw_query_fly(struct mw_query *query, struct mw_arena *arena, unsigned wait_ms,
                 redisReply ***out, struct mw_error *error)
{
    struct mw_error own = {0};
    size_t count = mw_flight_count(query->flight);
    redisReply **replies = mw_arena_alloc(arena, (count + 1) * sizeof *replies);
    enum mw_redis_trouble trouble = MW_REDIS_FINE;
    *out = replies;
    if (count == 0)
        return 0;
    if (!error)
        error = &own;
    for (bool again = true, fresh;; again = false) {
        int64_t deadline = mw_clock_ms() + query->settings->redis.command_ms + wait_ms;
        struct mw_redis *redis;
        trouble = mw_connections_take(query->connections, deadline, &redis, &fresh, error);
        if (trouble != MW_REDIS_FINE)
            break;
        trouble = mw_redis_fly(redis, query->flight, deadline, replies, error);
        mw_connections_give(query->connections, redis, trouble == MW_REDIS_FINE);
        for (size_t i = 0; i < count; i++)
            if (replies[i])
                mw_arena_own(arena, freeReplyObject, replies[i]);
        if (trouble != MW_REDIS_DOWN || fresh || !again)
            break;
    }
    return trouble == MW_REDIS_FINE ? 0 : (error->code = code_of(trouble));
}

const char *mw_query_key(const struct mw_query *query, struct mw_arena *arena, const char *format,
                         ...)
{
    char rest[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rest, sizeof rest, format, arguments);
    va_end(arguments);
    return mw_arena_printf(arena, "%s%s", query->settings->prefix, rest);
}

const char *mw_reply_text(const redisReply *reply)
{
    return reply && reply->str ? reply->str : "";
}

void mw_reply_facts(struct mw_arena *arena, const redisReply *reply, struct mw_facts *facts)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct mw_fact *fact = mw_list_add(arena, facts, sizeof *fact);
        fact->name = mw_reply_text(reply->element[i]);
        fact->value = mw_reply_text(reply->element[i + 1]);
    }
}

const char *mw_fact_value(const struct mw_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->count; i++)
        if (strcmp(facts->items[i].name, name) == 0)
            return facts->items[i].value;
    return NULL;
}

static void take_texts(struct mw_arena *arena, const redisReply *reply, struct mw_texts *texts)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        mw_texts_add(arena, texts, mw_reply_text(reply->element[i]));
}

/* --- messages --------------------------------------------------------------------------- */

/* The key of the index text may be in: a Message-ID has an @ or angle brackets. */
static const char *index_for(struct mw_query *query, struct mw_arena *arena, const char *text)
{
    size_t size = strlen(text);
    enum mw_index index = strchr(text, '@') ? MW_INDEX_MESSAGE_ID : MW_INDEX_QUEUE_ID;
    if (size > 2 && text[0] == '<' && text[size - 1] == '>') {
        text = mw_arena_dup_bytes(arena, text + 1, size - 2);
        index = MW_INDEX_MESSAGE_ID;
    }
    return mw_index_key(arena, query->settings->prefix, index, mw_index_value(arena, index, text));
}

int mw_query_resolve(struct mw_query *query, struct mw_arena *arena, const char *text, size_t most,
                     struct mw_texts *ids, struct mw_error *error)
{
    redisReply **replies;
    if (most == 0)
        return mw_fail(error, MW_ERR_INPUT, "no messages are wanted");
    struct mw_flight *flight = mw_query_begin(query);
    bool is_id = mw_id_parse(text, NULL);
    if (is_id)
        mw_flight_add(flight, "EXISTS", mw_query_key(query, arena, "message:%s", text), NULL);
    else
        mw_flight_add(flight, "ZREVRANGE", index_for(query, arena, text), "0",
                      mw_arena_printf(arena, "%zu", most - 1), NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    if (is_id && replies[0]->integer == 1)
        mw_texts_add(arena, ids, mw_arena_dup(arena, text));
    else if (!is_id)
        take_texts(arena, replies[0], ids);
    return ids->count > 0 ? 0 : mw_fail(error, MW_ERR_MISSING, "no message '%s' is stored", text);
}

static void take_message_facts(struct mw_arena *arena, const redisReply *reply,
                               struct mw_facts *facts)
{
    for (size_t i = 0; i < MESSAGE_FACTS && i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            continue;
        struct mw_fact *fact = mw_list_add(arena, facts, sizeof *fact);
        fact->name = message_facts[i];
        fact->value = reply->element[i]->str;
    }
}

int mw_query_facts(struct mw_query *query, struct mw_arena *arena, const struct mw_texts *ids,
                   struct mw_facts *facts, struct mw_error *error)
{
    struct mw_bytes words[MESSAGE_FACTS + 2] = {mw_bytes_of("HMGET")};
    struct mw_flight *flight = mw_query_begin(query);
    redisReply **replies;
    for (size_t i = 0; i < MESSAGE_FACTS; i++)
        words[i + 2] = mw_bytes_of(message_facts[i]);
    for (size_t i = 0; i < ids->count; i++) {
        words[1] = mw_bytes_of(mw_query_key(query, arena, "message:%s", ids->items[i]));
        mw_flight_words(flight, words, MESSAGE_FACTS + 2);
    }
    if (ids->count == 0)
        return 0;
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    for (size_t i = 0; i < ids->count; i++) {
        facts[i] = (struct mw_facts){0};
        take_message_facts(arena, replies[i], &facts[i]);
    }
    return 0;
}

int mw_query_json(struct mw_query *query, struct mw_arena *arena, const char *id,
                  struct mw_bytes *json, struct mw_error *error)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(query), "HMGET", mw_query_key(query, arena, "message:%s", id),
                  "report", "report_form", NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    const redisReply *report = replies[0]->element[0];
    if (report->type != REDIS_REPLY_STRING)
        return mw_fail(error, MW_ERR_MISSING, "no message '%s' is stored", id);
    *json = (struct mw_bytes){(const void *)report->str, report->len};
    if (strcmp(mw_reply_text(replies[0]->element[1]), "json+zstd") != 0)
        return 0;
    struct mw_error why = {0};
    if (mw_unsqueeze(arena, *json, UNPACKED_MOST, json, &why) != 0)
        return mw_fail(error, MW_ERR_FORMAT, "the report of message %s %s", id, why.text);
    return 0;
}

struct mw_report *mw_query_report(struct mw_query *query, const char *id, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes json = {0};
    struct mw_report *report = NULL;
    if (mw_query_json(query, arena, id, &json, error) == 0)
        report = mw_report_from_json(json, error);
    mw_arena_free(arena);
    return report;
}

int mw_query_attachments_of(struct mw_query *query, struct mw_arena *arena, const char *id,
                            struct mw_texts *hashes, struct mw_error *error)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(query), "LRANGE",
                  mw_query_key(query, arena, "message:%s:attachments", id), "0", "-1", NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    take_texts(arena, replies[0], hashes);
    return 0;
}

int mw_query_sender(struct mw_query *query, struct mw_arena *arena, const char *address,
                    struct mw_facts *facts, struct mw_error *error)
{
    redisReply **replies;
    const char *value = mw_index_value(arena, MW_INDEX_FROM, address);
    mw_flight_add(mw_query_begin(query), "HGETALL", mw_query_key(query, arena, "sender:%s", value),
                  NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    mw_reply_facts(arena, replies[0], facts);
    return facts->count > 0
               ? 0
               : mw_fail(error, MW_ERR_MISSING, "no message from %s is stored", address);
}

/* Whether a value of an index was cut, as mw_index_value does it. */
static bool was_cut(const char *value)
{
    enum { KEPT = 80, DIGITS = 32 };
    return strlen(value) == KEPT + 1 + DIGITS && value[KEPT] == '~';
}

int mw_query_senders(struct mw_query *query, struct mw_arena *arena, char cursor[MW_CURSOR_SIZE],
                     struct mw_texts *addresses, struct mw_error *error)
{
    redisReply **replies;
    const char *start = mw_query_key(query, arena, "sender:");
    mw_flight_add(mw_query_begin(query), "SCAN", cursor, "MATCH",
                  mw_query_key(query, arena, "sender:*"), "COUNT", "1000", NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    if (replies[0]->elements != 2)
        return mw_fail(error, MW_ERR_FORMAT, "Redis answers SCAN with something else");
    const redisReply *keys = replies[0]->element[1];
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = mw_reply_text(keys->element[i]);
        if (strncmp(key, start, strlen(start)) == 0 && !was_cut(key + strlen(start)))
            mw_texts_add(arena, addresses, mw_arena_dup(arena, key + strlen(start)));
    }
    snprintf(cursor, MW_CURSOR_SIZE, "%s", mw_reply_text(replies[0]->element[0]));
    return strcmp(cursor, "0") != 0;
}

/* --- attachments --------------------------------------------------------------------------- */

int mw_query_attachment(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                        struct mw_facts *facts, struct mw_error *error)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(query), "HGETALL",
                  mw_query_key(query, arena, "attachment:%s", sha256), NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    mw_reply_facts(arena, replies[0], facts);
    return facts->count > 0 ? 0
                            : mw_fail(error, MW_ERR_MISSING, "no attachment %s is stored", sha256);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int mw_query_names(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                   struct mw_texts *names, struct mw_error *error)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(query), "SMEMBERS",
                  mw_query_key(query, arena, "attachment:%s:names", sha256), NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    take_texts(arena, replies[0], names);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, by_text);
    return 0;
}

int mw_query_data(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                  struct mw_bytes *bytes, struct mw_error *error)
{
    redisReply **replies;
    const char *key = mw_query_key(query, arena, "attachment:%s", sha256);
    struct mw_flight *flight = mw_query_begin(query);
    mw_flight_add(flight, "HMGET", key, "data", "size", NULL);
    mw_flight_add(flight, "GET", mw_query_key(query, arena, "data:%s", sha256), NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    const char *size = mw_reply_text(replies[0]->element[1]);
    *bytes = (struct mw_bytes){NULL, 0};
    if (strcmp(size, "0") == 0)
        return 0;
    if (replies[1]->type != REDIS_REPLY_STRING)
        return mw_fail(error, MW_ERR_MISSING,
                       *size ? "of attachment %s only the facts are stored"
                             : "no attachment %s is stored",
                       sha256);
    *bytes = (struct mw_bytes){(const void *)replies[1]->str, replies[1]->len};
    if (strcmp(mw_reply_text(replies[0]->element[0]), "zstd") != 0)
        return 0;
    struct mw_error why = {0};
    if (mw_unsqueeze(arena, *bytes, UNPACKED_MOST, bytes, &why) != 0)
        return mw_fail(error, MW_ERR_FORMAT, "what is stored of attachment %s %s", sha256,
                       why.text);
    return 0;
}

int mw_query_holder(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                    const char **holder, struct mw_facts *facts, struct mw_bytes *bytes,
                    struct mw_error *error)
{
    enum { MOST = 8 }; /* each step was said by another message */
    *holder = sha256;
    for (int step = 0;; step++) {
        *facts = (struct mw_facts){0};
        if (mw_query_attachment(query, arena, *holder, facts, error) != 0)
            return error->code;
        int result = mw_query_data(query, arena, *holder, bytes, error);
        const char *form = mw_fact_value(facts, "data");
        if (result != MW_ERR_MISSING || !form || strncmp(form, "in ", 3) != 0 || step == MOST)
            return result;
        *holder = form + 3;
    }
}
