/* memory: a lock that many messages share and a reload has alone. */
#include "milter/memory.h"

#include <pthread.h>
#include <stdlib.h>

struct mw_memory {
    struct mw_log *log;
    pthread_rwlock_t lock;
    struct mw_snapshot *snapshot; /* whose configuration is open */
    struct mw_tracked *tracked;
};

static struct mw_tracked *open_filters(const struct mw_snapshot *snapshot, struct mw_error *error)
{
    const struct mw_config *config = mw_snapshot_config(snapshot);
    return mw_tracked_open(config->filters.items, config->filters.count, error);
}

static void init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Mail never stops: a reload must get its turn. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

struct mw_memory *mw_memory_open(struct mw_snapshot *snapshot, struct mw_log *log,
                                 struct mw_error *error)
{
    struct mw_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        abort();
    memory->log = log;
    memory->snapshot = mw_snapshot_use(snapshot);
    init_lock(&memory->lock);
    memory->tracked = open_filters(snapshot, error);
    if (memory->tracked)
        return memory;
    mw_memory_close(memory);
    return NULL;
}

void mw_memory_close(struct mw_memory *memory)
{
    if (!memory)
        return;
    mw_tracked_close(memory->tracked);
    mw_snapshot_release(memory->snapshot);
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

/* One writer a file: the old ones must be closed before the new ones are opened. */
static int change_filters(struct mw_memory *memory, const struct mw_snapshot *snapshot,
                          struct mw_error *error)
{
    mw_tracked_close(memory->tracked);
    memory->tracked = open_filters(snapshot, error);
    if (memory->tracked)
        return 0;
    struct mw_error again = {0};
    memory->tracked = open_filters(memory->snapshot, &again);
    if (!memory->tracked)
        mw_log_write(memory->log, MW_LOG_ERROR, NULL, "filters are lost until a reload: %s",
                     again.text);
    return error->code;
}

int mw_memory_change(struct mw_memory *memory, struct mw_snapshot *snapshot, struct mw_error *error)
{
    const struct mw_config *before = mw_snapshot_config(memory->snapshot);
    const struct mw_config *config = mw_snapshot_config(snapshot);
    if (memory->tracked && mw_config_same(before, config, "filter"))
        return 0;
    pthread_rwlock_wrlock(&memory->lock);
    int result = change_filters(memory, snapshot, error);
    if (result == 0) {
        mw_snapshot_release(memory->snapshot);
        memory->snapshot = mw_snapshot_use(snapshot);
    }
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

void mw_memory_witness(struct mw_memory *memory, struct mw_report *report, const char *queue_id)
{
    struct mw_error error = {0};
    pthread_rwlock_rdlock(&memory->lock);
    if (memory->tracked && mw_tracked_witness(memory->tracked, report, &error) != 0)
        mw_log_write(memory->log, MW_LOG_ERROR, queue_id, "%s", error.text);
    pthread_rwlock_unlock(&memory->lock);
}

void mw_memory_look(struct mw_memory *memory,
                    void (*look)(void *user, const struct mw_tracked *tracked), void *user)
{
    pthread_rwlock_rdlock(&memory->lock);
    if (memory->tracked)
        look(user, memory->tracked);
    pthread_rwlock_unlock(&memory->lock);
}
