/* daemon: start, reload, end. */
#include "milter/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "milter/check.h"
#include "milter/gauges.h"
#include "milter/repeats.h"
#include "worker/setup.h"

/* The pool's word about its workers. */
static void pool_notice(void *user, bool bad, const char *text)
{
    const struct mw_daemon *daemon = user;
    mw_log_write(daemon->log, bad ? MW_LOG_WARNING : MW_LOG_INFO, NULL, "%s", text);
}

static void log_warnings(struct mw_daemon *daemon)
{
    char *rest = NULL, *text = mw_pool_warnings(daemon->pool);
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        mw_log_write(daemon->log, MW_LOG_WARNING, NULL, "%s", line);
    free(text);
}

/* What can change while mail flows. */
static void apply(struct mw_daemon *daemon, const struct mw_config *config)
{
    atomic_store(&daemon->admission.max, config->milter.memory_max);
}

static int start_pool(struct mw_daemon *daemon, const struct mw_config *config,
                      struct mw_error *error)
{
    struct mw_pool_settings settings;
    mw_setup_pool(config, &settings);
    settings.queue_ms = config->milter.queue_ms;
    settings.queue_most = config->milter.queue_most;
    settings.spare_workers = 1;
    settings.notice = pool_notice;
    settings.notice_user = daemon;
    settings.generation.load = mw_setup_load;
    settings.source = mw_config_pack(config, error);
    if (!settings.source)
        return error->code;
    daemon->pool = mw_pool_new(&settings, error);
    if (!daemon->pool)
        return error->code;
    log_warnings(daemon);
    return 0;
}

struct mw_daemon *mw_daemon_new(struct mw_config *config, const char *config_path,
                                struct mw_log *log, struct mw_error *error)
{
    struct mw_daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        abort();
    daemon->config_path = config_path;
    daemon->log = log;
    daemon->started_s = time(NULL);
    daemon->started_ms = mw_clock_ms();
    pthread_mutex_init(&daemon->lock, NULL);
    pthread_mutex_init(&daemon->reading, NULL);
    daemon->snapshot = mw_snapshot_new(config, error);
    daemon->repeats = mw_repeats_new();
    if (!daemon->repeats)
        abort();
    daemon->ids = mw_id_source_new();
    if (!daemon->ids)
        mw_fail_errno(error, "the system gives no random numbers");
    daemon->started = daemon->snapshot ? mw_snapshot_use(daemon->snapshot) : NULL;
    if (daemon->snapshot && daemon->ids && mw_memory_prepare(config, error) == 0 &&
        start_pool(daemon, config, error) == 0) {
        apply(daemon, config);
        return daemon;
    }
    mw_daemon_free(daemon);
    return NULL;
}

int mw_daemon_start(struct mw_daemon *daemon, struct mw_error *error)
{
    const struct mw_config *config = mw_snapshot_config(daemon->snapshot);
    daemon->metrics = mw_metrics_new();
    daemon->memory = mw_memory_open(daemon->snapshot, daemon->log, error);
    if (!daemon->memory)
        return error->code;
    mw_gauges_register(daemon);
    return config->metrics_listen
               ? mw_metrics_listen(daemon->metrics, config->metrics_listen, error)
               : 0;
}

void mw_daemon_rest(struct mw_daemon *daemon)
{
    mw_metrics_free(daemon->metrics);
    mw_pool_free(daemon->pool);
    mw_memory_close(daemon->memory);
    daemon->metrics = NULL;
    daemon->pool = NULL;
    daemon->memory = NULL;
}

void mw_daemon_free(struct mw_daemon *daemon)
{
    mw_daemon_rest(daemon);
    mw_snapshot_release(daemon->snapshot);
    mw_snapshot_release(daemon->started);
    mw_id_source_free(daemon->ids);
    mw_repeats_free(daemon->repeats);
    free(daemon);
}

bool mw_daemon_enter(struct mw_daemon *daemon)
{
    atomic_fetch_add(&daemon->users, 1);
    if (!atomic_load(&daemon->closing))
        return true;
    mw_daemon_leave(daemon);
    return false;
}

void mw_daemon_leave(struct mw_daemon *daemon)
{
    atomic_fetch_sub(&daemon->users, 1);
}

struct mw_snapshot *mw_daemon_snapshot(struct mw_daemon *daemon)
{
    pthread_mutex_lock(&daemon->lock);
    struct mw_snapshot *snapshot = mw_snapshot_use(daemon->snapshot);
    pthread_mutex_unlock(&daemon->lock);
    return snapshot;
}

/* All mistakes to the log, the first to error. */
static struct mw_config *read_config(struct mw_daemon *daemon, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_check_load(daemon->config_path, arena, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        mw_log_write(daemon->log, MW_LOG_ERROR, NULL, "%s", mistakes.items[i]);
    if (!config)
        mw_fail(error, MW_ERR_INPUT, "%s%s", mistakes.count > 0 ? mistakes.items[0] : "no memory",
                mistakes.count > 1 ? " (and more, see the log)" : "");
    mw_arena_free(arena);
    return config;
}

static void replace_snapshot(struct mw_daemon *daemon, struct mw_snapshot *next)
{
    pthread_mutex_lock(&daemon->lock);
    struct mw_snapshot *old = daemon->snapshot;
    daemon->snapshot = next;
    pthread_mutex_unlock(&daemon->lock);
    mw_snapshot_release(old);
}

/* What is opened, or given up, at the start only. */
static const char *const at_start[][2] = {
    {"milter", "listen"},    {"milter", "socket_mode"}, {"milter", "socket_group"},
    {"milter", "user"},      {"milter", "pid_file"},    {"milter", "control"},
    {"milter", "core_size"}, {"workers", "user"},       {"metrics", "listen"},
    {"log", "target"},       {"log", "form"},           {"log", "level"},
};

/* Says which of these the file has otherwise than the running daemon. */
static void tell_restart(struct mw_daemon *daemon, const struct mw_config *config)
{
    char names[MW_RESTART_TEXT] = "";
    size_t size = 0;
    const struct mw_config *started = mw_snapshot_config(daemon->started);
    for (size_t i = 0; i < sizeof at_start / sizeof *at_start; i++) {
        const char *const *one = at_start[i];
        if (!mw_config_same_option(started, config, one[0], one[1]) && size < sizeof names)
            size += (size_t)snprintf(names + size, sizeof names - size, "%s%s.%s",
                                     size > 0 ? ", " : "", one[0], one[1]);
    }
    pthread_mutex_lock(&daemon->lock);
    memcpy(daemon->restart, names, sizeof names);
    pthread_mutex_unlock(&daemon->lock);
    if (*names)
        mw_log_write(daemon->log, MW_LOG_WARNING, NULL,
                     "a reload cannot change %s: restart mailwitnessd for that", names);
}

/* Workers with the configuration; with the settings before when they cannot be had. */
static int reload_pool(struct mw_daemon *daemon, const struct mw_config *config,
                       struct mw_error *error)
{
    struct mw_reuse_settings before = mw_setup_reuse(mw_snapshot_config(daemon->snapshot));
    struct mw_reuse_settings reuse = mw_setup_reuse(config);
    struct mw_memfile *source = mw_config_pack(config, error);
    if (!source)
        return error->code;
    mw_pool_set_reuse(daemon->pool, &reuse);
    if (mw_pool_reload(daemon->pool, source, error) == 0)
        return 0;
    mw_pool_set_reuse(daemon->pool, &before);
    return error->code;
}

/* All that can fail comes first; what follows the pool's change cannot. */
static int reload(struct mw_daemon *daemon, struct mw_error *error)
{
    struct mw_config *config = read_config(daemon, error);
    struct mw_snapshot *next = config ? mw_snapshot_new(config, error) : NULL;
    struct mw_memory_change *change =
        next ? mw_memory_prepare_change(daemon->memory, next, error) : NULL;
    if (!change || reload_pool(daemon, config, error) != 0) {
        mw_memory_abandon(change);
        mw_snapshot_release(next);
        return error->code;
    }
    mw_memory_commit(daemon->memory, change);
    apply(daemon, config);
    replace_snapshot(daemon, next);
    mw_repeats_forget(daemon->repeats);
    log_warnings(daemon);
    tell_restart(daemon, config);
    return 0;
}

void mw_daemon_get_reload(struct mw_daemon *daemon, struct mw_last_reload *last,
                          char restart[MW_RESTART_TEXT])
{
    pthread_mutex_lock(&daemon->lock);
    *last = daemon->last_reload;
    memcpy(restart, daemon->restart, MW_RESTART_TEXT);
    pthread_mutex_unlock(&daemon->lock);
}

int mw_daemon_reload(struct mw_daemon *daemon, struct mw_error *error)
{
    struct mw_pool_state state;
    pthread_mutex_lock(&daemon->reading);
    int result = reload(daemon, error);
    pthread_mutex_lock(&daemon->lock);
    daemon->last_reload.at_s = time(NULL);
    daemon->last_reload.why = *error;
    pthread_mutex_unlock(&daemon->lock);
    pthread_mutex_unlock(&daemon->reading);
    atomic_fetch_add(result == 0 ? &daemon->counters.reloads : &daemon->counters.reloads_failed, 1);
    mw_pool_get_state(daemon->pool, &state);
    if (result == 0)
        mw_log_write(daemon->log, MW_LOG_NOTICE, NULL,
                     "configuration, rules and databases were read again, generation %llu",
                     (unsigned long long)state.generation);
    else
        mw_log_write(daemon->log, MW_LOG_ERROR, NULL,
                     "reading again failed, all stays as it was: %s", error->text);
    return result;
}
