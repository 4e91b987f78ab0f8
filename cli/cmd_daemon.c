/* mailwitness status, reload: asking a running mailwitnessd. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/control.h"
#include "cli/print.h"
#include "conf/config.h"

static const char status_usage[] =
    "usage: mailwitness status [OPTION]...\n"
    "\n"
    "Asks mailwitnessd how it is. Prints first what is wrong, then its mode, what is\n"
    "under way, workers, engines and their age, the last reload, Redis (which it asks\n"
    "now), the spool and filters.\n"
    "\n"
    "  --config FILE  its configuration, which names the socket (milter.control)\n"
    "  --socket PATH  the socket itself\n"
    "  --json         the answer as one line of JSON\n"
    "  --help         this text\n"
    "\n"
    "Exit status: 0 it answered, 1 it did and Redis is away, 2 it did not.\n";

static const char reload_usage[] =
    "usage: mailwitness reload [OPTION]...\n"
    "\n"
    "Has mailwitnessd read configuration, rules and databases again and waits until they\n"
    "are in force. When anything is wrong, all stays as it was and the reason is told.\n"
    "\n"
    "  --config FILE  its configuration, which names the socket (milter.control)\n"
    "  --socket PATH  the socket itself\n"
    "  --json         the answer as one line of JSON\n"
    "  --help         this text\n";

struct options {
    const char *config, *socket;
    bool json;
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"socket", required_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* 0 to go on, -1 when --help was answered, else an exit status. */
static int parse_options(const struct mw_command *command, struct options *options, int argc,
                         char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            options->config = optarg;
            break;
        case 's':
            options->socket = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            fputs(command->usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(command, argv, long_options);
        }
    }
    return optind < argc ? mw_command_fail(command, "takes no arguments") : 0;
}

/* The socket's path as the configuration has it, in arena; NULL after a mistake. */
static const char *find_socket(const struct options *options, struct mw_arena *arena,
                               struct mw_error *error)
{
    struct mw_texts mistakes = {0};
    if (options->socket)
        return options->socket;
    const char *path = options->config                     ? options->config
                       : access(MW_CONFIG_FILE, R_OK) == 0 ? MW_CONFIG_FILE
                                                           : NULL;
    struct mw_config *config = mw_config_load(path, arena, &mistakes);
    const char *found = config ? mw_arena_dup(arena, config->milter.control) : NULL;
    mw_config_free(config);
    if (mistakes.count > 0)
        mw_fail(error, MW_ERR_INPUT, "%s", mistakes.items[0]);
    else if (!found || !*found)
        mw_fail(error, MW_ERR_INPUT, "milter.control names no socket in %s",
                path ? path : "the defaults");
    return error->code == 0 ? found : NULL;
}

static int tell(const struct mw_command *command, const struct options *options, json_t *answer)
{
    if (options->json) {
        mw_json_line(stdout, json_incref(answer), NULL);
    }
    if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        return mw_command_fail(command, "%s", why ? why : "mailwitnessd cannot");
    }
    if (!options->json && command == &mw_command_reload)
        mw_control_print_reload(answer);
    else if (!options->json)
        mw_control_print_status(answer);
    return json_is_false(json_object_get(json_object_get(answer, "store"), "up")) ? MW_EXIT_FOUND
                                                                                  : MW_EXIT_OK;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct options options = {0};
    struct mw_error error = {0};
    int parsed = parse_options(command, &options, argc, argv);
    if (parsed != 0)
        return parsed < 0 ? MW_EXIT_OK : parsed;
    struct mw_arena *arena = mw_arena_new();
    const char *path = find_socket(&options, arena, &error);
    json_t *answer = path ? mw_control_ask(path, command->name, &error) : NULL;
    int status =
        answer ? tell(command, &options, answer) : mw_command_fail(command, "%s", error.text);
    json_decref(answer);
    mw_arena_free(arena);
    return status;
}

const struct mw_command mw_command_status = {"status", "ask the daemon how it is", status_usage,
                                             run};
const struct mw_command mw_command_reload = {"reload", "have the daemon read everything again",
                                             reload_usage, run};
