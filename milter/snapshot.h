/*
 * snapshot: the configuration as it was when a message began, so that a reload never
 * changes the rules under one. Immutable; counted users; any thread.
 */
#ifndef MW_MILTER_SNAPSHOT_H
#define MW_MILTER_SNAPSHOT_H

#include "conf/config.h"
#include "milter/policy.h"

struct mw_snapshot;

/* Takes over config. One use, the caller's. NULL with error when the configuration
 * cannot be made ready; config is freed then as well. */
struct mw_snapshot *mw_snapshot_new(struct mw_config *config, struct mw_error *error);

/* One more use, or one less: the last one frees it. */
struct mw_snapshot *mw_snapshot_use(struct mw_snapshot *snapshot);
void mw_snapshot_release(struct mw_snapshot *snapshot);

const struct mw_config *mw_snapshot_config(const struct mw_snapshot *snapshot);
const struct mw_policy *mw_snapshot_policy(const struct mw_snapshot *snapshot);

#endif
