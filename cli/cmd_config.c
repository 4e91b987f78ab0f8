/* mailwitness config: checking, showing, starting a configuration. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "conf/config.h"

static const char usage[] =
    "usage: mailwitness config check [FILE]\n"
    "       mailwitness config dump [FILE]\n"
    "       mailwitness config sample\n"
    "       mailwitness config man\n"
    "\n"
    "  check    prints every mistake in FILE with its line; without a FILE those of the\n"
    "           installed configuration, and all that mailwitnessd -t finds: rules and\n"
    "           databases that do not load, sockets, users, folders, filters, Redis; exits\n"
    "           1 after a mistake\n"
    "  dump     prints the values in force, defaults included\n"
    "  sample   prints a commented file with every option and its default\n"
    "  man      prints the manual page mailwitness.conf(5)\n"
    "  --help   this text\n";

/* The configuration, or NULL after its mistakes were printed. */
static struct mw_config *load(const char *path)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load(path, arena, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        fprintf(stderr, "%s\n", mistakes.items[i]);
    mw_arena_free(arena);
    return config;
}

/* Beside this program where it was built, or where both are installed; NULL: not here. */
static const char *daemon_program(char path[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - sizeof "/mailwitnessd");
    char *slash;
    if (size > 0) {
        path[size] = '\0';
        slash = strrchr(path, '/');
        snprintf(slash, PATH_MAX - (size_t)(slash - path), "/mailwitnessd");
        if (access(path, X_OK) == 0)
            return path;
    }
    snprintf(path, PATH_MAX, "%s/mailwitnessd", MW_SBIN_FOLDER);
    return access(path, X_OK) == 0 ? path : NULL;
}

/* A file may be for another host: it is looked at by itself. */
static int check(const char *path)
{
    struct mw_config *config = load(path);
    if (!config)
        return MW_EXIT_FOUND;
    printf("%s: no mistakes\n", path);
    mw_config_free(config);
    return MW_EXIT_OK;
}

/* The installed one is for this host, and only the daemon knows sockets, users and engines. */
static int check_installed(const struct mw_command *command)
{
    char program[PATH_MAX];
    if (daemon_program(program))
        execl(program, "mailwitnessd", "-t", "-c", MW_CONFIG_FILE, (char *)NULL);
    mw_command_warn(command, "mailwitnessd is not here: only the file itself is checked");
    return check(MW_CONFIG_FILE);
}

static int dump(const char *path)
{
    struct mw_config *config = load(path);
    if (!config)
        return MW_EXIT_ERROR;
    mw_config_dump(config, stdout);
    mw_config_free(config);
    return MW_EXIT_OK;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    static const char *const names[] = {"check", "dump", "sample", "man"};
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0) {
        fputs(usage, stdout);
        return MW_EXIT_OK;
    }
    if (strcmp(name, "check") == 0 && argc <= 3)
        return argc == 3 ? check(argv[2]) : check_installed(command);
    if (strcmp(name, "dump") == 0 && argc <= 3)
        return dump(argc == 3 ? argv[2] : NULL);
    if (strcmp(name, "sample") == 0 && argc == 2) {
        mw_config_sample(stdout);
        return MW_EXIT_OK;
    }
    if (strcmp(name, "man") == 0 && argc == 2) {
        mw_config_manual(stdout);
        return MW_EXIT_OK;
    }
    const char *near = mw_suggest(name, names, sizeof names / sizeof *names);
    if (near && strcmp(near, name) != 0)
        return mw_command_fail(command, "'%s' is no subcommand; did you mean '%s'?", name, near);
    return mw_command_fail(command, "say check [FILE], dump [FILE], sample or man");
}

const struct mw_command mw_command_config = {"config", "check, show or start a configuration",
                                             usage, run};
