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
#include "cli/print.h"
#include "cli/reach.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "core/utf8.h"

static const char usage[] =
    "usage: mailwitness seen [OPTION]... VALUE...\n"
    "\n"
    "Tells whether each VALUE (an address, usually) was ever seen. Needs neither the\n"
    "daemon nor Redis (but for --facts): the filter's file is read where it lies.\n"
    "\n"
    "  --filter NAME    a filter of the configuration (default: from), or the path of\n"
    "                   a file with a / in it, which needs no configuration\n"
    "  --config FILE    the configuration (default: " MW_CONFIG_FILE ",\n"
    "                   and without that file, the defaults)\n"
    "  --folder DIR     without a configuration: the file NAME.filter in DIR\n"
    "  --as KIND        how to read values: address, domain, caseless, text; as the\n"
    "                   configured filter's source, and addresses for a file\n"
    "  --file LIST      values from a file, one a line (- is standard input)\n"
    "  --facts          add what Redis knows of senders: when first, when last, and how\n"
    "                   many of their messages are stored, refused ones too\n"
    "  --redis ADDRESS  the same, from Redis at unix:PATH or HOST:PORT\n"
    "  --json           one JSON object a value\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 every value was seen, by the filter or in what is stored, 1 at least\n"
    "one never was, 2 an error. \"never\" is certain; \"seen\" is wrong for one in so many as\n"
    "the filter tells. A filter knows senders whose mail was accepted.\n";

static const struct option long_options[] = {
    {"filter", required_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},
    {"folder", required_argument, NULL, 'd'}, {"as", required_argument, NULL, 'a'},
    {"facts", no_argument, NULL, 'F'},        {"redis", required_argument, NULL, 'R'},
    {"file", required_argument, NULL, 'l'},   {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

enum { BATCH = 1024 };

struct seen {
    const struct mw_command *command;
    const char *filter_name, *config_file, *folder, *list;
    int kind; /* enum mw_normal; -1: as the filter's source */
    bool strip_plus_tag, json, facts;
    struct mw_reach reach; /* to Redis, with --facts */
    struct mw_config *config;
    struct mw_filter *filter;
    struct mw_filter_info info;
    struct mw_arena *names; /* of the whole run, */
    struct mw_arena *arena; /* and of one batch */
    struct mw_bytes values[BATCH];
    const char *texts[BATCH];
    size_t waiting;
    bool any_new;
    struct mw_error error; /* why a batch was not answered */
};

/* What Redis knows of a sender. */
struct sender {
    bool asked;
    const char *first, *last; /* of mail that was accepted; NULL: nothing */
    int64_t messages;         /* stored, whatever was done with them */
};

static int ask_store(struct seen *seen, const char *address, struct sender *sender,
                     struct mw_error *error)
{
    struct mw_facts facts = {0};
    struct mw_search_term term = {MW_INDEX_FROM, address};
    struct mw_search_terms terms = {&term, 1, 1};
    int result = mw_query_sender(seen->reach.query, seen->arena, address, &facts, error);
    if (result != 0 && result != MW_ERR_MISSING)
        return result;
    sender->asked = true;
    sender->first = mw_fact_value(&facts, "first_seen");
    sender->last = mw_fact_value(&facts, "last_seen");
    struct mw_search *search = mw_search_new(seen->reach.query, &terms, 0, 0, error);
    if (!search)
        return error->code;
    sender->messages = mw_search_count(search);
    mw_search_free(search);
    return 0;
}

static void print_json(const struct seen *seen, const char *text, const char *value, bool was_seen,
                       const struct sender *sender)
{
    json_t *line = json_pack("{s:s, s:s, s:b, s:f}", "value",
                             mw_utf8_clean(seen->arena, mw_bytes_of(text), NULL), "looked_up",
                             mw_utf8_clean(seen->arena, mw_bytes_of(value), NULL), "seen", was_seen,
                             "false_positive_rate", was_seen ? seen->info.expected_rate : 0.0);
    if (sender->first) {
        json_object_set_new(line, "first_seen", json_string(sender->first));
        json_object_set_new(line, "last_seen", json_string(sender->last));
    }
    if (sender->asked)
        json_object_set_new(line, "messages", json_integer(sender->messages));
    mw_json_line(stdout, line, NULL);
}

static void print_text(const struct seen *seen, const char *text, bool was_seen,
                       const struct sender *sender)
{
    mw_terminal_cell(stdout, text, 0, MW_CELL_WHOLE);
    fputs(": ", stdout);
    if (was_seen && seen->info.expected_rate > 0)
        printf("seen (sure but for 1 in %.0f)", 1 / seen->info.expected_rate);
    else
        fputs(was_seen               ? "seen"
              : sender->messages > 0 ? "not known to the filter"
                                     : "never seen",
              stdout);
    if (sender->first)
        printf("; first %s, last %s", sender->first, sender->last);
    if (sender->messages > 0)
        printf("%s %lld message%s stored", sender->first ? "," : ";", (long long)sender->messages,
               sender->messages == 1 ? "" : "s");
    else if (sender->asked && was_seen)
        printf("; no message of it is stored");
    putchar('\n');
}

static int print_one(struct seen *seen, const char *text, const char *value, bool was_seen,
                     struct mw_error *error)
{
    struct sender sender = {0};
    if (seen->facts && seen->kind == MW_NORMAL_ADDRESS &&
        ask_store(seen, value, &sender, error) != 0)
        return error->code;
    if (seen->json)
        print_json(seen, text, value, was_seen, &sender);
    else
        print_text(seen, text, was_seen, &sender);
    seen->any_new = seen->any_new || (!was_seen && sender.messages == 0);
    return 0;
}

/* Answers what waits. */
static int answer(struct seen *seen, struct mw_error *error)
{
    bool found[BATCH];
    int result = 0;
    mw_filter_seen_many(seen->filter, seen->values, seen->waiting, found);
    for (size_t i = 0; i < seen->waiting && result == 0; i++)
        result =
            print_one(seen, seen->texts[i], (const char *)seen->values[i].data, found[i], error);
    seen->waiting = 0;
    mw_arena_free(seen->arena);
    seen->arena = mw_arena_new();
    return result;
}

static int take(void *user, const char *value)
{
    struct seen *seen = user;
    const char *normal =
        mw_normalise(seen->arena, (enum mw_normal)seen->kind, value, seen->strip_plus_tag);
    seen->texts[seen->waiting] = mw_arena_dup(seen->arena, value);
    seen->values[seen->waiting++] = mw_bytes_of(normal);
    return seen->waiting == BATCH ? answer(seen, &seen->error) : 0;
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
        case 'F':
            seen->facts = true;
            break;
        case 'R':
            seen->facts = true;
            seen->reach.redis = optarg;
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
    seen->reach.config_file = seen->config_file;
    if (seen->facts && mw_reach_open(&seen->reach) != 0)
        return MW_EXIT_ERROR;
    int result = 0;
    for (int i = optind; i < argc && result == 0; i++)
        result = take(seen, argv[i]);
    if (result == 0 && seen->list)
        result = mw_values_read(seen->list, take, seen, &error);
    if (result == 0)
        result = answer(seen, &seen->error);
    if (result != 0)
        return mw_command_fail(seen->command, "%s",
                               seen->error.code != 0 ? seen->error.text : error.text);
    return seen->any_new ? MW_EXIT_FOUND : MW_EXIT_OK;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (!seen)
        abort();
    seen->command = seen->reach.command = command;
    seen->filter_name = "from";
    seen->kind = -1;
    seen->names = mw_arena_new();
    seen->arena = mw_arena_new();
    int status = parse(seen, argc, argv);
    if (status == 0)
        status = look_up(seen, argc, argv);
    mw_filter_close(seen->filter);
    mw_reach_close(&seen->reach);
    mw_config_free(seen->config);
    mw_arena_free(seen->arena);
    mw_arena_free(seen->names);
    free(seen);
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_seen = {"seen", "tell whether a sender was ever seen", usage,
                                           run};
