/*
 * zygote: a process that is forked before there are threads, and forks a process for each
 * generation (generation.h).
 */
#ifndef MW_WORKER_ZYGOTE_H
#define MW_WORKER_ZYGOTE_H

#include "worker/frame.h"
#include "worker/generation.h"

/* Beside the control socket of a MW_FRAME_LOAD, in this order, as its number says: */
enum mw_load_with {
    MW_LOAD_TABLE = 1, /* verdicts to be reused (reuse_table.h) */
    MW_LOAD_SOURCE = 2 /* what settings.load is to read: a sealed memory file */
};

/*
 * In a process of its own, of which nothing is wanted but socket: starts a generation for
 * each MW_FRAME_LOAD, until the other end closes and all generations have ended. Never
 * returns.
 */
_Noreturn void mw_zygote_run(const struct mw_generation_settings *settings, int socket);

#endif
