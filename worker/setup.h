/*
 * setup: the configuration as the workers want it; the one place for the daemon
 * and for the command line.
 */
#ifndef MW_WORKER_SETUP_H
#define MW_WORKER_SETUP_H

#include "conf/config.h"
#include "worker/pool.h"
#include "worker/runner.h"

/*
 * Fills in settings from config, which must live as long as the pool. What the
 * configuration does not tell (notice) keeps its usual value and may be set
 * afterwards. Rules can ask whether a sender is new when a filter's source is from;
 * its file should exist before the pool starts.
 */
void mw_setup_pool(const struct mw_config *config, struct mw_pool_settings *settings);

/* How verdicts are reused: of what mw_setup_pool fills in, what can change later. */
struct mw_reuse_settings mw_setup_reuse(const struct mw_config *config);

/*
 * For scanning in this process: as mw_setup_pool, with somebody to run external
 * programs, whose settings go to runner and must live as long as the witness.
 */
void mw_setup_in_process(const struct mw_config *config, struct mw_pool_settings *settings,
                         struct mw_runner_settings *runner);

/*
 * A mw_generation_settings.load for programs that reload: source is what mw_config_pack made, so
 * that a new generation has the configuration of who asks for it, whatever has become of the
 * files. Mistakes in it fail the generation, the first few of them in error. user is not used.
 */
int mw_setup_load(void *user, struct mw_bytes source, struct mw_generation_settings *settings,
                  struct mw_arena *arena, struct mw_error *error);

#endif
