/*
 * work: what a mail worker does once it is confined: one message after the other.
 */
#ifndef MW_WORKER_WORK_H
#define MW_WORKER_WORK_H

#include "worker/generation.h"
#include "worker/runner.h"

/*
 * Reads jobs from the socket until it is closed, or until the worker has done or
 * grown as much as settings allow. Ends the process in order. helper is the runner
 * that runs programs for it, or NULL.
 */
_Noreturn void mw_work(struct mw_witness *witness, const struct mw_generation_settings *settings,
                       const struct mw_runner *helper, int jobs);

/* The kernel ends the process after time_ms and MW_GENERATION_GRACE_MS, whatever hangs in it;
 * 0: it does not. */
void mw_work_alarm(unsigned time_ms);

#endif
