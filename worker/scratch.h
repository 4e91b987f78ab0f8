/*
 * scratch: folders for temporary files, each for one process that may not be
 * trusted to tidy up.
 */
#ifndef MW_WORKER_SCRATCH_H
#define MW_WORKER_SCRATCH_H

#include "core/error.h"

struct mw_scratch;

/*
 * Makes a folder in base (NULL: in memory, /dev/shm, where there is such a place,
 * else /tmp) in which those of processes will lie, and removes any that a process
 * which is no more has left in base. They are given to user (NULL: nobody; "": they stay
 * ours) when we can change users; the text must live as long. NULL with error.
 */
struct mw_scratch *mw_scratch_new(const char *base, const char *user, struct mw_error *error);

/* Removes it with all that is in it. NULL allowed. */
void mw_scratch_free(struct mw_scratch *scratch);

/*
 * A fresh folder in it for one process, of a name that begins so and that none had before.
 * The path is the caller's, to be freed by mw_scratch_discard; NULL with error.
 */
char *mw_scratch_folder(struct mw_scratch *scratch, const char *name, struct mw_error *error);

/*
 * Removes a folder that nobody uses any more, with all that is in it however deep, and frees
 * path; NULL allowed. Links are not followed. What is in it is removed with the rights of the
 * user it was given to, by a child that becomes a zombie of the caller, who is not kept waiting:
 * it must reap children it does not know.
 */
void mw_scratch_discard(char *path);

/* Removes all that is in folder, with our own rights; links are not followed. */
void mw_scratch_empty(const char *folder);

#endif
