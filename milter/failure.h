/*
 * failure: the ways in which a message can miss being examined or remembered, each
 * with a name and an action of its own (section failure of the configuration). None
 * of them ever loses a message or passes it as clean.
 */
#ifndef MW_MILTER_FAILURE_H
#define MW_MILTER_FAILURE_H

#include "conf/config.h"

enum mw_failure {
    MW_FAILURE_NONE,
    MW_FAILURE_TOO_LARGE,      /* above limits.message_size: not scanned at all */
    MW_FAILURE_WORKER_CRASHED, /* its worker died, and the one that tried again too */
    MW_FAILURE_SCAN_TIMED_OUT, /* its worker was ended after limits.time */
    MW_FAILURE_REPORT_UNSOUND, /* what a worker answered is no report */
    MW_FAILURE_LIMIT,          /* a limit kept a part of it from being opened */
    MW_FAILURE_ENGINE_MISSING, /* an engine failed on it, or there is none */
    MW_FAILURE_STORE,          /* neither Redis nor the spool took the results */
    MW_FAILURE_QUEUE_FULL,     /* no memory for it, or no worker in time */
    MW_FAILURE_INTERNAL,       /* the daemon could not do its part */
    MW_FAILURES                /* how many there are */
};

/* As in the configuration: "too_large", ...; "none" for MW_FAILURE_NONE. */
const char *mw_failure_name(enum mw_failure failure);

/* What the configuration wants done: tag, quarantine, tempfail or reject, and
 * MW_ACTION_NONE for MW_FAILURE_NONE. */
enum mw_action mw_failure_action(const struct mw_config_failure *config, enum mw_failure failure);

/* What the failure of an examination (mw_pool_examine) is called. */
enum mw_failure mw_failure_of_scan(const struct mw_error *error);

/* What kept parts of an examined message from being scanned: MW_FAILURE_LIMIT or
 * MW_FAILURE_ENGINE_MISSING; MW_FAILURE_NONE when everything was scanned. */
enum mw_failure mw_failure_of_report(const struct mw_report *report);

#endif
