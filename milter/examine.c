/* examine: the pool, a second try, and what is said when it is no use. */
#include "milter/examine.h"

#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "milter/repeats.h"
#include "parsers/parse.h"

enum { MOST_LOSSES = 3, PAUSE_US = 20000 };

static void note_time(struct mw_report *report, const char *name, int64_t since_us)
{
    struct mw_number *number = mw_list_add(report->arena, &report->timings, sizeof *number);
    number->name = name;
    number->value = mw_clock_us() - since_us;
}

static struct mw_report *unexamined(struct mw_memfile *file, const struct mw_error *why)
{
    struct mw_error ignored = {0};
    struct mw_bytes raw = {0};
    if (file)
        mw_memfile_map(file, &raw, &ignored);
    return mw_pool_unexamined(raw, why);
}

/*
 * A worker may die by another message's memory or by the hand of an administrator: a
 * message is given up when it ends two. When all workers are gone before one reads it
 * the pool starts new ones.
 */
static struct mw_report *ask_pool(struct mw_daemon *daemon, const struct mw_message *message,
                                  const struct mw_pool_wait *wait, struct mw_error *error)
{
    struct mw_memfile *file = mw_intake_file(message->intake);
    for (int deaths = 0, losses = 0;;) {
        struct mw_report *report = mw_pool_examine_waiting(daemon->pool, file, wait, error);
        bool lost = error->code == MW_ERR_SYSTEM || error->code == MW_ERR_MISSING;
        bool again =
            (error->code == MW_ERR_INTERNAL && deaths++ == 0) || (lost && losses++ < MOST_LOSSES);
        if (report || !again)
            return report;
        mw_log_write(daemon->log, MW_LOG_WARNING, message->queue_id, "%s: %s; another one tries",
                     message->id, error->text);
        *error = (struct mw_error){0};
        if (lost)
            usleep(PAUSE_US);
    }
}

/* Where a message is put off for what it does to workers, that ends after some times. */
static void count_repeats(struct mw_message *message, unsigned times)
{
    message->repeated = times > mw_snapshot_config(message->snapshot)->milter.repeat_most;
}

/* Whether the message has ended a worker lately, or took it too long: error is what it was. */
static bool is_known_to_fail(struct mw_daemon *daemon, struct mw_message *message,
                             struct mw_error *error)
{
    struct mw_error ignored = {0};
    struct mw_bytes raw;
    if (!mw_repeats_any(daemon->repeats) ||
        mw_memfile_map(mw_intake_file(message->intake), &raw, &ignored) != 0)
        return false;
    unsigned times = mw_repeats_find(daemon->repeats, raw, error);
    if (times > 0)
        count_repeats(message, times);
    return times > 0;
}

static void remember(struct mw_daemon *daemon, struct mw_message *message,
                     const struct mw_error *error)
{
    unsigned seconds = mw_snapshot_config(message->snapshot)->workers.remember_seconds;
    struct mw_error ignored = {0};
    struct mw_bytes raw;
    bool its_own = error->code == MW_ERR_INTERNAL || error->code == MW_ERR_TIMEOUT ||
                   error->code == MW_ERR_FORMAT;
    if (its_own && mw_memfile_map(mw_intake_file(message->intake), &raw, &ignored) == 0)
        count_repeats(message, mw_repeats_note(daemon->repeats, raw, error, seconds));
}

/* A report that time cut short, and nothing bad was found until then. */
static void remember_time(struct mw_daemon *daemon, struct mw_message *message,
                          const struct mw_report *report)
{
    struct mw_error error = {0};
    if (report->verdict != MW_UNSCANNED ||
        !(mw_failures_of_report(report) & mw_failure_bit(MW_TIMED_OUT)))
        return;
    mw_fail(&error, MW_ERR_TIMEOUT, "the message took longer than limits.time");
    remember(daemon, message, &error);
}

static struct mw_report *examine_whole(struct mw_daemon *daemon, struct mw_message *message,
                                       const struct mw_pool_wait *wait, mw_failures *failures)
{
    struct mw_error error = {0};
    bool known = is_known_to_fail(daemon, message, &error);
    struct mw_report *report = known ? NULL : ask_pool(daemon, message, wait, &error);
    if (report) {
        remember_time(daemon, message, report);
        return report;
    }
    if (!known)
        remember(daemon, message, &error);
    *failures |= mw_failure_bit(mw_failure_of_error(&error));
    mw_log_write(daemon->log, MW_LOG_ERROR, message->queue_id, "%s: not scanned: %s", message->id,
                 error.text);
    return unexamined(mw_intake_file(message->intake), &error);
}

/* Only the header was kept: a worker reads its fields, and nothing counts as scanned. */
static struct mw_report *examine_header(struct mw_daemon *daemon, const struct mw_message *message,
                                        const struct mw_pool_wait *wait, mw_failures *failures)
{
    const struct mw_limits *limits = &mw_snapshot_config(message->snapshot)->limits;
    struct mw_error error = {0};
    *failures |= mw_failure_bit(MW_TOO_LARGE);
    struct mw_memfile *file = mw_intake_file(message->intake);
    struct mw_report *report = file ? ask_pool(daemon, message, wait, &error) : NULL;
    if (!report) {
        mw_fail(&error, MW_ERR_LIMIT, "too large");
        report = unexamined(NULL, &error);
        report->errors.count = 0;
    }
    report->md5 = report->sha1 = report->sha512 = NULL;
    report->sha256 = "";
    report->size = (int64_t)mw_intake_size(message->intake);
    report->verdict = MW_UNSCANNED;
    report->unscanned.count = 0;
    mw_texts_add(report->arena, &report->unscanned,
                 mw_arena_printf(report->arena, "too large: %lld bytes, limits.message_size is %zu",
                                 (long long)report->size, limits->message_size));
    mw_report_problem(report, limits, MW_PROBLEM_LIMIT_MESSAGE_SIZE, NULL,
                      "the message has %lld bytes, %zu are allowed: only its header was read",
                      (long long)report->size, limits->message_size);
    return report;
}

/* Nothing was kept. */
static struct mw_report *examine_nothing(struct mw_daemon *daemon, const struct mw_message *message,
                                         mw_failures *failures)
{
    struct mw_error error = {0};
    if (mw_intake_get_state(message->intake) == MW_INTAKE_FULL)
        mw_fail(&error, MW_ERR_BUSY, "milter.memory_max is reached: %zu bytes of mail may be held",
                atomic_load(&daemon->admission.max));
    else
        error = *mw_intake_error(message->intake);
    *failures |= mw_failure_bit(mw_failure_of_error(&error));
    mw_log_write(daemon->log, MW_LOG_ERROR, message->queue_id, "%s: not scanned: %s", message->id,
                 error.text);
    struct mw_report *report = unexamined(NULL, &error);
    report->md5 = report->sha1 = report->sha512 = NULL;
    report->sha256 = "";
    report->size = (int64_t)mw_intake_size(message->intake);
    return report;
}

struct mw_report *mw_examine(struct mw_daemon *daemon, const struct mw_session *session,
                             const struct mw_pool_wait *wait, mw_failures *failures)
{
    struct mw_message *message = session->message;
    int64_t start_us = mw_clock_us();
    struct mw_report *report;
    mw_intake_finish(message->intake);
    switch (mw_intake_get_state(message->intake)) {
    case MW_INTAKE_WHOLE:
        report = examine_whole(daemon, message, wait, failures);
        break;
    case MW_INTAKE_TOO_LARGE:
        report = examine_header(daemon, message, wait, failures);
        break;
    default:
        report = examine_nothing(daemon, message, failures);
    }
    mw_session_describe(session, report);
    note_time(report, "examine_us", start_us);
    return report;
}
