/*
 * verifier: the worker that finds out what may be reused: made for one file, which is all
 * that it ever sees, so that what it says can only be that file's doing.
 */
#ifndef MW_WORKER_VERIFIER_H
#define MW_WORKER_VERIFIER_H

#include "worker/answer.h"
#include "worker/witness.h"

/*
 * In the verifier's process, confined, fresh from the generation: scans the attachment of the
 * packed report in file (mw_witness_verify), answers as a worker does, and ends. Takes all
 * descriptors. The kernel ends it after time_ms (0: no bound) and some grace.
 */
_Noreturn void mw_verifier_run(struct mw_witness *witness, unsigned time_ms, int file,
                               const int reply[MW_ANSWER_FDS]);

#endif
