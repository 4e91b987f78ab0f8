/* mailwitness spool: the messages that wait for Redis. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/configured.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "core/json_out.h"
#include "core/time.h"
#include "store/record.h"
#include "store/spool.h"
#include "store/store.h"

static const char usage[] =
    "usage: mailwitness spool list [--json] [OPTION]...\n"
    "       mailwitness spool show ID [OPTION]...\n"
    "       mailwitness spool flush [--refused] [--wait SECONDS] [OPTION]...\n"
    "\n"
    "Looks at the messages that were written to disk because Redis took no writes. The\n"
    "daemon brings them to Redis by itself when it is back.\n"
    "\n"
    "  list             one line a message, oldest first\n"
    "  show             the report of one of them, as JSON\n"
    "  flush            bring them to Redis now, where no daemon runs; with --refused\n"
    "                   a running one is asked to\n"
    "\n"
    "  --refused        those that Redis refused and that were set aside: list and show\n"
    "                   these; flush tries them again\n"
    "  --recent         list and show what Redis took lately, kept in case it forgets\n"
    "  --wait SECONDS   how long flush tries (default 60)\n"
    "  --folder DIR     the spool's folder, instead of the configuration's\n"
    "  --config FILE    read the configuration from FILE\n"
    "  --json           one JSON object a message\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 done, 1 nothing there, 2 an error.\n";

static const struct option long_options[] = {
    {"refused", no_argument, NULL, 'r'},      {"recent", no_argument, NULL, 'n'},
    {"wait", required_argument, NULL, 'w'},   {"folder", required_argument, NULL, 'f'},
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

struct spool {
    const struct mw_command *command;
    const char *config_path, *folder, *id;
    struct mw_config *config;
    bool refused, recent, json;
    unsigned wait_s;
    struct mw_table *table;
    uint64_t shown, unreadable;
};

static const char *kind(const struct spool *spool)
{
    return spool->refused ? MW_REFUSED_KIND : spool->recent ? MW_RECENT_KIND : MW_SPOOL_KIND;
}

/* --- list and show ------------------------------------------------------------------------ */

static const char *first_address(const struct mw_addresses *list)
{
    return list->count > 0 ? list->items[0].address : NULL;
}

static int list_json(const struct mw_spool_entry *entry, const struct mw_report *report,
                     struct mw_error *error)
{
    char when[MW_WHEN_SIZE];
    mw_time_text(entry->written * 1000, when);
    json_t *line =
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s, s:I, s:I}", "id", report->id, "written", when,
                  "queue_id", report->queue_id, "from", first_address(&report->from), "subject",
                  report->subject, "verdict", mw_verdict_name(report->verdict), "attachments",
                  (json_int_t)report->attachments.count, "bytes", (json_int_t)entry->record.size);
    return mw_json_line(stdout, line, error);
}

static int list_row(struct spool *spool, const struct mw_spool_entry *entry,
                    const struct mw_report *report, struct mw_error *error)
{
    static const struct mw_column columns[] = {{"WRITTEN", 19, 0, false}, {"ID", 36, 0, false},
                                               {"FROM", 10, 2, false},    {"SUBJECT", 10, 3, false},
                                               {"VERDICT", 10, 0, false}, {"SIZE", 6, 0, true}};
    char when[MW_WHEN_SIZE], size[MW_SIZE_TEXT];
    mw_when_local(entry->written * 1000, when);
    mw_terminal_size((int64_t)entry->record.size, size);
    const char *cells[] = {when,
                           report->id,
                           first_address(&report->from),
                           report->subject,
                           mw_verdict_name(report->verdict),
                           size};
    if (!spool->table)
        spool->table = mw_table_new(stdout, columns, sizeof columns / sizeof *columns);
    return mw_table_row(spool->table, cells, (int)report->verdict, error);
}

static int show(const struct mw_report *report, struct mw_error *error)
{
    char *json = mw_json_show(mw_report_to_json(report, MW_JSON_PRETTY, error));
    if (!json)
        return error->code;
    puts(json);
    free(json);
    return 0;
}

/* One entry: 0, or negative when output fails. What is no message is counted. */
static int take(struct spool *spool, const struct mw_spool_entry *entry, struct mw_error *error)
{
    struct mw_error why = {0};
    struct mw_bytes json;
    if (entry->done)
        return 0;
    struct mw_report *report = mw_record_read(entry->record, &json, &why);
    if (!report || !report->id) {
        spool->unreadable++;
        mw_report_free(report);
        return 0;
    }
    int result = 0;
    bool wanted = !spool->id || strcmp(spool->id, report->id) == 0;
    spool->shown += wanted;
    if (wanted && spool->id)
        result = show(report, error);
    else if (wanted && spool->json)
        result = list_json(entry, report, error);
    else if (wanted)
        result = list_row(spool, entry, report, error);
    mw_report_free(report);
    return result;
}

/* Files that are kept because something in them cannot be read. */
static int tell_damaged_files(struct spool *spool, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts names = {0};
    int result = mw_spool_list_damaged(spool->folder, NULL, arena, &names, error);
    for (size_t i = 0; result == 0 && i < names.count; i++)
        mw_command_fail(spool->command, "%s/%s is kept, as something in it could not be read",
                        spool->folder, names.items[i]);
    mw_arena_free(arena);
    return result;
}

static int walk(struct spool *spool)
{
    struct mw_error error = {0};
    struct mw_spool_entry entry;
    struct mw_spool_reader *reader = mw_spool_reader_new(spool->folder, kind(spool), &error);
    if (!reader)
        return mw_command_fail(spool->command, "%s", error.text);
    int result;
    while ((result = mw_spool_next(reader, &entry, &error)) > 0)
        if ((result = take(spool, &entry, &error)) != 0 || (spool->id && spool->shown > 0))
            break;
    uint64_t damaged = mw_spool_reader_damaged(reader) + spool->unreadable;
    mw_spool_reader_free(reader);
    mw_table_free(spool->table);
    if (result >= 0 && !spool->id)
        result = tell_damaged_files(spool, &error);
    if (result < 0)
        return mw_command_fail(spool->command, "%s", error.text);
    if (damaged > 0)
        mw_command_fail(spool->command, "%llu damaged records were skipped",
                        (unsigned long long)damaged);
    if (spool->id && spool->shown == 0)
        return mw_command_fail(spool->command, "no message %s waits in %s", spool->id,
                               spool->folder);
    return spool->shown > 0 ? MW_EXIT_OK : MW_EXIT_FOUND;
}

/* --- flush ----------------------------------------------------------------------------------- */

static int flush_with(struct spool *spool, struct mw_store *store)
{
    struct mw_error error = {0};
    struct mw_store_state state;
    uint64_t again = 0;
    if (spool->refused && mw_store_retry_refused(store, &again, &error) != 0)
        return mw_command_fail(spool->command, "%s", error.text);
    int result = mw_store_drain(store, spool->wait_s * 1000, &error);
    mw_store_get_state(store, &state);
    printf("%llu messages brought to Redis, %llu wait, %llu are set aside as refused\n",
           (unsigned long long)state.replayed, (unsigned long long)state.spool_entries,
           (unsigned long long)state.refused);
    return result == 0 ? MW_EXIT_OK : mw_command_fail(spool->command, "%s", error.text);
}

/* Records of a kind that are still to be brought. */
static uint64_t count_records(const struct spool *spool, const char *kind)
{
    struct mw_spool_entry entry;
    uint64_t count = 0;
    struct mw_spool_reader *reader = mw_spool_reader_new(spool->folder, kind, NULL);
    while (reader && mw_spool_next(reader, &entry, NULL) > 0)
        count += !entry.done;
    mw_spool_reader_free(reader);
    return count;
}

/* The daemon has the folder: it is asked, by a file in it, and does it within seconds. */
static int ask_daemon(const struct spool *spool)
{
    char path[PATH_MAX];
    const struct timespec moment = {0, 100000000};
    uint64_t before = count_records(spool, MW_REFUSED_KIND), left = spool->wait_s * 10UL;
    snprintf(path, sizeof path, "%s/" MW_RETRY_FILE, spool->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_command_fail(spool->command, "cannot ask the daemon by the file %s: %s", path,
                               strerror(errno));
    close(fd);
    for (; left > 0 && access(path, F_OK) == 0; left--)
        nanosleep(&moment, NULL);
    if (access(path, F_OK) == 0) {
        unlink(path);
        return mw_command_fail(spool->command,
                               "the daemon that has %s did not try them again within %u s: Redis "
                               "is away, or it is of an older version",
                               spool->folder, spool->wait_s);
    }
    for (; left > 0 && count_records(spool, MW_SPOOL_KIND) > 0; left--)
        nanosleep(&moment, NULL);
    printf("%llu messages tried again by the daemon, %llu wait, %llu are set aside as refused\n",
           (unsigned long long)before, (unsigned long long)count_records(spool, MW_SPOOL_KIND),
           (unsigned long long)count_records(spool, MW_REFUSED_KIND));
    return MW_EXIT_OK;
}

static int flush(struct spool *spool)
{
    struct mw_error error = {0};
    struct mw_store_settings settings = spool->config->store;
    settings.spool.folder = spool->folder;
    if (!mw_store_is_wanted(&settings))
        return mw_command_fail(spool->command,
                               "the configuration names no Redis: set redis.address");
    struct mw_store *store = mw_store_new(&settings, &error);
    if (!store && error.code == MW_ERR_BUSY && spool->refused)
        return ask_daemon(spool);
    if (!store && error.code == MW_ERR_BUSY)
        return mw_command_fail(spool->command,
                               "%s; it brings its messages to Redis by itself when that is back",
                               error.text);
    if (!store)
        return mw_command_fail(spool->command, "%s", error.text);
    int status = flush_with(spool, store);
    mw_store_free(store);
    return status;
}

/* --- the command line ----------------------------------------------------------------------------
 */

static int parse(struct spool *spool, int argc, char **argv)
{
    char *end;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'r':
            spool->refused = true;
            break;
        case 'n':
            spool->recent = true;
            break;
        case 'w':
            spool->wait_s = (unsigned)strtoul(optarg, &end, 10);
            if (end == optarg || *end != '\0' || spool->wait_s > 86400)
                return mw_command_fail(spool->command,
                                       "--wait: '%s' is no number of seconds up to 86400", optarg);
            break;
        case 'f':
            spool->folder = optarg;
            break;
        case 'c':
            spool->config_path = optarg;
            break;
        case 'j':
            spool->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(spool->command, argv, long_options);
        }
    }
    return 0;
}

static int dispatch(struct spool *spool, int argc, char **argv)
{
    static const char *const names[] = {"list", "show", "flush"};
    const char *name = optind < argc ? argv[optind] : "";
    int more = argc - optind - 1;
    if (strcmp(name, "list") == 0 && more == 0)
        return walk(spool);
    if (strcmp(name, "show") == 0 && more == 1) {
        spool->id = argv[optind + 1];
        return walk(spool);
    }
    if (strcmp(name, "flush") == 0 && more == 0)
        return flush(spool);
    const char *near = mw_suggest(name, names, 3);
    if (near && strcmp(near, name) != 0)
        return mw_command_fail(spool->command, "'%s' is no subcommand; did you mean '%s'?", name,
                               near);
    return mw_command_fail(spool->command,
                           "say list, show ID or flush; see 'mailwitness help spool'");
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct spool spool = {.command = command, .wait_s = 60};
    int status = parse(&spool, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    spool.config = mw_configured(command, spool.config_path);
    if (!spool.config)
        return MW_EXIT_ERROR;
    if (!spool.folder)
        spool.folder = spool.config->store.spool.folder;
    status = dispatch(&spool, argc, argv);
    mw_config_free(spool.config);
    return status;
}

const struct mw_command mw_command_spool = {"spool", "look at messages that wait for Redis", usage,
                                            run};
