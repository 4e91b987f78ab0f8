/* mailwitness store: looking after what Redis keeps. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/configured.h"
#include "store/check.h"
#include "store/store.h"

static const char usage[] =
    "usage: mailwitness store check [OPTION]...\n"
    "\n"
    "Walks everything stored in Redis and tells what does not fit together: index entries\n"
    "of messages that are gone, messages that no search finds, bytes without facts, keys\n"
    "that would never expire.\n"
    "\n"
    "  --mend          mend it: remove entries, index messages again, set times\n"
    "  --config FILE   read the configuration from FILE\n"
    "  --json          the counts as one JSON object\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0 all fits, or was mended; 1 something does not; 2 an error.\n";

static const struct option long_options[] = {
    {"mend", no_argument, NULL, 'm'},
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct store {
    const struct mw_command *command;
    const char *config;
    bool mend, json;
};

static void show_progress(void *user, const struct mw_check *check)
{
    (void)user;
    if (check->keys / 500 % 20 == 0)
        fprintf(stderr, "\r\033[K%llu keys", (unsigned long long)check->keys);
}

static uint64_t mistakes(const struct mw_check *check)
{
    return check->dangling + check->unindexed + check->orphans + check->timeless;
}

static void print_json(const struct mw_check *check)
{
    json_t *line = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "keys", (json_int_t)check->keys,
        "messages", (json_int_t)check->messages, "attachments", (json_int_t)check->attachments,
        "dangling", (json_int_t)check->dangling, "unindexed", (json_int_t)check->unindexed,
        "orphans", (json_int_t)check->orphans, "timeless", (json_int_t)check->timeless,
        "unreadable", (json_int_t)check->unreadable, "without_bytes", (json_int_t)check->dataless,
        "mended", (json_int_t)check->mended);
    char *text = json_dumps(line, JSON_COMPACT);
    puts(text ? text : "null");
    free(text);
    json_decref(line);
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
        {check->unindexed, "messages and attachments missing from indexes"},
        {check->orphans, "keys whose message or attachment is gone"},
        {check->timeless, "keys that would never expire"},
        {check->unreadable, "messages whose report cannot be read, left as they are"},
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
        return mw_command_fail(store->command, "%s", error.text);
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
    bool fits = mistakes(&check) == 0 || (store->mend && check.mended >= mistakes(&check));
    return fits && check.unreadable == 0 ? MW_EXIT_OK : MW_EXIT_FOUND;
}

static int parse(struct store *store, int argc, char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'm':
            store->mend = true;
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
    if (optind + 1 != argc || strcmp(argv[optind], "check") != 0)
        return mw_command_fail(store->command, "say check; see 'mailwitness help store'");
    return 0;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct store store = {.command = command};
    int status = parse(&store, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    struct mw_config *config = mw_configured(command, store.config);
    if (!config)
        return MW_EXIT_ERROR;
    if (mw_store_is_wanted(&config->store))
        status = check_store(&store, &config->store);
    else
        status = mw_command_fail(command, "the configuration names no Redis: set redis.address");
    mw_config_free(config);
    return status;
}

const struct mw_command mw_command_store = {"store", "look after what Redis keeps", usage, run};
