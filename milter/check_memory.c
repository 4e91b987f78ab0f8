/* check_memory: files and folders as they are now, and one connection to Redis. */
#include "milter/check_memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "bloom/recent.h"
#include "bloom/source.h"
#include "bloom/tracked.h"
#include "core/clock.h"
#include "store/connections.h"
#include "store/store.h"

struct checking {
    const struct mw_config *config;
    struct mw_arena *arena;
    struct mw_check_findings *findings;
};

static void add(const struct checking *checking, struct mw_texts *texts, const char *option,
                const char *text)
{
    mw_texts_add(checking->arena, texts, mw_arena_printf(checking->arena, "%s: %s", option, text));
}

/* Whether path, or the folder in which it would be made, can be written to; says why not, or
 * that it will be made. what: "file", "folder". */
static bool check_place(const struct checking *checking, const char *option, const char *path,
                        const char *what)
{
    struct mw_arena *arena = checking->arena;
    if (access(path, F_OK) == 0) {
        if (access(path, R_OK | W_OK) == 0)
            return true;
        add(checking, &checking->findings->mistakes, option,
            mw_arena_printf(arena, "cannot write to %s: %s", path, strerror(errno)));
        return false;
    }
    char *folder = mw_arena_dup(arena, path);
    char *end = strrchr(folder, '/');
    if (end)
        *(end == folder ? end + 1 : end) = '\0';
    if (access(end ? folder : ".", W_OK | X_OK) != 0)
        add(checking, &checking->findings->mistakes, option,
            mw_arena_printf(arena, "%s is not there, and cannot be made: %s: %s", path,
                            end ? folder : "the current folder", strerror(errno)));
    else
        add(checking, &checking->findings->notes, option,
            mw_arena_printf(arena, "the %s %s is not there yet and will be made", what, path));
    return false;
}

/* A reader may look beside a daemon that has the file open. */
static void check_filter(const struct checking *checking,
                         const struct mw_tracked_settings *settings)
{
    struct mw_error error = {0};
    const char *option = mw_arena_printf(checking->arena, "filter '%s'", settings->name);
    if (!check_place(checking, option, settings->file, "file"))
        return;
    struct mw_filter *filter =
        mw_filter_open(settings->file, MW_FILTER_READ, MW_FILTER_SYNC_NEVER, &error);
    if (!filter || mw_filter_check(filter, settings->capacity, settings->fp_rate, &error) != 0)
        add(checking, &checking->findings->mistakes, option, error.text);
    mw_filter_close(filter);
    if (settings->new_for_s == 0)
        return;
    error = (struct mw_error){0};
    struct mw_recent *recent =
        mw_recent_open(settings->file, MW_FILTER_READ, settings->new_for_s, &error);
    if (!recent && error.code != MW_ERR_MISSING)
        add(checking, &checking->findings->mistakes, option, error.text);
    mw_recent_close(recent);
}

static void check_filters(const struct checking *checking)
{
    for (size_t i = 0; i < checking->config->filters.count; i++) {
        const struct mw_tracked_settings *settings = &checking->config->filters.items[i];
        check_filter(checking, settings);
        for (size_t j = 0; j < i; j++)
            if (strcmp(checking->config->filters.items[j].file, settings->file) == 0)
                add(checking, &checking->findings->mistakes,
                    mw_arena_printf(checking->arena, "filter '%s'", settings->name),
                    mw_arena_printf(checking->arena, "%s is the file of another filter",
                                    settings->file));
    }
}

/* Redis may be away for a while: mail waits in the spool. */
static void check_redis(const struct checking *checking)
{
    const struct mw_redis_settings *settings = &checking->config->store.redis;
    struct mw_error error = {0};
    struct mw_redis *redis = NULL;
    bool fresh;
    struct mw_connections *connections = mw_connections_new(settings, NULL, &error);
    if (!connections) {
        add(checking, &checking->findings->mistakes, "redis", error.text);
        return;
    }
    int64_t deadline = mw_clock_ms() + settings->connect_ms + settings->command_ms;
    if (mw_connections_take(connections, deadline, &redis, &fresh, &error) == MW_REDIS_FINE)
        mw_connections_give(connections, redis, true);
    else
        add(checking, &checking->findings->warnings, "redis",
            mw_arena_printf(checking->arena, "%s; until it takes writes messages wait in the spool",
                            error.text));
    mw_connections_free(connections);
}

void mw_check_memory(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_check_findings *findings)
{
    const struct checking checking = {config, arena, findings};
    check_filters(&checking);
    if (!mw_store_is_wanted(&config->store))
        return;
    if (config->store.spool.folder)
        check_place(&checking, "spool.folder", config->store.spool.folder, "folder");
    check_redis(&checking);
}
