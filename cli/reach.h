/*
 * reach: the store, as commands that read it reach it: by the configuration, or at the
 * address that --redis names.
 */
#ifndef MW_CLI_REACH_H
#define MW_CLI_REACH_H

#include <getopt.h>
#include <jansson.h>

#include "cli/command.h"
#include "conf/config.h"
#include "store/query.h"

struct mw_reach {
    const struct mw_command *command;
    const char *config_file, *redis; /* as given; NULL: not */
    bool json;
    struct mw_config *config;
    struct mw_query *query;
};

/* Options of every such command, and their lines of help. */
enum { MW_REACH_CONFIG = 1000, MW_REACH_REDIS, MW_REACH_JSON, MW_REACH_HELP };
#define MW_REACH_OPTIONS                                                                           \
    {"config", required_argument, NULL, MW_REACH_CONFIG},                                          \
        {"redis", required_argument, NULL, MW_REACH_REDIS},                                        \
        {"json", no_argument, NULL, MW_REACH_JSON},                                                \
    {                                                                                              \
        "help", no_argument, NULL, MW_REACH_HELP                                                   \
    }
#define MW_REACH_USAGE                                                                             \
    "  --config FILE    the configuration (default: the installed one, when it is there)\n"        \
    "  --redis ADDRESS  Redis at unix:PATH or HOST:PORT, whatever the configuration says\n"        \
    "  --json           for programs: one JSON object a line\n"                                    \
    "  --help           this text\n"

/* Takes an option; 1 when it was one of the above, -1 when --help was answered, 0 when it is
 * another. */
int mw_reach_option(struct mw_reach *reach, int option, const char *value);

/* Loads the configuration and, in mw_reach_open, connects. 0, or MW_EXIT_ERROR after telling
 * why not. mw_reach_close is called in either case. */
int mw_reach_configure(struct mw_reach *reach);
int mw_reach_open(struct mw_reach *reach);
void mw_reach_close(struct mw_reach *reach);

/* Tells what failed; returns MW_EXIT_ERROR. */
int mw_reach_fail(const struct mw_reach *reach, const struct mw_error *error);

/*
 * The report of a message with what later scans found of its attachments: verdicts raised,
 * findings added. *rescanned (may be NULL) is when, in the report's arena, or NULL. The
 * caller frees the report; NULL with error.
 */
struct mw_report *mw_reach_report(struct mw_reach *reach, const char *id, const char **rescanned,
                                  struct mw_error *error);

/* Facts as a JSON object of texts; those named in numbers (blanks around) as numbers. */
json_t *mw_facts_to_json(const struct mw_facts *facts, const char *numbers);

#endif
