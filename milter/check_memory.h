/*
 * check_memory: whether the filters, the spool and Redis that a configuration names can be
 * used, by looking at them only: nothing is made, changed or locked.
 */
#ifndef MW_MILTER_CHECK_MEMORY_H
#define MW_MILTER_CHECK_MEMORY_H

#include "conf/config.h"

/* What was found out, a sentence each, in arena. */
struct mw_check_findings {
    struct mw_texts mistakes; /* the daemon would not start */
    struct mw_texts warnings; /* it would, and something would be amiss */
    struct mw_texts notes;    /* it would make what is not there yet */
};

/* Looks with the rights of the calling process. */
void mw_check_memory(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_check_findings *findings);

#endif
