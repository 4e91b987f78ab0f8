/* print_text: a table for people, safe to show on a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli/print.h"

enum { VERDICTS = 4, VERDICT_COLUMNS = 10, SIZE_COLUMNS = 8, FILE_COLUMNS = 5 };

struct summary {
    FILE *out;
    int columns;
    bool colour;
    size_t messages, attachments, problems;
    size_t verdicts[VERDICTS];
};

/* Shows text in exactly width terminal columns, cut with an ellipsis. Reports
 * hold no control characters in one-line texts; anything else that does not
 * print is shown as "?". */
static void print_cell(FILE *out, const char *text, int width)
{
    mbstate_t state = {0};
    int used = 0;
    const char *end = text + strlen(text);
    while (text < end) {
        wchar_t wide;
        size_t length = mbrtowc(&wide, text, (size_t)(end - text), &state);
        bool bad = length == (size_t)-1 || length == (size_t)-2 || length == 0;
        int columns = bad ? -1 : wcwidth(wide);
        if (bad) {
            length = 1;
            memset(&state, 0, sizeof state);
        }
        int need = columns < 0 ? 1 : columns;
        if (used + need > width || (used + need == width && text + length < end)) {
            fputs(MB_CUR_MAX > 1 ? "\xE2\x80\xA6" : ".", out);
            used++;
            break;
        }
        if (columns < 0)
            fputc('?', out);
        else
            fwrite(text, 1, length, out);
        used += need;
        text += length;
    }
    fprintf(out, "%*s", width - used, "");
}

static void print_size(FILE *out, int64_t size)
{
    static const char units[] = "BKMGT";
    double value = (double)size;
    int unit = 0;
    while (value >= 1000 && unit < 4) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        fprintf(out, "%*lld", SIZE_COLUMNS, (long long)size);
    else
        fprintf(out, "%*.1f%c", SIZE_COLUMNS - 1, value, units[unit]);
}

static const char *verdict_colour(enum mw_verdict verdict)
{
    static const char *const colours[VERDICTS] = {"\033[32m", "\033[33m", "\033[1;31m", "\033[36m"};
    return colours[verdict];
}

static const char *sender(const struct mw_report *report)
{
    if (report->from.count == 0)
        return "-";
    const struct mw_address *first = &report->from.items[0];
    return first->address ? first->address : first->name ? first->name : "-";
}

static void print_heading(const struct summary *summary, int from, int subject)
{
    if (summary->messages > 0)
        return;
    fprintf(summary->out, "%-*s  %-*s  %-*s  %*s  %*s\n", VERDICT_COLUMNS, "VERDICT", from, "FROM",
            subject, "SUBJECT", SIZE_COLUMNS, "SIZE", FILE_COLUMNS, "FILES");
}

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    struct summary *summary = state;
    int room = summary->columns - VERDICT_COLUMNS - SIZE_COLUMNS - FILE_COLUMNS - 8;
    int from = room * 2 / 5, subject = room - from;
    print_heading(summary, from, subject);
    if (summary->colour)
        fputs(verdict_colour(report->verdict), summary->out);
    print_cell(summary->out, mw_verdict_name(report->verdict), VERDICT_COLUMNS);
    fputs(summary->colour ? "\033[0m  " : "  ", summary->out);
    print_cell(summary->out, sender(report), from);
    fputs("  ", summary->out);
    print_cell(summary->out, report->subject ? report->subject : "-", subject);
    fputs("  ", summary->out);
    print_size(summary->out, report->size);
    if (fprintf(summary->out, "  %*zu\n", FILE_COLUMNS, report->attachments.count) < 0)
        return mw_fail_errno(error, "cannot write the output");
    summary->messages++;
    summary->attachments += report->attachments.count;
    summary->problems += report->errors.count > 0;
    summary->verdicts[report->verdict]++;
    return 0;
}

static int print_end(void *state, struct mw_error *error)
{
    const struct summary *summary = state;
    fprintf(summary->out, "%zu messages, %zu attachments", summary->messages, summary->attachments);
    for (unsigned v = 0; v < VERDICTS; v++)
        if (summary->verdicts[v] > 0)
            fprintf(summary->out, ", %zu %s", summary->verdicts[v],
                    mw_verdict_name((enum mw_verdict)v));
    fprintf(summary->out, "; %zu with something to note\n", summary->problems);
    return fflush(summary->out) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

struct mw_printer mw_printer_summary(FILE *out, int columns, bool colour)
{
    struct summary *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    state->out = out;
    state->columns = columns < 60 ? 60 : columns;
    state->colour = colour;
    return (struct mw_printer){print_report, print_end, free, state};
}
