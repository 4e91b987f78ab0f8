/*
 * failure: the named ways in which a message could not be witnessed in full. Each has
 * an action in the section "failure" of the configuration; none is ever taken for clean.
 */
#ifndef MW_MILTER_FAILURE_H
#define MW_MILTER_FAILURE_H

#include "conf/config.h"

enum mw_failure {
    MW_WORKER_CRASHED,
    MW_TIMED_OUT,
    MW_BAD_REPORT,        /* what the worker answered is no sound report */
    MW_QUEUE_FULL,        /* no worker or no memory was free in time */
    MW_TOO_LARGE,         /* above limits.message_size: not scanned at all */
    MW_LIMITS,            /* another limit kept a part from being scanned */
    MW_ENGINE_MISSING,    /* none is configured, or one failed */
    MW_STORE_UNAVAILABLE, /* neither Redis nor the spool took the result */
    MW_INTERNAL_ERROR,
    MW_FAILURE_COUNT
};

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

/* What a report says of itself, by the names of its errors. What is unscanned for
 * another reason (a damaged archive) is no failure; its verdict says so. */
mw_failures mw_failures_of_report(const struct mw_report *report);

/* The action configured for one. Never MW_ACTION_ACCEPT. */
enum mw_action mw_failure_action(const struct mw_config *config, enum mw_failure failure);

#endif
