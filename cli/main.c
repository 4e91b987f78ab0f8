/* mailwitness: the command line. */
#include <errno.h>
#include <gmime/gmime-version.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "config.h"
#include "core/utf8.h"

#ifdef WITH_YARA
static const char built_with_yara[] = ", YARA";
#else
static const char built_with_yara[] = "";
#endif
#ifdef WITH_CLAMAV
static const char built_with_clamav[] = ", ClamAV";
#else
static const char built_with_clamav[] = "";
#endif

static const struct mw_command *const commands[] = {
    &mw_command_scan,       &mw_command_seen,    &mw_command_search, &mw_command_show,
    &mw_command_attachment, &mw_command_export,  &mw_command_tail,   &mw_command_hunt,
    &mw_command_rescan,     &mw_command_bloom,   &mw_command_config, &mw_command_status,
    &mw_command_stats,      &mw_command_reload,  &mw_command_store,  &mw_command_spool,
    &mw_command_backup,     &mw_command_restore,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* "mailwitness NAME: " and the text, which may hold what came from mail. */
__attribute__((format(printf, 3, 0))) static void
tell(const struct mw_command *command, const char *kind, const char *format, va_list arguments)
{
    char *text = NULL;
    struct mw_arena *arena = mw_arena_new();
    if (vasprintf(&text, format, arguments) >= 0)
        fprintf(stderr, "mailwitness%s%s: %s%s\n", command ? " " : "", command ? command->name : "",
                kind, mw_utf8_show_line(arena, mw_bytes_of(text)));
    free(text);
    mw_arena_free(arena);
}

/* A reader that has enough, as head(1) has, is no error worth a word. */
static bool is_closed_pipe(const char *text)
{
    const char *end = strerror(EPIPE);
    size_t size = strlen(text), tail = strlen(end);
    return strncmp(text, MW_OUTPUT_FAILED, strlen(MW_OUTPUT_FAILED)) == 0 && size >= tail &&
           strcmp(text + size - tail, end) == 0;
}

int mw_command_fail(const struct mw_command *command, const char *format, ...)
{
    va_list arguments;
    char text[1024];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (is_closed_pipe(text))
        return MW_EXIT_ERROR;
    va_start(arguments, format);
    tell(command, "", format, arguments);
    va_end(arguments);
    return MW_EXIT_ERROR;
}

void mw_command_warn(const struct mw_command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(command, "warning: ", format, arguments);
    va_end(arguments);
}

static const struct mw_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS + 1];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    names[COMMANDS] = "help";
    const char *near = mw_suggest(name, names, COMMANDS + 1);
    if (near)
        return mw_command_fail(NULL, "'%s' is not a command; did you mean '%s'?", name, near);
    return mw_command_fail(NULL, "'%s' is not a command; see 'mailwitness help'", name);
}

static int finish_output(int status)
{
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = 0};
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    bool gone = poll(&reader, 1, 0) == 1 && reader.revents & POLLERR;
    return mw_command_fail(NULL, "%s%s%s", MW_OUTPUT_FAILED, gone ? ": " : "",
                           gone ? strerror(EPIPE) : "");
}

static int help(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "help") != 0) {
        const struct mw_command *command = find(argv[1]);
        if (!command)
            return unknown(argv[1]);
        fputs(command->usage, stdout);
        return finish_output(MW_EXIT_OK);
    }
    puts("usage: mailwitness COMMAND [ARGUMENT]...\n\ncommands:");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    puts("  help       explain a command\n\n"
         "'mailwitness help COMMAND' tells a command's options; --version the version.");
    return finish_output(MW_EXIT_OK);
}

static int version(void)
{
    printf("mailwitness %s (GMime %d.%d.%d%s%s)\n", PACKAGE_VERSION, GMIME_MAJOR_VERSION,
           GMIME_MINOR_VERSION, GMIME_MICRO_VERSION, built_with_yara, built_with_clamav);
    return finish_output(MW_EXIT_OK);
}

/* How wide characters are follows from the terminal's encoding; which letters are the same
 * does not follow from its language: in Turkish I is no capital i, and headers are. */
static void set_locale(void)
{
    const char *encoding = setlocale(LC_CTYPE, "") ? nl_langinfo(CODESET) : "";
    setlocale(LC_CTYPE, strcmp(encoding, "UTF-8") == 0 ? "C.UTF-8" : "C");
}

int main(int argc, char **argv)
{
    set_locale();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that must not grow is an error with a name */
    if (argc < 2) {
        help(1, argv);
        return MW_EXIT_ERROR;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return version();
    const struct mw_command *command = find(name);
    if (!command)
        return unknown(name);
    return finish_output(command->run(command, argc - 1, argv + 1));
}
