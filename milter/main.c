/*
 * mailwitnessd: prepare, start the workers, open sockets, drop rights, confine, loop.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "milter/lifecycle.h"
#include "milter/wake.h"

static const char usage[] =
    "usage: mailwitnessd [OPTION]...\n"
    "\n"
    "The milter of mailwitness: a mail server asks it about each message.\n"
    "\n"
    "  -c, --config FILE  read FILE (default: " MW_CONFIG_FILE ")\n"
    "  -t, --test         check configuration, rules, databases, filters and the spool,\n"
    "                     tell all that is wrong, exit 1 when anything is\n"
    "  -d, --daemon       go to the background when ready\n"
    "  -f, --foreground   stay (the default)\n"
    "  -V, --version      tell the version\n"
    "  -h, --help         this text\n"
    "\n"
    "SIGHUP, or mailwitness reload, reads configuration, rules and databases again.\n"
    "SIGTERM ends it when the messages under way are done.\n";

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"daemon", no_argument, NULL, 'd'},
    {"foreground", no_argument, NULL, 'f'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static char full_path[PATH_MAX];

static int fail(const char *text)
{
    fprintf(stderr, "mailwitnessd: %s\n", text);
    return EXIT_FAILURE;
}

/* 0 to go on, -1 when all is done, else an exit status. */
static int parse_options(struct mw_lifecycle_options *options, int argc, char **argv)
{
    options->config_path = access(MW_CONFIG_FILE, F_OK) == 0 ? MW_CONFIG_FILE : NULL;
    for (int c; (c = getopt_long(argc, argv, "c:tdfVh", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            /* In full: in the background the folder is another. */
            options->config_path = realpath(optarg, full_path) ? full_path : optarg;
            break;
        case 't':
            options->test = true;
            break;
        case 'd':
            options->background = true;
            break;
        case 'f':
            options->background = false;
            break;
        case 'V':
            printf("mailwitnessd %s\n", PACKAGE_VERSION);
            return -1;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            fputs("mailwitnessd: see mailwitnessd --help\n", stderr);
            return EXIT_FAILURE;
        }
    }
    if (optind < argc)
        return fail("takes no arguments; see mailwitnessd --help");
    return 0;
}

int main(int argc, char **argv)
{
    struct mw_lifecycle_options options = {0};
    struct mw_error error = {0};
    mw_wake_hold_reload();
    int status = parse_options(&options, argc, argv);
    if (status != 0)
        return status < 0 ? EXIT_SUCCESS : status;
    if (options.test) {
        mw_wake_block(false);
        return mw_lifecycle_test(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (mw_lifecycle_run(&options, &error) != 0)
        return fail(error.text);
    return EXIT_SUCCESS;
}
