/* unit_problem: what the table of problems says, and that doc/problems.md says the same. */
#include <stdlib.h>
#include <string.h>

#include "core/problem.h"
#include "core/report.h"
#include "core/report_pack.h"
#include "milter/failure.h"
#include "t/unit/tap.h"

static void test_table(void)
{
    for (unsigned kind = 0; kind < MW_PROBLEM_COUNT; kind++) {
        const struct mw_problem_row *row = mw_problem_row((enum mw_problem_kind)kind);
        tap_ok(mw_problem_find(row->name) == kind, "%s is the name of one problem", row->name);
        tap_ok((row->effect == MW_HIDES) == (row->failure != MW_NO_FAILURE),
               "%s raises a failure if and only if it hides something", row->name);
        if (kind > 0)
            tap_ok(strcmp(mw_problem_row((enum mw_problem_kind)(kind - 1))->name, row->name) < 0,
                   "%s stands in its place by the alphabet", row->name);
    }
    const struct mw_problem_row *unknown = mw_problem_row_of("from.the_future");
    tap_ok(unknown->effect == MW_HIDES && unknown->failure != MW_NO_FAILURE &&
               mw_problem_row_of(NULL) == unknown,
           "a problem of another version hides something");
}

static char *page_line(const struct mw_problem_row *row)
{
    static char line[512];
    snprintf(line, sizeof line, "| `%s` | %s | %s | %s%s%s | %s |\n", row->name, row->sentence,
             row->effect == MW_HIDES ? "yes" : "no", row->failure == MW_NO_FAILURE ? "" : "`",
             row->failure == MW_NO_FAILURE ? "none" : mw_failure_name(row->failure),
             row->failure == MW_NO_FAILURE ? "" : "`",
             row->severity != MW_INFO  ? mw_severity_name(row->severity)
             : row->effect == MW_HIDES ? "unscanned"
                                       : "clean");
    return line;
}

/* The page's table is the rows in their order and nothing else. */
static void test_page(void)
{
    char path[4096], line[512];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/doc/problems.md", top ? top : "..");
    FILE *page = fopen(path, "re");
    if (!tap_ok(page != NULL, "%s can be read", path))
        return;
    unsigned kind = 0;
    while (fgets(line, sizeof line, page)) {
        if (strncmp(line, "| `", 3) != 0)
            continue;
        tap_is(line, page_line(mw_problem_row((enum mw_problem_kind)kind)),
               "a line of doc/problems.md is a row of the table");
        kind++;
    }
    tap_is_number(kind, MW_PROBLEM_COUNT, "doc/problems.md has every problem");
    for (; kind < MW_PROBLEM_COUNT; kind++)
        printf("# %s", page_line(mw_problem_row((enum mw_problem_kind)kind)));
    fclose(page);
}

/* A report as from a worker that somebody took over. */
static void test_border(const char *name, bool good, const char *what)
{
    struct mw_error error = {0};
    struct mw_report *report = mw_report_new();
    struct mw_problem *problem =
        mw_list_add(report->arena, &report->errors, sizeof *report->errors.items);
    problem->name = name;
    struct mw_bytes packed = mw_report_pack(report);
    struct mw_report *got = mw_report_unpack(packed, &error);
    tap_ok((got != NULL) == good, "%s", what);
    if (!good)
        tap_is(error.text, "errors: name: is no problem that this program knows",
               "... and the error says why");
    mw_report_free(got);
    mw_report_free(report);
    free((void *)(uintptr_t)packed.data);
}

int main(void)
{
    test_table();
    test_page();
    test_border("limit.parts", true, "a report with a known problem crosses the process border");
    test_border("limit.nothing", false, "a report with an unknown problem does not");
    test_border(NULL, false, "nor does one with a problem that has no name");
    return tap_done();
}
