/* verdict: the end of a message, step by step. */
#include "milter/verdict.h"

#include <libmilter/mfapi.h>
#include <string.h>

#include "core/clock.h"
#include "milter/examine.h"
#include "milter/message_log.h"
#include "parsers/parse.h"
#include "store/schema.h"

unsigned long mw_verdict_rights(void)
{
    return mw_reply_rights() | SMFIF_SETSYMLIST;
}

/* Ends a stage: what has passed since *since_us is its time. */
static void end_stage(struct mw_stages *stages, enum mw_stage stage, int64_t *since_us)
{
    int64_t now_us = mw_clock_us();
    stages->us[stage] = now_us - *since_us;
    *since_us = now_us;
}

static void count(struct mw_daemon *daemon, const struct mw_report *report, mw_failures failures)
{
    struct mw_counters *counters = &daemon->counters;
    atomic_fetch_add(&counters->bytes, (uint64_t)report->size);
    atomic_fetch_add(&counters->actions[report->action], 1);
    atomic_fetch_add(&counters->verdicts[report->verdict], 1);
    mw_metrics_message(daemon->metrics, report);
    for (unsigned i = 0; i < MW_FAILURE_COUNT; i++) {
        if (!(failures & mw_failure_bit(i)))
            continue;
        atomic_fetch_add(&counters->failures[i], 1);
        mw_metrics_condition(daemon->metrics, mw_failure_name(i));
    }
}

static const struct mw_decision *decide(const struct mw_message *message, struct mw_report *report,
                                        mw_failures failures)
{
    const struct mw_policy_facts facts = {report, failures, message->repeated};
    const struct mw_decision *decision =
        mw_policy_decide(mw_snapshot_policy(message->snapshot), &facts, report->arena);
    report->action = mw_decision_done(decision);
    report->intended = decision->observed ? decision->action : MW_ACTION_NONE;
    report->decided_by = decision->by;
    report->recipients = decision->fates;
    return decision;
}

/* What could not be kept anywhere is a failure with an action of its own, which may
 * change the decision. */
static const struct mw_decision *save(struct mw_daemon *daemon, const struct mw_message *message,
                                      struct mw_report *report, const struct mw_decision *decision,
                                      mw_failures failures)
{
    struct mw_error error = {0};
    if (mw_memory_save(daemon->memory, report, &error) == 0)
        return decision;
    mw_log_write(daemon->log, MW_LOG_ERROR, message->queue_id, "%s: not stored: %s", message->id,
                 error.text);
    failures |= mw_failure_bit(MW_STORE_UNAVAILABLE);
    if (report->action == MW_ACTION_REJECT)
        failures |= mw_failure_bit(MW_REFUSAL_UNRECORDED);
    return decide(message, report, failures);
}

/* The report is stored before the reply is carried out, so that nothing is answered without a
 * record. When the mail server then does not take the reply, what was stored is not what was
 * done: it is stored again, in a way that makes it the last word. */
static void correct(struct mw_daemon *daemon, const struct mw_message *message,
                    struct mw_report *report)
{
    struct mw_error error = {0};
    report->action = MW_ACTION_TEMPFAIL;
    report->intended = MW_ACTION_NONE;
    report->decided_by = MW_DECIDED_ANEW;
    mw_fates_follow(report);
    if (mw_memory_save(daemon->memory, report, &error) != 0)
        mw_log_write(daemon->log, MW_LOG_ERROR, message->queue_id,
                     "%s: what was stored could not be corrected: %s", message->id, error.text);
}

static int answer(struct mw_daemon *daemon, const struct mw_session *session,
                  const struct mw_report *report, const struct mw_decision *decision,
                  struct smfi_str *context)
{
    const struct mw_message *message = session->message;
    const struct mw_reply_terms terms = {.smtputf8 = message->smtputf8};
    struct mw_error error = {0};
    const struct mw_reply *reply = mw_reply_plan(mw_snapshot_policy(message->snapshot), decision,
                                                 report, message->arrived, &terms, report->arena);
    int result = mw_reply_carry_out(context, reply, session->leading_space, &error);
    if (error.code != 0)
        mw_log_write(daemon->log, MW_LOG_ERROR, message->queue_id,
                     "%s: the mail server did not take the answer: %s", message->id, error.text);
    return result;
}

/* What has come into the report's arena since held counts as well. */
static void hold(struct mw_daemon *daemon, const struct mw_report *report, size_t *held)
{
    size_t now = mw_arena_used(report->arena);
    mw_admission_force(&daemon->admission, now - *held);
    *held = now;
}

int mw_verdict_carry_out(struct mw_daemon *daemon, struct mw_session *session,
                         const struct mw_pool_wait *wait, struct smfi_str *context)
{
    struct mw_message *message = session->message;
    mw_failures failures = 0;
    struct mw_stages stages = {{0}};
    int64_t since_us = message->started_us;
    end_stage(&stages, MW_STAGE_RECEIVE, &since_us);
    struct mw_report *report = mw_examine(daemon, session, wait, &failures);
    /* The report is there already, with what was unpacked: it keeps others out until it is
     * stored. */
    size_t held = 0;
    end_stage(&stages, MW_STAGE_EXAMINE, &since_us);
    hold(daemon, report, &held);
    const struct mw_recalled *recalled = mw_memory_recall(daemon->memory, report);
    const struct mw_decision *decision = decide(message, report, failures);
    hold(daemon, report, &held);
    end_stage(&stages, MW_STAGE_DECIDE, &since_us);
    decision = save(daemon, message, report, decision, failures);
    end_stage(&stages, MW_STAGE_STORE, &since_us);
    int result = answer(daemon, session, report, decision, context);
    if (result == SMFIS_TEMPFAIL && report->action != MW_ACTION_TEMPFAIL)
        correct(daemon, message, report);
    end_stage(&stages, MW_STAGE_ANSWER, &since_us);
    /* Last before the reply is sent: a kill then forgets no sender whose mail was taken, and
     * one whose mail the server is told to refuse, or to take later, is as new as before. */
    if (result == SMFIS_ACCEPT)
        mw_memory_learn(daemon->memory, report, recalled, message->queue_id);
    end_stage(&stages, MW_STAGE_LEARN, &since_us);
    mw_message_log(daemon, session, report, decision, &stages);
    count(daemon, report, decision->failures);
    mw_report_free(report);
    mw_admission_give(&daemon->admission, held);
    return result;
}
