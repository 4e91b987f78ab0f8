/* verdict: the lists of names, and the orders, which are not those of the numbers. */
#include "core/verdict.h"

#include <stddef.h>

#include "core/names.h"

const char *const mw_verdict_names[] = {"clean", "suspicious", "malicious", "unscanned", NULL};
const char *const mw_severity_names[] = {"info", "suspicious", "malicious", NULL};
const char *const mw_action_names[] = {"none",     "accept", "tag",     "quarantine",
                                       "tempfail", "reject", "discard", NULL};

const char *mw_verdict_name(enum mw_verdict verdict)
{
    return mw_verdict_names[verdict];
}

const char *mw_severity_name(enum mw_severity severity)
{
    return mw_severity_names[severity];
}

const char *mw_action_name(enum mw_action action)
{
    return mw_action_names[action];
}

enum mw_verdict mw_verdict_from_name(const char *name, enum mw_verdict fallback)
{
    int at = mw_names_find(mw_verdict_names, name);
    return at < 0 ? fallback : (enum mw_verdict)at;
}

enum mw_severity mw_severity_from_name(const char *name, enum mw_severity fallback)
{
    int at = mw_names_find(mw_severity_names, name);
    return at < 0 ? fallback : (enum mw_severity)at;
}

int mw_verdict_rank(enum mw_verdict verdict)
{
    static const int ranks[MW_VERDICTS] = {
        [MW_CLEAN] = 0, [MW_UNSCANNED] = 1, [MW_SUSPICIOUS] = 2, [MW_MALICIOUS] = 3};
    return ranks[verdict];
}

enum mw_verdict mw_verdict_worse(enum mw_verdict one, enum mw_verdict other)
{
    return mw_verdict_rank(other) > mw_verdict_rank(one) ? other : one;
}

enum mw_verdict mw_verdict_of_severity(enum mw_severity severity)
{
    static const enum mw_verdict verdicts[MW_SEVERITIES] = {[MW_INFO] = MW_CLEAN,
                                                            [MW_SEVERITY_SUSPICIOUS] =
                                                                MW_SUSPICIOUS,
                                                            [MW_SEVERITY_MALICIOUS] = MW_MALICIOUS};
    return verdicts[severity];
}

int mw_action_rank(enum mw_action action)
{
    static const int ranks[MW_ACTIONS] = {
        [MW_ACTION_NONE] = 0,       [MW_ACTION_ACCEPT] = 0,  [MW_ACTION_TAG] = 1,
        [MW_ACTION_QUARANTINE] = 2, [MW_ACTION_DISCARD] = 3, [MW_ACTION_TEMPFAIL] = 4,
        [MW_ACTION_REJECT] = 5};
    return ranks[action];
}
