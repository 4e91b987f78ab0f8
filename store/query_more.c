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
    struct mw_arena *arena = mw_arena_new();
    struct mw_flight *flight = mw_query_begin(query);
    redisReply **replies;
    mw_flight_add(flight, "ZCARD", mw_query_key(query, arena, "messages"), NULL);
    mw_flight_add(flight, "ZCARD", mw_query_key(query, arena, "attachments"), NULL);
    mw_flight_add(flight, "XLEN", mw_query_key(query, arena, "events"), NULL);
    mw_flight_add(flight, "DBSIZE", NULL);
    for (int i = 0; i < MW_VERDICTS; i++)
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
        for (int i = 0; i < MW_VERDICTS; i++)
            counts->verdicts[i] = (uint64_t)replies[4 + i]->integer;
        const char *memory = mw_reply_text(replies[4 + MW_VERDICTS]);
        const char *server = mw_reply_text(replies[5 + MW_VERDICTS]);
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

/* --- findings -------------------------------------------------------------------------------- */

static bool has_finding(const struct mw_findings *findings, const struct mw_finding *wanted)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct mw_finding *one = &findings->items[i];
        if (one->scanner && one->name && strcmp(one->scanner, wanted->scanner) == 0 &&
            strcmp(one->name, wanted->name) == 0)
            return true;
    }
    return false;
}

static void add_finding(struct mw_arena *arena, struct mw_findings *findings,
                        const struct mw_finding *one, const char *path)
{
    if (!one->scanner || !one->name || has_finding(findings, one))
        return;
    struct mw_finding *added = mw_list_add(arena, findings, sizeof *added);
    *added = *one;
    if (!added->path)
        added->path = path;
}

/* One "scanner/name=severity" of version 1, taken apart in place. */
static void add_old_finding(struct mw_arena *arena, struct mw_findings *findings, char *text,
                            const char *path)
{
    char *name = strchr(text, '/'), *severity = strrchr(text, '=');
    struct mw_finding one = {.scanner = text};
    if (!name || !severity || severity < name)
        return;
    *name++ = '\0';
    *severity++ = '\0';
    one.name = name;
    one.severity = mw_severity_from_name(severity, MW_SEVERITY_MALICIOUS);
    add_finding(arena, findings, &one, path);
}

void mw_facts_findings(struct mw_arena *arena, const struct mw_facts *facts, const char *path,
                       struct mw_findings *findings)
{
    const char *json = mw_fact_value(facts, "findings_json"), *text;
    struct mw_findings read = {0};
    if (json && mw_findings_from_json(arena, mw_bytes_of(json), &read, NULL) == 0) {
        for (size_t i = 0; i < read.count; i++)
            add_finding(arena, findings, &read.items[i], path);
        return;
    }
    text = mw_fact_value(facts, "findings");
    for (char *rest = text ? mw_arena_dup(arena, text) : NULL, *next; rest && *rest; rest = next) {
        next = strstr(rest, ", ");
        if (next) {
            *next = '\0';
            next += 2;
        }
        add_old_finding(arena, findings, rest, path);
    }
}

/* --- what a later scan found ------------------------------------------------------------------ */

/* What an attachment is, when it is still there. KEYS: its facts; ARGV: names and values, an
 * empty one for what is to go. */
static const char facts_script[] = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
                                   "for i = 1, #ARGV, 2 do\n"
                                   "  if ARGV[i + 1] == '' and ARGV[i] == 'unscanned' then\n"
                                   "    redis.call('HDEL', KEYS[1], ARGV[i])\n"
                                   "  else\n"
                                   "    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])\n"
                                   "  end\n"
                                   "end\n"
                                   "return 1\n";

/*
 * Raises one message, when it is still there: 1 when its verdict is now worse. KEYS: the
 * message, the verdicts' indexes, and indexes of what was found. ARGV: when, id, score, seconds
 * that indexes are kept, how many verdicts; their names from the best to the worst, of which
 * the last is what it is raised to.
 */
static const char raise_script[] =
    "local was = redis.call('HGET', KEYS[1], 'verdict')\n"
    "if not was then return 0 end\n"
    "local id, score, keep, n = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local function enter(key)\n"
    "  redis.call('ZADD', key, score, id)\n"
    "  if keep > 0 then redis.call('EXPIRE', key, keep) end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'rescanned', ARGV[1])\n"
    "for k = 2 + n, #KEYS do enter(KEYS[k]) end\n"
    "for i = 1, n - 1 do\n"
    "  if ARGV[5 + i] == was then\n"
    "    redis.call('HSET', KEYS[1], 'verdict', ARGV[5 + n])\n"
    "    for k = 2, n do redis.call('ZREM', KEYS[k], id) end\n"
    "    enter(KEYS[1 + n])\n"
    "    return 1\n"
    "  end\n"
    "end\n"
    "return 0\n";

/* The name of the verdict of a rank. */
static const char *name_of_rank(int rank)
{
    for (int v = 0; v < MW_VERDICTS; v++)
        if (mw_verdict_rank((enum mw_verdict)v) == rank)
            return mw_verdict_names[v];
    return "";
}

MW_LIST_TYPE(mw_words, struct mw_bytes);

static void query_word(struct mw_arena *arena, struct mw_words *words, const char *text)
{
    struct mw_bytes *next = mw_list_add(arena, words, sizeof *next);
    *next = mw_bytes_of(text);
}

static void write_facts(struct mw_query *query, struct mw_arena *arena,
                        const struct mw_attachment *attachment, const char *when)
{
    char *json = mw_findings_to_json(&attachment->findings);
    const char *const facts[] = {
        "verdict",       mw_verdict_name(attachment->verdict),
        "findings",      mw_schema_findings(arena, &attachment->findings),
        "scanned",       when,
        "unscanned",     attachment->unscanned ? attachment->unscanned : "",
        "findings_json", json ? mw_arena_dup(arena, json) : "[]"};
    size_t count = sizeof facts / sizeof *facts - (query->version < 2 ? 2 : 0);
    struct mw_words words = {0};
    query_word(arena, &words, "EVAL");
    query_word(arena, &words, facts_script);
    query_word(arena, &words, "1");
    query_word(arena, &words, mw_query_key(query, arena, "attachment:%s", attachment->sha256));
    for (size_t i = 0; i < count; i++)
        query_word(arena, &words, facts[i]);
    mw_flight_words(mw_query_begin(query), words.items, words.count);
    free(json);
}

/* The command that raises one message. */
static void raise(struct mw_query *query, struct mw_arena *arena,
                  const struct mw_attachment *attachment, const char *when,
                  const struct mw_hit *hit)
{
    const char *prefix = query->settings->prefix;
    int verdicts = mw_verdict_rank(attachment->verdict) + 1; /* up to this one */
    struct mw_words words = {0};
    query_word(arena, &words, "EVAL");
    query_word(arena, &words, raise_script);
    query_word(arena, &words,
               mw_arena_printf(arena, "%zu", 1 + (size_t)verdicts + attachment->findings.count));
    query_word(arena, &words, mw_query_key(query, arena, "message:%s", hit->id));
    for (int i = 0; i < verdicts; i++)
        query_word(arena, &words, mw_index_key(arena, prefix, MW_INDEX_VERDICT, name_of_rank(i)));
    for (size_t i = 0; i < attachment->findings.count; i++) {
        const struct mw_finding *one = &attachment->findings.items[i];
        bool rule = one->scanner && strcmp(one->scanner, "yara") == 0;
        enum mw_index index = rule ? MW_INDEX_RULE : MW_INDEX_SIGNATURE;
        query_word(arena, &words,
                   mw_index_key(arena, prefix, index, mw_index_value(arena, index, one->name)));
    }
    query_word(arena, &words, when);
    query_word(arena, &words, hit->id);
    query_word(arena, &words, mw_arena_printf(arena, "%" PRId64, hit->time_ms));
    query_word(arena, &words,
               mw_arena_printf(arena, "%u", mw_schema_keep_indexes(query->settings)));
    query_word(arena, &words, mw_arena_printf(arena, "%d", verdicts));
    for (int i = 0; i < verdicts; i++)
        query_word(arena, &words, name_of_rank(i));
    mw_flight_words(query->flight, words.items, words.count);
}

static int raise_page(struct mw_query *query, struct mw_arena *arena,
                      const struct mw_attachment *attachment, const char *when,
                      const struct mw_hits *hits, uint64_t *raised, struct mw_error *error)
{
    redisReply **replies;
    mw_query_begin(query);
    for (size_t i = 0; i < hits->count; i++)
        raise(query, arena, attachment, when, &hits->items[i]);
    if (mw_query_fly(query, arena, 0, &replies, error) != 0)
        return error->code;
    for (size_t i = 0; i < hits->count; i++)
        *raised += replies[i]->type == REDIS_REPLY_INTEGER && replies[i]->integer == 1;
    return 0;
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
    write_facts(query, arena, attachment, when);
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
