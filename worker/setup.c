/* setup: from options to workers. */
#include "worker/setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void set_crew(const struct mw_config *config, struct mw_crew_settings *crew)
{
    const struct mw_config_workers *workers = &config->workers;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    crew->workers = workers->count > 0 ? workers->count : processors > 0 ? (unsigned)processors : 1;
    crew->recycle_messages = workers->recycle_messages;
    crew->recycle_growth = workers->recycle_growth;
    crew->sandbox = (struct mw_sandbox_settings){
        .mode = (enum mw_sandbox_mode)workers->sandbox,
        .user = workers->user,
        .scratch = workers->scratch,
        .memory_max = workers->memory_max,
    };
    crew->witness.limits = config->limits;
    crew->witness.scan = config->scan;
    crew->witness.scan.clamav.scratch = workers->scratch;
}

void mw_setup_pool(const struct mw_config *config, struct mw_pool_settings *settings)
{
    mw_pool_settings_default(settings);
    set_crew(config, &settings->crew);
}

static int tell_mistakes(const struct mw_texts *mistakes, struct mw_error *error)
{
    char all[sizeof error->text] = "";
    size_t used = 0;
    for (size_t i = 0; i < mistakes->count && used + 1 < sizeof all; i++) {
        int length =
            snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? "; " : "", mistakes->items[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return mw_fail(error, MW_ERR_INPUT, "%s", all);
}

static void free_config(void *config)
{
    mw_config_free(config);
}

int mw_setup_load(void *user, struct mw_crew_settings *settings, struct mw_arena *arena,
                  struct mw_error *error)
{
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load(user, arena, &mistakes);
    if (!config)
        return tell_mistakes(&mistakes, error);
    mw_arena_own(arena, free_config, config);
    set_crew(config, settings);
    return 0;
}
