/* export_csv: one table of columns, each a function of the report. */
#include "cli/export_csv.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"

static bool is_formula(const char *text)
{
    static const char *const starts[] = {"=",
                                         "+",
                                         "-",
                                         "@",
                                         "\t",
                                         "\r",
                                         "\n",
                                         "\xEF\xBC\x9D" /* = */,
                                         "\xEF\xBC\x8B",
                                         "\xEF\xBC\x8D",
                                         "\xEF\xBC\xA0"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

void mw_csv_cell(FILE *out, const char *text)
{
    if (!text)
        return;
    bool formula = is_formula(text), quoted = strpbrk(text, ",\"\r\n") || text[0] == ' ';
    if (quoted)
        fputc('"', out);
    if (formula)
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (quoted)
        fputc('"', out);
}

/* Texts of several values, joined. */
static void join(struct mw_arena *arena, struct mw_texts *texts, const char *text)
{
    if (text && *text)
        mw_texts_add(arena, texts, text);
}

static const char *joined(struct mw_arena *arena, const struct mw_texts *texts)
{
    size_t size = 1;
    for (size_t i = 0; i < texts->count; i++)
        size += strlen(texts->items[i]) + 2;
    char *all = mw_arena_alloc(arena, size), *end = all;
    for (size_t i = 0; i < texts->count; i++)
        end = stpcpy(stpcpy(end, i > 0 ? "; " : ""), texts->items[i]);
    return all;
}

static const char *addresses(struct mw_arena *arena, const struct mw_addresses *list)
{
    struct mw_texts texts = {0};
    for (size_t i = 0; i < list->count; i++)
        join(arena, &texts, list->items[i].address);
    return joined(arena, &texts);
}

static const char *number(struct mw_arena *arena, int64_t value)
{
    return mw_arena_printf(arena, "%lld", (long long)value);
}

#define COLUMN(name, expression)                                                                   \
    static const char *column_##name(struct mw_arena *a, const struct mw_report *r)                \
    {                                                                                              \
        (void)a;                                                                                   \
        return expression;                                                                         \
    }
COLUMN(id, r->id)
COLUMN(received, r->received)
COLUMN(verdict, mw_verdict_name(r->verdict))
COLUMN(action, mw_action_name(r->action))
COLUMN(from, addresses(a, &r->from))
COLUMN(to, addresses(a, &r->to))
COLUMN(cc, addresses(a, &r->cc))
COLUMN(envelope_from, r->envelope.from)
COLUMN(envelope_to, joined(a, &r->envelope.to))
COLUMN(subject, r->subject)
COLUMN(date, r->date)
COLUMN(message_id, r->message_id)
COLUMN(client_address, r->client.address)
COLUMN(client_name, r->client.name)
COLUMN(queue_id, r->queue_id)
COLUMN(size, number(a, r->size))
COLUMN(sha256, r->sha256)
COLUMN(attachments, number(a, (int64_t)r->attachments.count))
COLUMN(urls, joined(a, &r->indicators.urls))
COLUMN(unscanned, joined(a, &r->unscanned))
COLUMN(source, r->source)
COLUMN(decided_by, r->decided_by)
COLUMN(recipients, mw_fates_text(a, r, "; "))

static const char *column_filenames(struct mw_arena *arena, const struct mw_report *report)
{
    struct mw_texts texts = {0};
    for (size_t i = 0; i < report->attachments.count; i++)
        join(arena, &texts, report->attachments.items[i].filename);
    return joined(arena, &texts);
}

static const char *column_hashes(struct mw_arena *arena, const struct mw_report *report)
{
    struct mw_texts texts = {0};
    for (size_t i = 0; i < report->attachments.count; i++)
        join(arena, &texts, report->attachments.items[i].sha256);
    return joined(arena, &texts);
}

static void join_findings(struct mw_arena *arena, struct mw_texts *texts,
                          const struct mw_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].severity != MW_INFO)
            join(arena, texts,
                 mw_arena_printf(arena, "%s:%s", findings->items[i].scanner,
                                 findings->items[i].name));
}

static const char *column_findings(struct mw_arena *arena, const struct mw_report *report)
{
    struct mw_texts texts = {0};
    join_findings(arena, &texts, &report->findings);
    for (size_t i = 0; i < report->attachments.count; i++)
        join_findings(arena, &texts, &report->attachments.items[i].findings);
    return joined(arena, &texts);
}

static const struct {
    const char *name;
    const char *(*value)(struct mw_arena *arena, const struct mw_report *report);
} columns[] = {
    {"id", column_id},
    {"received", column_received},
    {"verdict", column_verdict},
    {"action", column_action},
    {"from", column_from},
    {"to", column_to},
    {"cc", column_cc},
    {"envelope_from", column_envelope_from},
    {"envelope_to", column_envelope_to},
    {"subject", column_subject},
    {"date", column_date},
    {"message_id", column_message_id},
    {"client_address", column_client_address},
    {"client_name", column_client_name},
    {"queue_id", column_queue_id},
    {"size", column_size},
    {"sha256", column_sha256},
    {"attachments", column_attachments},
    {"filenames", column_filenames},
    {"attachment_sha256", column_hashes},
    {"findings", column_findings},
    {"urls", column_urls},
    {"unscanned", column_unscanned},
    {"source", column_source},
    {"decided_by", column_decided_by},
    {"recipients", column_recipients},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static int end_line(FILE *out, struct mw_error *error)
{
    return fputs("\r\n", out) == EOF ? mw_fail_errno(error, "cannot write the output") : 0;
}

int mw_csv_heading(FILE *out, struct mw_error *error)
{
    for (size_t i = 0; i < COLUMNS; i++)
        fprintf(out, "%s%s", i > 0 ? "," : "", columns[i].name);
    return end_line(out, error);
}

int mw_csv_report(FILE *out, const struct mw_report *report, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < COLUMNS; i++) {
        if (i > 0)
            fputc(',', out);
        mw_csv_cell(out, columns[i].value(arena, report));
    }
    mw_arena_free(arena);
    return end_line(out, error);
}

struct csv_output {
    FILE *out;
    bool begun;
};

static int begin(struct csv_output *csv, struct mw_error *error)
{
    if (csv->begun)
        return 0;
    csv->begun = true;
    return mw_csv_heading(csv->out, error);
}

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    struct csv_output *csv = state;
    int result = begin(csv, error);
    return result == 0 ? mw_csv_report(csv->out, report, error) : result;
}

static int print_end(void *state, struct mw_error *error)
{
    struct csv_output *csv = state;
    int result = begin(csv, error);
    return result != 0 || fflush(csv->out) == 0 ? result
                                                : mw_fail_errno(error, "cannot write the output");
}

struct mw_printer mw_printer_csv(FILE *out)
{
    struct csv_output *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    state->out = out;
    return (struct mw_printer){print_report, print_end, free, state};
}
