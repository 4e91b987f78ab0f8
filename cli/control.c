/* control: one line of JSON to the socket, one back. */
#include "cli/control.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "cli/when.h"
#include "core/time.h"

/* Who may pass: of a socket those who may write, of a folder those who may search. */
static void say_who_may(const char *path, const struct stat *facts, struct mw_error *error)
{
    mode_t right = S_ISDIR(facts->st_mode) ? S_IXGRP : S_IWGRP;
    const struct group *group = getgrgid(facts->st_gid);
    const struct passwd *user = getpwuid(facts->st_uid);
    /* Nobody is told to join root. */
    if (facts->st_mode & right && group && group->gr_gid != 0)
        mw_fail(error, MW_ERR_INPUT,
                "you may not ask mailwitnessd: %s is for members of the group '%s' "
                "(usermod -aG %s YOU, then log in again)",
                path, group->gr_name, group->gr_name);
    else
        mw_fail(error, MW_ERR_INPUT, "you may not ask mailwitnessd: %s is for the user '%s' alone",
                path, user ? user->pw_name : "?");
}

/* Names the first part of the path that keeps us out. */
static void explain_denied(const char *path, struct mw_error *error)
{
    char part[PATH_MAX];
    struct stat facts;
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(part, &facts) == 0 && S_ISDIR(facts.st_mode) && access(part, X_OK) != 0) {
            say_who_may(part, &facts, error);
            return;
        }
        *slash = '/';
    }
    if (stat(path, &facts) == 0)
        say_who_may(path, &facts, error);
}

static int connect_to(const char *path, struct mw_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return mw_fail(error, MW_ERR_INPUT, "%s: too long for a socket", path), -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    bool denied = errno == EACCES;
    mw_fail_errno(error, "no mailwitnessd answers on %s", path);
    if (denied)
        explain_denied(path, error);
    if (fd >= 0)
        close(fd);
    return -1;
}

json_t *mw_control_ask(const char *path, const char *name, struct mw_error *error)
{
    json_error_t why;
    char question[64];
    int fd = connect_to(path, error);
    if (fd < 0)
        return NULL;
    int size = snprintf(question, sizeof question, "{\"command\": \"%s\"}\n", name);
    bool sent = write(fd, question, (size_t)size) == size;
    json_t *answer = sent ? json_loadfd(fd, JSON_DISABLE_EOF_CHECK, &why) : NULL;
    close(fd);
    if (!json_is_object(answer)) {
        mw_fail(error, MW_ERR_FORMAT, "mailwitnessd hung up");
        json_decref(answer);
        return NULL;
    }
    return answer;
}

/* One line a fact; those of an object within with its name before theirs. */
static void print_facts(const char *prefix, const json_t *object)
{
    const char *key;
    const json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value)) {
            print_facts(name, value);
        } else if (strcmp(name, "ok") != 0) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            bool string = json_is_string(value);
            printf("%-26s ", name);
            mw_terminal_text(stdout, string ? json_string_value(value) : text ? text : "-", "");
            free(text);
        }
    }
}

void mw_control_print(const json_t *answer)
{
    print_facts("", answer);
}

/* --- for people ------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* A line with a name; of several that belong together the first has it. */
static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%-14s ", name);
    mw_terminal_text(stdout, text, "");
}

/* "3 days", "2 hours", "5 minutes", "8 seconds". */
static const char *span(long long seconds, char *out, size_t size)
{
    static const struct {
        long long seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    long long count = seconds / units[i].seconds;
    snprintf(out, size, "%lld %s%s", count, units[i].name, count == 1 ? "" : "s");
    return out;
}

static void print_warnings(const json_t *answer)
{
    const json_t *warnings = json_object_get(answer, "warnings");
    bool colour = mw_terminal_colour(stdout);
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        printf("%swarning:%s ", colour ? mw_terminal_verdict(MW_SUSPICIOUS) : "",
               colour ? MW_TERMINAL_PLAIN : "");
        mw_terminal_text(stdout, json_string_value(json_array_get(warnings, i)), "");
    }
    if (json_array_size(warnings) > 0)
        putchar('\n');
}

static void print_daemon(const json_t *answer)
{
    char up[48], held[MW_SIZE_TEXT];
    const char *mode = text_of(answer, "mode"), *path = text_of(answer, "configuration");
    mw_terminal_size(number_of(answer, "held_bytes"), held);
    line("mailwitnessd", "%s, process %lld, up %s", text_of(answer, "version"),
         number_of(answer, "pid"), span(number_of(answer, "uptime"), up, sizeof up));
    line("configuration", "%s", path ? path : "the defaults");
    line("mode", "%s%s", mode ? mode : "?",
         mode && strcmp(mode, "observe") == 0 ? ": mail is examined, and delivered as it came"
                                              : "");
    line("mail", "%lld connections, %lld messages under way, %s held in memory",
         number_of(answer, "connections"), number_of(answer, "messages"), held);
}

static void print_workers(const json_t *workers)
{
    line("workers", "%lld, %lld busy, generation %lld", number_of(workers, "count"),
         number_of(workers, "busy"), number_of(workers, "generation"));
    line("", "%lld messages done, %lld failed, %lld workers died", number_of(workers, "done"),
         number_of(workers, "failed"), number_of(workers, "deaths"));
}

static void print_engine(const char *name, const json_t *engine)
{
    char age[48] = "";
    int64_t ms;
    const char *date = text_of(engine, "date"), *version = text_of(engine, "version");
    const char *database = text_of(engine, "database");
    if (date && mw_when_parse(date, 0, MW_WHEN_START, &ms, NULL) == 0)
        span((mw_time_now() - ms) / 1000, age, sizeof age);
    line(name, "%s%s%s, %lld signatures%s%s", text_of(engine, "name"), version ? " " : "",
         version ? version : "", number_of(engine, "signatures"), database ? ", database " : "",
         database ? database : "");
    if (*age)
        line("", "  of %s, %s ago", date, age);
}

static void print_engines(const json_t *engines)
{
    if (json_array_size(engines) == 0)
        line("engines", "none: nothing that knows malware is configured");
    for (size_t i = 0; i < json_array_size(engines); i++)
        print_engine(i == 0 ? "engines" : "", json_array_get(engines, i));
}

static void print_reload(const json_t *reload)
{
    if (!json_is_object(reload))
        line("last reload", "none since the start");
    else if (json_is_true(json_object_get(reload, "ok")))
        line("last reload", "%s, worked", text_of(reload, "time"));
    else
        line("last reload", "%s, failed: %s", text_of(reload, "time"), text_of(reload, "error"));
}

static void print_store(const json_t *store)
{
    if (!json_is_object(store)) {
        line("Redis", "none is configured");
        return;
    }
    bool up = json_is_true(json_object_get(store, "up"));
    line("Redis", "%s, %s", text_of(store, "address"), up ? "takes writes" : "is away");
    line("", "%lld messages saved at once, %lld by the spool", number_of(store, "saved"),
         number_of(store, "replayed"));
    line("spool", "%lld messages wait", number_of(store, "waiting"));
}

static void print_filters(const json_t *filters)
{
    const char *name;
    const json_t *values;
    const char *heading = "filters";
    json_object_foreach ((json_t *)(uintptr_t)filters, name, values) {
        line(heading, "%s: %lld values", name, (long long)json_integer_value(values));
        heading = "";
    }
    if (*heading)
        line(heading, "none");
}

void mw_control_print_status(const json_t *answer)
{
    print_warnings(answer);
    print_daemon(answer);
    print_workers(json_object_get(answer, "workers"));
    print_engines(json_object_get(answer, "engines"));
    print_reload(json_object_get(answer, "last_reload"));
    print_store(json_object_get(answer, "store"));
    print_filters(json_object_get(answer, "filters"));
}

void mw_control_print_reload(const json_t *answer)
{
    const char *restart = text_of(answer, "needs_restart");
    printf("read again; generation %lld is in force\n", number_of(answer, "generation"));
    if (restart)
        fprintf(stderr,
                "mailwitness reload: a reload cannot change %s: restart mailwitnessd for "
                "that\n",
                restart);
}
