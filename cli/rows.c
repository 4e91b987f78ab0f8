/* rows: facts to cells. */
#include "cli/rows.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "core/time.h"

static const struct mw_column message_columns[] = {
    {"VERDICT", 10, 0, false}, {"RECEIVED", 16, 0, false}, {"FROM", 16, 2, false},
    {"TO", 12, 1, false},      {"SUBJECT", 16, 3, false},  {"FILES", 5, 0, true},
    {"ID", 36, 0, false},
};
static const struct mw_column attachment_columns[] = {
    {"VERDICT", 10, 0, false}, {"LAST SEEN", 16, 0, false}, {"SIZE", 7, 0, true},
    {"TYPE", 16, 1, false},    {"NAME", 16, 2, false},      {"SHA256", 64, 0, false},
};
enum { TO_MINUTE = 16 };

struct mw_rows {
    struct mw_reach *reach;
    struct mw_table *table;
    bool attachments;
};

static struct mw_rows *rows_new(struct mw_reach *reach, bool attachments)
{
    struct mw_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort();
    rows->reach = reach;
    rows->attachments = attachments;
    rows->table = attachments ? mw_table_new(stdout, attachment_columns,
                                             sizeof attachment_columns / sizeof *attachment_columns)
                              : mw_table_new(stdout, message_columns,
                                             sizeof message_columns / sizeof *message_columns);
    return rows;
}

struct mw_rows *mw_rows_messages(struct mw_reach *reach)
{
    return rows_new(reach, false);
}

struct mw_rows *mw_rows_attachments(struct mw_reach *reach)
{
    return rows_new(reach, true);
}

void mw_rows_free(struct mw_rows *rows)
{
    if (rows)
        mw_table_free(rows->table);
    free(rows);
}

static int verdict_of(const char *name)
{
    return name ? (int)mw_verdict_from_name(name, MW_UNSCANNED) : -1;
}

static int print_message(const struct mw_rows *rows, const struct mw_hit *hit,
                         const struct mw_facts *facts, struct mw_error *error)
{
    char when[MW_WHEN_SIZE];
    mw_when_local(hit->time_ms, when);
    when[TO_MINUTE] = '\0';
    const char *verdict = mw_fact_value(facts, "verdict");
    const char *to = mw_fact_value(facts, "envelope_to");
    const char *from = mw_fact_value(facts, "from");
    const char *const cells[] = {
        verdict ? verdict : "no longer",
        when,
        from ? from : mw_fact_value(facts, "envelope_from"),
        to ? to : mw_fact_value(facts, "to"),
        mw_fact_value(facts, "subject"),
        mw_fact_value(facts, "attachments"),
        hit->id,
    };
    return mw_table_row(rows->table, cells, verdict_of(verdict), error);
}

static int print_attachment(const struct mw_rows *rows, const struct mw_hit *hit,
                            const struct mw_facts *facts, struct mw_error *error)
{
    char when[MW_WHEN_SIZE], size[MW_SIZE_TEXT] = "-";
    mw_when_local(hit->time_ms, when);
    when[TO_MINUTE] = '\0';
    const char *verdict = mw_fact_value(facts, "verdict"), *bytes = mw_fact_value(facts, "size");
    if (bytes)
        mw_terminal_size(strtoll(bytes, NULL, 10), size);
    const char *const cells[] = {
        verdict ? verdict : "no longer", when,   size, mw_fact_value(facts, "type"),
        mw_fact_value(facts, "name"),    hit->id};
    return mw_table_row(rows->table, cells, verdict_of(verdict), error);
}

static int print_json(const struct mw_rows *rows, const struct mw_hit *hit,
                      const struct mw_facts *facts, struct mw_error *error)
{
    char when[MW_WHEN_SIZE];
    json_t *object = mw_facts_to_json(facts, " size attachments ");
    json_object_del(object, "report_form");
    json_object_set_new(object, rows->attachments ? "sha256" : "id", json_string(hit->id));
    mw_time_text(hit->time_ms, when);
    json_object_set_new(object, "time", json_string(when));
    if (facts->count == 0)
        json_object_set_new(object, "kept", json_false());
    return mw_json_line(stdout, object, error);
}

static int fetch(const struct mw_rows *rows, struct mw_arena *arena, const struct mw_hits *hits,
                 struct mw_facts *facts, struct mw_error *error)
{
    struct mw_texts ids = {0};
    struct mw_query *query = rows->reach->query;
    for (size_t i = 0; i < hits->count; i++)
        mw_texts_add(arena, &ids, hits->items[i].id);
    if (!rows->attachments)
        return mw_query_facts(query, arena, &ids, facts, error);
    for (size_t i = 0; i < hits->count; i++) {
        int result = mw_query_attachment(query, arena, ids.items[i], &facts[i], error);
        if (result != 0 && result != MW_ERR_MISSING)
            return result;
    }
    return 0;
}

int mw_rows_print(struct mw_rows *rows, const struct mw_hits *hits, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_facts *facts = mw_arena_alloc(arena, (hits->count + 1) * sizeof *facts);
    int result = fetch(rows, arena, hits, facts, error);
    for (size_t i = 0; i < hits->count && result == 0; i++)
        result = rows->reach->json   ? print_json(rows, &hits->items[i], &facts[i], error)
                 : rows->attachments ? print_attachment(rows, &hits->items[i], &facts[i], error)
                                     : print_message(rows, &hits->items[i], &facts[i], error);
    mw_arena_free(arena);
    return result;
}

int mw_rows_receivers(struct mw_reach *reach, struct mw_arena *arena, const char *sha256,
                      size_t most, struct mw_hits *hits, int64_t *all, struct mw_error *error)
{
    struct mw_search_term term = {MW_SEARCH_ATTACHMENT, sha256};
    struct mw_search_terms terms = {&term, 1, 1};
    struct mw_search *search = mw_search_new(reach->query, &terms, 0, 0, error);
    int result = search ? 0 : error->code;
    if (search) {
        *all = mw_search_count(search);
        result = mw_search_next(search, arena, most, hits, error);
    }
    mw_search_free(search);
    return result < 0 ? result : 0;
}

json_t *mw_rows_to_json(struct mw_reach *reach, const struct mw_hits *hits, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_facts *facts = mw_arena_alloc(arena, (hits->count + 1) * sizeof *facts);
    struct mw_texts ids = {0};
    for (size_t i = 0; i < hits->count; i++)
        mw_texts_add(arena, &ids, hits->items[i].id);
    bool good = mw_query_facts(reach->query, arena, &ids, facts, error) == 0;
    json_t *messages = good ? json_array() : NULL;
    for (size_t i = 0; good && i < hits->count; i++) {
        json_t *message = mw_facts_to_json(&facts[i], " size attachments ");
        json_object_del(message, "report_form");
        json_object_set_new(message, "id", json_string(hits->items[i].id));
        json_array_append_new(messages, message);
    }
    mw_arena_free(arena);
    return messages;
}
