/* gauges: workers, messages under way, store, filters. */
#include "milter/gauges.h"

static void tell(struct mw_metrics_look *look, const char *name, bool counter, double value,
                 const char *help)
{
    const struct mw_metric metric = {.name = name, .help = help, .counter = counter};
    mw_metrics_tell(look, &metric, value);
}

static void tell_reuse(struct mw_metrics_look *look, const struct mw_reuse_state *reuse)
{
    tell(look, "mailwitness_reuse_hits_total", true, (double)reuse->hits,
         "Attachments that were not scanned again, as the same came before.");
    tell(look, "mailwitness_reuse_verifications_total", true, (double)reuse->verifications,
         "Attachments scanned once more by a fresh worker, for reuse.");
    tell(look, "mailwitness_reuse_kept_total", true, (double)reuse->kept,
         "Verdicts kept for reuse.");
    tell(look, "mailwitness_reuse_failures_total", true, (double)reuse->failures,
         "Verdicts not kept, as the scan for it was not whole.");
    tell(look, "mailwitness_reuse_disagreements_total", true, (double)reuse->disagreements,
         "Verdicts not kept, as the worker before found something else.");
}

static void tell_pool(struct mw_daemon *daemon, struct mw_metrics_look *look)
{
    struct mw_pool_state pool;
    mw_pool_get_state(daemon->pool, &pool);
    tell(look, "mailwitness_workers", false, pool.workers, "Worker processes.");
    tell(look, "mailwitness_generation", false, (double)pool.generation,
         "Generation of rules and databases, counted from 1.");
    tell(look, "mailwitness_queue_depth", false, (double)pool.busy,
         "Messages being examined or waiting for a worker.");
    tell(look, "mailwitness_worker_deaths_total", true, (double)pool.deaths,
         "Workers that died or were ended over a message.");
    tell_reuse(look, &pool.reuse);
}

static void tell_traffic(struct mw_daemon *daemon, struct mw_metrics_look *look)
{
    struct mw_counters *counters = &daemon->counters;
    tell(look, "mailwitness_start_time_seconds", false, (double)daemon->started_s,
         "When the daemon was started, in seconds since 1970.");
    tell(look, "mailwitness_connections_total", true, (double)counters->connections,
         "Connections that the mail server told of.");
    tell(look, "mailwitness_connections_open", false, (double)counters->connections_open,
         "Those there are now.");
    tell(look, "mailwitness_messages_open", false, (double)counters->messages_open,
         "Messages between their beginning and their end.");
    tell(look, "mailwitness_aborted_total", true, (double)counters->aborted,
         "Messages that the client gave up.");
    tell(look, "mailwitness_reloads_total", true, (double)counters->reloads,
         "Times that the configuration was read again.");
    tell(look, "mailwitness_reloads_failed_total", true, (double)counters->reloads_failed,
         "Times that it was wrong, and all stayed as it was.");
}

static void tell_store(struct mw_daemon *daemon, struct mw_metrics_look *look)
{
    struct mw_store_state store = {0};
    /* Without a store there is nothing to worry about, and nothing to tell. */
    if (!mw_memory_store_state(daemon->memory, &store))
        return;
    tell(look, "mailwitness_redis_up", false, store.up, "Whether Redis takes writes.");
    tell(look, "mailwitness_store_saved_total", true, (double)store.saved,
         "Messages that went to Redis at once.");
    tell(look, "mailwitness_store_spooled_total", true, (double)store.spooled,
         "Messages that went to the spool.");
    tell(look, "mailwitness_store_replayed_total", true, (double)store.replayed,
         "Messages that went from the spool to Redis.");
    tell(look, "mailwitness_store_failed_total", true, (double)store.failed,
         "Messages that could be kept nowhere.");
    tell(look, "mailwitness_store_refused_total", true, (double)store.refused,
         "Messages that Redis will not have, set aside.");
    tell(look, "mailwitness_store_dropped_total", true, (double)store.dropped,
         "Messages dropped because the spool was full.");
    tell(look, "mailwitness_store_past_total", true, (double)store.past,
         "Messages not written, as they had waited longer than they are to be kept.");
    tell(look, "mailwitness_redis_clock_skew_seconds", false, (double)store.skew_ms / 1000,
         "By how much our clock is ahead of that of Redis.");
    tell(look, "mailwitness_spool_messages", false, (double)store.spool_entries,
         "Messages that wait for Redis.");
    tell(look, "mailwitness_spool_bytes", false, (double)store.spool_bytes,
         "Bytes that they take.");
    tell(look, "mailwitness_spool_damaged_total", true, (double)store.damaged,
         "Damaged places in files of the spool that were skipped.");
    tell(look, "mailwitness_spool_damaged_files", false, (double)store.damaged_files,
         "Files of the spool that have such places, kept as *.damaged.");
}

static double filter_fill(const struct mw_filter_info *info)
{
    return info->capacity > 0 ? (double)info->values / (double)info->capacity : 0;
}

static double filter_values(const struct mw_filter_info *info)
{
    return (double)info->values;
}

static double filter_error(const struct mw_filter_info *info)
{
    return info->expected_rate;
}

/* One metric of all filters, as those of one name must stand together. */
static void tell_of_filters(const struct mw_tracked *tracked, struct mw_metrics_look *look,
                            const char *name, double (*value)(const struct mw_filter_info *info),
                            const char *help)
{
    for (size_t i = 0; i < mw_tracked_count(tracked); i++) {
        struct mw_tracked_state state;
        mw_tracked_get_state(tracked, i, &state);
        const struct mw_metric metric = {
            .name = name, .help = help, .label = "filter", .label_value = state.name};
        mw_metrics_tell(look, &metric, value(&state.info));
    }
}

static void tell_filters(void *user, const struct mw_tracked *tracked)
{
    struct mw_metrics_look *look = user;
    tell_of_filters(tracked, look, "mailwitness_filter_fill", filter_fill,
                    "Values over capacity; beyond 1 a filter grows by layers.");
    tell_of_filters(tracked, look, "mailwitness_filter_values", filter_values, "Values known.");
    tell_of_filters(tracked, look, "mailwitness_filter_error_rate", filter_error,
                    "Share of unknown values taken for known, as expected now.");
}

static void tell_all(void *user, struct mw_metrics_look *look)
{
    struct mw_daemon *daemon = user;
    tell_traffic(daemon, look);
    tell_pool(daemon, look);
    tell_store(daemon, look);
    mw_memory_look(daemon->memory, tell_filters, look);
}

void mw_gauges_register(struct mw_daemon *daemon)
{
    for (unsigned i = 0; i < MW_FAILURE_COUNT; i++)
        mw_metrics_expect(daemon->metrics, mw_failure_name((enum mw_failure)i));
    mw_metrics_source(daemon->metrics, tell_all, daemon);
}
