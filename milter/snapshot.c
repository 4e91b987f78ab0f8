/* snapshot: a configuration with a count. */
#include "milter/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>

struct mw_snapshot {
    atomic_uint users;
    struct mw_config *config;
    struct mw_policy *policy;
};

struct mw_snapshot *mw_snapshot_new(struct mw_config *config, struct mw_error *error)
{
    struct mw_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) {
        mw_fail_errno(error, "cannot keep the configuration");
        mw_config_free(config);
        return NULL;
    }
    snapshot->config = config;
    atomic_init(&snapshot->users, 1);
    snapshot->policy = mw_policy_new(config, error);
    if (snapshot->policy)
        return snapshot;
    mw_snapshot_release(snapshot);
    return NULL;
}

struct mw_snapshot *mw_snapshot_use(struct mw_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->users, 1, memory_order_relaxed);
    return snapshot;
}

void mw_snapshot_release(struct mw_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub(&snapshot->users, 1) != 1)
        return;
    mw_policy_free(snapshot->policy);
    mw_config_free(snapshot->config);
    free(snapshot);
}

const struct mw_config *mw_snapshot_config(const struct mw_snapshot *snapshot)
{
    return snapshot->config;
}

const struct mw_policy *mw_snapshot_policy(const struct mw_snapshot *snapshot)
{
    return snapshot->policy;
}
