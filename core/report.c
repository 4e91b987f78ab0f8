/* report: life, problems, and what follows from findings. */
#include "core/report.h"

#include <string.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/time.h"
#include "core/utf8.h"

struct mw_report *mw_report_new(void)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_report *report = mw_arena_alloc(arena, sizeof *report);
    report->arena = arena;
    return report;
}

void mw_report_free(struct mw_report *report)
{
    if (report)
        mw_arena_free(report->arena);
}

void mw_report_problem(struct mw_report *report, const struct mw_limits *limits,
                       enum mw_problem_kind kind, const char *place, const char *format, ...)
{
    if (report->errors.count > limits->errors)
        return;
    struct mw_problem *problem =
        mw_list_add(report->arena, &report->errors, sizeof *report->errors.items);
    if (report->errors.count > limits->errors) {
        problem->name = mw_problem_row(MW_PROBLEM_LIMIT_ERRORS)->name;
        problem->detail = "more problems than are listed";
        return;
    }
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    problem->name = mw_problem_row(kind)->name;
    problem->place = place;
    struct mw_bytes text = mw_bytes_of(detail);
    text.size = mw_utf8_cut(text, sizeof detail - 2);
    problem->detail = mw_utf8_clean_line(report->arena, text, NULL);
}

enum mw_verdict mw_verdict_of_findings(const struct mw_findings *findings)
{
    enum mw_verdict verdict = MW_CLEAN;
    for (size_t i = 0; i < findings->count; i++)
        verdict = mw_verdict_worse(verdict, mw_verdict_of_severity(findings->items[i].severity));
    return verdict;
}

const char *mw_report_header(const struct mw_report *report, const char *name)
{
    for (size_t i = 0; i < report->headers.count; i++)
        if (strcasecmp(report->headers.items[i].name, name) == 0)
            return report->headers.items[i].value;
    return NULL;
}

void mw_report_received_now(struct mw_report *report)
{
    char text[MW_TIME_SIZE];
    mw_time_text(mw_time_now(), text);
    report->received = mw_arena_dup(report->arena, text);
}

bool mw_fate_differs(const struct mw_report *report, const struct mw_fate *fate)
{
    return fate->action != report->action || fate->intended != report->intended || fate->moved_to ||
           fate->added_for;
}

const char *mw_fates_text(struct mw_arena *arena, const struct mw_report *report,
                          const char *separator)
{
    enum { MOST = 4096 };
    const char *text = "";
    for (size_t i = 0; i < report->recipients.count; i++) {
        const struct mw_fate *fate = &report->recipients.items[i];
        enum mw_action would = fate->intended;
        if (!mw_fate_differs(report, fate))
            continue;
        if (strlen(text) > MOST)
            return mw_arena_printf(arena, "%s%s...", text, separator);
        text = mw_arena_printf(
            arena, "%s%s%s=%s%s%s%s by %s%s%s%s%s", text, *text ? separator : "",
            fate->address ? fate->address : "?", mw_action_name(fate->action),
            would ? " (would be " : "", would ? mw_action_name(would) : "", would ? ")" : "",
            fate->by ? fate->by : "?", fate->moved_to ? ", moved to " : "",
            fate->moved_to ? fate->moved_to : "", fate->added_for ? ", added for " : "",
            fate->added_for ? fate->added_for : "");
    }
    return text;
}

void mw_fates_follow(struct mw_report *report)
{
    size_t kept = 0;
    for (size_t i = 0; i < report->recipients.count; i++) {
        struct mw_fate fate = report->recipients.items[i];
        if (fate.added_for)
            continue;
        report->recipients.items[kept++] = (struct mw_fate){.address = fate.address,
                                                            .action = report->action,
                                                            .intended = report->intended,
                                                            .by = report->decided_by};
    }
    report->recipients.count = kept;
}
