/* mailwitness scan: reports of message files. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/configured.h"
#include "cli/errand.h"
#include "cli/extract.h"
#include "cli/input.h"
#include "cli/keep.h"
#include "cli/limit_option.h"
#include "cli/print.h"
#include "cli/reasons.h"
#include "cli/terminal.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/utf8.h"
#include "worker/setup.h"

static const char usage[] =
    "usage: mailwitness scan [OPTION]... [FILE|DIR|-]...\n"
    "\n"
    "Reads messages and prints a report of each: headers, addresses, bodies, every\n"
    "attachment with its hashes. FILE is a message or an mbox, DIR a Maildir or any\n"
    "folder, - standard input (also when nothing is named).\n"
    "\n"
    "  --json           JSON, indented\n"
    "  --jsonl          JSON, one line a message (the default off a terminal)\n"
    "  --summary        a table for people, and why something is unscanned\n"
    "  --text           each report laid out for people (the default on a terminal)\n"
    "  --csv, --ecs     as mailwitness export does\n"
    "  --extract DIR    write attachments to DIR, named by their SHA-256, and list\n"
    "                   them in DIR/index.jsonl\n"
    "  --store          save the reports and attachments in Redis, as if the mail had\n"
    "                   come by it when it did, each message once however often it is\n"
    "                   scanned; reports are printed in a form that is asked for\n"
    "  --redis ADDRESS  with --store: Redis at unix:PATH or HOST:PORT\n"
    "  --config FILE    take limits, scanners and workers from this configuration, not\n"
    "                   from the installed one; the options here win over it\n"
    "  --rules PATH     scan attachments with YARA rules: a file or a folder of *.yar\n"
    "  --body-rules PATH, --message-rules PATH\n"
    "                   the same for the texts, or for the raw message\n"
    "  --clamav-db PATH scan with ClamAV and this database, a file or a folder\n"
    "                   (the first three may be repeated)\n"
    "  --jobs N         scan N messages side by side (default: one a processor)\n"
    "  --no-sandbox     scan in this process, without workers: for debugging\n"
    "  --limit NAME=N   change a limit: message_size, header_count, header_length,\n"
    "                   parts, readings, depth, unpacked_size, unpack_ratio,\n"
    "                   text_length, address_count, findings_per_part, indicators,\n"
    "                   errors, time_ms\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all messages are clean, 1 something suspicious or malicious was\n"
    "found, 2 something could not be done (it is named, and the rest was done), 3 nothing\n"
    "was found, and something was not scanned. With --store 0 or 2.\n";

enum { MOST_JOBS = 256, SOURCE_COLUMNS = 50 };
enum form { FORM_AUTO, FORM_JSON, FORM_JSONL, FORM_SUMMARY, FORM_TEXT, FORM_CSV, FORM_ECS };

struct options {
    enum form form;
    const char *extract, *redis;
    bool in_process, store;
    struct mw_config *config; /* with what the command line changes in it */
    struct mw_pool_settings pool;
    struct mw_runner_settings runner; /* of a scan in this process */
};

/* The command under way. */
struct scan {
    const struct mw_command *command;
    struct options options;
    struct mw_witness *witness; /* in this process, or */
    struct mw_errands *errands; /* in workers */
    struct mw_id_source *ids;
    FILE *out; /* standard output as the command was given it */
    struct mw_printer printer;
    struct mw_extract *extract;
    struct mw_keep *keep;
    bool progress;
    size_t done;
    int64_t shown_ms;
    struct mw_reasons reasons;
    int status;
};

static const struct option long_options[] = {
    {"json", no_argument, NULL, 'j'},
    {"jsonl", no_argument, NULL, 'l'},
    {"summary", no_argument, NULL, 's'},
    {"text", no_argument, NULL, 't'},
    {"csv", no_argument, NULL, 'v'},
    {"ecs", no_argument, NULL, 'e'},
    {"extract", required_argument, NULL, 'x'},
    {"store", no_argument, NULL, 'S'},
    {"redis", required_argument, NULL, 'R'},
    {"config", required_argument, NULL, 'C'},
    {"rules", required_argument, NULL, 'r'},
    {"body-rules", required_argument, NULL, 'b'},
    {"message-rules", required_argument, NULL, 'm'},
    {"clamav-db", required_argument, NULL, 'c'},
    {"jobs", required_argument, NULL, 'J'},
    {"no-sandbox", no_argument, NULL, 'n'},
    {"limit", required_argument, NULL, 'L'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A list that is named on the command line replaces the configured one. */
static void scanner_option(struct options *options, unsigned *given, int option, const char *path)
{
    struct mw_scan_settings *scan = &options->config->scan;
    const struct {
        int option;
        struct mw_texts *list;
    } lists[] = {
        {'r', &scan->yara.rules}, {'b', &scan->yara.body_rules}, {'m', &scan->yara.message_rules}};
    if (option == 'c')
        scan->clamav.database = path;
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (lists[i].option != option)
            continue;
        if (!(*given & 1u << i))
            lists[i].list->count = 0;
        *given |= 1u << i;
        mw_texts_add(options->config->arena, lists[i].list, path);
    }
}

/* What is only asked about must not fail for want of rights to the daemon's files. */
static void drop_unreadable_filters(const struct mw_command *command, struct mw_config *config)
{
    size_t kept = 0;
    for (size_t i = 0; i < config->filters.count; i++) {
        const struct mw_tracked_settings *filter = &config->filters.items[i];
        if (access(filter->file, R_OK) == 0)
            config->filters.items[kept++] = *filter;
        else
            mw_command_warn(command, "what filter '%s' has never seen is not shown: cannot read %s",
                            filter->name, filter->file);
    }
    config->filters.count = kept;
}

/* The configuration that --config names, else the installed one; 0 or an exit status. */
static int load_config(const struct mw_command *command, struct options *options, int argc,
                       char **argv)
{
    const char *path = NULL;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;)
        if (c == 'C')
            path = optarg;
    optind = 0; /* read them again from the beginning */
    options->config = mw_configured(command, path);
    if (options->config && !path && access(MW_CONFIG_FILE, F_OK) != 0)
        options->config->filters.count = 0; /* no file of this host plays a part */
    else if (options->config && !path)
        drop_unreadable_filters(command, options->config);
    return options->config ? 0 : MW_EXIT_ERROR;
}

static int set_jobs(const struct mw_command *command, struct options *options, const char *text)
{
    options->config->workers.count = (unsigned)strtoul(text, NULL, 10);
    if (options->config->workers.count >= 1 && options->config->workers.count <= MOST_JOBS)
        return 0;
    return mw_command_fail(command, "--jobs: '%s' is no number from 1 to %d", text, MOST_JOBS);
}

static enum form form_of(int option)
{
    return option == 'j'   ? FORM_JSON
           : option == 'l' ? FORM_JSONL
           : option == 's' ? FORM_SUMMARY
           : option == 't' ? FORM_TEXT
           : option == 'v' ? FORM_CSV
                           : FORM_ECS;
}

/* 0 to go on, -1 when --help was answered, else an exit status. */
static int parse_options(const struct mw_command *command, struct options *options, int argc,
                         char **argv)
{
    struct mw_error error = {0};
    unsigned given = 0;
    if (load_config(command, options, argc, argv) != 0)
        return MW_EXIT_ERROR;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'j':
        case 'l':
        case 's':
        case 't':
        case 'v':
        case 'e':
            options->form = form_of(c);
            break;
        case 'x':
            options->extract = optarg;
            break;
        case 'S':
            options->store = true;
            break;
        case 'R':
            options->redis = optarg;
            break;
        case 'L':
            if (mw_limit_option(&options->config->limits, optarg, &error) != 0)
                return mw_command_fail(command, "%s", error.text);
            break;
        case 'r':
        case 'b':
        case 'm':
        case 'c':
            scanner_option(options, &given, c, optarg);
            break;
        case 'C':
            break;
        case 'J':
            if (set_jobs(command, options, optarg) != 0)
                return MW_EXIT_ERROR;
            break;
        case 'n':
            options->in_process = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(command, argv, long_options);
        }
    }
    return 0;
}

/*
 * A stream of our own to where standard output goes, which itself then leads
 * nowhere: libytnef prints what it thinks of a damaged winmail.dat, and must not
 * do so between our lines of JSON.
 */
static FILE *take_output(struct mw_error *error)
{
    int own = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FILE *out = own >= 0 ? fdopen(own, "w") : NULL;
    if (!out || nowhere < 0 || fflush(stdout) != 0 || dup2(nowhere, STDOUT_FILENO) < 0)
        mw_fail_errno(error, "cannot open the output");
    if (nowhere >= 0)
        close(nowhere);
    return error->code == 0 ? out : NULL;
}

static struct mw_printer make_printer(FILE *out, enum form form)
{
    if (form == FORM_SUMMARY)
        return mw_printer_summary(out);
    if (form == FORM_TEXT || (form == FORM_AUTO && isatty(fileno(out))))
        return mw_printer_text(out, 0);
    if (form == FORM_CSV)
        return mw_printer_csv(out);
    if (form == FORM_ECS)
        return mw_printer_ecs(out);
    if (form == FORM_JSON)
        return mw_printer_json(out, MW_JSON_PRETTY);
    return mw_printer_json(out, MW_JSON_LINE);
}

static void show_progress(struct scan *scan, const char *source)
{
    scan->done++;
    int64_t now = mw_clock_ms();
    if (!scan->progress || now - scan->shown_ms < 100)
        return;
    scan->shown_ms = now;
    fprintf(stderr, "\r\033[K%zu messages, at ", scan->done);
    mw_terminal_cell(stderr, source, SOURCE_COLUMNS, MW_CELL_LEFT);
}

static void clear_progress(const struct scan *scan)
{
    if (scan->progress && scan->shown_ms > 0)
        fputs("\r\033[K", stderr);
}

static void failed(void *user, const struct mw_error *error)
{
    struct scan *scan = user;
    clear_progress(scan);
    scan->status = mw_command_fail(scan->command, "%s", error->text);
}

static int print(struct scan *scan, const struct mw_report *report, struct mw_error *error)
{
    clear_progress(scan);
    return scan->printer.report ? scan->printer.report(scan->printer.state, report, error) : 0;
}

/* Saves and prints and frees a report; 1 when no more can be. */
static int finish_report(struct scan *scan, struct mw_report *report, const char *source)
{
    struct mw_error error = {0};
    char id[MW_ID_SIZE];
    mw_id_next(scan->ids, id);
    report->id = mw_arena_dup(report->arena, id);
    mw_report_received_now(report);
    report->source = mw_utf8_clean(report->arena, mw_bytes_of(source), NULL);
    if (mw_verdict_is_bad(report->verdict) && scan->status != MW_EXIT_ERROR)
        scan->status = MW_EXIT_FOUND;
    if (report->verdict == MW_UNSCANNED && scan->status == MW_EXIT_OK)
        scan->status = MW_EXIT_UNSCANNED;
    mw_reasons_note(&scan->reasons, report);
    if (scan->extract && mw_extract_report(scan->extract, report, &error) != 0)
        failed(scan, &error);
    int result = scan->keep ? mw_keep_report(scan->keep, report, &error) : 0;
    if (result == 0)
        result = print(scan, report, &error);
    mw_report_free(report);
    show_progress(scan, source);
    if (result == 0)
        return 0;
    failed(scan, &error);
    return 1;
}

/* A message that no worker could read is told as such. */
static int end_errand(void *user, struct mw_errand *errand)
{
    struct scan *scan = user;
    struct mw_report *report = errand->report;
    errand->report = NULL;
    if (!report) {
        struct mw_bytes raw = {0};
        struct mw_error ignored = {0};
        if (errand->message)
            mw_memfile_map(errand->message, &raw, &ignored);
        report = mw_pool_unexamined(raw, &errand->error);
        failed(scan, &errand->error);
    }
    return finish_report(scan, report, errand->source);
}

/* Stops the walk (by returning 1) only when nothing more can be written. */
static int scan_message(void *user, struct mw_bytes raw, const char *source)
{
    struct scan *scan = user;
    if (scan->errands)
        return mw_errands_send(scan->errands, raw, source);
    return finish_report(scan, mw_witness_examine(scan->witness, raw), source);
}

static void print_warnings(char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        mw_command_warn(&mw_command_scan, "%s", line);
    free(text);
}

static int start_in_process(struct scan *scan, struct mw_error *error)
{
    mw_setup_in_process(scan->options.config, &scan->options.pool, &scan->options.runner);
    scan->witness = mw_witness_new(&scan->options.pool.generation.witness, error);
    if (!scan->witness)
        return error->code;
    const struct mw_texts *warnings = mw_witness_warnings(scan->witness);
    for (size_t i = 0; i < warnings->count; i++)
        mw_command_warn(&mw_command_scan, "%s", warnings->items[i]);
    return 0;
}

static int start_engines(struct scan *scan, struct mw_error *error)
{
    if (scan->options.in_process)
        return start_in_process(scan, error);
    const struct mw_errands_work work = {scan, end_errand};
    mw_setup_pool(scan->options.config, &scan->options.pool);
    scan->errands = mw_errands_new(&scan->options.pool, &work, error);
    if (!scan->errands)
        return error->code;
    print_warnings(mw_errands_warnings(scan->errands));
    return 0;
}

static bool open_store(struct scan *scan, struct mw_error *error)
{
    struct mw_store_settings *settings = &scan->options.config->store;
    if (scan->options.redis) {
        settings->redis.address = scan->options.redis;
        settings->redis.sentinels.count = 0;
    }
    if (mw_store_is_wanted(settings))
        scan->keep = mw_keep_new(settings, error);
    else
        mw_fail(error, MW_ERR_INPUT,
                "--store: no Redis is configured: set redis.address, or name one with --redis");
    return scan->keep != NULL;
}

/* What became of --store. */
static void tell_stored(const struct scan *scan)
{
    size_t too_old = mw_keep_too_old(scan->keep);
    fprintf(stderr, "%zu messages stored\n", mw_keep_stored(scan->keep));
    if (too_old > 0)
        fprintf(stderr,
                "%zu are older than redis.keep_messages keeps and were not stored; set it to 0 to "
                "keep them for ever\n",
                too_old);
}

/* False with error when something is not to be had. */
static bool prepare(struct scan *scan, struct mw_error *error)
{
    if (start_engines(scan, error) != 0)
        return false;
    scan->ids = mw_id_source_new();
    if (!scan->ids) {
        mw_fail_errno(error, "the system gives no random numbers");
        return false;
    }
    if (scan->options.extract) {
        scan->extract = mw_extract_new(scan->options.extract, error);
        if (!scan->extract)
            return false;
    }
    scan->progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    scan->out = take_output(error);
    if (!scan->out)
        return false;
    if (scan->options.store && !open_store(scan, error))
        return false;
    if (!scan->keep || scan->options.form != FORM_AUTO)
        scan->printer = make_printer(scan->out, scan->options.form);
    return true;
}

static void release(struct scan *scan)
{
    if (scan->printer.free)
        scan->printer.free(scan->printer.state);
    if (scan->out)
        fclose(scan->out);
    mw_extract_free(scan->extract);
    mw_keep_free(scan->keep);
    mw_id_source_free(scan->ids);
    mw_errands_free(scan->errands);
    mw_witness_free(scan->witness);
    mw_config_free(scan->options.config);
}

static void walk_all(struct scan *scan, int count, char **paths)
{
    static char standard_input[] = "-";
    char *only[] = {standard_input};
    if (count == 0) {
        paths = only;
        count = 1;
    }
    struct mw_input input = {scan->options.config->limits.message_size, scan, scan_message, failed};
    for (int i = 0; i < count; i++)
        if (mw_input_walk(&input, paths[i]) != 0)
            return;
}

static bool prints_for_people(const struct scan *scan)
{
    enum form form = scan->options.form;
    return form == FORM_SUMMARY || form == FORM_TEXT ||
           (form == FORM_AUTO && scan->printer.report && isatty(fileno(scan->out)));
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct scan scan = {.command = command};
    struct mw_error error = {0};
    int parsed = parse_options(command, &scan.options, argc, argv);
    if (parsed == 0 && optind == argc && isatty(STDIN_FILENO))
        parsed = mw_command_fail(command, "name a message file or a folder, or - to read "
                                          "standard input");
    if (parsed != 0) {
        release(&scan);
        return parsed < 0 ? MW_EXIT_OK : parsed;
    }
    if (!prepare(&scan, &error)) {
        release(&scan);
        return mw_command_fail(command, "%s", error.text);
    }
    walk_all(&scan, argc - optind, argv + optind);
    if (scan.errands)
        mw_errands_finish(scan.errands);
    clear_progress(&scan);
    if (scan.printer.end && scan.printer.end(scan.printer.state, &error) != 0)
        failed(&scan, &error);
    else if (prints_for_people(&scan))
        mw_reasons_print(&scan.reasons, scan.out);
    if (scan.keep) {
        tell_stored(&scan);
        /* What was found is in the store: it is no answer to whether all is there. */
        if (scan.status != MW_EXIT_ERROR)
            scan.status = MW_EXIT_OK;
    }
    release(&scan);
    return scan.status;
}

const struct mw_command mw_command_scan = {"scan", "report on message files, mailboxes, folders",
                                           usage, run};
