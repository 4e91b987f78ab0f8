/* query_more: events, counts, and what a later scan found. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/query_private.h"

/* --- events -------------------------------------------------------------------------------- */

static void take_event(struct mw_arena *arena, const redisReply *entry, struct mw_events *events)
{
    struct mw_event *event = mw_list_add(arena, events, sizeof *event);
    event->id = mw_reply_text(entry->element[0]);
    mw_reply_facts(arena, entry->element[1], &event->facts);
}

int mw_query_events(struct mw_query *query, struct mw_arena *arena, const char *after, size_t most,
                    unsigned wait_ms, struct mw_events *events, struct mw_error *error)
{
    redisReply **replies;
    const char *key = mw_query_key(query, arena, "events");
    const char *count = mw_arena_printf(arena, "%zu", most);
    if (wait_ms > 0)
        mw_flight_add(mw_query_begin(query), "XREAD", "COUNT", count, "BLOCK",
                      mw_arena_printf(arena, "%u", wait_ms), "STREAMS", key, after, NULL);
    else
        mw_flight_add(mw_query_begin(query), "XREAD", "COUNT", count, "STREAMS", key, after, NULL);
    if (mw_query_fly(query, arena, wait_ms, &replies, error) != 0)
        return error->code;
    /* One stream was asked for: its name and its entries; nil when there are none. */
    if (replies[0]->type != REDIS_REPLY_ARRAY || replies[0]->elements == 0)
        return 0;
    const redisReply *entries = replies[0]->element[0]->element[1];
    for (size_t i = 0; i < entries->elements; i++)
        take_event(arena, entries->element[i], events);
    return 0;
}

int mw_query_last_events(struct mw_query *query, struct mw_arena *arena, size_t most,
                         struct mw_events *events, struct mw_error *error)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(query), "XREVRANGE", mw_query_key(query, arena, "events"), "+",
                  "-", "COUNT", mw_arena_printf(arena, "%zu", most), NULL);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    for (size_t i = replies[0]->elements; i > 0; i--)
        take_event(arena, replies[0]->element[i - 1], events);
    return 0;
}

/* --- counts -------------------------------------------------------------------------------- */

/* The number behind "name:" in INFO's text. */
static uint64_t info_number(const char *info, const char *name)
{
    const char *at = strstr(info, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

int mw_query_counts(struct mw_query *query, struct mw_query_counts *counts, struct mw_error *error)
{
    enum { VERDICTS = MW_UNSCANNED + 1 };
    struct mw_arena *arena = mw_arena_new();
    struct mw_flight *flight = mw_query_begin(query);
    redisReply **replies;
    mw_flight_add(flight, "ZCARD", mw_query_key(query, arena, "messages"), NULL);
    mw_flight_add(flight, "ZCARD", mw_query_key(query, arena, "attachments"), NULL);
    mw_flight_add(flight, "XLEN", mw_query_key(query, arena, "events"), NULL);
    mw_flight_add(flight, "DBSIZE", NULL);
    for (int i = 0; i < VERDICTS; i++)
        mw_flight_add(flight, "ZCARD",
                      mw_index_key(arena, query->settings->prefix, MW_INDEX_VERDICT,
                                   mw_verdict_name((enum mw_verdict)i)),
                      NULL);
    mw_flight_add(flight, "INFO", "memory", NULL);
    mw_flight_add(flight, "INFO", "server", NULL);
    int result = mw_query_fly(query, arena, 0, &replies, error);
    *counts = (struct mw_query_counts){0};
    if (result == 0) {
        counts->messages = (uint64_t)replies[0]->integer;
        counts->attachments = (uint64_t)replies[1]->integer;
        counts->events = (uint64_t)replies[2]->integer;
        counts->keys = (uint64_t)replies[3]->integer;
        for (int i = 0; i < VERDICTS; i++)
            counts->verdicts[i] = (uint64_t)replies[4 + i]->integer;
        const char *memory = mw_reply_text(replies[4 + VERDICTS]);
        const char *server = mw_reply_text(replies[5 + VERDICTS]);
        const char *version = strstr(server, "redis_version:");
        counts->memory_used = info_number(memory, "used_memory:");
        counts->memory_max = info_number(memory, "maxmemory:");
        if (version)
            snprintf(counts->version, sizeof counts->version, "%.*s",
                     (int)strcspn(version + 14, "\r\n"), version + 14);
    }
    mw_arena_free(arena);
    return result;
}

/* --- what a later scan found ---------------------------------------------------------------------
 */

/* How bad a verdict is: not scanned is worse than clean only. */
static int rank(const char *verdict)
{
    static const char *const rising[] = {"clean", "unscanned", "suspicious", "malicious"};
    for (int i = 0; i < 4; i++)
        if (strcmp(rising[i], verdict) == 0)
            return i;
    return -1;
}

static void write_facts(struct mw_query *query, struct mw_arena *arena,
                        const struct mw_attachment *attachment, const char *when,
                        struct mw_flight *flight)
{
    const char *key = mw_query_key(query, arena, "attachment:%s", attachment->sha256);
    mw_flight_add(flight, "HSET", key, "verdict", mw_verdict_name(attachment->verdict), "findings",
                  mw_schema_findings(arena, &attachment->findings), "scanned", when, NULL);
    if (attachment->unscanned)
        mw_flight_add(flight, "HSET", key, "unscanned", attachment->unscanned, NULL);
    else
        mw_flight_add(flight, "HDEL", key, "unscanned", NULL);
}

static void index_hit(struct mw_query *query, struct mw_arena *arena, const struct mw_hit *hit,
                      enum mw_index index, const char *value)
{
    const char *key =
        mw_index_key(arena, query->settings->prefix, index, mw_index_value(arena, index, value));
    unsigned keep = mw_schema_keep_indexes(query->settings);
    mw_flight_add(query->flight, "ZADD", key, mw_arena_printf(arena, "%" PRId64, hit->time_ms),
                  hit->id, NULL);
    if (keep > 0)
        mw_flight_add(query->flight, "EXPIRE", key, mw_arena_printf(arena, "%u", keep), NULL);
}

/* The commands that raise one message, whose verdict is was. */
static void raise(struct mw_query *query, struct mw_arena *arena,
                  const struct mw_attachment *attachment, const char *when,
                  const struct mw_hit *hit, const char *was)
{
    const char *prefix = query->settings->prefix, *now = mw_verdict_name(attachment->verdict);
    const char *key = mw_query_key(query, arena, "message:%s", hit->id);
    mw_flight_add(query->flight, "HSET", key, "rescanned", when, NULL);
    for (size_t i = 0; i < attachment->findings.count; i++) {
        const struct mw_finding *one = &attachment->findings.items[i];
        bool rule = one->scanner && strcmp(one->scanner, "yara") == 0;
        index_hit(query, arena, hit, rule ? MW_INDEX_RULE : MW_INDEX_SIGNATURE, one->name);
    }
    if (rank(now) <= rank(was))
        return;
    mw_flight_add(query->flight, "HSET", key, "verdict", now, NULL);
    mw_flight_add(query->flight, "ZREM", mw_index_key(arena, prefix, MW_INDEX_VERDICT, was),
                  hit->id, NULL);
    index_hit(query, arena, hit, MW_INDEX_VERDICT, now);
}

static int raise_page(struct mw_query *query, struct mw_arena *arena,
                      const struct mw_attachment *attachment, const char *when,
                      const struct mw_hits *hits, uint64_t *raised, struct mw_error *error)
{
    redisReply **was, **replies;
    struct mw_flight *flight = mw_query_begin(query);
    for (size_t i = 0; i < hits->count; i++)
        mw_flight_add(flight, "HGET", mw_query_key(query, arena, "message:%s", hits->items[i].id),
                      "verdict", NULL);
    if (mw_query_fly(query, arena, 0, &was, error) != 0)
        return error->code;
    mw_query_begin(query);
    for (size_t i = 0; i < hits->count; i++) {
        /* A message that is gone must not be begun anew. */
        if (was[i]->type != REDIS_REPLY_STRING)
            continue;
        *raised += rank(mw_verdict_name(attachment->verdict)) > rank(was[i]->str);
        raise(query, arena, attachment, when, &hits->items[i], was[i]->str);
    }
    return mw_flight_count(query->flight) > 0 ? mw_query_fly(query, arena, 0, &replies, error) : 0;
}

int mw_query_rescanned(struct mw_query *query, const struct mw_attachment *attachment,
                       const char *when, uint64_t *raised, struct mw_error *error)
{
    enum { PAGE = 200 };
    struct mw_error own = {0};
    uint64_t ignored = 0;
    redisReply **replies;
    if (!error)
        error = &own;
    raised = raised ? raised : &ignored;
    struct mw_arena *arena = mw_arena_new();
    write_facts(query, arena, attachment, when, mw_query_begin(query));
    int result = mw_query_fly(query, arena, 0, &replies, error);
    struct mw_search_term term = {MW_SEARCH_ATTACHMENT, attachment->sha256};
    struct mw_search_terms terms = {&term, 1, 1};
    struct mw_search *search = result == 0 ? mw_search_new(query, &terms, 0, 0, error) : NULL;
    while (search) {
        struct mw_arena *page = mw_arena_new();
        struct mw_hits hits = {0};
        result = mw_search_next(search, page, PAGE, &hits, error);
        if (result > 0)
            result = raise_page(query, page, attachment, when, &hits, raised, error);
        mw_arena_free(page);
        if (result != 0 || hits.count == 0)
            break;
    }
    result = !search && result == 0 ? error->code : result;
    mw_search_free(search);
    mw_arena_free(arena);
    return result;
}
