/*
 * search: the rarest index is walked from its newest end, in pages; the others are asked
 * whether they have what was found. Neither side needs memory for the whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/query_private.h"

enum { PAGE_LEAST = 64, PAGE_MOST = 1000 };

struct mw_search {
    struct mw_query *query;
    struct mw_arena *arena;
    MW_LIST(const char *) keys; /* the one walked comes first */
    int64_t since, until, count;
    int64_t at, at_used; /* where the walk is: a time, and entries of it already taken */
    bool ended;
};

static const char *range_end(struct mw_arena *arena, int64_t ms, const char *open)
{
    return ms > 0 ? mw_arena_printf(arena, "%" PRId64, ms) : open;
}

/* What is older than it is kept may still be in an index. */
static int64_t oldest_kept(int64_t since_ms, unsigned keep_s)
{
    int64_t oldest = keep_s > 0 ? ((int64_t)time(NULL) - (int64_t)keep_s) * 1000 : 0;
    return since_ms > oldest ? since_ms : oldest;
}

static void add_key(struct mw_search *search, const char *key)
{
    const char **next = mw_list_add(search->arena, &search->keys, sizeof *next);
    *next = key;
}

static void add_term(struct mw_search *search, const struct mw_search_term *term)
{
    const char *prefix = search->query->settings->prefix;
    if (term->index == MW_SEARCH_ATTACHMENT) {
        const char *hash = mw_index_value(search->arena, MW_INDEX_FROM, term->value);
        add_key(search, mw_arena_printf(search->arena, "%sattachment:%s:messages", prefix, hash));
        return;
    }
    enum mw_index index = (enum mw_index)term->index;
    const char *value = term->value;
    size_t size = strlen(value);
    if (index == MW_INDEX_MESSAGE_ID && size > 2 && value[0] == '<' && value[size - 1] == '>')
        value = mw_arena_dup_bytes(search->arena, value + 1, size - 2);
    if (index == MW_INDEX_ENVELOPE_FROM && *value == '\0')
        value = "<>";
    add_key(search, mw_index_key(search->arena, prefix, index,
                                 mw_index_value(search->arena, index, value)));
}

/* Puts the key with the fewest entries in the range first. */
static int choose(struct mw_search *search, struct mw_error *error)
{
    redisReply **replies;
    struct mw_arena *arena = mw_arena_new();
    struct mw_flight *flight = mw_query_begin(search->query);
    for (size_t i = 0; i < search->keys.count; i++)
        mw_flight_add(flight, "ZCOUNT", search->keys.items[i],
                      range_end(arena, search->since, "-inf"),
                      range_end(arena, search->until, "+inf"), NULL);
    int result = mw_query_fly(search->query, arena, 0, &replies, error);
    size_t rarest = 0;
    for (size_t i = 1; result == 0 && i < search->keys.count; i++)
        if (replies[i]->integer < replies[rarest]->integer)
            rarest = i;
    if (result == 0) {
        search->count = replies[rarest]->integer;
        const char *first = search->keys.items[rarest];
        search->keys.items[rarest] = search->keys.items[0];
        search->keys.items[0] = first;
    }
    mw_arena_free(arena);
    return result;
}

static struct mw_search *begin(struct mw_query *query, int64_t since_ms, int64_t until_ms)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_search *search = mw_arena_alloc(arena, sizeof *search);
    search->query = query;
    search->arena = arena;
    search->since = since_ms;
    search->until = until_ms;
    search->at = until_ms;
    return search;
}

static struct mw_search *ready(struct mw_search *search, struct mw_error *error)
{
    struct mw_error own = {0};
    if (choose(search, error ? error : &own) == 0)
        return search;
    mw_search_free(search);
    return NULL;
}

struct mw_search *mw_search_new(struct mw_query *query, const struct mw_search_terms *terms,
                                int64_t since_ms, int64_t until_ms, struct mw_error *error)
{
    unsigned keep = mw_schema_keep_indexes(query->settings);
    struct mw_search *search = begin(query, oldest_kept(since_ms, keep), until_ms);
    for (size_t i = 0; i < terms->count; i++)
        add_term(search, &terms->items[i]);
    if (terms->count == 0)
        add_key(search, mw_query_key(query, search->arena, "messages"));
    return ready(search, error);
}

struct mw_search *mw_search_attachments(struct mw_query *query, int64_t since_ms, int64_t until_ms,
                                        struct mw_error *error)
{
    unsigned keep = query->settings->keep_attachments_s;
    struct mw_search *search = begin(query, oldest_kept(since_ms, keep), until_ms);
    add_key(search, mw_query_key(query, search->arena, "attachments"));
    return ready(search, error);
}

void mw_search_free(struct mw_search *search)
{
    if (search)
        mw_arena_free(search->arena);
}

int64_t mw_search_count(const struct mw_search *search)
{
    return search->count;
}

/* Moves the walk behind the hits taken. */
static void advance(struct mw_search *search, const redisReply *reply, size_t taken)
{
    for (size_t i = 0; i < taken; i++) {
        int64_t ms = strtoll(mw_reply_text(reply->element[2 * i + 1]), NULL, 10);
        search->at_used = search->at > 0 && ms == search->at ? search->at_used + 1 : 1;
        search->at = ms;
    }
}

/* Which of the hits the other indexes have too: kept[i]. */
static int filter(struct mw_search *search, struct mw_arena *arena, const redisReply *reply,
                  bool *kept, struct mw_error *error)
{
    size_t count = reply->elements / 2, others = search->keys.count - 1, next = 0;
    redisReply **replies;
    struct mw_flight *flight = mw_query_begin(search->query);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 1; k <= others; k++)
            mw_flight_add(flight, "ZSCORE", search->keys.items[k],
                          mw_reply_text(reply->element[2 * i]), NULL);
    if (others > 0 && mw_query_fly(search->query, arena, 0, &replies, error) != 0)
        return error->code;
    for (size_t i = 0; i < count; i++) {
        kept[i] = true;
        for (size_t k = 0; k < others; k++)
            kept[i] = replies[next++]->type == REDIS_REPLY_STRING && kept[i];
    }
    return 0;
}

/* One page of the walk; hits, in arena, go on growing, the rest is in the page's own. */
static int walk(struct mw_search *search, struct mw_arena *own, struct mw_arena *arena, size_t most,
                struct mw_hits *hits, struct mw_error *error)
{
    size_t page = search->keys.count > 1 ? PAGE_MOST : most - hits->count;
    page = page > PAGE_MOST ? PAGE_MOST : page < PAGE_LEAST ? PAGE_LEAST : page;
    redisReply **replies;
    mw_flight_add(mw_query_begin(search->query), "ZREVRANGEBYSCORE", search->keys.items[0],
                  range_end(own, search->at, "+inf"), range_end(own, search->since, "-inf"),
                  "WITHSCORES", "LIMIT", mw_arena_printf(own, "%" PRId64, search->at_used),
                  mw_arena_printf(own, "%zu", page), NULL);
    if (mw_query_fly(search->query, own, 0, &replies, error) != 0)
        return error->code;
    const redisReply *reply = replies[0];
    size_t count = reply->elements / 2, taken = 0;
    bool *kept = mw_arena_alloc(own, count + 1);
    search->ended = count < page;
    if (count == 0)
        return 0;
    if (filter(search, own, reply, kept, error) != 0)
        return error->code;
    for (; taken < count && hits->count < most; taken++) {
        if (!kept[taken])
            continue;
        struct mw_hit *hit = mw_list_add(arena, hits, sizeof *hit);
        hit->id = mw_arena_dup(arena, mw_reply_text(reply->element[2 * taken]));
        hit->time_ms = strtoll(mw_reply_text(reply->element[2 * taken + 1]), NULL, 10);
    }
    search->ended = search->ended && taken == count;
    advance(search, reply, taken);
    return 0;
}

int mw_search_next(struct mw_search *search, struct mw_arena *arena, size_t most,
                   struct mw_hits *hits, struct mw_error *error)
{
    struct mw_error own = {0};
    if (!error)
        error = &own;
    while (hits->count < most && !search->ended) {
        struct mw_arena *page = mw_arena_new();
        int result = walk(search, page, arena, most, hits, error);
        mw_arena_free(page);
        if (result != 0)
            return result;
    }
    return hits->count > 0;
}
