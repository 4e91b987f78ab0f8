/* memory: a lock that many messages share and a reload has alone. */
#include "milter/memory.h"

#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "bloom/recent.h"

struct mw_memory {
    struct mw_log *log;
    pthread_rwlock_t lock;
    struct mw_snapshot *snapshot; /* whose configuration is open */
    struct mw_tracked *tracked;
    struct mw_store *store; /* NULL when none is wanted */
};

static struct mw_tracked *open_filters(const struct mw_snapshot *snapshot, struct mw_error *error)
{
    const struct mw_config *config = mw_snapshot_config(snapshot);
    return mw_tracked_open(config->filters.items, config->filters.count, error);
}

static int make_file(const struct mw_tracked_settings *filter, struct mw_error *error)
{
    struct mw_error why = {0};
    bool there = access(filter->file, F_OK) == 0 ||
                 mw_filter_create(filter->file, filter->capacity, filter->fp_rate, &why) == 0;
    if (there && (filter->new_for_s == 0 || mw_recent_create(filter->file, &why) == 0))
        return 0;
    return mw_fail(error, why.code, "filter '%s': %s", filter->name, why.text);
}

static int make_files(const struct mw_config *config, struct mw_error *error)
{
    for (size_t i = 0; i < config->filters.count; i++)
        if (make_file(&config->filters.items[i], error) != 0)
            return error->code;
    return 0;
}

int mw_memory_prepare(const struct mw_config *config, struct mw_error *error)
{
    const char *name = config->milter.user;
    const struct passwd *user = geteuid() == 0 && name && *name ? getpwnam(name) : NULL;
    if (!user)
        return make_files(config, error);
    gid_t group = getegid();
    if (setegid(user->pw_gid) != 0 || seteuid(user->pw_uid) != 0)
        return mw_fail_errno(error, "cannot make files of filters as %s", name);
    int result = make_files(config, error);
    if (seteuid(0) != 0 || setegid(group) != 0)
        abort(); /* less than root, and more than the user: no way to go on */
    return result;
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

static void store_notice(void *user, enum mw_log_level level, const char *text)
{
    const struct mw_memory *memory = user;
    mw_log_write(memory->log, level, NULL, "%s", text);
}

static int open_store(struct mw_memory *memory, const struct mw_snapshot *snapshot,
                      struct mw_error *error)
{
    const struct mw_store_settings *settings = &mw_snapshot_config(snapshot)->store;
    memory->store = NULL;
    if (!mw_store_is_wanted(settings))
        return 0;
    memory->store = mw_store_new(settings, error);
    if (!memory->store)
        return error->code;
    mw_store_on_notice(memory->store, store_notice, memory);
    return 0;
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
    if (memory->tracked && open_store(memory, snapshot, error) == 0)
        return memory;
    mw_memory_close(memory);
    return NULL;
}

void mw_memory_close(struct mw_memory *memory)
{
    if (!memory)
        return;
    mw_store_free(memory->store);
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

/* The same with the spool. */
static int change_store(struct mw_memory *memory, const struct mw_snapshot *snapshot,
                        struct mw_error *error)
{
    mw_store_free(memory->store);
    if (open_store(memory, snapshot, error) == 0)
        return 0;
    struct mw_error again = {0};
    if (open_store(memory, memory->snapshot, &again) != 0)
        mw_log_write(memory->log, MW_LOG_ERROR, NULL, "the store is lost until a reload: %s",
                     again.text);
    return error->code;
}

/* The store's settings are borrowed from a snapshot: a store that stays keeps its own. */
int mw_memory_change(struct mw_memory *memory, struct mw_snapshot *snapshot, struct mw_error *error)
{
    const struct mw_config *before = mw_snapshot_config(memory->snapshot);
    const struct mw_config *config = mw_snapshot_config(snapshot);
    bool filters = !memory->tracked || !mw_config_same(before, config, "filter");
    bool store = !mw_config_same(before, config, "redis") ||
                 !mw_config_same(before, config, "spool") ||
                 (!memory->store && mw_store_is_wanted(&config->store));
    if (!filters && !store)
        return 0;
    pthread_rwlock_wrlock(&memory->lock);
    int result = filters ? change_filters(memory, snapshot, error) : 0;
    /* Even unchanged it must not outlive the settings it was opened with. */
    if (result == 0)
        result = change_store(memory, snapshot, error);
    if (result == 0) {
        mw_snapshot_release(memory->snapshot);
        memory->snapshot = mw_snapshot_use(snapshot);
    }
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

int mw_memory_save(struct mw_memory *memory, const struct mw_report *report, struct mw_error *error)
{
    pthread_rwlock_rdlock(&memory->lock);
    const struct mw_config *config = mw_snapshot_config(memory->snapshot);
    int result = 0;
    if (memory->store)
        result = mw_store_save(memory->store, report, NULL, error);
    else if (mw_store_is_wanted(&config->store))
        result = mw_fail(error, MW_ERR_MISSING, "the store could not be opened");
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

bool mw_memory_store_state(struct mw_memory *memory, struct mw_store_state *state)
{
    pthread_rwlock_rdlock(&memory->lock);
    bool there = memory->store != NULL;
    if (there)
        mw_store_get_state(memory->store, state);
    pthread_rwlock_unlock(&memory->lock);
    return there;
}

void mw_memory_recall(struct mw_memory *memory, struct mw_report *report)
{
    pthread_rwlock_rdlock(&memory->lock);
    if (memory->tracked)
        mw_tracked_recall(memory->tracked, report);
    pthread_rwlock_unlock(&memory->lock);
}

void mw_memory_learn(struct mw_memory *memory, const struct mw_report *report, const char *queue_id)
{
    struct mw_error error = {0};
    pthread_rwlock_rdlock(&memory->lock);
    if (memory->tracked && mw_tracked_learn(memory->tracked, report, &error) != 0)
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
