/* lifecycle: prepare, drop rights, start threads, loop, end. */
#include "milter/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "milter/callbacks.h"
#include "milter/check.h"
#include "milter/check_memory.h"
#include "milter/control.h"
#include "milter/engine.h"
#include "milter/front.h"
#include "milter/listen.h"
#include "milter/notify.h"
#include "milter/reader.h"
#include "milter/wake.h"
#include "parsers/parse.h"
#include "worker/rights.h"

enum { MOST_LISTENERS = MW_FRONT_LISTENERS, STEP_MS = 20, LINGER_MS = 300, TRIM_MS = 10000 };

struct lifecycle {
    const struct mw_lifecycle_options *options;
    struct mw_config *config; /* until the daemon has it; then borrowed from it */
    struct mw_log *log;
    struct mw_daemon *daemon;
    struct mw_snapshot *snapshot; /* the configuration it started with */
    struct mw_wake *wake;
    struct mw_listener listeners[MOST_LISTENERS];
    size_t listener_count;
    struct mw_listener control; /* descriptor -1: none */
    int parent;                 /* pipe to the process that was started, when in the background */
};

/* --- checking ------------------------------------------------------------------ */

static void print_all(const char *kind, const struct mw_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        fprintf(stderr, "mailwitnessd: %s%s\n", kind, texts->items[i]);
}

/* Rights go for good. */
static int become_user(const char *name, const struct passwd *user, struct mw_error *error)
{
    if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        return mw_fail_errno(error, "cannot become %s", name);
    return 0;
}

/* Files are opened by milter.user, once the daemon has become that. */
static void check_as_user(const struct mw_config *config, struct mw_arena *arena,
                          struct mw_check_findings *findings)
{
    struct mw_error error = {0};
    const char *name = config->milter.user;
    const struct passwd *user = geteuid() == 0 && name && *name ? getpwnam(name) : NULL;
    if (user && become_user(name, user, &error) != 0)
        mw_texts_add(arena, &findings->mistakes, mw_arena_dup(arena, error.text));
    else
        mw_check_memory(config, arena, findings);
}

int mw_lifecycle_test(const struct mw_lifecycle_options *options)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_check_findings findings = {0};
    struct mw_config *config = mw_check_load(options->config_path, arena, &findings.mistakes);
    if (config) {
        mw_check_listen(config, arena, &findings.warnings);
        mw_check_times(config, arena, &findings.warnings);
        mw_check_rights(config, arena, &findings.warnings);
        mw_check_engines(config, arena, &findings.mistakes, &findings.warnings);
        check_as_user(config, arena, &findings);
    }
    print_all("note: ", &findings.notes);
    print_all("warning: ", &findings.warnings);
    print_all("", &findings.mistakes);
    int count = (int)findings.mistakes.count;
    if (count == 0)
        printf("%s: no mistakes\n", options->config_path ? options->config_path : "the defaults");
    mw_config_free(config);
    mw_arena_free(arena);
    return count;
}

/* --- preparing ----------------------------------------------------------------- */

static int load_config(struct lifecycle *life, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    life->config = mw_check_load(life->options->config_path, arena, &mistakes);
    print_all("", &mistakes);
    mw_arena_free(arena);
    return life->config ? 0
                        : mw_fail(error, MW_ERR_INPUT, "not started: the configuration is wrong");
}

/* In the background a terminal is no place for a log. */
static int open_log(struct lifecycle *life, struct mw_error *error)
{
    enum mw_log_target target = life->config->log_target;
    if (life->options->background && target == MW_LOG_STDERR)
        target = MW_LOG_SYSLOG;
    life->log =
        mw_log_new("mailwitnessd", target, life->config->log_form, life->config->log_level, error);
    return life->log ? 0 : error->code;
}

static void raise_limits(const struct mw_config_milter *config)
{
    struct rlimit files, core = {config->core_size, config->core_size};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    setrlimit(RLIMIT_CORE, &core);
}

/* The process that was started waits for "" (all is well) or for what is wrong. */
_Noreturn static void wait_for_child(int ready)
{
    char text[sizeof((struct mw_error *)0)->text + 1] = "";
    ssize_t got;
    do
        got = read(ready, text, sizeof text - 1);
    while (got < 0 && errno == EINTR);
    if (got == 1 && text[0] == '\0')
        _exit(EXIT_SUCCESS);
    fprintf(stderr, "mailwitnessd: %s\n", got > 0 ? text : "ended before it was ready");
    _exit(EXIT_FAILURE);
}

static void tell_parent(struct lifecycle *life, const char *text)
{
    if (life->parent < 0)
        return;
    ssize_t written = write(life->parent, text, strlen(text) + 1);
    (void)written; /* it is gone: nobody wants to know */
    close(life->parent);
    life->parent = -1;
}

/* The terminal is left before other processes are made that would hold it. */
static int leave_terminal(struct mw_error *error)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; nowhere >= 0 && fd < 3; fd++)
        dup2(nowhere, fd);
    if (nowhere < 0 || chdir("/") != 0)
        return mw_fail_errno(error, "cannot leave the terminal");
    close(nowhere);
    setsid();
    return 0;
}

static int go_to_background(struct lifecycle *life, struct mw_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return mw_fail_errno(error, "cannot go to the background");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return mw_fail_errno(error, "cannot go to the background");
    if (pid > 0) {
        close(ends[1]);
        wait_for_child(ends[0]);
    }
    close(ends[0]);
    life->parent = ends[1];
    return leave_terminal(error);
}

static int take_passed(struct lifecycle *life, struct mw_error *error)
{
    int first, count = mw_notify_sockets(&first);
    if (count > MOST_LISTENERS)
        return mw_fail(error, MW_ERR_LIMIT, "%d sockets are passed to us, %d are the most", count,
                       MOST_LISTENERS);
    for (int i = 0; i < count; i++) {
        if (mw_listen_take(first + i, &life->listeners[life->listener_count], error) != 0)
            return error->code;
        life->listener_count++;
    }
    return 0;
}

static int open_listeners(struct lifecycle *life, struct mw_error *error)
{
    const struct mw_config_milter *milter = &life->config->milter;
    const struct mw_listen_settings settings = {milter->socket_mode, milter->socket_group};
    if (take_passed(life, error) != 0 || life->listener_count > 0)
        return error->code;
    for (size_t i = 0; i < milter->listen.count; i++) {
        if (mw_listen_open(milter->listen.items[i], &settings, &life->listeners[i], error) != 0)
            return error->code;
        life->listener_count++;
    }
    return 0;
}

static int open_control(struct lifecycle *life, struct mw_error *error)
{
    const struct mw_listen_settings settings = {"0660", life->config->milter.socket_group};
    const char *path = life->config->milter.control;
    char name[160];
    if (!path || !*path)
        return 0;
    snprintf(name, sizeof name, "unix:%s", path);
    return mw_listen_open(name, &settings, &life->control, error);
}

/* As milter.user: in a folder that others may write to, root would write where they want. */
static int write_pid_file(const struct lifecycle *life, struct mw_error *error)
{
    struct mw_error why = {0};
    const char *path = life->config->milter.pid_file;
    char text[24];
    if (!path || !*path)
        return 0;
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    return mw_file_replace(path, mw_bytes_of(text), 0644, &why) == 0
               ? 0
               : mw_fail(error, why.code, "milter.pid_file: %s", why.text);
}

/* So that they can be asked for, and removed at the end. */
static int give_file(const struct mw_listener *listener, uid_t user, struct mw_error *error)
{
    struct mw_error why = {0};
    if (!listener->path[0] || mw_file_give(listener->path, S_IFSOCK, user, (gid_t)-1, &why) == 0)
        return 0;
    return mw_fail(error, why.code, "cannot give a socket to milter.user: %s", why.text);
}

static int give_files(const struct lifecycle *life, uid_t user, struct mw_error *error)
{
    for (size_t i = 0; i < life->listener_count; i++)
        if (give_file(&life->listeners[i], user, error) != 0)
            return error->code;
    return give_file(&life->control, user, error);
}

static int drop_rights(const struct lifecycle *life, struct mw_error *error)
{
    const char *name = life->config->milter.user;
    if (geteuid() == 0 && name && *name) {
        const struct passwd *user = getpwnam(name);
        if (!user)
            return mw_fail(error, MW_ERR_INPUT, "milter.user: there is no user '%s'", name);
        if (give_files(life, user->pw_uid, error) != 0)
            return error->code;
        if (become_user(name, user, error) != 0)
            return error->code;
    }
    /* What a service manager gave for workers to have a user of their own: the process they come
     * from has it by now. */
    if (geteuid() != 0 && mw_rights_drop() != 0)
        return mw_fail_errno(error, "cannot give up capabilities");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (life->config->milter.core_size > 0)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

static void log_warnings(const struct lifecycle *life)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts warnings = {0};
    mw_check_listen(life->config, arena, &warnings);
    mw_check_times(life->config, arena, &warnings);
    mw_check_rights(life->config, arena, &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        mw_log_write(life->log, MW_LOG_WARNING, NULL, "%s", warnings.items[i]);
    mw_arena_free(arena);
}

/* Everything that must happen while there is one thread, and maybe as root. */
static int prepare(struct lifecycle *life, struct mw_error *error)
{
    if (load_config(life, error) != 0 || open_log(life, error) != 0)
        return error->code;
    if (life->options->background && go_to_background(life, error) != 0)
        return error->code;
    log_warnings(life);
    raise_limits(&life->config->milter);
    life->daemon = mw_daemon_new(life->config, life->options->config_path, life->log, error);
    if (!life->daemon) {
        life->config = NULL;
        return error->code;
    }
    life->snapshot = mw_daemon_snapshot(life->daemon);
    mw_wake_hold_end(); /* files that are made are removed at the end */
    if (open_listeners(life, error) != 0 || open_control(life, error) != 0 ||
        drop_rights(life, error) != 0)
        return error->code;
    return write_pid_file(life, error);
}

/* --- running ------------------------------------------------------------------- */

/* libmilter has the first unix socket, or a private one; all others go by the front, and so
 * do all where libmilter cannot be kept from reading frames itself. */
static int serve_listeners(struct lifecycle *life, struct mw_error *error)
{
    struct mw_listener own = {.fd = -1, .file = -1};
    size_t direct = mw_reader_is_built() ? 0 : life->listener_count;
    while (direct < life->listener_count && !life->listeners[direct].local)
        direct++;
    if (direct == life->listener_count && mw_listen_private(&own, error) != 0)
        return error->code;
    mw_engine_prepare(own.fd >= 0 ? &own : &life->listeners[direct], error);
    mw_listen_close(&own);
    struct mw_front *front = NULL;
    if (error->code == 0 && (life->listener_count > 1 || direct > 0))
        front = mw_front_start(error);
    for (size_t i = 0; front && i < life->listener_count && error->code == 0; i++)
        if (i != direct)
            mw_front_add(front, &life->listeners[i], error);
    return error->code == 0 ? mw_engine_start(life->wake, error) : error->code;
}

static int start_threads(struct lifecycle *life, struct mw_error *error)
{
    life->wake = mw_wake_new(error);
    if (!life->wake)
        return error->code;
    mw_wake_block(true);
    if (mw_daemon_start(life->daemon, error) == 0 &&
        mw_callbacks_register(life->daemon, error) == 0)
        serve_listeners(life, error);
    if (error->code == 0 && life->control.fd >= 0)
        mw_control_start(life->daemon, life->control.fd, error);
    mw_wake_block(false);
    return error->code;
}

static void *reload(void *daemon)
{
    struct mw_error error = {0};
    if (!mw_daemon_enter(daemon))
        return NULL;
    mw_notify_reloading();
    mw_daemon_reload(daemon, &error);
    mw_notify("READY=1");
    mw_daemon_leave(daemon);
    return NULL;
}

/* Memory that a crowd of connections or large messages had stays with the C library's allocator for
 * its next need: once there was something it is given back now and then. */
static void give_memory_back(const struct lifecycle *life, int64_t *next_ms, uint64_t *seen)
{
    int64_t now_ms = mw_clock_ms();
    uint64_t connections = atomic_load(&life->daemon->counters.connections);
    if (now_ms < *next_ms)
        return;
    *next_ms = now_ms + TRIM_MS;
    if (connections != *seen)
        malloc_trim(0);
    *seen = connections;
}

static int loop(struct lifecycle *life, struct mw_error *error)
{
    int watchdog_ms = mw_notify_watchdog_ms();
    int step_ms = watchdog_ms > 0 && watchdog_ms < TRIM_MS ? watchdog_ms : TRIM_MS;
    int64_t trim_ms = 0;
    uint64_t seen = 0;
    struct mw_wake_signals signals = {0};
    for (;;) {
        mw_wake_wait(life->wake, step_ms, &signals);
        if (watchdog_ms > 0)
            mw_notify("WATCHDOG=1");
        give_memory_back(life, &trim_ms, &seen);
        if (mw_engine_has_ended())
            return mw_fail(error, MW_ERR_INTERNAL, "libmilter's loop ended of its own accord");
        if (mw_pool_is_lost(life->daemon->pool))
            return mw_fail(error, MW_ERR_INTERNAL,
                           "the process that starts workers is gone: start the daemon again");
        if (signals.end > 0)
            return 0;
        if (signals.reload > 0 && mw_wake_thread(reload, life->daemon, error) != 0)
            mw_log_write(life->log, MW_LOG_ERROR, NULL, "%s", error->text);
    }
}

/* Waits until no message is open, or late_ms; a second signal cuts it short. */
static bool wait_for_messages(struct lifecycle *life, int64_t late_ms)
{
    struct mw_wake_signals signals = {0};
    const atomic_uint *open = &life->daemon->users;
    while (atomic_load(open) > 0 && mw_clock_us() / 1000 < late_ms && signals.end == 0)
        mw_wake_wait(life->wake, STEP_MS, &signals);
    return atomic_load(open) == 0;
}

/* Messages under way may finish; then none may begin, and the last answers go out. */
static bool finish_messages(struct lifecycle *life)
{
    struct mw_wake_signals signals = {0};
    int64_t now_ms = mw_clock_us() / 1000;
    wait_for_messages(life, now_ms + mw_snapshot_config(life->snapshot)->milter.grace_ms);
    atomic_store(&life->daemon->closing, true);
    bool done = wait_for_messages(life, mw_clock_us() / 1000 + LINGER_MS);
    mw_wake_wait(life->wake, LINGER_MS, &signals);
    if (!done)
        mw_log_write(life->log, MW_LOG_WARNING, NULL,
                     "%llu under way cut off: the mail server will try again",
                     (unsigned long long)atomic_load(&life->daemon->counters.messages_open));
    return done;
}

static void close_listeners(struct lifecycle *life)
{
    for (size_t i = 0; i < life->listener_count; i++)
        mw_listen_close(&life->listeners[i]);
    life->listener_count = 0;
    mw_listen_close(&life->control);
}

static void end(struct lifecycle *life)
{
    mw_notify("STOPPING=1");
    mw_log_write(life->log, MW_LOG_NOTICE, NULL, "ending");
    mw_engine_stop_accepting();
    close_listeners(life);
    bool done = finish_messages(life);
    /* libmilter's threads are still there and may look at the daemon, which goes with the
     * process; what must be flushed and waited for is all that ends before. */
    if (done)
        mw_daemon_rest(life->daemon);
    const char *pid_file = life->config->milter.pid_file;
    if (pid_file && *pid_file)
        unlink(pid_file);
}

static int run(struct lifecycle *life, struct mw_error *error)
{
    tell_parent(life, "");
    mw_notify("READY=1");
    for (size_t i = 0; i < life->listener_count; i++)
        mw_log_write(life->log, MW_LOG_NOTICE, NULL, "ready on %s", life->listeners[i].name);
    int result = loop(life, error);
    if (result != 0)
        mw_log_write(life->log, MW_LOG_ERROR, NULL, "%s", error->text);
    end(life);
    mw_snapshot_release(life->snapshot);
    return result;
}

int mw_lifecycle_run(const struct mw_lifecycle_options *options, struct mw_error *error)
{
    struct lifecycle life = {.options = options, .control = {.fd = -1, .file = -1}, .parent = -1};
    bool started = prepare(&life, error) == 0 && start_threads(&life, error) == 0;
    if (started && life.daemon)
        return run(&life, error);
    tell_parent(&life, error->text);
    close_listeners(&life);
    mw_snapshot_release(life.snapshot);
    if (life.daemon && life.wake)
        mw_daemon_rest(life.daemon);
    else if (life.daemon)
        mw_daemon_free(life.daemon);
    return error->code;
}
