/* check: sockets, users, rules. */
#include "milter/check.h"

#include <pwd.h>

#include "milter/listen.h"
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
