/* check: sockets, users, rules. */
#include "milter/check.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "milter/listen.h"
#include "store/store.h"
#include "worker/setup.h"

enum { POSTFIX_CONTENT_MS = 300000 };

static void add(struct mw_arena *arena, struct mw_texts *mistakes, const char *option,
                const char *text)
{
    mw_texts_add(arena, mistakes, mw_arena_printf(arena, "%s: %s", option, text));
}

static void check_user(struct mw_arena *arena, struct mw_texts *mistakes, const char *option,
                       const char *user)
{
    if (user && *user && !getpwnam(user))
        add(arena, mistakes, option, mw_arena_printf(arena, "there is no user '%s'", user));
}

static void check_sockets(const struct mw_config_milter *milter, struct mw_arena *arena,
                          struct mw_texts *mistakes)
{
    struct mw_error error = {0};
    const struct mw_listen_settings settings = {milter->socket_mode, milter->socket_group};
    if (milter->listen.count == 0)
        add(arena, mistakes, "milter.listen", "names no socket");
    for (size_t i = 0; i < milter->listen.count; i++)
        if (mw_listen_check(milter->listen.items[i], &error) != 0)
            add(arena, mistakes, "milter.listen", error.text);
    if (mw_listen_check_settings(&settings, &error) != 0)
        add(arena, mistakes, "milter.socket_mode or socket_group", error.text);
    if (milter->control && *milter->control && milter->control[0] != '/')
        add(arena, mistakes, "milter.control", "must be a path that begins with /");
}

struct mw_config *mw_check_load(const char *path, struct mw_arena *arena, struct mw_texts *mistakes)
{
    struct mw_config *config = mw_config_load(path, arena, mistakes);
    if (!config)
        return NULL;
    size_t before = mistakes->count;
    check_sockets(&config->milter, arena, mistakes);
    check_user(arena, mistakes, "milter.user", config->milter.user);
    check_user(arena, mistakes, "workers.user", config->workers.user);
    if (mistakes->count == before)
        return config;
    mw_config_free(config);
    return NULL;
}

void mw_check_listen(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_texts *warnings)
{
    const struct mw_texts *listen = &config->milter.listen;
    for (size_t i = 0; i < listen->count; i++)
        if (mw_listen_is_everywhere(listen->items[i]))
            add(arena, warnings, "milter.listen",
                mw_arena_printf(arena,
                                "'%s' listens on all addresses of this machine, and whoever "
                                "reaches one may ask: name one (%s@127.0.0.1) or keep others out",
                                listen->items[i], listen->items[i]));
}

void mw_check_times(const struct mw_config *config, struct mw_arena *arena,
                    struct mw_texts *warnings)
{
    unsigned most_ms = config->milter.queue_ms + config->limits.time_ms;
    if (most_ms >= POSTFIX_CONTENT_MS)
        mw_texts_add(arena, warnings,
                     mw_arena_printf(arena,
                                     "milter.queue_time and limits.time may take %u s together, "
                                     "postfix's milter_content_timeout is %d s as it comes",
                                     most_ms / 1000, POSTFIX_CONTENT_MS / 1000));
}

static void check_secret(const char *option, const char *path, struct mw_arena *arena,
                         struct mw_texts *warnings)
{
    if (path && *path && mw_file_is_open_to_all(path))
        add(arena, warnings, option,
            mw_arena_printf(arena, "everybody can read %s: chmod o-r it", path));
}

/* The folder that path lies in. One that is not there yet is told of elsewhere. */
static void check_folder_of(const char *option, const char *path, uid_t user,
                            struct mw_arena *arena, struct mw_texts *warnings)
{
    struct mw_error why = {0};
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        return;
    const char *folder =
        slash == path ? "/" : mw_arena_dup_bytes(arena, path, (size_t)(slash - path));
    if (mw_file_check_folder(folder, user, &why) == MW_ERR_INPUT)
        add(arena, warnings, option, mw_arena_dup(arena, why.text));
}

void mw_check_rights(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_texts *warnings)
{
    const struct mw_config_milter *milter = &config->milter;
    const struct mw_redis_settings *redis = &config->store.redis;
    const char *name = milter->user && *milter->user ? milter->user : NULL;
    const struct passwd *user = name ? getpwnam(name) : NULL;
    uid_t uid = user ? user->pw_uid : geteuid();
    if (geteuid() == 0 && uid == 0)
        add(arena, warnings, "milter.user",
            "the daemon keeps all rights of root: name a user that it becomes");
    check_secret("redis.password_file", redis->password_file, arena, warnings);
    check_secret("redis.sentinel_password_file", redis->sentinel_password_file, arena, warnings);
    check_secret("redis.tls_key", redis->tls_key_file, arena, warnings);
    for (size_t i = 0; i < milter->listen.count; i++)
        check_folder_of("milter.listen", strchr(milter->listen.items[i], '/'), uid, arena,
                        warnings);
    check_folder_of("milter.control", milter->control, uid, arena, warnings);
    check_folder_of("milter.pid_file", milter->pid_file, uid, arena, warnings);
    for (size_t i = 0; i < config->filters.count; i++)
        check_folder_of("filter.file", config->filters.items[i].file, uid, arena, warnings);
    if (mw_store_is_wanted(&config->store))
        check_folder_of("spool.folder",
                        mw_arena_printf(arena, "%s/lock", config->store.spool.folder), uid, arena,
                        warnings);
    if (config->workers.keep_folder)
        check_folder_of("workers.keep_folder",
                        mw_arena_printf(arena, "%s/x", config->workers.keep_folder), uid, arena,
                        warnings);
}

void mw_check_engines(const struct mw_config *config, struct mw_arena *arena,
                      struct mw_texts *mistakes, struct mw_texts *warnings)
{
    struct mw_pool_settings settings;
    struct mw_error error = {0};
    mw_setup_pool(config, &settings);
    struct mw_witness *witness = mw_witness_new(&settings.generation.witness, &error);
    if (!witness) {
        mw_texts_add(arena, mistakes, mw_arena_dup(arena, error.text));
        return;
    }
    const struct mw_texts *found = mw_witness_warnings(witness);
    for (size_t i = 0; i < found->count; i++)
        mw_texts_add(arena, warnings, mw_arena_dup(arena, found->items[i]));
    mw_witness_free(witness);
}
