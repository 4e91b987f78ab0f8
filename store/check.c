/* check: first all messages, each against its report; then all keys, by SCAN in batches, each
 * by what its name says it is. */
#include "store/check.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/ascii.h"
#include "core/id.h"
#include "store/query_private.h"

enum { BATCH = 500, MESSAGES = 100, ENTRIES = 1000, CURSOR = 32, LAST_HOUR = 3600 };

struct checking {
    struct mw_query *query;
    bool mend;
    struct mw_check *check;
    struct mw_error *error;
    struct mw_arena *arena;            /* of one batch */
    char script[64];                   /* hash of the script that writes messages; with mend */
    struct mw_store_settings settings; /* without events: those were told when mail came */
};

struct batch {
    struct mw_texts zsets;                   /* entries are messages */
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

/* Removes KEYS[2] unless KEYS[1] is there by now. */
static const char drop_script[] = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
                                  "return redis.call('DEL', KEYS[2])\n";

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
            mw_flight_add(flight, "EVAL", drop_script, "2",
                          key(checking, before, names->items[i], ""),
                          key(checking, head, names->items[i], tail), NULL);
    }
    checking->check->mended += mw_flight_count(flight);
    return fly(checking, &replies);
}

/* Bytes that no attachment's facts speak of, and so, after all messages were looked at, no
 * message. One that comes now may have been told that they are there: it renews their time. */
static int drop_bytes(struct checking *checking, const struct mw_texts *hashes)
{
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        mw_flight_add(flight, "EXISTS", key(checking, "attachment:", hashes->items[i], ""), NULL);
        mw_flight_add(flight, "TTL", key(checking, "data:", hashes->items[i], ""), NULL);
    }
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        long long left = replies[2 * i + 1]->integer;
        if (replies[2 * i]->integer != 0 || (left >= -2 && left != -1 && left <= LAST_HOUR))
            continue;
        checking->check->orphans++;
        if (checking->mend)
            mw_flight_add(flight, "EXPIRE", key(checking, "data:", hashes->items[i], ""), "3600",
                          NULL);
    }
    checking->check->mended += mw_flight_count(flight);
    return fly(checking, &replies);
}

/* Sets a fact of an attachment that is still there. */
static const char form_script[] = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
                                  "return redis.call('HSET', KEYS[1], 'data', ARGV[1])\n";

/* --- messages, each against its report --------------------------------------------------------
 */

/* One message under the glass. */
struct glass {
    const char *id;
    struct mw_schema_message message;
    const struct mw_texts *indexes;
    const struct mw_bytes *facts;
    size_t fact_words;
    struct mw_texts hashes; /* of its attachments, in order */
    bool unindexed, wrong;
};

/* Indexes may be kept for a shorter time than messages. */
static bool should_be_found(const struct checking *checking, int64_t time_ms)
{
    unsigned keep = mw_schema_keep_indexes(checking->query->settings);
    return keep == 0 || time_ms / 1000 + keep > (int64_t)time(NULL);
}

static void ask_about(struct checking *checking, struct glass *glass)
{
    struct mw_flight *flight = mw_query_begin(checking->query);
    const char *id = glass->id, *hash_key = key(checking, "message:", id, "");
    mw_flight_add(flight, "HGETALL", hash_key, NULL);
    mw_flight_add(flight, "LRANGE", key(checking, "message:", id, ":attachments"), "0", "-1", NULL);
    for (int v = 0; v < MW_VERDICTS; v++)
        mw_flight_add(flight, "ZSCORE",
                      mw_index_key(checking->arena, checking->settings.prefix, MW_INDEX_VERDICT,
                                   mw_verdict_names[v]),
                      id, NULL);
    mw_flight_add(flight, "ZSCORE", key(checking, "messages", "", ""), id, NULL);
    for (size_t i = 0; i < glass->indexes->count; i++)
        mw_flight_add(flight, "ZSCORE", glass->indexes->items[i], id, NULL);
    for (size_t i = 0; i < glass->hashes.count; i++) {
        const char *hash = glass->hashes.items[i];
        mw_flight_add(flight, "ZSCORE", key(checking, "attachment:", hash, ":messages"), id, NULL);
        mw_flight_add(flight, "ZSCORE", key(checking, "attachments", "", ""), hash, NULL);
        mw_flight_add(flight, "HGETALL", key(checking, "attachment:", hash, ""), NULL);
        mw_flight_add(flight, "EXISTS", key(checking, "attachment:", hash, ":names"), NULL);
    }
}

static const redisReply *field_of(const redisReply *hash, struct mw_bytes name)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (hash->element[i]->len == name.size &&
            memcmp(hash->element[i]->str, name.data, name.size) == 0)
            return hash->element[i + 1];
    return NULL;
}

static bool has_fact(const redisReply *hash, const char *name)
{
    return field_of(hash, mw_bytes_of(name)) != NULL;
}

/* Facts and the list of attachments as the report says. */
static bool facts_fit(const struct glass *glass, const redisReply *hash, const redisReply *list)
{
    for (size_t i = 0; i + 1 < glass->fact_words; i += 2) {
        const redisReply *value = field_of(hash, glass->facts[i]);
        const struct mw_bytes *wanted = &glass->facts[i + 1];
        if (!value || value->len != wanted->size ||
            memcmp(value->str, wanted->data, wanted->size) != 0)
            return false;
    }
    const struct mw_report *report = glass->message.report;
    bool corrected = has_fact(hash, "corrected");
    bool acted = (report->action == MW_ACTION_NONE || has_fact(hash, "action")) &&
                 (report->intended == MW_ACTION_NONE || corrected || has_fact(hash, "intended")) &&
                 (!report->decided_by || has_fact(hash, "decided_by"));
    if (!acted || !has_fact(hash, "verdict") || !has_fact(hash, "findings") ||
        list->elements != glass->hashes.count)
        return false;
    for (size_t i = 0; i < list->elements; i++)
        if (strcmp(mw_reply_text(list->element[i]), glass->hashes.items[i]) != 0)
            return false;
    return true;
}

static bool is_named(const struct mw_report *report, const char *hash)
{
    for (size_t i = 0; i < report->attachments.count; i++)
        if (report->attachments.items[i].filename && report->attachments.items[i].sha256 &&
            strcmp(report->attachments.items[i].sha256, hash) == 0)
            return true;
    return false;
}

/* Which attachment the index-th one that has a hash is. */
static size_t part_of(const struct mw_report *report, size_t index)
{
    size_t i = 0;
    while (!report->attachments.items[i].sha256 || index-- > 0)
        i++;
    return i;
}

/* The four replies about each attachment. */
static void judge_parts(struct checking *checking, struct glass *glass, redisReply *const *replies,
                        bool found)
{
    unsigned keep = checking->settings.keep_attachments_s;
    bool kept = keep == 0 || glass->message.time_ms / 1000 + keep > (int64_t)time(NULL);
    for (size_t i = 0; i < glass->hashes.count; i++, replies += 4) {
        bool facts = true;
        size_t words;
        const struct mw_bytes *wanted = mw_schema_part_facts(
            checking->arena, &glass->message, part_of(glass->message.report, i), &words);
        for (size_t k = 0; k < words; k += 2)
            facts = facts && field_of(replies[2], wanted[k]);
        bool names =
            replies[3]->integer == 1 || !is_named(glass->message.report, glass->hashes.items[i]);
        glass->unindexed |= (found && replies[0]->type == REDIS_REPLY_NIL) ||
                            (kept && replies[1]->type == REDIS_REPLY_NIL);
        glass->wrong |= kept && (!facts || !names);
    }
}

static void judge(struct checking *checking, struct glass *glass, redisReply *const *replies)
{
    const char *verdict = mw_reply_text(field_of(replies[0], mw_bytes_of("verdict")));
    bool found = should_be_found(checking, glass->message.time_ms);
    glass->wrong = !facts_fit(glass, replies[0], replies[1]);
    replies += 2;
    for (int v = 0; v < MW_VERDICTS; v++, replies++) {
        bool there = (*replies)->type != REDIS_REPLY_NIL;
        bool wanted = strcmp(mw_verdict_names[v], verdict) == 0;
        glass->unindexed |= (wanted && !there && found) || (there && !wanted);
    }
    for (size_t i = 0; i <= glass->indexes->count; i++, replies++)
        glass->unindexed |= found && (*replies)->type == REDIS_REPLY_NIL;
    judge_parts(checking, glass, replies, found);
}

/* The message's verdict as its hash has it now, in that one of the verdicts' indexes. KEYS: the
 * message, the indexes; ARGV: id, score, seconds they are kept, the verdicts. */
static const char verdict_script[] =
    "local verdict = redis.call('HGET', KEYS[1], 'verdict')\n"
    "for i = 2, #KEYS do\n"
    "  if ARGV[i + 2] ~= verdict then\n"
    "    redis.call('ZREM', KEYS[i], ARGV[1])\n"
    "  else\n"
    "    redis.call('ZADD', KEYS[i], ARGV[2], ARGV[1])\n"
    "    if tonumber(ARGV[3]) > 0 then redis.call('EXPIRE', KEYS[i], ARGV[3]) end\n"
    "  end\n"
    "end\n"
    "return 1\n";

static void mend_verdict(struct checking *checking, const struct glass *glass)
{
    enum { WORDS = 3 + 1 + MW_VERDICTS + 3 + MW_VERDICTS };
    struct mw_arena *arena = checking->arena;
    struct mw_bytes words[WORDS];
    size_t used = 0;
    words[used++] = mw_bytes_of("EVAL");
    words[used++] = mw_bytes_of(verdict_script);
    words[used++] = mw_bytes_of(mw_arena_printf(arena, "%d", 1 + MW_VERDICTS));
    words[used++] = mw_bytes_of(key(checking, "message:", glass->id, ""));
    for (int v = 0; v < MW_VERDICTS; v++)
        words[used++] = mw_bytes_of(
            mw_index_key(arena, checking->settings.prefix, MW_INDEX_VERDICT, mw_verdict_names[v]));
    words[used++] = mw_bytes_of(glass->id);
    words[used++] = mw_bytes_of(mw_arena_printf(arena, "%lld", (long long)glass->message.time_ms));
    words[used++] =
        mw_bytes_of(mw_arena_printf(arena, "%u", mw_schema_keep_indexes(&checking->settings)));
    for (int v = 0; v < MW_VERDICTS; v++)
        words[used++] = mw_bytes_of(mw_verdict_names[v]);
    mw_flight_words(checking->query->flight, words, used);
}

/* Facts that are missing of an attachment that is there, whichever message it was scanned for
 * last. */
static const char fill_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
    "for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "return 1\n";

static void fill_parts(struct checking *checking, struct glass *glass)
{
    for (size_t i = 0; i < glass->hashes.count; i++) {
        size_t count;
        const struct mw_bytes *facts = mw_schema_part_facts(
            checking->arena, &glass->message, part_of(glass->message.report, i), &count);
        struct mw_bytes *words = mw_arena_alloc(checking->arena, (count + 4) * sizeof *words);
        words[0] = mw_bytes_of("EVAL");
        words[1] = mw_bytes_of(fill_script);
        words[2] = mw_bytes_of("1");
        words[3] = mw_bytes_of(key(checking, "attachment:", glass->hashes.items[i], ""));
        memcpy(words + 4, facts, count * sizeof *words);
        mw_flight_words(checking->query->flight, words, count + 4);
    }
}

/* Writes the whole message once more from its report, which changes nothing that is there. */
static int mend_message(struct checking *checking, struct glass *glass, struct mw_bytes json)
{
    redisReply **replies;
    if (mw_schema_is_past(&glass->message))
        return 0;
    struct mw_squeezer *squeezer = mw_squeezer_new();
    struct mw_bytes squeezed;
    glass->message.json = mw_squeeze(squeezer, 1, json, &squeezed) ? squeezed : json;
    mw_query_begin(checking->query);
    mw_schema_write(checking->query->flight, checking->arena, &glass->message, squeezer);
    mend_verdict(checking, glass);
    fill_parts(checking, glass);
    checking->check->mended++;
    int result = fly(checking, &replies);
    mw_squeezer_free(squeezer);
    return result;
}

static int look_at(struct checking *checking, const char *id, const struct mw_report *report,
                   struct mw_bytes json)
{
    redisReply **replies;
    struct glass glass = {
        .id = id,
        .message = {.settings = &checking->settings,
                    .script_hash = checking->script,
                    .report = report,
                    .version = checking->query->version},
        .indexes = mw_schema_index_keys(checking->arena, checking->settings.prefix, report)};
    if (mw_schema_check(&glass.message, checking->error) != 0)
        return checking->error->code;
    glass.message.holders = mw_schema_holders(checking->arena, &checking->settings, report);
    glass.facts = mw_schema_facts(checking->arena, &glass.message, &glass.fact_words);
    for (size_t i = 0; i < report->attachments.count; i++)
        if (report->attachments.items[i].sha256)
            mw_texts_add(checking->arena, &glass.hashes, report->attachments.items[i].sha256);
    ask_about(checking, &glass);
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    /* Gone meanwhile: it is not to be begun anew. */
    if (replies[0]->elements == 0)
        return 0;
    judge(checking, &glass, replies);
    checking->check->unindexed += glass.unindexed;
    checking->check->wrong += glass.wrong;
    return checking->mend && (glass.unindexed || glass.wrong) ? mend_message(checking, &glass, json)
                                                              : 0;
}

/* A hash with neither a report nor facts says nothing of a message: it goes. */
static const char stub_script[] =
    "if redis.call('HEXISTS', KEYS[1], 'report') == 1 or\n"
    "   redis.call('HEXISTS', KEYS[1], 'received') == 1 then return 0 end\n"
    "return redis.call('DEL', KEYS[1])\n";

static int look_at_stub(struct checking *checking, const char *id)
{
    redisReply **replies;
    const char *name = key(checking, "message:", id, "");
    struct mw_flight *flight = mw_query_begin(checking->query);
    mw_flight_add(flight, "EXISTS", name, NULL);
    mw_flight_add(flight, "HMGET", name, "report", "received", NULL);
    if (fly(checking, &replies) != 0 || replies[0]->integer == 0)
        return checking->error->code;
    bool stub = replies[1]->element[0]->type == REDIS_REPLY_NIL &&
                replies[1]->element[1]->type == REDIS_REPLY_NIL;
    if (!stub) {
        checking->check->unreadable++;
        return 0;
    }
    checking->check->orphans++;
    if (!checking->mend)
        return 0;
    checking->check->mended++;
    mw_flight_add(mw_query_begin(checking->query), "EVAL", stub_script, "1", name, NULL);
    return fly(checking, &replies);
}

static int check_message(struct checking *checking, const char *id)
{
    struct mw_error why = {0};
    struct mw_bytes json = {0};
    struct mw_report *report = NULL;
    if (mw_query_json(checking->query, checking->arena, id, &json, &why) == 0)
        report = mw_report_from_json(json, &why);
    if (!report && why.code != MW_ERR_FORMAT && why.code != MW_ERR_MISSING)
        return mw_fail(checking->error, why.code, "%s", why.text);
    checking->check->messages++;
    bool ours = report && report->id && strcmp(report->id, id) == 0;
    int result = ours ? look_at(checking, id, report, json) : look_at_stub(checking, id);
    mw_report_free(report);
    return result;
}

/* All messages there are, before anything is removed that one of them may name. */
static int check_messages(struct checking *checking, mw_check_progress *progress, void *user)
{
    char cursor[CURSOR] = "0";
    int result;
    do {
        redisReply **replies;
        struct mw_arena *batch = checking->arena = mw_arena_new();
        const char *begins = key(checking, "message:", "", "");
        mw_flight_add(mw_query_begin(checking->query), "SCAN", cursor, "MATCH",
                      mw_arena_printf(batch, "%s*", begins), "COUNT",
                      mw_arena_printf(batch, "%d", MESSAGES), "TYPE", "hash", NULL);
        result = fly(checking, &replies);
        snprintf(cursor, CURSOR, "%s", result == 0 ? mw_reply_text(replies[0]->element[0]) : "0");
        const redisReply *keys = result == 0 ? replies[0]->element[1] : NULL;
        for (size_t i = 0; keys && result == 0 && i < keys->elements; i++) {
            checking->arena = mw_arena_new();
            result = check_message(checking, mw_reply_text(keys->element[i]) + strlen(begins));
            mw_arena_free(checking->arena);
        }
        mw_arena_free(batch);
        if (progress)
            progress(user, checking->check);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    return result;
}

/* --- attachments ----------------------------------------------------------------------------- */

static bool has_hash(struct mw_bytes bytes, const char *hash)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) != 1)
        abort();
    mw_hex_write(text, digest, size);
    return strcmp(text, hash) == 0;
}

/* In which form the bytes are kept is a fact that no report has: the bytes tell. */
static int mend_form(struct checking *checking, const char *hash)
{
    enum { MOST = 1 << 30 };
    redisReply **replies;
    struct mw_bytes plain;
    mw_flight_add(mw_query_begin(checking->query), "GET", key(checking, "data:", hash, ""), NULL);
    if (fly(checking, &replies) != 0 || replies[0]->type != REDIS_REPLY_STRING)
        return checking->error->code;
    struct mw_bytes kept = {(const void *)replies[0]->str, replies[0]->len};
    const char *form = has_hash(kept, hash) ? "plain" : NULL;
    if (!form && mw_unsqueeze(checking->arena, kept, MOST, &plain, NULL) == 0 &&
        has_hash(plain, hash))
        form = "zstd";
    if (!form)
        return 0;
    checking->check->mended++;
    mw_flight_add(mw_query_begin(checking->query), "EVAL", form_script, "1",
                  key(checking, "attachment:", hash, ""), form, NULL);
    return fly(checking, &replies);
}

/* When the attachment was seen last, from the list of its messages. */
static void add_attachment(struct checking *checking, const char *hash, const redisReply *last)
{
    const char *now = mw_arena_printf(checking->arena, "%lld", (long long)time(NULL) * 1000);
    const char *score = last->elements > 1 ? mw_reply_text(last->element[1]) : now;
    mw_flight_add(checking->query->flight, "ZADD", key(checking, "attachments", "", ""), "GT",
                  score, hash, NULL);
    checking->check->mended++;
}

static int check_attachments(struct checking *checking, const struct mw_texts *hashes)
{
    enum { ASKED = 4 };
    redisReply **replies;
    struct mw_texts formless_ones = {0};
    struct mw_flight *flight = mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        const char *hash = hashes->items[i];
        mw_flight_add(flight, "ZSCORE", key(checking, "attachments", "", ""), hash, NULL);
        mw_flight_add(flight, "ZREVRANGE", key(checking, "attachment:", hash, ":messages"), "0",
                      "0", "WITHSCORES", NULL);
        mw_flight_add(flight, "HGET", key(checking, "attachment:", hash, ""), "data", NULL);
        mw_flight_add(flight, "EXISTS", key(checking, "data:", hash, ""), NULL);
    }
    if (fly(checking, &replies) != 0)
        return checking->error->code;
    checking->check->attachments += hashes->count;
    mw_query_begin(checking->query);
    for (size_t i = 0; i < hashes->count; i++) {
        redisReply **one = &replies[ASKED * i];
        const char *form = mw_reply_text(one[2]);
        checking->check->dataless += *form && one[3]->integer == 0 && strncmp(form, "in ", 3) != 0;
        bool formless = one[3]->integer == 1 && (!*form || strncmp(form, "in ", 3) == 0);
        checking->check->wrong += formless;
        if (formless && checking->mend)
            mw_texts_add(checking->arena, &formless_ones, hashes->items[i]);
        if (one[0]->type != REDIS_REPLY_NIL)
            continue;
        checking->check->unindexed++;
        if (checking->mend)
            add_attachment(checking, hashes->items[i], one[1]);
    }
    int result = fly(checking, &replies);
    for (size_t i = 0; result == 0 && i < formless_ones.count; i++)
        result = mend_form(checking, formless_ones.items[i]);
    return result;
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

/* Of a message's keys: until it has been kept; of others: from now. */
static long long time_left(const struct checking *checking, const char *name, unsigned keep)
{
    uint64_t ms = 0;
    char id[MW_ID_SIZE] = "";
    const char *rest = after_prefix(name + strlen(checking->settings.prefix), "message:");
    if (rest)
        snprintf(id, sizeof id, "%.*s", (int)strcspn(rest, ":"), rest);
    if (!rest || !mw_id_parse(id, &ms))
        return keep;
    long long left = (long long)(ms / 1000) + keep - (long long)time(NULL);
    return left < 1 ? 1 : left > (long long)keep ? keep : left;
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
            mw_flight_add(flight, "EXPIRE", name,
                          mw_arena_printf(checking->arena, "%lld", time_left(checking, name, keep)),
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
    if (check_attachments(checking, &batch.attachments) != 0 ||
        drop_bytes(checking, &batch.data) != 0 ||
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

static int load_script(struct checking *checking)
{
    redisReply **replies;
    checking->arena = mw_arena_new();
    mw_flight_add(mw_query_begin(checking->query), "SCRIPT", "LOAD", mw_schema_script, NULL);
    int result = fly(checking, &replies);
    if (result == 0)
        snprintf(checking->script, sizeof checking->script, "%s", mw_reply_text(replies[0]));
    mw_arena_free(checking->arena);
    return result;
}

int mw_store_check(struct mw_query *query, bool mend, mw_check_progress *progress, void *user,
                   struct mw_check *check, struct mw_error *error)
{
    struct mw_error own = {0};
    struct checking checking = {.query = query,
                                .mend = mend,
                                .check = check,
                                .error = error ? error : &own,
                                .settings = *query->settings};
    char cursor[CURSOR] = "0";
    checking.settings.events_max = 0;
    *check = (struct mw_check){0};
    int result = mend ? load_script(&checking) : 0;
    if (result == 0)
        result = check_messages(&checking, progress, user);
    if (result != 0)
        return result;
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
