/*
 * failure: the conditions of core/problem.h in a report, and the options of the
 * configuration that say what is done about each.
 */
#ifndef MW_MILTER_FAILURE_H
#define MW_MILTER_FAILURE_H

#include "conf/config.h"
#include "core/problem.h"

/* A set of failures. */
typedef unsigned mw_failures;

static inline mw_failures mw_failure_bit(enum mw_failure failure)
{
    return 1U << (unsigned)failure;
}

/* As in the configuration: "worker_crashed", ... */
const char *mw_failure_name(enum mw_failure failure);

/* What failed when mw_pool_examine gave no report and this error. */
enum mw_failure mw_failure_of_error(const struct mw_error *error);

/* What a report says of itself, by its errors: the failures of their rows in
 * core/problem.h. */
mw_failures mw_failures_of_report(const struct mw_report *report);

/* The action configured for one. Never MW_ACTION_ACCEPT; MW_ACTION_NONE, of
 * MW_REFUSAL_UNRECORDED alone: what was decided. */
enum mw_action mw_failure_action(const struct mw_config *config, enum mw_failure failure);

#endif
