/* mailwitness store: looking after what Redis keeps. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/configured.h"
#include "cli/print.h"
#include "cli/when.h"
#include "core/id.h"
#include "core/time.h"
#include "store/check.h"
#include "store/record.h"
#include "store/spool.h"
#include "store/store.h"
#include "store/upgrade.h"

static const char usage[] =
    "usage: mailwitness store check [--mend] [OPTION]...\n"
    "       mailwitness store refill [--since TIME] [OPTION]...\n"
    "       mailwitness store upgrade [OPTION]...\n"
    "\n"
    "  check            walks everything stored in Redis and tells what does not fit\n"
    "                   together: messages that some search does not find, facts and lists\n"
    "                   that are not as the report says, index entries of messages that are\n"
    "                   gone, bytes that nothing names, keys that would never expire\n"
    "  refill           tells Redis again what it took lately and is kept on disk\n"
    "                   (spool.recent), as after FLUSHALL or a restored snapshot. The daemon\n"
    "                   does it by itself when it sees that Redis forgot\n"
    "  upgrade          brings what an older version stored to the form of this one, beside\n"
    "                   running daemons; may be repeated\n"
    "\n"
    "  --mend           check: mend it: what is missing is made again from the reports, then\n"
    "                   what belongs to nothing is removed\n"
    "  --since TIME     refill: messages that came since then (2026-11-01, \"2 hours ago\")\n"
    "  --config FILE    read the configuration from FILE\n"
    "  --json           the counts as one JSON object\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all fits, was mended or done; 1 something does not fit, or there is\n"
    "nothing to tell; 2 an error.\n";

/* Daemons look for the version every two seconds. */
enum { SEEN_MS = 5000 };

static const struct option long_options[] = {
    {"mend", no_argument, NULL, 'm'},         {"since", required_argument, NULL, 's'},
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

struct store {
    const struct mw_command *command;
    const char *config;
    bool mend, json;
    int64_t since_ms;
};

static int fail(const struct store *store, const struct mw_error *error)
{
    return mw_command_fail(store->command, "%s", error->text);
}

/* --- check ---------------------------------------------------------------------------------- */

static void show_progress(void *user, const struct mw_check *check)
{
    (void)user;
    if (check->keys / 500 % 20 == 0)
        fprintf(stderr, "\r\033[K%llu keys", (unsigned long long)check->keys);
}

static uint64_t mistakes(const struct mw_check *check)
{
    return check->dangling + check->unindexed + check->wrong + check->orphans + check->timeless;
}

static void print_json(const struct mw_check *check)
{
    json_t *line = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "keys", (json_int_t)check->keys,
        "messages", (json_int_t)check->messages, "attachments", (json_int_t)check->attachments,
        "dangling", (json_int_t)check->dangling, "unindexed", (json_int_t)check->unindexed, "wrong",
        (json_int_t)check->wrong, "orphans", (json_int_t)check->orphans, "timeless",
        (json_int_t)check->timeless, "unreadable", (json_int_t)check->unreadable, "without_bytes",
        (json_int_t)check->dataless, "mended", (json_int_t)check->mended);
    mw_json_line(stdout, line, NULL);
}

static void print_text(const struct mw_check *check)
{
    const struct {
        uint64_t count;
        const char *what;
    } lines[] = {
        {check->keys, "keys looked at"},
        {check->messages, "messages"},
        {check->attachments, "attachments"},
        {check->dataless, "of them without their bytes, which expire sooner: no mistake"},
        {check->dangling, "index entries of what is gone"},
        {check->unindexed, "messages and attachments missing from some index"},
        {check->wrong, "messages whose facts, lists or attachments are not as their report says"},
        {check->orphans, "keys whose message or attachment is gone"},
        {check->timeless, "keys that would never expire"},
        {check->unreadable, "messages without a report that can be read, left as they are"},
        {check->mended, "mended"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        printf("%10llu %s\n", (unsigned long long)lines[i].count, lines[i].what);
}

static int check_store(const struct store *store, const struct mw_store_settings *settings)
{
    struct mw_error error = {0};
    struct mw_check check = {0};
    struct mw_query *query = mw_query_new(settings, &error);
    if (!query)
        return fail(store, &error);
    bool progress = isatty(STDERR_FILENO);
    int result =
        mw_store_check(query, store->mend, progress ? show_progress : NULL, NULL, &check, &error);
    mw_query_free(query);
    if (progress)
        fputs("\r\033[K", stderr);
    if (result != 0)
        return mw_command_fail(store->command, "%s", error.text);
    if (store->json)
        print_json(&check);
    else
        print_text(&check);
    bool fits = mistakes(&check) == 0 || store->mend;
    return fits && check.unreadable == 0 ? MW_EXIT_OK : MW_EXIT_FOUND;
}

/* --- refill ---------------------------------------------------------------------------------- */

struct refill {
    struct mw_store *store;
    uint64_t told, older, unreadable;
};

static int refill_one(const struct store *store, struct refill *refill,
                      const struct mw_spool_entry *entry, struct mw_error *error)
{
    struct mw_error why = {0};
    struct mw_bytes json;
    uint64_t ms = 0;
    struct mw_report *report = mw_record_read(entry->record, &json, &why);
    if (!report || !report->id || !mw_id_parse(report->id, &ms)) {
        refill->unreadable++;
        mw_report_free(report);
        return 0;
    }
    int result = 0;
    if ((int64_t)ms < store->since_ms)
        refill->older++;
    else if ((result = mw_store_save(refill->store, report, NULL, error)) == 0)
        refill->told++;
    mw_report_free(report);
    return result;
}

static int refill_all(const struct store *store, struct refill *refill, const char *folder,
                      struct mw_error *error)
{
    struct mw_spool_entry entry;
    struct mw_spool_reader *reader = mw_spool_reader_new(folder, MW_RECENT_KIND, error);
    int result = reader ? 1 : error->code;
    while (result > 0 && (result = mw_spool_next(reader, &entry, error)) > 0)
        if (!entry.done && refill_one(store, refill, &entry, error) != 0)
            result = error->code;
    refill->unreadable += reader ? mw_spool_reader_damaged(reader) : 0;
    mw_spool_reader_free(reader);
    return result;
}

/* The daemon may have the spool: its files are only read, and Redis is told directly. */
static int refill_store(const struct store *store, const struct mw_store_settings *configured)
{
    struct mw_error error = {0};
    struct mw_store_settings settings = *configured;
    settings.spool.folder = NULL;
    struct refill refill = {.store = mw_store_new(&settings, &error)};
    if (!refill.store)
        return fail(store, &error);
    int result = refill_all(store, &refill, configured->spool.folder, &error);
    mw_store_free(refill.store);
    if (store->json)
        printf("{\"told\":%llu,\"older\":%llu,\"unreadable\":%llu}\n",
               (unsigned long long)refill.told, (unsigned long long)refill.older,
               (unsigned long long)refill.unreadable);
    else
        printf("%llu messages told again, %llu are older than --since, %llu cannot be read\n",
               (unsigned long long)refill.told, (unsigned long long)refill.older,
               (unsigned long long)refill.unreadable);
    if (result != 0)
        return fail(store, &error);
    return refill.told > 0 ? MW_EXIT_OK : MW_EXIT_FOUND;
}

/* --- upgrade --------------------------------------------------------------------------------- */

static void show_upgrade(void *user, const struct mw_upgrade *upgrade)
{
    (void)user;
    fprintf(stderr, "\r\033[K%llu messages, %llu attachments",
            (unsigned long long)upgrade->messages, (unsigned long long)upgrade->attachments);
}

static int upgrade_store(const struct store *store, const struct mw_store_settings *settings)
{
    struct mw_error error = {0};
    struct mw_upgrade upgrade;
    struct mw_query *query = mw_query_new(settings, &error);
    if (!query)
        return fail(store, &error);
    bool progress = isatty(STDERR_FILENO);
    int result =
        mw_store_upgrade(query, SEEN_MS, progress ? show_upgrade : NULL, NULL, &upgrade, &error);
    mw_query_free(query);
    if (progress)
        fputs("\r\033[K", stderr);
    if (result != 0)
        return fail(store, &error);
    printf(store->json ? "{\"from\":%u,\"to\":%u,\"messages\":%llu,\"attachments\":%llu,"
                         "\"changed\":%llu,\"unreadable\":%llu}\n"
                       : "from version %u to %u: %llu messages and %llu attachments looked at, "
                         "%llu changed, %llu cannot be read\n",
           upgrade.from, upgrade.to, (unsigned long long)upgrade.messages,
           (unsigned long long)upgrade.attachments, (unsigned long long)upgrade.changed,
           (unsigned long long)upgrade.unreadable);
    return MW_EXIT_OK;
}

/* --- the command line ------------------------------------------------------------------------ */

static int parse(struct store *store, int argc, char **argv)
{
    struct mw_error error = {0};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'm':
            store->mend = true;
            break;
        case 's':
            if (mw_when_parse(optarg, mw_time_now(), MW_WHEN_START, &store->since_ms, &error) != 0)
                return mw_command_fail(store->command, "--since: %s", error.text);
            break;
        case 'c':
            store->config = optarg;
            break;
        case 'j':
            store->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(store->command, argv, long_options);
        }
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const struct store *store, const struct mw_store_settings *settings);
} subcommands[] = {{"check", check_store}, {"refill", refill_store}, {"upgrade", upgrade_store}};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int dispatch(struct store *store, size_t index)
{
    struct mw_config *config = mw_configured(store->command, store->config);
    if (!config)
        return MW_EXIT_ERROR;
    int status = mw_store_is_wanted(&config->store)
                     ? subcommands[index].run(store, &config->store)
                     : mw_command_fail(store->command,
                                       "the configuration names no Redis: set redis.address");
    mw_config_free(config);
    return status;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    const char *names[SUBCOMMANDS];
    struct store store = {.command = command};
    int status = parse(&store, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    const char *name = optind + 1 == argc ? argv[optind] : "";
    signal(SIGPIPE, SIG_IGN); /* a store asks for that */
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
        if (strcmp(name, names[i]) == 0)
            return dispatch(&store, i);
    }
    const char *near = *name ? mw_suggest(name, names, SUBCOMMANDS) : NULL;
    if (near)
        return mw_command_fail(command, "'%s' is no subcommand; did you mean '%s'?", name, near);
    return mw_command_fail(command, "say check, refill or upgrade; see 'mailwitness help store'");
}

const struct mw_command mw_command_store = {"store", "look after what Redis keeps", usage, run};
