/* failure: from problems to conditions, from conditions to options. */
#include "milter/failure.h"

#include <string.h>

#include "worker/judge.h"

#define OPTION(name) #name, offsetof(struct mw_config_failure, name)

static const struct {
    const char *name;
    size_t option;
} failures[MW_FAILURE_COUNT] = {
    [MW_WORKER_CRASHED] = {OPTION(worker_crashed)},
    [MW_TIMED_OUT] = {OPTION(timed_out)},
    [MW_BAD_REPORT] = {OPTION(bad_report)},
    [MW_QUEUE_FULL] = {OPTION(queue_full)},
    [MW_OUT_OF_RESOURCES] = {OPTION(out_of_resources)},
    [MW_TOO_LARGE] = {OPTION(too_large)},
    [MW_LIMITS] = {OPTION(limits)},
    [MW_UNREADABLE] = {OPTION(unreadable)},
    [MW_NOT_OPENED] = {OPTION(not_opened)},
    [MW_ENGINE_MISSING] = {OPTION(engine_missing)},
    [MW_STORE_UNAVAILABLE] = {OPTION(store_unavailable)},
    [MW_REFUSAL_UNRECORDED] = {OPTION(refusal_unrecorded)},
    [MW_INTERNAL_ERROR] = {OPTION(internal_error)},
};

const char *mw_failure_name(enum mw_failure failure)
{
    return failures[failure].name;
}

enum mw_failure mw_failure_of_error(const struct mw_error *error)
{
    switch (error->code) {
    case MW_ERR_BUSY:
        return MW_QUEUE_FULL;
    case MW_ERR_TIMEOUT:
        return MW_TIMED_OUT;
    case MW_ERR_FORMAT:
        return MW_BAD_REPORT;
    case MW_ERR_SYSTEM:
        return MW_OUT_OF_RESOURCES;
    case MW_ERR_LIMIT:
        return MW_TOO_LARGE;
    case MW_ERR_INTERNAL:
    case MW_ERR_MISSING:
        return MW_WORKER_CRASHED;
    default:
        return MW_INTERNAL_ERROR;
    }
}

mw_failures mw_failures_of_report(const struct mw_report *report)
{
    mw_failures found = 0;
    for (size_t i = 0; i < report->errors.count; i++) {
        const struct mw_problem_row *row = mw_problem_row_of(report->errors.items[i].name);
        if (row->failure != MW_NO_FAILURE)
            found |= mw_failure_bit(row->failure);
    }
    for (size_t i = 0; i < report->unscanned.count; i++)
        if (strcmp(report->unscanned.items[i], MW_NO_SCANNER) == 0)
            found |= mw_failure_bit(MW_ENGINE_MISSING);
    return found;
}

enum mw_action mw_failure_action(const struct mw_config *config, enum mw_failure failure)
{
    const unsigned char *section = (const unsigned char *)&config->failure;
    unsigned action;
    memcpy(&action, section + failures[failure].option, sizeof action);
    return (enum mw_action)action;
}
