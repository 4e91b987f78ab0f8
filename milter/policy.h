/*
 * policy: from what is known of a message to what is done with it. Pure: the same
 * report, facts and configuration give the same decision; nothing is sent anywhere.
 *
 * Rules are tried in order for each recipient and the first that matches decides;
 * after the list, the actions for verdicts. What failed (failure.h) raises the
 * outcome to its own action, unless a rule names that failure. doc/policy.md has
 * all of it with examples.
 */
#ifndef MW_MILTER_POLICY_H
#define MW_MILTER_POLICY_H

#include "milter/failure.h"

/* A compiled configuration. Immutable: any number of threads may use one. */
struct mw_policy;

/* Borrows config, which must outlive it. NULL only when config was not made by
 * mw_config_load. Freed by mw_policy_free. */
struct mw_policy *mw_policy_new(const struct mw_config *config, struct mw_error *error);
void mw_policy_free(struct mw_policy *policy);

const struct mw_config *mw_policy_config(const struct mw_policy *policy);

/* What a decision is made from. The report's envelope, client, daemon, tls,
 * auth and new_values are taken as known (the daemon fills them in), the rest as what a worker
 * said. */
struct mw_policy_facts {
    const struct mw_report *report;
    mw_failures failures; /* beside those that the report tells of itself */
    bool repeated;        /* the message met them so often that it is not put off once more */
};

/* A recipient that is not to get the message although others do. */
struct mw_removal {
    const char *recipient;
    const char *by; /* as in the decision */
    enum mw_action action;
};
MW_LIST_TYPE(mw_removals, struct mw_removal);

struct mw_decision {
    enum mw_action action; /* for the message as a whole; never MW_ACTION_NONE */
    bool observed;         /* mode is observe: this is what would be done; accept it as it is */
    const char *by;        /* "policy.NAME", "milter.malicious", "failure.timed_out" */
    mw_failures failures;  /* all that failed */
    char code[4];          /* of tempfail and reject, as configured: "550"; "" for the usual */
    char enhanced[12];     /* "5.7.1", the same */
    const char *text;      /* their words, filled in: may look like anything */
    const char *reason;    /* of quarantine, filled in */
    struct mw_removals removed;
    struct mw_texts added; /* recipients */
    struct mw_fates fates; /* what becomes of each recipient and of those added */
    struct mw_texts add_headers, set_headers; /* "Name: value", filled in */
    const char *subject_prefix;               /* filled in; NULL: none */
};

/* Decides. The decision and its texts lie in arena; texts may point into facts and
 * policy. Never NULL. */
const struct mw_decision *mw_policy_decide(const struct mw_policy *policy,
                                           const struct mw_policy_facts *facts,
                                           struct mw_arena *arena);

/* What was done, for the report's action: MW_ACTION_ACCEPT when only observed. */
enum mw_action mw_decision_done(const struct mw_decision *decision);

/* Whether the message is outbound: authenticated, or from an internal network. */
bool mw_policy_outbound(const struct mw_policy *policy, const struct mw_policy_facts *facts);

#endif
