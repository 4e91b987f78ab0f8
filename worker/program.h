/*
 * program: runs one external program on one part, confined and within its bounds.
 */
#ifndef MW_WORKER_PROGRAM_H
#define MW_WORKER_PROGRAM_H

#include "scanners/exec.h"
#include "worker/sandbox.h"

/*
 * Runs program in a new session, its input written to a file of its own in folder
 * (which is emptied afterwards): nothing of the environment, no descriptors but the
 * three streams, no privileges, the memory, time and files its settings allow, and
 * no network unless they grant it. All that it started ends with it. watch is a
 * descriptor whose hang-up ends the program early (-1: none).
 *
 * 0 when result tells how it went; MW_ERR_* when it could not be tried. One thread
 * must exist.
 */
int mw_program_run(const struct mw_exec_program *program, const struct mw_exec_job *job,
                   const struct mw_sandbox_settings *sandbox, const char *folder, int watch,
                   struct mw_arena *arena, struct mw_exec_result *result, struct mw_error *error);

/*
 * Ends what the programs of a runner that is gone had started, as far as it has become children of
 * the calling process, a subreaper: each program has a session of its own, which those cannot
 * leave for ours. To be called again for each child that ends: it may have left some.
 */
void mw_program_end_strays(void);

#endif
