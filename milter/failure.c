/* failure: names, actions, and which errors mean which. */
#include "milter/failure.h"

#include <string.h>

#define ACTION(member) offsetof(struct mw_config_failure, member)

static const struct {
    const char *name;
    size_t action;
} failures[MW_FAILURES] = {
    [MW_FAILURE_NONE] = {"none", 0},
    [MW_FAILURE_TOO_LARGE] = {"too_large", ACTION(too_large)},
    [MW_FAILURE_WORKER_CRASHED] = {"worker_crashed", ACTION(worker_crashed)},
    [MW_FAILURE_SCAN_TIMED_OUT] = {"scan_timed_out", ACTION(scan_timed_out)},
    [MW_FAILURE_REPORT_UNSOUND] = {"report_unsound", ACTION(report_unsound)},
    [MW_FAILURE_LIMIT] = {"limit", ACTION(limit)},
    [MW_FAILURE_ENGINE_MISSING] = {"engine_missing", ACTION(engine_missing)},
    [MW_FAILURE_STORE] = {"store", ACTION(store)},
    [MW_FAILURE_QUEUE_FULL] = {"queue_full", ACTION(queue_full)},
    [MW_FAILURE_INTERNAL] = {"internal", ACTION(internal)},
};

const char *mw_failure_name(enum mw_failure failure)
{
    return failures[failure].name;
}

enum mw_action mw_failure_action(const struct mw_config_failure *config, enum mw_failure failure)
{
    if (failure == MW_FAILURE_NONE)
        return MW_ACTION_NONE;
    const void *member = (const unsigned char *)config + failures[failure].action;
    return MW_ACTION_TAG + *(const unsigned *)member;
}

enum mw_failure mw_failure_of_scan(const struct mw_error *error)
{
    switch (error->code) {
    case MW_ERR_BUSY:
        return MW_FAILURE_QUEUE_FULL;
    case MW_ERR_TIMEOUT:
        return MW_FAILURE_SCAN_TIMED_OUT;
    case MW_ERR_FORMAT:
    case MW_ERR_LIMIT:
        return MW_FAILURE_REPORT_UNSOUND;
    case MW_ERR_INTERNAL:
        return MW_FAILURE_WORKER_CRASHED;
    default:
        return MW_FAILURE_INTERNAL;
    }
}

enum mw_failure mw_failure_of_report(const struct mw_report *report)
{
    enum mw_failure failure = MW_FAILURE_NONE;
    for (size_t i = 0; i < report->unscanned.count; i++) {
        const char *reason = report->unscanned.items[i];
        if (!strstr(reason, "limit") && !strstr(reason, "time was up"))
            return MW_FAILURE_ENGINE_MISSING;
        failure = MW_FAILURE_LIMIT;
    }
    return failure;
}
