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
    struct mw_store *store;             /* NULL when none is wanted */
    struct mw_snapshot *store_snapshot; /* whose settings it borrows; NULL without one */
};

/* What is to come; NULL for what stays. */
struct mw_memory_change {
    struct mw_snapshot *snapshot;
    struct mw_tracked *tracked;
    struct mw_store *store;
    bool store_changes; /* into none as well */
};

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

struct mw_memory *mw_memory_open(struct mw_snapshot *snapshot, struct mw_log *log,
                                 struct mw_error *error)
{
    struct mw_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        abort();
    memory->log = log;
    init_lock(&memory->lock);
    struct mw_memory_change *change = mw_memory_prepare_change(memory, snapshot, error);
    if (change) {
        mw_memory_commit(memory, change);
        return memory;
    }
    mw_memory_close(memory);
    return NULL;
}

void mw_memory_close(struct mw_memory *memory)
{
    if (!memory)
        return;
    mw_store_free(memory->store);
    mw_tracked_close(memory->tracked);
    mw_snapshot_release(memory->store_snapshot);
    mw_snapshot_release(memory->snapshot);
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static bool is_same(const struct mw_memory *memory, const struct mw_config *config,
                    const char *section)
{
    return memory->snapshot &&
           mw_config_same(mw_snapshot_config(memory->snapshot), config, section);
}

static int prepare_filters(struct mw_memory *memory, const struct mw_config *config,
                           struct mw_memory_change *change, struct mw_error *error)
{
    if (memory->tracked && is_same(memory, config, "filter"))
        return 0;
    change->tracked =
        mw_tracked_prepare(memory->tracked, config->filters.items, config->filters.count, error);
    return change->tracked ? 0 : error->code;
}

/* A login that Redis refuses is told at a reload; at the start mail waits in the spool. */
static int prepare_store(struct mw_memory *memory, const struct mw_config *config,
                         struct mw_memory_change *change, struct mw_error *error)
{
    const bool redis = !is_same(memory, config, "redis");
    change->store_changes = redis || !is_same(memory, config, "spool");
    if (!change->store_changes || !mw_store_is_wanted(&config->store))
        return 0;
    change->store = mw_store_prepare(&config->store, memory->store, error);
    if (!change->store)
        return error->code;
    return memory->snapshot && redis ? mw_store_check_login(change->store, error) : 0;
}

struct mw_memory_change *mw_memory_prepare_change(struct mw_memory *memory,
                                                  struct mw_snapshot *snapshot,
                                                  struct mw_error *error)
{
    const struct mw_config *config = mw_snapshot_config(snapshot);
    struct mw_memory_change *change = calloc(1, sizeof *change);
    if (!change)
        abort();
    change->snapshot = mw_snapshot_use(snapshot);
    if (prepare_filters(memory, config, change, error) == 0 &&
        prepare_store(memory, config, change, error) == 0)
        return change;
    mw_memory_abandon(change);
    return NULL;
}

void mw_memory_abandon(struct mw_memory_change *change)
{
    if (!change)
        return;
    mw_store_free(change->store);
    mw_tracked_abandon(change->tracked);
    mw_snapshot_release(change->snapshot);
    free(change);
}

static void commit_store(struct mw_memory *memory, const struct mw_memory_change *change)
{
    struct mw_snapshot *before = memory->store_snapshot;
    if (change->store)
        mw_store_replace(change->store, memory->store);
    else
        mw_store_free(memory->store);
    memory->store = change->store;
    memory->store_snapshot = change->store ? mw_snapshot_use(change->snapshot) : NULL;
    mw_snapshot_release(before);
}

void mw_memory_commit(struct mw_memory *memory, struct mw_memory_change *change)
{
    struct mw_snapshot *before = memory->snapshot;
    /* Its thread may be at Redis: messages do not wait for that. */
    if (change->store_changes)
        mw_store_stop(memory->store);
    pthread_rwlock_wrlock(&memory->lock);
    if (change->tracked) {
        mw_tracked_replace(change->tracked, memory->tracked);
        memory->tracked = change->tracked;
    }
    if (change->store_changes)
        commit_store(memory, change);
    memory->snapshot = change->snapshot;
    pthread_rwlock_unlock(&memory->lock);
    if (change->store)
        mw_store_on_notice(change->store, store_notice, memory);
    mw_snapshot_release(before);
    free(change);
}

int mw_memory_save(struct mw_memory *memory, const struct mw_report *report, struct mw_error *error)
{
    pthread_rwlock_rdlock(&memory->lock);
    int result = memory->store ? mw_store_save(memory->store, report, NULL, error) : 0;
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

int mw_memory_ask_store(struct mw_memory *memory, struct mw_error *error)
{
    pthread_rwlock_rdlock(&memory->lock);
    int result = memory->store ? mw_store_ask(memory->store, error) : 0;
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

const struct mw_recalled *mw_memory_recall(struct mw_memory *memory, struct mw_report *report)
{
    pthread_rwlock_rdlock(&memory->lock);
    const struct mw_recalled *recalled = mw_tracked_recall(memory->tracked, report);
    pthread_rwlock_unlock(&memory->lock);
    return recalled;
}

void mw_memory_learn(struct mw_memory *memory, const struct mw_report *report,
                     const struct mw_recalled *recalled, const char *queue_id)
{
    struct mw_error error = {0};
    pthread_rwlock_rdlock(&memory->lock);
    if (mw_tracked_learn(memory->tracked, report, recalled, &error) != 0)
        mw_log_write(memory->log, MW_LOG_ERROR, queue_id, "%s", error.text);
    pthread_rwlock_unlock(&memory->lock);
}

void mw_memory_look(struct mw_memory *memory,
                    void (*look)(void *user, const struct mw_tracked *tracked), void *user)
{
    pthread_rwlock_rdlock(&memory->lock);
    look(user, memory->tracked);
    pthread_rwlock_unlock(&memory->lock);
}
