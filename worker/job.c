/* job: give, wait, read; take, answer. */
#include "worker/job.h"

#include <stdlib.h>

#include "core/clock.h"
#include "worker/result.h"

/* Room for frames that carry no result. */
enum { SMALL = 128 };

/* --- the asking side ---------------------------------------------------------------------- */

int mw_job_give(struct mw_channel *channel, enum mw_frame_kind kind, const struct mw_memfile *file,
                struct mw_error *error)
{
    unsigned char room[SMALL];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, kind);
    int fd = mw_memfile_fd(file);
    if (!mw_channel_is_quiet(channel))
        return mw_fail(error, MW_ERR_BUSY, "a worker has ended, or speaks without being asked");
    int sent = mw_channel_send(channel, &frame, &fd, 1, error);
    return sent == MW_ERR_MISSING ? mw_fail(error, MW_ERR_BUSY, "a worker has ended") : sent;
}

/* What is known of a job under way. */
struct job {
    struct mw_channel *channel;
    const struct mw_job_wait *wait;
    int64_t asked_us;
    struct mw_memfile *file; /* of a large result */
    bool *spent;
};

static int64_t after(int64_t since_us, unsigned ms)
{
    return ms > 0 ? since_us + (int64_t)ms * 1000 : INT64_MAX;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Waits at most until then: 1 when there is something to read, 0 when there is not. */
static int wait_until(const struct job *job, int64_t until_us, struct mw_error *error)
{
    if (until_us == INT64_MAX)
        return mw_channel_wait(job->channel, -1, error);
    int64_t left_us = until_us - mw_clock_us();
    int64_t left_ms = left_us <= 0 ? 0 : (left_us + 999) / 1000;
    return mw_channel_wait(job->channel, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX, error);
}

static int fail_died(struct mw_error *error)
{
    return mw_fail(error, MW_ERR_INTERNAL, "the worker that read the message died");
}

/* A memory file for a result of so many bytes, on its way to the worker. */
static int give_room(struct job *job, uint64_t size, struct mw_error *error)
{
    unsigned char room[SMALL];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_ROOM);
    if (size > job->wait->result_max)
        return mw_fail(error, MW_ERR_FORMAT, "a worker's result has %llu bytes, %zu are accepted",
                       (unsigned long long)size, job->wait->result_max);
    job->file = mw_memfile_new("mailwitness-report", error);
    if (!job->file)
        return error->code;
    int fd = mw_memfile_fd(job->file);
    int sent = mw_channel_send(job->channel, &frame, &fd, 1, error);
    return sent == MW_ERR_MISSING || sent == MW_ERR_BUSY ? fail_died(error) : sent;
}

static struct mw_report *read_filed(struct job *job, struct mw_error *error)
{
    struct mw_memfile *file = job->file;
    job->file = NULL;
    if (mw_memfile_settle(file, job->wait->result_max, error) == 0)
        return mw_result_read_file(file, error);
    mw_memfile_free(file);
    return NULL;
}

/* The report in a frame: what it points into is the report's. */
static struct mw_report *read_framed(struct mw_bytes bytes, unsigned char *room,
                                     struct mw_error *error)
{
    struct mw_report *report = mw_result_read(bytes, error);
    if (report) {
        mw_arena_own(report->arena, free, room);
        mw_arena_count(report->arena, bytes.size);
    } else {
        free(room);
    }
    return report;
}

/* A frame, in room, which is taken when the report lies in it. NULL without an error: there is
 * more to come. */
static struct mw_report *hear(struct job *job, struct mw_frame_in *frame, unsigned char **room,
                              struct mw_error *error)
{
    uint64_t number = mw_frame_take_number(frame);
    struct mw_bytes bytes =
        frame->kind == MW_FRAME_RESULT ? mw_frame_take_bytes(frame) : (struct mw_bytes){0};
    if (!mw_frame_is_done(frame)) {
        mw_fail(error, MW_ERR_FORMAT, "a worker's answer has not the form it must have");
        return NULL;
    }
    if (frame->kind == MW_FRAME_LARGE) {
        give_room(job, number, error);
        return NULL;
    }
    *job->spent = number != 0;
    struct mw_report *report;
    if (frame->kind == MW_FRAME_FILED) {
        report = read_filed(job, error);
    } else {
        report = read_framed(bytes, *room, error);
        *room = NULL;
    }
    /* It is the result that has too many bytes, not the message. */
    if (!report && error->code == MW_ERR_LIMIT)
        error->code = MW_ERR_FORMAT;
    return report;
}

/* Whether something unread can be the job: after a word from the worker it is the room that it
 * asked for. Were that taken for the job, one message could end one worker after the other. */
static bool may_be_unread(const struct job *job)
{
    return job->channel->phase == MW_PHASE_WORKING;
}

/* What it means that no frame could be received. */
static void explain(const struct job *job, struct mw_error *error)
{
    if (error->code == MW_ERR_TIMEOUT) /* there is nothing, after all */
        *error = (struct mw_error){0};
    bool ended =
        error->code == MW_ERR_MISSING || (error->code == MW_ERR_BUSY && !may_be_unread(job));
    if (!ended)
        return;
    if (mw_clock_us() >= after(job->asked_us, job->wait->alarm_ms))
        mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms", job->wait->alarm_ms);
    else
        fail_died(error);
}

/* A frame that may be believed; without one error is set, or there is nothing yet. */
static bool receive_frame(struct job *job, struct mw_frame_in *frame, unsigned char *room,
                          struct mw_error *error)
{
    bool first = may_be_unread(job);
    if (mw_channel_receive(job->channel, frame, room, MW_FRAME_RESULT_MAX, 0, error) != 0) {
        explain(job, error);
        return false;
    }
    /* Sent between our look at the channel and the job. */
    if (first && !mw_channel_is_read(job->channel)) {
        mw_fail(error, MW_ERR_BUSY, "a worker answered a job that it had not read");
        return false;
    }
    return true;
}

static struct mw_report *receive(struct job *job, struct mw_error *error)
{
    struct mw_frame_in frame;
    struct mw_report *report = NULL;
    unsigned char *room = malloc(MW_FRAME_RESULT_MAX);
    if (!room) {
        mw_fail_errno(error, "cannot read a worker's answer");
        return NULL;
    }
    if (receive_frame(job, &frame, room, error))
        report = hear(job, &frame, &room, error);
    free(room);
    return report;
}

/* Nothing has come until one of the times was reached. */
static void look_at_clock(struct job *job, int64_t *tick_us, int64_t *unread_us,
                          struct mw_error *error)
{
    const struct mw_job_wait *wait = job->wait;
    int64_t now = mw_clock_us();
    if (now >= after(job->asked_us, wait->work_ms)) {
        mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms", wait->work_ms);
    } else if (now >= *unread_us) {
        *unread_us = INT64_MAX;
        if (may_be_unread(job) && !mw_channel_is_read(job->channel))
            mw_fail(error, MW_ERR_BUSY, "a worker did not read its job within %u ms",
                    wait->unread_ms);
    } else if (now >= *tick_us) {
        *tick_us = after(now, wait->tick_ms);
        if (!wait->tick(wait->user))
            mw_fail(error, MW_ERR_MISSING, "nobody waits for the answer any more");
    }
}

struct mw_report *mw_job_await(struct mw_channel *channel, const struct mw_job_wait *wait,
                               bool *spent, struct mw_error *error)
{
    struct job job = {.channel = channel, .wait = wait, .asked_us = mw_clock_us(), .spent = spent};
    int64_t late_us = after(job.asked_us, wait->work_ms),
            unread_us = after(job.asked_us, wait->unread_ms),
            tick_us = after(job.asked_us, wait->tick_ms);
    struct mw_report *report = NULL;
    *spent = true;
    *error = (struct mw_error){0};
    while (!report && error->code == 0) {
        int ready = wait_until(&job, earlier(late_us, earlier(unread_us, tick_us)), error);
        if (ready > 0)
            report = receive(&job, error);
        else if (ready == 0)
            look_at_clock(&job, &tick_us, &unread_us, error);
    }
    mw_memfile_free(job.file);
    return report;
}

/* --- the worker's side ---------------------------------------------------------------------- */

int mw_job_take(struct mw_channel *channel, enum mw_frame_kind *kind, struct mw_memfile **file,
                struct mw_error *error)
{
    unsigned char room[SMALL];
    struct mw_frame_in frame;
    if (mw_channel_receive(channel, &frame, room, sizeof room, -1, error) != 0)
        return error->code;
    if (frame.kind != MW_FRAME_ROOM && mw_frame_is_done(&frame)) {
        *kind = frame.kind;
        *file = mw_memfile_receive(frame.fds[0], SIZE_MAX, error);
        return *file ? 0 : error->code;
    }
    mw_frame_close(&frame);
    return mw_fail(error, MW_ERR_FORMAT, "this is no job");
}

static int answer_small(struct mw_channel *channel, const struct mw_result *result, bool spent,
                        struct mw_error *error)
{
    unsigned char *room = mw_arena_alloc_raw(result->report->arena, result->size + SMALL);
    struct mw_frame_out frame = mw_frame_begin(room, result->size + SMALL, MW_FRAME_RESULT);
    mw_frame_put_number(&frame, spent);
    unsigned char *space = mw_frame_put_space(&frame, result->size);
    if (space)
        mw_result_copy(result, space);
    return mw_channel_send(channel, &frame, NULL, 0, error);
}

static struct mw_memfile *ask_for_room(struct mw_channel *channel, size_t size,
                                       struct mw_error *error)
{
    unsigned char room[SMALL];
    struct mw_frame_in got;
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LARGE);
    mw_frame_put_number(&frame, size);
    if (mw_channel_send(channel, &frame, NULL, 0, error) != 0 ||
        mw_channel_receive(channel, &got, room, sizeof room, -1, error) != 0)
        return NULL;
    return mw_memfile_adopt(got.fds[0], 0, error);
}

static int answer_large(struct mw_channel *channel, const struct mw_result *result, bool spent,
                        struct mw_error *error)
{
    unsigned char room[SMALL];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_FILED);
    struct mw_memfile *file = ask_for_room(channel, result->size, error);
    if (!file)
        return error->code;
    mw_frame_put_number(&frame, spent);
    int code = mw_result_write(result, file, error);
    mw_memfile_free(file);
    return code == 0 ? mw_channel_send(channel, &frame, NULL, 0, error) : code;
}

int mw_job_answer(struct mw_channel *channel, const struct mw_report *report, bool spent,
                  struct mw_error *error)
{
    struct mw_result result = mw_result_of(report);
    return result.size <= MW_FRAME_RESULT_MAX - SMALL
               ? answer_small(channel, &result, spent, error)
               : answer_large(channel, &result, spent, error);
}
