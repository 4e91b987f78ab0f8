/* configured: the file people named, the installed one, or none. */
#include "cli/configured.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct mw_config *mw_configured(const struct mw_command *command, const char *path)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    if (!path && (access(MW_CONFIG_FILE, F_OK) == 0 || errno == EACCES))
        path = MW_CONFIG_FILE;
    struct mw_config *config = mw_config_load(path, arena, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        mw_command_fail(command, "%s", mistakes.items[i]);
    mw_arena_free(arena);
    return config;
}

const struct mw_tracked_settings *mw_configured_filter(const struct mw_command *command,
                                                       const struct mw_config *config,
                                                       const char *name)
{
    const char *names[64], *near = NULL;
    size_t count = 0;
    for (size_t i = 0; i < config->filters.count; i++) {
        if (strcmp(config->filters.items[i].name, name) == 0)
            return &config->filters.items[i];
        if (count < sizeof names / sizeof *names)
            names[count++] = config->filters.items[i].name;
    }
    near = mw_suggest(name, names, count);
    if (near)
        mw_command_fail(command, "the configuration has no filter '%s'; did you mean '%s'?", name,
                        near);
    else
        mw_command_fail(command,
                        "the configuration has no filter '%s'; name one that it has, or a file by "
                        "a path with a / in it",
                        name);
    return NULL;
}
