/*
 * runner: the second kind of worker: it runs external programs for one mail worker,
 * which cannot start any. It parses nothing.
 */
#ifndef MW_WORKER_RUNNER_H
#define MW_WORKER_RUNNER_H

#include <stdint.h>

#include "scanners/exec.h"
#include "worker/frame.h"
#include "worker/sandbox.h"

struct mw_runner_settings {
    const struct mw_exec_programs *programs;
    struct mw_sandbox_settings sandbox; /* scratch: the folder that it may use */
};

/*
 * In the runner's process, which has only socket open beside the streams: confines
 * itself, then answers until the other end is closed. Never returns.
 */
_Noreturn void mw_runner_serve(const struct mw_runner_settings *settings, int socket);

/* The mail worker's end. */
struct mw_runner {
    struct mw_channel channel;
    bool broken; /* it ended or misbehaved: the worker makes way for a new pair */
};

/* mw_exec_runner.run with a struct mw_runner as user. */
int mw_runner_ask(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
                  struct mw_exec_result *result, struct mw_error *error);

/*
 * mw_exec_runner.run with a struct mw_runner_settings as user, for a program that
 * scans in its own process: the external program is confined all the same.
 */
int mw_runner_run_here(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
                       struct mw_exec_result *result, struct mw_error *error);

#endif
