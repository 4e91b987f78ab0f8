/* mailwitness hunt and rescan: what is stored, scanned again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/condition.h"
#include "cli/print.h"
#include "cli/rows.h"
#include "cli/sweep.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "core/ascii.h"
#include "core/time.h"

static const char hunt_usage[] =
    "usage: mailwitness hunt [OPTION]... RULES...\n"
    "\n"
    "Runs YARA rules (files, or folders of *.yar) over all stored attachments, in\n"
    "confined workers side by side, and lists what matches, with who received it and\n"
    "when. Rules can ask for filename, extension, content_type, sender, subject and\n"
    "so on, as they can when mail comes in.\n"
    "\n"
    "  --since TIME, --until TIME\n"
    "                   attachments seen last between these\n"
    "  --write          write the findings to the attachments and their messages, and\n"
    "                   raise verdicts (they are never lowered)\n"
    "  --limit N        so many messages of each attachment (10; 0: all)\n"
    "  --jobs N         workers (default: the configuration's)\n" MW_REACH_USAGE "\n"
    "Exit status: 0 something matched, 1 nothing, 2 something could not be done.\n";

static const char rescan_usage[] =
    "usage: mailwitness rescan [OPTION]... SHA256...\n"
    "       mailwitness rescan [OPTION]... --since TIME [--until TIME]\n"
    "\n"
    "Scans stored attachments with the rules and databases that are configured today,\n"
    "and lists those about which more is known now: those named, or all that were\n"
    "seen last between the times.\n"
    "\n"
    "  --write          write the findings to the attachments and their messages, and\n"
    "                   raise verdicts (they are never lowered)\n"
    "  --limit N        so many messages of each attachment (10; 0: all)\n"
    "  --jobs N         workers (default: the configuration's)\n" MW_REACH_USAGE "\n"
    "Exit status: 0 something new is known, 1 nothing, 2 something could not be done.\n";

enum { WRITE = 'w', LIMIT = 'l', JOBS = 'j', MESSAGES = 10, MOST_JOBS = 256, DIGITS = 64 };

static const struct option long_options[] = {
    MW_CONDITION_TIMES,
    {"write", no_argument, NULL, WRITE},
    {"limit", required_argument, NULL, LIMIT},
    {"jobs", required_argument, NULL, JOBS},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct hunt {
    struct mw_reach reach;
    struct mw_arena *arena;
    struct mw_conditions *times;
    bool rescan, write, progress;
    size_t limit;
    unsigned jobs;
    struct mw_sweep *sweep;
    uint64_t matches, raised;
};

/* --- what was found -------------------------------------------------------------------- */

static bool is_known(const struct mw_findings *known, const struct mw_finding *found)
{
    for (size_t i = 0; i < known->count; i++)
        if (strcmp(known->items[i].scanner, found->scanner) == 0 &&
            strcmp(known->items[i].name, found->name) == 0)
            return true;
    return false;
}

/* What is worth telling: of a hunt what its rules found, of a rescan what was not known. */
static size_t pick(const struct hunt *hunt, struct mw_arena *arena, const struct mw_swept *swept,
                   struct mw_findings *picked)
{
    struct mw_findings known = {0};
    mw_facts_findings(arena, swept->facts, NULL, &known);
    for (size_t i = 0; i < swept->attachment->findings.count; i++) {
        const struct mw_finding *found = &swept->attachment->findings.items[i];
        bool ours = hunt->rescan ? !is_known(&known, found) : strcmp(found->scanner, "yara") == 0;
        if (!ours)
            continue;
        struct mw_finding *slot = mw_list_add(arena, picked, sizeof *picked->items);
        *slot = *found;
    }
    return picked->count;
}

/* --- showing it ---------------------------------------------------------------------------- */

static json_t *findings_to_json(const struct mw_findings *findings)
{
    json_t *array = json_array();
    for (size_t i = 0; i < findings->count; i++) {
        const struct mw_finding *one = &findings->items[i];
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s, s:s*}", "scanner", one->scanner, "name", one->name,
                             "severity", mw_severity_name(one->severity), "message", one->message));
    }
    return array;
}

static int print_json(struct hunt *hunt, const struct mw_swept *swept,
                      const struct mw_findings *picked, enum mw_verdict verdict,
                      const struct mw_hits *hits, int64_t all, struct mw_error *error)
{
    json_t *messages = mw_rows_to_json(&hunt->reach, hits, error);
    const char *size = mw_fact_value(swept->facts, "size");
    if (!messages)
        return error->code;
    json_t *line = json_pack(
        "{s:s, s:s*, s:s*, s:I, s:s*, s:s, s:o, s:I, s:o}", "sha256", swept->sha256, "name",
        mw_fact_value(swept->facts, "name"), "type", mw_fact_value(swept->facts, "type"), "size",
        (json_int_t)(size ? strtoll(size, NULL, 10) : 0), "was",
        mw_fact_value(swept->facts, "verdict"), "verdict", mw_verdict_name(verdict), "findings",
        findings_to_json(picked), "messages_total", (json_int_t)all, "messages", messages);
    return mw_json_line(stdout, line, error);
}

static void print_findings(const struct mw_findings *picked)
{
    bool colour = mw_terminal_colour(stdout);
    for (size_t i = 0; i < picked->count; i++) {
        const struct mw_finding *one = &picked->items[i];
        printf("  %s%-10s%s  %s: ", colour ? mw_terminal_severity(one->severity) : "",
               mw_severity_name(one->severity), colour ? MW_TERMINAL_PLAIN : "", one->scanner);
        mw_terminal_text(stdout, one->name, "");
    }
}

static int print_text(struct hunt *hunt, const struct mw_swept *swept,
                      const struct mw_findings *picked, enum mw_verdict verdict,
                      const struct mw_hits *hits, int64_t all, struct mw_error *error)
{
    const char *name = mw_fact_value(swept->facts, "name");
    const char *was = mw_fact_value(swept->facts, "verdict");
    printf("%s%s  ", hunt->matches > 0 ? "\n" : "", swept->sha256);
    mw_terminal_cell(stdout, name ? name : "(no name)", 0, MW_CELL_WHOLE);
    printf("  was %s, is %s\n", was ? was : "unscanned", mw_verdict_name(verdict));
    print_findings(picked);
    struct mw_rows *rows = mw_rows_messages(&hunt->reach);
    int result = mw_rows_print(rows, hits, error);
    mw_rows_free(rows);
    if ((int64_t)hits->count < all)
        printf("... and %lld more messages (--limit)\n", (long long)all - (long long)hits->count);
    return result;
}

static void show_progress(const struct hunt *hunt)
{
    struct mw_sweep_counts counts;
    mw_sweep_get_counts(hunt->sweep, &counts);
    if (hunt->progress && counts.given % 50 == 0)
        fprintf(stderr, "\r\033[K%llu of %llu attachments, %llu %s",
                (unsigned long long)counts.given, (unsigned long long)counts.total,
                (unsigned long long)hunt->matches, hunt->rescan ? "changed" : "match");
}

static void clear_progress(const struct hunt *hunt)
{
    if (hunt->progress)
        fputs("\r\033[K", stderr);
}

/* --- one attachment --------------------------------------------------------------------------- */

static int write_back(struct hunt *hunt, const struct mw_attachment *merged, struct mw_error *error)
{
    char now[MW_WHEN_SIZE];
    uint64_t raised = 0;
    mw_time_text(mw_time_now(), now);
    int result = mw_query_rescanned(hunt->reach.query, merged, now, &raised, error);
    hunt->raised += raised;
    return result;
}

static int tell(struct hunt *hunt, struct mw_arena *arena, const struct mw_swept *swept,
                const struct mw_findings *picked, const struct mw_attachment *merged,
                struct mw_error *error)
{
    struct mw_hits hits = {0};
    int64_t all = 0;
    clear_progress(hunt);
    int result =
        mw_rows_receivers(&hunt->reach, arena, swept->sha256, hunt->limit, &hits, &all, error);
    if (result == 0 && hunt->write)
        result = write_back(hunt, merged, error);
    if (result == 0)
        result = hunt->reach.json
                     ? print_json(hunt, swept, picked, merged->verdict, &hits, all, error)
                     : print_text(hunt, swept, picked, merged->verdict, &hits, all, error);
    hunt->matches++;
    return result;
}

static int done(void *user, const struct mw_swept *swept, struct mw_error *error)
{
    struct hunt *hunt = user;
    struct mw_arena *arena = mw_arena_new();
    struct mw_findings picked = {0};
    int result = 0;
    show_progress(hunt);
    if (!swept->attachment) {
        clear_progress(hunt);
        mw_command_fail(hunt->reach.command, "%s: %s", swept->sha256, swept->why);
    } else {
        size_t count = pick(hunt, arena, swept, &picked);
        /* A hunt knows its own rules only: without a match nothing is said of a file. */
        struct mw_attachment scanned = *swept->attachment;
        if (!hunt->rescan) {
            scanned.findings = picked;
            scanned.verdict = mw_verdict_of_findings(&picked);
        }
        struct mw_swept seen = *swept;
        seen.attachment = &scanned;
        struct mw_attachment merged = mw_swept_merge(arena, &seen);
        const char *was = mw_fact_value(swept->facts, "verdict");
        bool changed = hunt->rescan && merged.verdict != mw_verdict_from_name(was, MW_UNSCANNED);
        if (count > 0 || changed)
            result = tell(hunt, arena, swept, &picked, &merged, error);
    }
    mw_arena_free(arena);
    return result;
}

/* --- options and course -------------------------------------------------------------------------
 */

static int number(const struct hunt *hunt, const char *name, long least, long most, long *value)
{
    char *end;
    *value = strtol(optarg, &end, 10);
    if (end != optarg && *end == '\0' && *value >= least && *value <= most)
        return 0;
    return mw_command_fail(hunt->reach.command, "--%s: '%s' is no number from %ld to %ld", name,
                           optarg, least, most);
}

static int take_option(struct hunt *hunt, int option, char **argv)
{
    long value = 0;
    switch (option) {
    case WRITE:
        hunt->write = true;
        return 0;
    case LIMIT:
        if (number(hunt, "limit", 0, 1000000000, &value) != 0)
            return MW_EXIT_ERROR;
        hunt->limit = value == 0 ? SIZE_MAX : (size_t)value;
        return 0;
    case JOBS:
        if (number(hunt, "jobs", 1, MOST_JOBS, &value) != 0)
            return MW_EXIT_ERROR;
        hunt->jobs = (unsigned)value;
        return 0;
    default:
        return mw_command_bad_option(hunt->reach.command, argv, long_options);
    }
}

static int parse(struct hunt *hunt, int argc, char **argv)
{
    struct mw_error error = {0};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int taken = mw_conditions_option(hunt->times, c, optarg, &error);
        if (taken < 0)
            return mw_reach_fail(&hunt->reach, &error);
        taken = taken > 0 ? taken : mw_reach_option(&hunt->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken == 0 && take_option(hunt, c, argv) != 0)
            return MW_EXIT_ERROR;
    }
    if (!hunt->rescan && optind == argc)
        return mw_command_fail(hunt->reach.command, "name a file or folder of YARA rules");
    if (hunt->rescan && (optind == argc) == !mw_conditions_any(hunt->times))
        return mw_command_fail(hunt->reach.command,
                               "name attachments by their SHA-256, or a time with --since");
    for (int i = optind; hunt->rescan && i < argc; i++) {
        if (!mw_hex_is(argv[i], DIGITS))
            return mw_command_fail(hunt->reach.command, "'%s' is no SHA-256: %d hexadecimal digits",
                                   argv[i], DIGITS);
        mw_ascii_lower_text(argv[i]);
    }
    return 0;
}

/* A hunt runs its rules alone, and does not unpack: what was in archives is stored too. */
static void narrow(struct hunt *hunt, int count, char **rules)
{
    struct mw_config *config = hunt->reach.config;
    struct mw_scan_settings *scan = &config->scan;
    scan->yara.rules = scan->yara.body_rules = scan->yara.message_rules = (struct mw_texts){0};
    for (int i = 0; i < count; i++)
        mw_texts_add(config->arena, &scan->yara.rules, rules[i]);
    scan->clamav.database = NULL;
    scan->pe.enabled = scan->fuzzy.enabled = false;
    scan->order = (struct mw_texts){0};
    mw_texts_add(config->arena, &scan->order, "type");
    mw_texts_add(config->arena, &scan->order, "yara");
    config->limits.depth = 1;
    config->limits.indicators = 0;
}

static int prepare(struct hunt *hunt, int count, char **names)
{
    struct mw_error error = {0};
    const struct mw_sweep_work work = {hunt, done};
    if (mw_reach_configure(&hunt->reach) != 0)
        return MW_EXIT_ERROR;
    if (!hunt->rescan)
        narrow(hunt, count, names);
    if (hunt->jobs > 0)
        hunt->reach.config->workers.count = hunt->jobs;
    hunt->progress = isatty(STDERR_FILENO);
    hunt->sweep = mw_sweep_new(&hunt->reach, &work, &error);
    return hunt->sweep ? mw_reach_open(&hunt->reach) : mw_reach_fail(&hunt->reach, &error);
}

static int sum_up(const struct hunt *hunt)
{
    struct mw_sweep_counts counts;
    mw_sweep_get_counts(hunt->sweep, &counts);
    fprintf(stderr, "%llu attachments scanned, %llu %s",
            (unsigned long long)(counts.given - counts.gone - counts.failed),
            (unsigned long long)hunt->matches, hunt->rescan ? "changed" : "match");
    if (counts.gone > 0)
        fprintf(stderr, ", the bytes of %llu are not kept", (unsigned long long)counts.gone);
    if (counts.failed > 0)
        fprintf(stderr, ", %llu could not be scanned", (unsigned long long)counts.failed);
    if (hunt->write)
        fprintf(stderr, ", the verdicts of %llu messages raised", (unsigned long long)hunt->raised);
    fputc('\n', stderr);
    if (counts.failed > 0)
        return MW_EXIT_ERROR;
    return hunt->matches > 0 ? MW_EXIT_OK : MW_EXIT_NOTHING;
}

static int work(struct hunt *hunt, int count, char **names)
{
    struct mw_error error = {0};
    int result = 0;
    for (int i = 0; hunt->rescan && i < count && result == 0; i++)
        result = mw_sweep_one(hunt->sweep, names[i], &error);
    if (!hunt->rescan || count == 0)
        result = mw_sweep_all(hunt->sweep, mw_conditions_since(hunt->times),
                              mw_conditions_until(hunt->times), &error);
    if (result == 0)
        result = mw_sweep_finish(hunt->sweep, &error);
    clear_progress(hunt);
    if (result != 0)
        return mw_reach_fail(&hunt->reach, &error);
    if (fflush(stdout) != 0)
        return mw_command_fail(hunt->reach.command, "cannot write the output");
    return sum_up(hunt);
}

static int run_either(const struct mw_command *command, bool rescan, int argc, char **argv)
{
    struct hunt hunt = {.reach = {.command = command}, .rescan = rescan, .limit = MESSAGES};
    hunt.arena = mw_arena_new();
    hunt.times = mw_conditions_new(hunt.arena);
    int status = parse(&hunt, argc, argv);
    if (status == 0)
        status = prepare(&hunt, argc - optind, argv + optind);
    if (status == 0)
        status = work(&hunt, argc - optind, argv + optind);
    mw_sweep_free(hunt.sweep);
    mw_reach_close(&hunt.reach);
    mw_arena_free(hunt.arena);
    return status < 0 ? MW_EXIT_OK : status;
}

static int run_hunt(const struct mw_command *command, int argc, char **argv)
{
    return run_either(command, false, argc, argv);
}

static int run_rescan(const struct mw_command *command, int argc, char **argv)
{
    return run_either(command, true, argc, argv);
}

const struct mw_command mw_command_hunt = {"hunt", "run YARA rules over all stored attachments",
                                           hunt_usage, run_hunt};
const struct mw_command mw_command_rescan = {"rescan", "scan stored attachments with today's rules",
                                             rescan_usage, run_rescan};
