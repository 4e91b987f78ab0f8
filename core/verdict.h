/*
 * verdict: what a message is (verdict), how bad one finding is (severity), and what is done
 * (action): their names, their orders and what follows from what. Names are read without
 * regard to case. All is thread-safe.
 */
#ifndef MW_CORE_VERDICT_H
#define MW_CORE_VERDICT_H

#include <stdbool.h>

enum mw_verdict { MW_CLEAN, MW_SUSPICIOUS, MW_MALICIOUS, MW_UNSCANNED };
enum mw_severity { MW_INFO, MW_SEVERITY_SUSPICIOUS, MW_SEVERITY_MALICIOUS };
enum mw_action {
    MW_ACTION_NONE, /* nobody decided: a scan from the command line */
    MW_ACTION_ACCEPT,
    MW_ACTION_TAG,
    MW_ACTION_QUARANTINE,
    MW_ACTION_TEMPFAIL,
    MW_ACTION_REJECT,
    MW_ACTION_DISCARD
};

enum {
    MW_VERDICTS = MW_UNSCANNED + 1,
    MW_SEVERITIES = MW_SEVERITY_MALICIOUS + 1,
    MW_ACTIONS = MW_ACTION_DISCARD + 1
};

/* The names by number, with NULL at the end. */
extern const char *const mw_verdict_names[MW_VERDICTS + 1];
extern const char *const mw_severity_names[MW_SEVERITIES + 1];
extern const char *const mw_action_names[MW_ACTIONS + 1];

const char *mw_verdict_name(enum mw_verdict verdict);
const char *mw_severity_name(enum mw_severity severity);
const char *mw_action_name(enum mw_action action);

/* What is named so, or fallback when nothing is; name may be NULL. */
enum mw_verdict mw_verdict_from_name(const char *name, enum mw_verdict fallback);
enum mw_severity mw_severity_from_name(const char *name, enum mw_severity fallback);

/* How bad it is, from 0 for clean. What was not scanned is worse than clean and not as bad
 * as what was found. */
int mw_verdict_rank(enum mw_verdict verdict);
enum mw_verdict mw_verdict_worse(enum mw_verdict one, enum mw_verdict other);

/* What a finding of this severity makes of the part that it is about. */
enum mw_verdict mw_verdict_of_severity(enum mw_severity severity);

/* Whether something was found. */
static inline bool mw_verdict_is_bad(enum mw_verdict verdict)
{
    return mw_verdict_rank(verdict) > mw_verdict_rank(MW_UNSCANNED);
}

/* How strict it is, from 0 for accept to reject. What tells the sender, who can then do
 * something, is stricter than a discard, which tells nobody. */
int mw_action_rank(enum mw_action action);

#endif
