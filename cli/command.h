/*
 * command: one subcommand of mailwitness. Adding one: a file cmd_NAME.c with a
 * struct mw_command, and a line in main.c's table.
 */
#ifndef MW_CLI_COMMAND_H
#define MW_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/suggest.h"

/* 1 is what scan found, or that a search found nothing. */
/* How an error about standard output begins: one that a closed pipe caused is not printed. */
#define MW_OUTPUT_FAILED "cannot write the output"

enum mw_exit {
    MW_EXIT_OK = 0,
    MW_EXIT_FOUND = 1,
    MW_EXIT_NOTHING = 1,
    MW_EXIT_ERROR = 2,
    MW_EXIT_UNSCANNED = 3
};

struct mw_command {
    const char *name;
    const char *summary; /* one line, for `mailwitness help` */
    const char *usage;   /* the whole of `mailwitness help NAME` */
    int (*run)(const struct mw_command *command, int argc, char **argv); /* an enum mw_exit */
};

extern const struct mw_command mw_command_attachment, mw_command_backup, mw_command_bloom,
    mw_command_config, mw_command_restore, mw_command_export, mw_command_hunt, mw_command_reload,
    mw_command_rescan, mw_command_scan, mw_command_search, mw_command_seen, mw_command_show,
    mw_command_spool, mw_command_stats, mw_command_status, mw_command_store, mw_command_tail;

/* Prints "mailwitness NAME: ..." on one line to stderr, safe to show whatever is in it;
 * returns MW_EXIT_ERROR. */
int mw_command_fail(const struct mw_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with "warning: " before the text. */
void mw_command_warn(const struct mw_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* options.c: tells what is wrong with the option getopt_long stopped at, with the
 * nearest of options where it looks like a slip; returns MW_EXIT_ERROR. */
struct option;
int mw_command_bad_option(const struct mw_command *command, char **argv,
                          const struct option *options);

#endif
