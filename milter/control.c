/* control: questions and answers. */
#include "milter/control.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "core/clock.h"
#include "core/time.h"
#include "milter/wake.h"

/* What an asker has for its whole question, and for taking the whole answer. */
enum { ASKERS = 16, PATIENCE_MS = 5000, PAUSE_US = 10000 };

static const char *const commands[] = {"status", "stats", "reload"};
enum { COMMANDS = sizeof commands / sizeof *commands };

int mw_control_parse(struct mw_bytes line, enum mw_control_command *command, struct mw_error *error)
{
    json_error_t why;
    if (line.size > MW_CONTROL_LINE)
        return mw_fail(error, MW_ERR_INPUT, "a question has at most %d bytes", MW_CONTROL_LINE);
    json_t *json = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, &why);
    const char *name = json_string_value(json_object_get(json, "command"));
    int result = MW_ERR_INPUT;
    for (unsigned i = 0; name && i < COMMANDS; i++)
        if (strcmp(name, commands[i]) == 0) {
            *command = (enum mw_control_command)i;
            result = 0;
        }
    json_decref(json);
    return result == 0 ? 0
                       : mw_fail(error, MW_ERR_INPUT,
                                 "ask {\"command\": \"status\"}, stats or reload, as one line");
}

static json_t *number(const atomic_uint_fast64_t *counter)
{
    return json_integer((json_int_t)atomic_load(counter));
}

static json_t *store_state(struct mw_daemon *daemon)
{
    struct mw_store_state state;
    struct mw_error why = {0};
    bool answers = mw_memory_ask_store(daemon->memory, &why) == 0;
    if (!mw_memory_store_state(daemon->memory, &state))
        return json_string("none");
    if (state.up && !answers) /* it came back, and is not quite there */
        snprintf(state.why, sizeof state.why, "%.250s", why.text);
    return json_pack("{s:b, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "up",
                     state.up && answers, "answers", answers, "trouble", state.trouble, "why",
                     state.why, "address", state.address, "saved", (json_int_t)state.saved,
                     "spooled", (json_int_t)state.spooled, "replayed", (json_int_t)state.replayed,
                     "failed", (json_int_t)state.failed, "waiting", (json_int_t)state.spool_entries,
                     "damaged", (json_int_t)state.damaged, "damaged_files",
                     (json_int_t)state.damaged_files);
}

static void add_filters(void *user, const struct mw_tracked *tracked)
{
    json_t *filters = user;
    for (size_t i = 0; i < mw_tracked_count(tracked); i++) {
        struct mw_tracked_state state;
        mw_tracked_get_state(tracked, i, &state);
        json_object_set_new(filters, state.name, json_integer((json_int_t)state.info.values));
    }
}

static json_t *workers_state(struct mw_daemon *daemon)
{
    struct mw_pool_state pool;
    mw_pool_get_state(daemon->pool, &pool);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)pool.workers,
                     "generation", (json_int_t)pool.generation, "busy", (json_int_t)pool.busy,
                     "done", (json_int_t)pool.done, "failed", (json_int_t)pool.failed, "deaths",
                     (json_int_t)pool.deaths, "reused", (json_int_t)pool.reuse.hits);
}

/* --- what somebody should look at ------------------------------------------------------ */

static void warn(json_t *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(json_t *warnings, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(warnings, json_string(text));
}

static void warn_of_store(json_t *warnings, const json_t *store)
{
    const char *address = json_string_value(json_object_get(store, "address"));
    const char *why = json_string_value(json_object_get(store, "why"));
    long long waiting = json_integer_value(json_object_get(store, "waiting"));
    if (!json_is_object(store))
        return;
    if (!json_is_true(json_object_get(store, "up")))
        warn(warnings, "Redis at %s takes no writes: %s; %lld messages wait in the spool",
             address ? address : "?", why && *why ? why : "unknown", waiting);
    long long failed = json_integer_value(json_object_get(store, "failed"));
    if (failed > 0)
        warn(warnings, "%lld messages could be stored nowhere, neither in Redis nor in the spool",
             failed);
    if (json_integer_value(json_object_get(store, "damaged_files")) > 0)
        warn(warnings, "the spool has damaged files: see the log, and mailwitness spool list");
}

static void warn_of_filters(void *user, const struct mw_tracked *tracked)
{
    for (size_t i = 0; i < mw_tracked_count(tracked); i++) {
        struct mw_tracked_state state;
        mw_tracked_get_state(tracked, i, &state);
        if (state.info.damaged > 0)
            warn(user, "filter '%s' is damaged: values that were added may be taken for new",
                 state.name);
    }
}

static void warn_of_engines(json_t *warnings, struct mw_daemon *daemon)
{
    char *rest = NULL, *text = mw_pool_warnings(daemon->pool);
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        warn(warnings, "%s", line);
    free(text);
}

static json_t *warnings_of(struct mw_daemon *daemon, const json_t *store)
{
    json_t *warnings = json_array();
    struct mw_last_reload last;
    char restart[MW_RESTART_TEXT];
    mw_daemon_get_reload(daemon, &last, restart);
    warn_of_store(warnings, store);
    if (last.why.code != 0)
        warn(warnings, "the last reload failed, what was before is still in force: %s",
             last.why.text);
    if (*restart)
        warn(warnings, "the configuration has another %s: restart mailwitnessd for that", restart);
    warn_of_engines(warnings, daemon);
    mw_memory_look(daemon->memory, warn_of_filters, warnings);
    return warnings;
}

/* null: there was none. */
static json_t *last_reload(struct mw_daemon *daemon)
{
    struct mw_last_reload last;
    char restart[MW_RESTART_TEXT], at[MW_TIME_SIZE];
    mw_daemon_get_reload(daemon, &last, restart);
    if (last.at_s == 0)
        return json_null();
    mw_time_seconds_text(last.at_s, at);
    return json_pack("{s:s, s:b, s:s*}", "time", at, "ok", last.why.code == 0, "error",
                     last.why.code == 0 ? NULL : last.why.text);
}

static json_t *engines_of(struct mw_daemon *daemon)
{
    char *text = mw_pool_engines(daemon->pool);
    json_t *engines = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return engines ? engines : json_array();
}

static const char *mode_of(struct mw_daemon *daemon)
{
    struct mw_snapshot *snapshot = mw_daemon_snapshot(daemon);
    bool observes = mw_snapshot_config(snapshot)->milter.mode == 0;
    mw_snapshot_release(snapshot);
    return observes ? "observe" : "act";
}

static json_t *status(struct mw_daemon *daemon)
{
    struct mw_counters *counters = &daemon->counters;
    json_t *filters = json_object(), *store = store_state(daemon);
    mw_memory_look(daemon->memory, add_filters, filters);
    return json_pack("{s:b, s:o, s:s, s:s, s:I, s:I, s:s?, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}",
                     "ok", true, "warnings", warnings_of(daemon, store), "mode", mode_of(daemon),
                     "version", PACKAGE_VERSION, "pid", (json_int_t)getpid(), "uptime",
                     (json_int_t)((mw_clock_ms() - daemon->started_ms) / 1000), "configuration",
                     daemon->config_path, "connections", number(&counters->connections_open),
                     "messages", number(&counters->messages_open), "held_bytes",
                     (json_int_t)atomic_load(&daemon->admission.held), "workers",
                     workers_state(daemon), "engines", engines_of(daemon), "last_reload",
                     last_reload(daemon), "store", store, "filters", filters);
}

static json_t *stats(struct mw_daemon *daemon)
{
    struct mw_counters *counters = &daemon->counters;
    json_t *actions = json_object(), *verdicts = json_object(), *failures = json_object();
    for (unsigned i = MW_ACTION_ACCEPT; i < MW_ACTIONS; i++)
        json_object_set_new(actions, mw_action_name(i), number(&counters->actions[i]));
    for (unsigned i = 0; i < MW_VERDICTS; i++)
        json_object_set_new(verdicts, mw_verdict_name(i), number(&counters->verdicts[i]));
    for (unsigned i = 0; i < MW_FAILURE_COUNT; i++)
        json_object_set_new(failures, mw_failure_name(i), number(&counters->failures[i]));
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ok", true,
                     "connections", number(&counters->connections), "messages",
                     number(&counters->messages), "aborted", number(&counters->aborted), "bytes",
                     number(&counters->bytes), "actions", actions, "verdicts", verdicts, "failures",
                     failures, "reloads", number(&counters->reloads), "reloads_failed",
                     number(&counters->reloads_failed), "workers", workers_state(daemon));
}

static json_t *reload(struct mw_daemon *daemon)
{
    struct mw_error error = {0};
    struct mw_pool_state pool;
    if (mw_daemon_reload(daemon, &error) != 0)
        return json_pack("{s:b, s:s}", "ok", false, "error", error.text);
    mw_pool_get_state(daemon->pool, &pool);
    struct mw_last_reload last;
    char restart[MW_RESTART_TEXT];
    mw_daemon_get_reload(daemon, &last, restart);
    return json_pack("{s:b, s:I, s:s*}", "ok", true, "generation", (json_int_t)pool.generation,
                     "needs_restart", *restart ? restart : NULL);
}

char *mw_control_answer(struct mw_daemon *daemon, struct mw_bytes line)
{
    struct mw_error error = {0};
    enum mw_control_command command = MW_CONTROL_STATUS;
    json_t *answer;
    if (mw_control_parse(line, &command, &error) != 0)
        answer = json_pack("{s:b, s:s}", "ok", false, "error", error.text);
    else if (command == MW_CONTROL_STATUS)
        answer = status(daemon);
    else if (command == MW_CONTROL_STATS)
        answer = stats(daemon);
    else
        answer = reload(daemon);
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    return text ? text : strdup("{\"ok\":false,\"error\":\"the answer cannot be written\"}");
}

/* --- the socket ------------------------------------------------------------------- */

struct control {
    struct mw_daemon *daemon;
    int fd;
    atomic_uint askers;
};

struct asker {
    struct control *control;
    int fd;
};

/* Whether the socket is ready for events before the deadline. */
static bool is_ready(int fd, short events, int64_t deadline)
{
    struct pollfd ready = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline - mw_clock_ms();
        int count = left > 0 ? poll(&ready, 1, (int)left) : 0;
        if (count >= 0 || errno != EINTR)
            return count > 0;
    }
}

/* A line, or all there is until the asker sends no more: how many bytes. One deadline for all
 * of it: an asker who sends a byte now and then takes no place for long. */
static size_t read_question(int fd, char *line, size_t room)
{
    int64_t deadline = mw_clock_ms() + PATIENCE_MS;
    size_t got = 0;
    while (got < room && !memchr(line, '\n', got) && is_ready(fd, POLLIN, deadline)) {
        ssize_t n = recv(fd, line + got, room - got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    return got;
}

static void send_answer(int fd, const char *text, size_t size)
{
    int64_t deadline = mw_clock_ms() + PATIENCE_MS;
    while (size > 0 && is_ready(fd, POLLOUT, deadline)) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

static void answer(struct asker *asker)
{
    char line[MW_CONTROL_LINE] = "";
    size_t got = read_question(asker->fd, line, sizeof line);
    const char *end = memchr(line, '\n', got);
    struct mw_bytes question = {(const unsigned char *)line, end ? (size_t)(end - line) : got};
    char *text = mw_control_answer(asker->control->daemon, question);
    size_t size = strlen(text);
    text[size] = '\n'; /* in the place of its NUL */
    send_answer(asker->fd, text, size + 1);
    free(text);
}

static void *serve(void *argument)
{
    struct asker *asker = argument;
    if (mw_daemon_enter(asker->control->daemon)) {
        answer(asker);
        mw_daemon_leave(asker->control->daemon);
    }
    close(asker->fd);
    atomic_fetch_sub(&asker->control->askers, 1);
    free(asker);
    return NULL;
}

/* Too many at once are hung up on. */
static void take(struct control *control, int fd)
{
    struct mw_error ignored = {0};
    struct asker *asker = malloc(sizeof *asker);
    if (!asker)
        abort();
    *asker = (struct asker){control, fd};
    if (atomic_fetch_add(&control->askers, 1) < ASKERS &&
        mw_wake_thread(serve, asker, &ignored) == 0)
        return;
    atomic_fetch_sub(&control->askers, 1);
    close(fd);
    free(asker);
}

static void *listen_for_askers(void *argument)
{
    struct control *control = argument;
    struct pollfd ready = {.fd = control->fd, .events = POLLIN};
    for (;;) {
        poll(&ready, 1, -1);
        if (ready.revents & POLLNVAL)
            return NULL;
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take(control, fd);
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            usleep(PAUSE_US); /* no descriptor is left: whoever asks goes on waiting */
    }
}

int mw_control_start(struct mw_daemon *daemon, int fd, struct mw_error *error)
{
    struct control *control = calloc(1, sizeof *control);
    if (!control)
        abort();
    control->daemon = daemon;
    control->fd = fd;
    if (mw_wake_thread(listen_for_askers, control, error) == 0)
        return 0;
    free(control);
    return error->code;
}
