/* policy: an outcome for each recipient, then one decision for the message. */
#include "milter/policy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "milter/match.h"
#include "milter/words.h"

struct mw_policy {
    struct mw_arena *arena; /* owned */
    const struct mw_config *config;
    struct mw_match_networks internal;
    struct mw_match_networks *clients; /* when.client of each rule */
};

/* What one recipient's rules say. */
struct outcome {
    const char *recipient; /* NULL: the message has none */
    enum mw_action action;
    const struct mw_config_rule *rule; /* the one that matched, or NULL */
    const char *by;
    bool removed;
};

/* A decision being made. */
struct deciding {
    const struct mw_policy *policy;
    const struct mw_policy_facts *facts;
    struct mw_arena *arena;
    struct mw_match_message message;
    signed char *fits; /* of each rule: 1, 0, or -1 for not asked yet */
    struct outcome *outcomes;
    size_t count;
    struct mw_decision *decision;
    struct mw_fates added; /* for the end of decision->fates */
};

struct mw_policy *mw_policy_new(const struct mw_config *config, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_policy *policy = mw_arena_alloc(arena, sizeof *policy);
    policy->arena = arena;
    policy->config = config;
    policy->clients = mw_arena_alloc(arena, (config->rules.count + 1) * sizeof *policy->clients);
    int code =
        mw_match_networks_read(&policy->internal, &config->milter.internal_networks, arena, error);
    for (size_t i = 0; i < config->rules.count && code == 0; i++)
        code = mw_match_networks_read(&policy->clients[i], &config->rules.items[i].when.client,
                                      arena, error);
    if (code == 0)
        return policy;
    mw_policy_free(policy);
    return NULL;
}

void mw_policy_free(struct mw_policy *policy)
{
    if (policy)
        mw_arena_free(policy->arena);
}

const struct mw_config *mw_policy_config(const struct mw_policy *policy)
{
    return policy->config;
}

bool mw_policy_outbound(const struct mw_policy *policy, const struct mw_policy_facts *facts)
{
    return facts->report->auth.name ||
           (policy->internal.count > 0 &&
            mw_match_networks_have(&policy->internal, facts->report->client.address));
}

static bool passes(enum mw_action action)
{
    return mw_action_rank(action) <= mw_action_rank(MW_ACTION_QUARANTINE);
}

static bool rule_fits(struct deciding *deciding, size_t index, const char *recipient)
{
    const struct mw_policy *policy = deciding->policy;
    const struct mw_config_when *when = &policy->config->rules.items[index].when;
    if (!mw_match_recipient_fits(when, recipient))
        return false;
    if (deciding->fits[index] < 0)
        deciding->fits[index] =
            mw_match_message_fits(when, &policy->clients[index], &deciding->message);
    return deciding->fits[index] == 1;
}

static void take_verdict(struct deciding *deciding, struct outcome *outcome)
{
    const struct mw_config_milter *milter = &deciding->policy->config->milter;
    enum mw_verdict verdict = deciding->facts->report->verdict;
    unsigned action = verdict == MW_CLEAN        ? milter->clean
                      : verdict == MW_SUSPICIOUS ? milter->suspicious
                      : verdict == MW_MALICIOUS  ? milter->malicious
                                                 : milter->unscanned;
    outcome->action = (enum mw_action)action;
    outcome->by = mw_arena_printf(deciding->arena, "milter.%s", mw_verdict_name(verdict));
}

/* Raises an outcome to the action of each failure that its rule does not name. */
static void raise_for_failures(struct deciding *deciding, struct outcome *outcome)
{
    for (enum mw_failure i = 0; i < MW_FAILURE_COUNT; i++) {
        bool failed = deciding->message.failures & mw_failure_bit(i);
        bool named = outcome->rule && mw_match_names_failure(&outcome->rule->when, i);
        enum mw_action action = mw_failure_action(deciding->policy->config, i);
        if (action == MW_ACTION_TEMPFAIL && deciding->facts->repeated)
            action = (enum mw_action)deciding->policy->config->milter.repeated;
        if (!failed || named || mw_action_rank(action) <= mw_action_rank(outcome->action))
            continue;
        outcome->action = action;
        outcome->by = mw_arena_printf(deciding->arena, "failure.%s", mw_failure_name(i));
    }
    /* The one that may make it milder: nobody could tell later why a message was refused. */
    enum mw_action unrecorded = mw_failure_action(deciding->policy->config, MW_REFUSAL_UNRECORDED);
    if (deciding->message.failures & mw_failure_bit(MW_REFUSAL_UNRECORDED) &&
        outcome->action == MW_ACTION_REJECT && unrecorded != MW_ACTION_NONE) {
        outcome->action = unrecorded;
        outcome->by =
            mw_arena_printf(deciding->arena, "failure.%s", mw_failure_name(MW_REFUSAL_UNRECORDED));
    }
    bool whole =
        deciding->message.failures == 0 && deciding->facts->report->verdict != MW_UNSCANNED;
    if (!whole && outcome->action == MW_ACTION_ACCEPT)
        outcome->action = MW_ACTION_TAG;
}

/* A rule as what decided. */
static const char *rule_words(struct mw_arena *arena, const struct mw_config_rule *rule)
{
    return mw_arena_printf(arena, "policy.%s", rule->name);
}

static void judge_recipient(struct deciding *deciding, struct outcome *outcome)
{
    const struct mw_config *config = deciding->policy->config;
    for (size_t i = 0; i < config->rules.count && !outcome->rule; i++)
        if (rule_fits(deciding, i, outcome->recipient))
            outcome->rule = &config->rules.items[i];
    if (outcome->rule) {
        outcome->action = (enum mw_action)outcome->rule->action;
        outcome->by = rule_words(deciding->arena, outcome->rule);
    } else {
        take_verdict(deciding, outcome);
    }
    raise_for_failures(deciding, outcome);
}

static void judge_recipients(struct deciding *deciding)
{
    const struct mw_texts *to = &deciding->facts->report->envelope.to;
    size_t rules = deciding->policy->config->rules.count;
    deciding->fits = mw_arena_alloc(deciding->arena, rules + 1);
    memset(deciding->fits, -1, rules);
    deciding->count = to->count > 0 ? to->count : 1;
    deciding->outcomes =
        mw_arena_alloc(deciding->arena, deciding->count * sizeof *deciding->outcomes);
    for (size_t i = 0; i < deciding->count; i++) {
        deciding->outcomes[i].recipient = to->count > 0 ? to->items[i] : NULL;
        judge_recipient(deciding, &deciding->outcomes[i]);
    }
}

/* The strictest, or the mildest, of those that stay; NULL when none does. */
static const struct outcome *outermost(const struct deciding *deciding, bool strictest)
{
    const struct outcome *found = NULL;
    for (size_t i = 0; i < deciding->count; i++) {
        const struct outcome *one = &deciding->outcomes[i];
        if (one->removed)
            continue;
        int difference = found ? mw_action_rank(one->action) - mw_action_rank(found->action) : 0;
        if (!found || (strictest ? difference > 0 : difference < 0))
            found = one;
    }
    return found;
}

static void set_removed(struct deciding *deciding, enum mw_action action, bool removed)
{
    for (size_t i = 0; i < deciding->count; i++)
        if (deciding->outcomes[i].action == action)
            deciding->outcomes[i].removed = removed;
}

/* Removes the recipients with this action, when that leaves others. */
static void remove_recipients(struct deciding *deciding, enum mw_action action)
{
    set_removed(deciding, action, true);
    const struct outcome *rest = outermost(deciding, true);
    if (!rest || (action == MW_ACTION_REJECT && !passes(rest->action)))
        set_removed(deciding, action, false);
}

static void settle(struct deciding *deciding)
{
    const struct mw_config_milter *milter = &deciding->policy->config->milter;
    struct mw_decision *decision = deciding->decision;
    remove_recipients(deciding, MW_ACTION_DISCARD);
    if (milter->recipients == MW_EACH)
        remove_recipients(deciding, MW_ACTION_REJECT);
    const struct outcome *outcome = outermost(deciding, milter->recipients != MW_LENIENT);
    const struct outcome *strictest = outermost(deciding, true);
    decision->action = outcome->action;
    /* A milder setting for several recipients is never silent. */
    if (decision->action == MW_ACTION_ACCEPT &&
        mw_action_rank(strictest->action) > mw_action_rank(MW_ACTION_TAG))
        decision->action = MW_ACTION_TAG;
    decision->by = outcome->by;
    struct mw_words words = {deciding->facts->report, deciding->message.failures,
                             outcome->action,         outcome->by,
                             outcome->recipient,      NULL};
    const struct mw_config_rule *rule = outcome->rule;
    bool own = rule && rule->action == outcome->action;
    words.when = own ? &rule->when : NULL;
    const char *text = outcome->action == MW_ACTION_REJECT     ? milter->reject_text
                       : outcome->action == MW_ACTION_TEMPFAIL ? milter->tempfail_text
                                                               : NULL;
    /* Codes come from the configuration only, never from what is filled in. */
    if (text)
        text = mw_reply_codes(own && rule->text ? rule->text : text, decision->code,
                              decision->enhanced);
    decision->text = mw_words_fill(deciding->arena, &words, text);
    decision->reason = mw_words_fill(deciding->arena, &words,
                                     own && rule->reason ? rule->reason : milter->quarantine_text);
}

static void add_removal(struct deciding *deciding, const struct outcome *outcome, const char *by)
{
    struct mw_removals *removed = &deciding->decision->removed;
    struct mw_removal *one = mw_list_add(deciding->arena, removed, sizeof *removed->items);
    *one = (struct mw_removal){outcome->recipient, by, outcome->action};
}

/* Whether it was not there yet. */
static bool add_once(struct mw_arena *arena, struct mw_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcasecmp(texts->items[i], text) == 0)
            return false;
    mw_texts_add(arena, texts, text);
    return true;
}

/* One more recipient, because of what was decided for another. */
static void add_recipient(struct deciding *deciding, const struct outcome *outcome, const char *by,
                          const char *address)
{
    if (!add_once(deciding->arena, &deciding->decision->added, address))
        return;
    struct mw_fate *fate =
        mw_list_add(deciding->arena, &deciding->added, sizeof *deciding->added.items);
    *fate = (struct mw_fate){.address = address, .by = by};
    fate->added_for = outcome->recipient ? outcome->recipient : "";
}

static bool has_text(const struct mw_texts *texts, const char *text)
{
    for (size_t i = 0; text && i < texts->count; i++)
        if (strcasecmp(texts->items[i], text) == 0)
            return true;
    return false;
}

static void take_edits(struct deciding *deciding, const struct outcome *outcome)
{
    const struct mw_config_rule *rule = outcome->rule;
    struct mw_decision *decision = deciding->decision;
    struct mw_words words = {deciding->facts->report, deciding->message.failures,
                             decision->action,        outcome->by,
                             outcome->recipient,      &rule->when};
    const char *by = rule_words(deciding->arena, rule);
    for (size_t i = 0; i < rule->redirect.count; i++)
        add_recipient(deciding, outcome, by, rule->redirect.items[i]);
    for (size_t i = 0; i < rule->add_recipient.count; i++)
        add_recipient(deciding, outcome, by, rule->add_recipient.items[i]);
    if (rule->redirect.count > 0 && outcome->recipient &&
        !has_text(&rule->redirect, outcome->recipient))
        add_removal(deciding, outcome, by);
    for (size_t i = 0; i < rule->add_header.count; i++)
        add_once(deciding->arena, &decision->add_headers,
                 mw_words_fill(deciding->arena, &words, rule->add_header.items[i]));
    for (size_t i = 0; i < rule->set_header.count; i++)
        add_once(deciding->arena, &decision->set_headers,
                 mw_words_fill(deciding->arena, &words, rule->set_header.items[i]));
    if (!decision->subject_prefix)
        decision->subject_prefix = mw_words_fill(deciding->arena, &words, rule->subject_prefix);
}

/* A message that passes: who does not get it, who does too, and its headers. */
static void edit(struct deciding *deciding)
{
    const struct mw_config_milter *milter = &deciding->policy->config->milter;
    struct mw_decision *decision = deciding->decision;
    for (size_t i = 0; i < deciding->count; i++) {
        const struct outcome *outcome = &deciding->outcomes[i];
        if (outcome->removed)
            add_removal(deciding, outcome, outcome->by);
        else if (outcome->rule && passes((enum mw_action)outcome->rule->action))
            take_edits(deciding, outcome);
        if (!outcome->removed || outcome->action != MW_ACTION_REJECT)
            continue;
        if (milter->removed == 1)
            decision->action = MW_ACTION_QUARANTINE;
        if (milter->removed_to)
            add_recipient(deciding, outcome, outcome->by, milter->removed_to);
    }
}

/* Who gets what one that is removed would have got; NULL: nobody. */
static const char *moved_to(const struct deciding *deciding, const struct outcome *outcome)
{
    const char *text = "";
    const struct mw_config_rule *rule = outcome->rule;
    if (outcome->removed)
        return outcome->action == MW_ACTION_REJECT ? deciding->policy->config->milter.removed_to
                                                   : NULL;
    for (size_t i = 0; i < rule->redirect.count; i++)
        text = mw_arena_printf(deciding->arena, "%s%s%s", text, *text ? ", " : "",
                               rule->redirect.items[i]);
    return text;
}

static void add_fate(struct deciding *deciding, const struct mw_fate *fate)
{
    bool observed = deciding->decision->observed;
    struct mw_fates *fates = &deciding->decision->fates;
    struct mw_fate *one = mw_list_add(deciding->arena, fates, sizeof *fates->items);
    *one = *fate;
    one->intended = observed ? fate->action : MW_ACTION_NONE;
    one->action = !observed ? fate->action : fate->added_for ? MW_ACTION_NONE : MW_ACTION_ACCEPT;
}

/* Those that stay fare as the message does. Only observed, all get it as it is. */
static void tell_fates(struct deciding *deciding)
{
    struct mw_decision *decision = deciding->decision;
    size_t next = 0;
    for (size_t i = 0; i < deciding->count; i++) {
        const struct outcome *outcome = &deciding->outcomes[i];
        /* Removals stand in the order of recipients. */
        bool removed = next < decision->removed.count &&
                       decision->removed.items[next].recipient == outcome->recipient;
        struct mw_fate fate = {outcome->recipient, decision->action, 0, decision->by, NULL, NULL};
        if (removed) {
            fate.action = decision->removed.items[next].action;
            fate.by = decision->removed.items[next++].by;
            fate.moved_to = moved_to(deciding, outcome);
        }
        if (outcome->recipient)
            add_fate(deciding, &fate);
    }
    for (size_t i = 0; i < deciding->added.count; i++) {
        deciding->added.items[i].action = decision->action;
        add_fate(deciding, &deciding->added.items[i]);
    }
}

const struct mw_decision *mw_policy_decide(const struct mw_policy *policy,
                                           const struct mw_policy_facts *facts,
                                           struct mw_arena *arena)
{
    struct deciding deciding = {.policy = policy, .facts = facts, .arena = arena};
    deciding.message.facts = facts;
    deciding.message.failures = facts->failures | mw_failures_of_report(facts->report);
    deciding.message.outbound = mw_policy_outbound(policy, facts);
    deciding.decision = mw_arena_alloc(arena, sizeof *deciding.decision);
    deciding.decision->observed = policy->config->milter.mode == 0;
    deciding.decision->failures = deciding.message.failures;
    judge_recipients(&deciding);
    settle(&deciding);
    if (passes(deciding.decision->action))
        edit(&deciding);
    tell_fates(&deciding);
    return deciding.decision;
}

enum mw_action mw_decision_done(const struct mw_decision *decision)
{
    return decision->observed ? MW_ACTION_ACCEPT : decision->action;
}
