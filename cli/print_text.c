/* print_text: a table for people, safe to show on a terminal. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/print.h"
#include "cli/table.h"
#include "cli/terminal.h"

struct summary {
    FILE *out;
    struct mw_table *table;
    size_t messages, attachments, problems;
    size_t verdicts[MW_VERDICTS];
};

static const char *sender(const struct mw_report *report)
{
    if (report->from.count == 0)
        return NULL;
    const struct mw_address *first = &report->from.items[0];
    return first->address ? first->address : first->name;
}

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    struct summary *summary = state;
    char size[MW_SIZE_TEXT], files[24];
    mw_terminal_size(report->size, size);
    snprintf(files, sizeof files, "%zu", report->attachments.count);
    const char *const cells[] = {mw_verdict_name(report->verdict), sender(report), report->subject,
                                 size, files};
    summary->messages++;
    summary->attachments += report->attachments.count;
    summary->problems += report->errors.count > 0;
    summary->verdicts[report->verdict]++;
    return mw_table_row(summary->table, cells, (int)report->verdict, error);
}

static int print_end(void *state, struct mw_error *error)
{
    const struct summary *summary = state;
    fprintf(summary->out, "%zu messages, %zu attachments", summary->messages, summary->attachments);
    for (unsigned v = 0; v < MW_VERDICTS; v++)
        if (summary->verdicts[v] > 0)
            fprintf(summary->out, ", %zu %s", summary->verdicts[v],
                    mw_verdict_name((enum mw_verdict)v));
    fprintf(summary->out, "; %zu with something to note\n", summary->problems);
    return fflush(summary->out) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

static void free_summary(void *state)
{
    struct summary *summary = state;
    mw_table_free(summary->table);
    free(summary);
}

struct mw_printer mw_printer_summary(FILE *out)
{
    static const struct mw_column columns[] = {
        {"VERDICT", 10, 0, false}, {"FROM", 16, 2, false}, {"SUBJECT", 20, 3, false},
        {"SIZE", 8, 0, true},      {"FILES", 5, 0, true},
    };
    struct summary *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    state->out = out;
    state->table = mw_table_new(out, columns, sizeof columns / sizeof *columns);
    return (struct mw_printer){print_report, print_end, free_summary, state};
}
