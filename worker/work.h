/*
 * work: what a mail worker does once it is confined: one message after the other.
 */
#ifndef MW_WORKER_WORK_H
#define MW_WORKER_WORK_H

#include "worker/generation.h"
#include "worker/job.h"
#include "worker/runner.h"

/*
 * Does the jobs that come over the channel until it is closed, or until the worker has
 * grown as much as settings allow. A file (MW_FRAME_FILE) is a verifier's job, its only one:
 * it has seen nothing but that. Ends the process in order. helper is the runner that runs
 * programs for it, or NULL.
 */
_Noreturn void mw_work(struct mw_witness *witness, const struct mw_generation_settings *settings,
                       const struct mw_runner *helper, struct mw_channel *jobs);

#endif
