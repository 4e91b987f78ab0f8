/* mailwitness seen: was this sender (or any tracked value) ever seen? */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "bloom/source.h"
#include "cli/command.h"
#include "cli/configured.h"
#include "cli/values.h"
#include "core/utf8.h"

static const char usage[] =
    "usage: mailwitness seen [OPTION]... VALUE...\n"
    "\n"
    "Tells whether each VALUE (an address, usually) was ever seen. Needs neither the\n"
    "daemon nor Redis: the filter's file is read where it lies.\n"
    "\n"
    "  --filter NAME    a filter of the configuration (default: from), or the path of\n"
    "                   a file with a / in it, which needs no configuration\n"
    "  --config FILE    the configuration (default: " MW_CONFIG_FILE ",\n"
    "                   and without that file, the defaults)\n"
    "  --folder DIR     without a configuration: the file NAME.filter in DIR\n"
    "  --as KIND        how to read values: address, domain, caseless, text; as the\n"
    "                   configured filter's source, and addresses for a file\n"
    "  --file LIST      values from a file, one a line (- is standard input)\n"
    "  --json           one JSON object a value\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 every value was seen, 1 at least one never was, 2 an error.\n"
    "\"never\" is certain; \"seen\" is wrong for one in so many as the filter tells.\n";

static const struct option long_options[] = {
    {"filter", required_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},
    {"folder", required_argument, NULL, 'd'}, {"as", required_argument, NULL, 'a'},
    {"file", required_argument, NULL, 'l'},   {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

enum { BATCH = 1024 };

struct seen {
    const struct mw_command *command;
    const char *filter_name, *config_file, *folder, *list;
    int kind; /* enum mw_normal; -1: as the filter's source */
    bool strip_plus_tag, json;
    struct mw_config *config;
    struct mw_filter *filter;
    struct mw_filter_info info;
    struct mw_arena *names; /* of the whole run, */
    struct mw_arena *arena; /* and of one batch */
    struct mw_bytes values[BATCH];
    const char *texts[BATCH];
    size_t waiting;
    bool any_new;
};

static void print_one(const struct seen *seen, const char *text, const char *value, bool was_seen)
{
    if (seen->json) {
        json_t *line = json_pack(
            "{s:s, s:s, s:b, s:f}", "value", mw_utf8_clean(seen->arena, mw_bytes_of(text), NULL),
            "looked_up", mw_utf8_clean(seen->arena, mw_bytes_of(value), NULL), "seen", was_seen,
            "false_positive_rate", was_seen ? seen->info.expected_rate : 0.0);
        char *dumped = json_dumps(line, JSON_COMPACT);
        puts(dumped ? dumped : "null");
        free(dumped);
        json_decref(line);
        return;
    }
    if (!was_seen)
        printf("%s: never seen\n", text);
    else if (seen->info.expected_rate > 0)
        printf("%s: seen (sure but for 1 in %.0f)\n", text, 1 / seen->info.expected_rate);
    else
        printf("%s: seen\n", text);
}

static void answer(struct seen *seen)
{
    bool found[BATCH];
    mw_filter_seen_many(seen->filter, seen->values, seen->waiting, found);
    for (size_t i = 0; i < seen->waiting; i++) {
        print_one(seen, seen->texts[i], (const char *)seen->values[i].data, found[i]);
        seen->any_new = seen->any_new || !found[i];
    }
    seen->waiting = 0;
    mw_arena_free(seen->arena);
    seen->arena = mw_arena_new();
}

static int take(void *user, const char *value)
{
    struct seen *seen = user;
    const char *normal =
        mw_normalise(seen->arena, (enum mw_normal)seen->kind, value, seen->strip_plus_tag);
    seen->texts[seen->waiting] = mw_arena_dup(seen->arena, value);
    seen->values[seen->waiting++] = mw_bytes_of(normal);
    if (seen->waiting == BATCH)
        answer(seen);
    return 0;
}

static int parse(struct seen *seen, int argc, char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'f':
            seen->filter_name = optarg;
            break;
        case 'c':
            seen->config_file = optarg;
            break;
        case 'd':
            seen->folder = optarg;
            break;
        case 'a':
            seen->kind = mw_normal_from_name(optarg);
            if (seen->kind < 0)
                return mw_command_fail(
                    seen->command, "--as: '%s' is none of address, domain, caseless, text", optarg);
            break;
        case 'l':
            seen->list = optarg;
            break;
        case 'j':
            seen->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(seen->command, argv, long_options);
        }
    }
    if (optind == argc && !seen->list)
        return mw_command_fail(seen->command, "name a value, or a list with --file");
    return 0;
}

/* The file of a configured filter, and how its values are read; NULL after telling why
 * there is none. */
static const char *configured_file(struct seen *seen)
{
    struct mw_source source;
    struct mw_error error = {0};
    seen->config = mw_configured(seen->command, seen->config_file);
    const struct mw_tracked_settings *settings =
        seen->config ? mw_configured_filter(seen->command, seen->config, seen->filter_name) : NULL;
    if (!settings || mw_source_find(&source, settings->source, &error) != 0)
        return NULL;
    seen->strip_plus_tag = settings->strip_plus_tag;
    if (seen->kind < 0)
        seen->kind = (int)mw_source_normal(&source);
    return settings->file;
}

static const char *file_of(struct seen *seen)
{
    if (strchr(seen->filter_name, '/'))
        return seen->filter_name;
    if (seen->folder)
        return mw_arena_printf(seen->names, "%s/%s.filter", seen->folder, seen->filter_name);
    return configured_file(seen);
}

static int look_up(struct seen *seen, int argc, char **argv)
{
    struct mw_error error = {0};
    const char *path = file_of(seen);
    if (!path)
        return MW_EXIT_ERROR;
    if (seen->kind < 0)
        seen->kind = MW_NORMAL_ADDRESS;
    seen->filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    if (!seen->filter)
        return mw_command_fail(seen->command, "%s", error.text);
    mw_filter_get_info(seen->filter, &seen->info);
    for (int i = optind; i < argc; i++)
        take(seen, argv[i]);
    int result = seen->list ? mw_values_read(seen->list, take, seen, &error) : 0;
    answer(seen);
    if (result != 0)
        return mw_command_fail(seen->command, "%s", error.text);
    return seen->any_new ? MW_EXIT_FOUND : MW_EXIT_OK;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (!seen)
        abort();
    seen->command = command;
    seen->filter_name = "from";
    seen->kind = -1;
    seen->names = mw_arena_new();
    seen->arena = mw_arena_new();
    int status = parse(seen, argc, argv);
    if (status == 0)
        status = look_up(seen, argc, argv);
    mw_filter_close(seen->filter);
    mw_config_free(seen->config);
    mw_arena_free(seen->arena);
    mw_arena_free(seen->names);
    free(seen);
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_seen = {"seen", "tell whether a sender was ever seen", usage,
                                           run};
