/* mailwitness export: stored reports for other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/condition.h"
#include "cli/print.h"
#include "cli/reach.h"

static const char usage[] =
    "usage: mailwitness export --format FORM [CONDITION]... [OPTION]...\n"
    "\n"
    "Writes the reports of stored messages that fulfil all conditions (see mailwitness\n"
    "search), newest first, with what later scans found.\n"
    "\n"
    "  --format FORM    jsonl: the whole reports, one a line\n"
    "                   csv: a line a message, safe to open in a spreadsheet\n"
    "                   ecs: documents of the Elastic Common Schema, one a line\n"
    "  -o, --output FILE\n"
    "                   to a new file instead of standard output\n"
    "  --limit N        so many at most\n"
    "\n" MW_CONDITION_USAGE MW_REACH_USAGE "\n"
    "Exit status: 0 something was found, 1 nothing, 2 an error.\n";

enum { FORMAT = 'f', LIMIT = 'l', PAGE = 100 };

static const struct option long_options[] = {
    MW_CONDITION_OPTIONS,
    {"format", required_argument, NULL, FORMAT},
    {"output", required_argument, NULL, 'o'},
    {"limit", required_argument, NULL, LIMIT},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct exporting {
    struct mw_reach reach;
    struct mw_arena *arena;
    struct mw_conditions *conditions;
    const char *format, *output;
    size_t limit, written, gone;
    FILE *out;
    struct mw_printer printer;
    bool progress;
};

static int take_option(struct exporting *exporting, int option, char **argv)
{
    char *end;
    switch (option) {
    case FORMAT:
        exporting->format = optarg;
        return 0;
    case 'o':
        exporting->output = optarg;
        return 0;
    case LIMIT:
        exporting->limit = strtoul(optarg, &end, 10);
        if (end != optarg && *end == '\0' && exporting->limit > 0)
            return 0;
        return mw_command_fail(exporting->reach.command, "--limit: '%s' is no number above 0",
                               optarg);
    default:
        return mw_command_bad_option(exporting->reach.command, argv, long_options);
    }
}

static int parse(struct exporting *exporting, int argc, char **argv)
{
    struct mw_error error = {0};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:", long_options, NULL)) != -1;) {
        int taken = mw_conditions_option(exporting->conditions, c, optarg, &error);
        if (taken < 0)
            return mw_reach_fail(&exporting->reach, &error);
        taken = taken > 0 ? taken : mw_reach_option(&exporting->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken == 0 && take_option(exporting, c, argv) != 0)
            return MW_EXIT_ERROR;
    }
    if (optind < argc)
        return mw_command_fail(exporting->reach.command, "'%s' is no condition", argv[optind]);
    if (exporting->reach.json && !exporting->format)
        exporting->format = "jsonl";
    if (!exporting->format)
        return mw_command_fail(exporting->reach.command, "say --format jsonl, csv or ecs");
    return 0;
}

static int open_output(struct exporting *exporting)
{
    const char *format = exporting->format;
    bool known =
        strcmp(format, "jsonl") == 0 || strcmp(format, "csv") == 0 || strcmp(format, "ecs") == 0;
    if (!known)
        return mw_command_fail(exporting->reach.command,
                               "--format: '%s' is none of jsonl, csv, ecs", format);
    exporting->out = exporting->output ? fopen(exporting->output, "wxe") : stdout;
    if (!exporting->out) {
        struct mw_error error = {0};
        mw_fail_errno(&error, "cannot make %s", exporting->output);
        return mw_reach_fail(&exporting->reach, &error);
    }
    exporting->progress = isatty(STDERR_FILENO) && !isatty(fileno(exporting->out));
    exporting->printer = format[0] == 'j'   ? mw_printer_json(exporting->out, MW_JSON_LINE)
                         : format[0] == 'c' ? mw_printer_csv(exporting->out)
                                            : mw_printer_ecs(exporting->out);
    return 0;
}

/* A message that expired since it was found is no error. */
static int write_one(struct exporting *exporting, const char *id, struct mw_error *error)
{
    struct mw_report *report = mw_reach_report(&exporting->reach, id, NULL, error);
    if (!report) {
        exporting->gone += error->code == MW_ERR_MISSING;
        return error->code == MW_ERR_MISSING ? 0 : error->code;
    }
    int result = exporting->printer.report(exporting->printer.state, report, error);
    mw_report_free(report);
    exporting->written++;
    if (exporting->progress && exporting->written % 100 == 0)
        fprintf(stderr, "\r\033[K%zu messages", exporting->written);
    return result;
}

static int walk(struct exporting *exporting, struct mw_error *error)
{
    struct mw_finder *finder = mw_finder_new(exporting->reach.query, exporting->conditions, error);
    int result = finder ? 1 : error->code;
    while (result > 0 && exporting->written < exporting->limit) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        size_t left = exporting->limit - exporting->written;
        result = mw_finder_next(finder, arena, left < PAGE ? left : PAGE, &hits, error);
        for (size_t i = 0; i < hits.count && result > 0; i++)
            if (write_one(exporting, hits.items[i].id, error) != 0)
                result = error->code;
        mw_arena_free(arena);
    }
    mw_finder_free(finder);
    if (result >= 0)
        result = exporting->printer.end(exporting->printer.state, error);
    return result;
}

static int export_all(struct exporting *exporting)
{
    struct mw_error error = {0};
    int result = walk(exporting, &error);
    if (exporting->progress)
        fputs("\r\033[K", stderr);
    exporting->printer.free(exporting->printer.state);
    if (exporting->out != stdout && fclose(exporting->out) != 0 && result == 0)
        result = mw_fail_errno(&error, "cannot write %s", exporting->output);
    if (result < 0)
        return mw_reach_fail(&exporting->reach, &error);
    if (exporting->gone > 0)
        fprintf(stderr, "mailwitness export: %zu messages are no longer kept\n", exporting->gone);
    return exporting->written > 0 ? MW_EXIT_OK : MW_EXIT_NOTHING;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct exporting exporting = {.reach = {.command = command}, .limit = SIZE_MAX};
    exporting.arena = mw_arena_new();
    exporting.conditions = mw_conditions_new(exporting.arena);
    int status = parse(&exporting, argc, argv);
    if (status == 0)
        status = mw_reach_open(&exporting.reach);
    if (status == 0)
        status = open_output(&exporting);
    if (status == 0)
        status = export_all(&exporting);
    mw_reach_close(&exporting.reach);
    mw_arena_free(exporting.arena);
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_export = {"export", "write stored reports for other programs",
                                             usage, run};
