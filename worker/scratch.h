/*
 * scratch: folders for temporary files, each for one process that may not be
 * trusted to tidy up.
 */
#ifndef MW_WORKER_SCRATCH_H
#define MW_WORKER_SCRATCH_H

#include "core/arena.h"
#include "core/error.h"

struct mw_scratch;

/*
 * Makes a folder in base (NULL: in memory, /dev/shm, where there is such a place,
 * else /tmp) in which those of processes will lie, and removes any that a process
 * which is no more has left in base. NULL with error.
 */
struct mw_scratch *mw_scratch_new(const char *base, struct mw_error *error);

/* Removes it with all that is in it. NULL allowed. */
void mw_scratch_free(struct mw_scratch *scratch);

/*
 * The folder called name in it, empty, made when it is not there, given to user
 * (NULL: nobody) when we are root. The path lies in arena; NULL with error.
 */
const char *mw_scratch_folder(struct mw_scratch *scratch, struct mw_arena *arena, const char *name,
                              const char *user, struct mw_error *error);

/* Removes all that is in folder, which nobody uses any more; links are not followed. */
void mw_scratch_empty(const char *folder);

#endif
