/* check: SCAN in batches, each key by what its name says it is. */
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/id.h"
#include "store/query_private.h"

enum { BATCH = 500, ENTRIES = 1000, CURSOR = 32 };

struct checking {
    struct mw_query *query;
    bool mend;
    struct mw_check *check;
    struct mw_error *error;
    struct mw_arena *arena; /* of one batch */
};

struct batch {
    struct mw_texts zsets;                   /* entries are messages */
    struct mw_texts messages;                /* ids */
    struct mw_texts attachments;             /* hashes */
    struct mw_texts data, names_of, list_of; /* hashes, hashes, ids: keys that hang on others */
};

static int fly(struct checking *checking, redisReply ***replies)
{
    return mw_query_fly(checking->query, checking->arena, 0, replies, checking->error);
}

static const char *key(struct checking *checking, const char *before, const char *name,
                       const char *after)
{
    return mw_arena_printf(checking->arena, "%s%s%s%s", checking->query->settings->prefix, before,
                           name, after);
}

/* --- which key is what --------------------------------------------------------------------- */

static const char *after_prefix(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

static void sort_attachment(struct checking *checking, struct batch *batch, const char *whole,
                            const char *rest)
{
    struct mw_arena *arena = checking->arena;
    const char *colon = strchr(rest, ':');
    if (!colon) {
        mw_texts_add(arena, &batch->attachments, rest);
        return;
    }
    const char *hash = mw_arena_dup_bytes(arena, rest, (size_t)(colon - rest));
    if (strcmp(colon, ":messages") == 0)
        mw_texts_add(arena, &batch->zsets, whole);
    else
        mw_texts_add(arena, &batch->names_of, hash);
}

static void sort_message(struct checking *checking, struct batch *batch, const char *rest)
{
    const char *colon = strchr(rest, ':');
    if (colon)
        mw_texts_add(checking->arena, &batch->list_of,
                     mw_arena_dup_bytes(checking->arena, rest, (size_t)(colon - rest)));
    else
        mw_texts_add(checking->arena, &batch->messages, rest);
}

static void sort_key(struct checking *checking, struct batch *batch, const char *whole)
{
    struct mw_arena *arena = checking->arena;
    const char *name = whole + strlen(checking->query->settings->prefix), *rest;
    if (strcmp(name, "messages") == 0 || after_prefix(name, "index:"))
        mw_texts_add(arena, &batch->zsets, whole);
    else if ((rest = after_prefix(name, "attachment:")))
        sort_attachment(checking, batch, whole, rest);
    else if ((rest = after_prefix(name, "message:")))
        sort_message(checking, batch, rest);
    else if ((rest = after_prefix(name, "data:")))
        mw_texts_add(arena, &batch->data, rest);
}

/* --- entries whose thing is gone ---------------------------------------------------------------
 */

/* Removes those entries of a sorted set whose hash, named before + entry, is gone. */
static int drop_dangling(struct checking *checking, const char *zset, const redisReply *entries,
                         const char *before)
{
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i + 1 < entries->elements; i += 2)
        mw_flight_add(flight, "EXISTS",
                      key(checking, before, mw_reply_text(entries->element[i]), ""), NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    size_t count = mw_flight_count(flight);
    flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < count; i++) {
        if (replies[i]->integer != 0)
            continue;
        checking->check->dangling++;
        if (checking->mend)
            mw_flight_add(flight, "ZREM", zset, mw_reply_text(entries->element[2 * i]), NULL);
    }
    checking->check->mended += mw_flight_count(flight);
    return fly(checking, &replies);
}

static int check_page(struct checking *checking, const char *zset, char cursor[CURSOR],
                      const char *before)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(checking->query), "ZSCAN", zset, cursor, "COUNT",
                  mw_arena_printf(checking->arena, "%d", ENTRIES), NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    snprintf(cursor, CURSOR, "%s", mw_reply_text(replies[0]->element[0]));
    const redisReply *entries = replies[0]->element[1];
    return entries->elements > 0 ? drop_dangling(checking, zset, entries, before) : 0;
}

/* All entries of one set, by its own scan: it may be far larger than memory should be. */
static int check_zset(struct checking *checking, const char *zset, const char *before)
{
    struct mw_arena *outer = checking->arena;
    char cursor[CURSOR] = "0";
    int result;
    do {
        checking->arena = mw_arena_new();
        result = check_page(checking, zset, cursor, before);
        mw_arena_free(checking->arena);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    checking->arena = outer;
    return result;
}

/* --- keys that hang on others -------------------------------------------------------------------
 */

/* Keys head + name + tail of which the hash before + name is gone. */
static int drop_orphans(struct checking *checking, const struct mw_texts *names, const char *head,
                        const char *tail, const char *before)
{
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < names->count; i++)
        mw_flight_add(flight, "EXISTS", key(checking, before, names->items[i], ""), NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < names->count; i++) {
        if (replies[i]->integer != 0)
            continue;
        checking->check->orphans++;
        if (checking->mend)
            mw_flight_add(flight, "DEL", key(checking, head, names->items[i], tail), NULL);
    }
    checking->check->mended += mw_flight_count(flight);
    return fly(checking, &replies);
}

/* --- messages and attachments that no index has
 * ---------------------------------------------------- */

static void write_index_again(struct checking *checking, const struct mw_report *report)
{
    const struct mw_store_settings *settings = checking->query->settings;
    struct mw_schema_message message = {.settings = settings, .report = report};
    if (mw_schema_check(&message, checking->error) == 0)
        mw_schema_index(checking->query->flight, checking->arena, &message);
}

static int index_again(struct checking *checking, const char *id)
{
    struct mw_error why = {0};
    redisReply **replies;
    checking->check->unindexed++;
    struct mw_report *report = mw_query_report(checking->query, id, &why);
    if (!report && why.code != MW_ERR_FORMAT)
        return mw_fail(checking->error, why.code, "%s", why.text);
    int result = 0;
    if (!report) {
        checking->check->unreadable++;
    } else if (checking->mend) {
        mw_query_begin(checking->query);
        write_index_again(checking, report);
        checking->check->mended++;
        result = fly(checking, &replies);
    }
    mw_report_free(report);
    return result;
}

/* Indexes may be kept for a shorter time than messages. */
static bool should_be_found(const struct checking *checking, const char *id)
{
    uint64_t ms = 0;
    unsigned keep = mw_schema_keep_indexes(checking->query->settings);
    return mw_id_parse(id, &ms) && (keep == 0 || (int64_t)(ms / 1000) + keep > (int64_t)time(NULL));
}

static int check_messages(struct checking *checking, const struct mw_texts *ids)
{
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < ids->count; i++)
        mw_flight_add(flight, "ZSCORE", key(checking, "messages", "", ""), ids->items[i], NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    checking->check->messages += ids->count;
    for (size_t i = 0; i < ids->count; i++)
        if (replies[i]->type == REDIS_REPLY_NIL && should_be_found(checking, ids->items[i]) &&
            index_again(checking, ids->items[i]) != 0)
            return checking->error->code;
    return 0;
}

/* When the attachment was seen last, from the list of its messages. */
static void add_attachment(struct checking *checking, const char *hash, const redisReply *last)
{
    const char *score = last->elements > 1 ? mw_reply_text(last->element[1]) : "0";
    mw_flight_add(checking->query->flight, "ZADD", key(checking, "attachments", "", ""), "GT",
                  score, hash, NULL);
    checking->check->mended++;
}

static int check_attachments(struct checking *checking, const struct mw_texts *hashes)
{
    enum { ASKED = 4 };
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        const char *hash = hashes->items[i];
        mw_flight_add(flight, "ZSCORE", key(checking, "attachments", "", ""), hash, NULL);
        mw_flight_add(flight, "ZREVRANGE", key(checking, "attachment:", hash, ":messages"), "0",
                      "0", "WITHSCORES", NULL);
        mw_flight_add(flight, "HEXISTS", key(checking, "attachment:", hash, ""), "data", NULL);
        mw_flight_add(flight, "EXISTS", key(checking, "data:", hash, ""), NULL);
    }
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    checking->check->attachments += hashes->count;
    mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        redisReply **one = &replies[ASKED * i];
        checking->check->dataless += one[2]->integer == 1 && one[3]->integer == 0;
        if (one[0]->type != REDIS_REPLY_NIL)
            continue;
        checking->check->unindexed++;
        if (checking->mend)
            add_attachment(checking, hashes->items[i], one[1]);
    }
    return fly(checking, &replies);
}

/* --- keys without an end
 * ------------------------------------------------------------------------------ */

static unsigned keep_of(const struct mw_store_settings *settings, const char *name)
{
    if (after_prefix(name, "data:"))
        return settings->keep_data_s;
    if (after_prefix(name, "attachment"))
        return settings->keep_attachments_s;
    if (strcmp(name, "schema") == 0 || strcmp(name, "schema:upgrade") == 0 ||
        strcmp(name, "marker") == 0)
        return 0; /* for as long as there is a store */
    if (after_prefix(name, "message:") || strcmp(name, "events") == 0)
        return settings->keep_messages_s;
    return mw_schema_keep_indexes(settings);
}

static int check_times(struct checking *checking, const redisReply *keys)
{
    const struct mw_store_settings *settings = checking->query->settings;
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < keys->elements; i++)
        mw_flight_add(flight, "TTL", mw_reply_text(keys->element[i]), NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < keys->elements; i++) {
        const char *name = mw_reply_text(keys->element[i]);
        unsigned keep = keep_of(settings, name + strlen(settings->prefix));
        if (replies[i]->integer != -1 || keep == 0)
            continue;
        checking->check->timeless++;
        if (checking->mend)
            mw_flight_add(flight, "EXPIRE", name, mw_arena_printf(checking->arena, "%u", keep),
                          NULL);
    }
    checking->check->mended += mw_flight_count(flight);
    return fly(checking, &replies);
}

/* --- all of it
 * --------------------------------------------------------------------------------------- */

static int check_batch(struct checking *checking, const redisReply *keys)
{
    struct batch batch = {0};
    for (size_t i = 0; i < keys->elements; i++)
        sort_key(checking, &batch, mw_reply_text(keys->element[i]));
    checking->check->keys += keys->elements;
    for (size_t i = 0; i < batch.zsets.count; i++)
        if (check_zset(checking, batch.zsets.items[i], "message:") != 0)
            return checking->error->code;
    if (check_messages(checking, &batch.messages) != 0 ||
        check_attachments(checking, &batch.attachments) != 0 ||
        drop_orphans(checking, &batch.data, "data:", "", "attachment:") != 0 ||
        drop_orphans(checking, &batch.names_of, "attachment:", ":names", "attachment:") != 0 ||
        drop_orphans(checking, &batch.list_of, "message:", ":attachments", "message:") != 0)
        return checking->error->code;
    return check_times(checking, keys);
}

static int scan_once(struct checking *checking, char cursor[CURSOR])
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(checking->query), "SCAN", cursor, "MATCH",
                  mw_query_key(checking->query, checking->arena, "*"), "COUNT",
                  mw_arena_printf(checking->arena, "%d", BATCH), NULL);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    snprintf(cursor, CURSOR, "%s", mw_reply_text(replies[0]->element[0]));
    const redisReply *keys = replies[0]->element[1];
    return keys->elements > 0 ? check_batch(checking, keys) : 0;
}

int mw_store_check(struct mw_query *query, bool mend, mw_check_progress *progress, void *user,
                   struct mw_check *check, struct mw_error *error)
{
    struct mw_error own = {0};
    struct checking checking = {query, mend, check, error ? error : &own, NULL};
    char cursor[CURSOR] = "0";
    *check = (struct mw_check){0};
    int result = 0;
    do {
        checking.arena = mw_arena_new();
        result = scan_once(&checking, cursor);
        mw_arena_free(checking.arena);
        if (progress)
            progress(user, check);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    if (result == 0) {
        checking.arena = mw_arena_new();
        result = check_zset(&checking, key(&checking, "attachments", "", ""), "attachment:");
        mw_arena_free(checking.arena);
    }
    return result;
}
