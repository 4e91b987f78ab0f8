/* failure: from names in reports to conditions, from conditions to options. */
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
    [MW_TOO_LARGE] = {OPTION(too_large)},
    [MW_LIMITS] = {OPTION(limits)},
    [MW_ENGINE_MISSING] = {OPTION(engine_missing)},
    [MW_STORE_UNAVAILABLE] = {OPTION(store_unavailable)},
    [MW_INTERNAL_ERROR] = {OPTION(internal_error)},
};

/* What a problem's name says, by how it begins; the first that fits. Problems that
 * keep nothing from being scanned (a header too long, a text cut) are not here. */
static const struct {
    const char *beginning;
    enum mw_failure failure;
} problems[] = {
    {"worker.crashed", MW_WORKER_CRASHED},
    {"worker.timeout", MW_TIMED_OUT},
    {"worker.report", MW_BAD_REPORT},
    {"worker.busy", MW_QUEUE_FULL},
    {"limit.message_size", MW_TOO_LARGE},
    {"limit.time", MW_TIMED_OUT},
    {"limit.parts", MW_LIMITS},
    {"limit.depth", MW_LIMITS},
    {"limit.unpack", MW_LIMITS},
    {"limit.errors", MW_LIMITS},
    {"clamav.", MW_LIMITS},
    {"scanner.time", MW_TIMED_OUT},
    {"scanner.failed", MW_ENGINE_MISSING},
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
        const char *name = report->errors.items[i].name;
        for (size_t j = 0; j < sizeof problems / sizeof *problems; j++)
            if (strncmp(name, problems[j].beginning, strlen(problems[j].beginning)) == 0)
                found |= mw_failure_bit(problems[j].failure);
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
