/* setup: from options to workers. */
#include "worker/setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "bloom/normal.h"
#include "bloom/recent.h"

/* The memory of senders as a worker has it. */
struct senders {
    const struct mw_tracked_settings *settings;
    struct mw_filter *filter; /* NULL: its file is not there */
    struct mw_recent *recent; /* NULL: the same, or nobody stays new */
};

static int is_new(void *user, const char *address)
{
    struct senders *senders = user;
    if (!senders->filter || !strchr(address, '@'))
        return -1;
    struct mw_arena *arena = mw_arena_new();
    const char *value =
        mw_normalise(arena, MW_NORMAL_ADDRESS, address, senders->settings->strip_plus_tag);
    int result =
        *value ? mw_recent_is_new(senders->filter, senders->recent, mw_bytes_of(value)) : -1;
    mw_arena_free(arena);
    return result;
}

/* A file that nobody has made yet is no mistake: nobody knows any sender then. */
static int open_senders(void *user, struct mw_error *error)
{
    struct senders *senders = user;
    struct mw_error ignored = {0};
    (void)error;
    senders->filter =
        mw_filter_open(senders->settings->file, MW_FILTER_READ, MW_FILTER_SYNC_NEVER, &ignored);
    if (senders->settings->new_for_s > 0)
        senders->recent = mw_recent_open(senders->settings->file, MW_FILTER_READ,
                                         senders->settings->new_for_s, &ignored);
    return 0;
}

static void close_senders(void *user)
{
    struct senders *senders = user;
    mw_filter_close(senders->filter);
    mw_recent_close(senders->recent);
}

/* The filter that remembers senders, if one does. */
static struct mw_sender_filter sender_filter(const struct mw_config *config)
{
    for (size_t i = 0; i < config->filters.count; i++) {
        if (strcmp(config->filters.items[i].source, "from") != 0)
            continue;
        struct senders *senders = mw_arena_alloc(config->arena, sizeof *senders);
        senders->settings = &config->filters.items[i];
        mw_arena_own(config->arena, close_senders, senders);
        return (struct mw_sender_filter){is_new, open_senders, senders};
    }
    return (struct mw_sender_filter){0};
}

static void set_generation(const struct mw_config *config,
                           struct mw_generation_settings *generation)
{
    const struct mw_config_workers *workers = &config->workers;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    generation->workers = workers->count > 0 ? workers->count
                          : processors > 0   ? (unsigned)processors
                                             : 1;
    generation->per_client = workers->per_client > 0   ? workers->per_client
                             : generation->workers > 1 ? generation->workers - 1
                                                       : 1;
    generation->recycle_messages = workers->recycle_messages;
    generation->recycle_growth = workers->recycle_growth;
    generation->sandbox = (struct mw_sandbox_settings){
        .mode = (enum mw_sandbox_mode)workers->sandbox,
        .user = workers->user,
        .scratch = workers->scratch,
        .memory_max = workers->memory_max,
    };
    generation->witness.limits = config->limits;
    generation->witness.scan = config->scan;
    generation->witness.sender_filter = sender_filter(config);
}

struct mw_reuse_settings mw_setup_reuse(const struct mw_config *config)
{
    return (struct mw_reuse_settings){
        .enabled = config->workers.reuse_verdicts,
        .seconds = config->workers.reuse_seconds,
        .entries = config->workers.reuse_entries,
    };
}

void mw_setup_pool(const struct mw_config *config, struct mw_pool_settings *settings)
{
    mw_pool_settings_default(settings);
    set_generation(config, &settings->generation);
    settings->keep_folder = config->workers.keep_folder;
    settings->keep_most = config->workers.keep_most;
    settings->reuse = mw_setup_reuse(config);
}

void mw_setup_in_process(const struct mw_config *config, struct mw_pool_settings *settings,
                         struct mw_runner_settings *runner)
{
    mw_setup_pool(config, settings);
    *runner = (struct mw_runner_settings){.programs = &config->scan.programs,
                                          .sandbox = settings->generation.sandbox};
    settings->generation.witness.scan.runner = (struct mw_exec_runner){mw_runner_run_here, runner};
    struct mw_error ignored = {0};
    const struct mw_sender_filter *filter = &settings->generation.witness.sender_filter;
    if (filter->reopen)
        filter->reopen(filter->user, &ignored);
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

int mw_setup_load(void *user, struct mw_bytes source, struct mw_generation_settings *settings,
                  struct mw_arena *arena, struct mw_error *error)
{
    (void)user;
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load_packed(source, arena, &mistakes);
    if (!config)
        return tell_mistakes(&mistakes, error);
    mw_arena_own(arena, free_config, config);
    set_generation(config, settings);
    return 0;
}
