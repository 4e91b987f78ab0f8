/* answer: a memory file and a pipe a job. */
#include "worker/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "worker/wire.h"

/* What stands at the start of the file. */
struct mw_answer_head {
    int64_t began_us; /* by the monotonic clock, which all processes share */
    int32_t worker;
    uint32_t unused;
};

struct mw_answer {
    struct mw_memfile *file;
    int pipe[2]; /* -1: closed */
};

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

struct mw_answer *mw_answer_new(struct mw_error *error)
{
    struct mw_answer *answer = calloc(1, sizeof *answer);
    if (!answer) {
        mw_fail_errno(error, "cannot ask a worker");
        return NULL;
    }
    if (pipe2(answer->pipe, O_CLOEXEC) != 0) {
        answer->pipe[0] = answer->pipe[1] = -1;
        mw_fail_errno(error, "cannot make a pipe to a worker");
    } else {
        answer->file = mw_memfile_new("mailwitness-report", error);
    }
    if (answer->file)
        return answer;
    mw_answer_free(answer);
    return NULL;
}

void mw_answer_free(struct mw_answer *answer)
{
    if (!answer)
        return;
    close_end(&answer->pipe[0]);
    close_end(&answer->pipe[1]);
    mw_memfile_free(answer->file);
    free(answer);
}

void mw_answer_fds(const struct mw_answer *answer, int fds[MW_ANSWER_FDS])
{
    fds[0] = mw_memfile_fd(answer->file);
    fds[1] = answer->pipe[1];
}

void mw_answer_sent(struct mw_answer *answer)
{
    close_end(&answer->pipe[1]);
}

/* Who began and when; false when nobody did. */
static bool who_began(const struct mw_answer *answer, int64_t asked_us, int *worker,
                      int64_t *began_us)
{
    struct mw_answer_head head;
    if (pread(mw_memfile_fd(answer->file), &head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    int64_t now = mw_clock_us();
    *worker = head.worker;
    *began_us = head.began_us < asked_us ? asked_us : head.began_us > now ? now : head.began_us;
    return true;
}

/* Waits at most until then: 1 when there is something to read, 0 when there is not. */
static int wait_until(const struct mw_answer *answer, int64_t until_us, struct mw_error *error)
{
    struct pollfd ready = {.fd = answer->pipe[0], .events = POLLIN};
    int64_t left_us = until_us == INT64_MAX ? -1 : until_us - mw_clock_us();
    int left_ms = until_us == INT64_MAX ? -1 : left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
    int count = poll(&ready, 1, left_ms);
    if (count < 0 && errno != EINTR)
        return mw_fail_errno(error, "cannot wait for a worker process");
    return count > 0;
}

static int64_t after(int64_t since_us, unsigned ms)
{
    return ms > 0 ? since_us + (int64_t)ms * 1000 : INT64_MAX;
}

/* The byte in the pipe, or its end. */
static int take_byte(const struct mw_answer *answer, const struct mw_answer_wait *wait,
                     int64_t asked_us, int *worker, struct mw_error *error)
{
    char byte;
    int64_t began_us;
    ssize_t size;
    do
        size = read(answer->pipe[0], &byte, 1);
    while (size < 0 && errno == EINTR);
    if (size == 1)
        return 0;
    if (!who_began(answer, asked_us, worker, &began_us))
        return mw_fail(error, MW_ERR_MISSING, "the workers ended before one read the message");
    if (mw_clock_us() >= after(began_us, wait->alarm_ms))
        return mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms", wait->alarm_ms);
    return mw_fail(error, MW_ERR_INTERNAL, "the worker that read the message died");
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One of the bounds may be reached: which, or 0 and when to look again. */
static int look_at_clock(const struct mw_answer *answer, const struct mw_answer_wait *wait,
                         int64_t asked_us, int *worker, int64_t *look_us, struct mw_error *error)
{
    int64_t began_us, now = mw_clock_us();
    if (!who_began(answer, asked_us, worker, &began_us)) {
        int64_t late = after(asked_us, wait->queue_ms);
        *look_us = earlier(late, after(now, wait->work_ms));
        return now < late
                   ? 0
                   : mw_fail(error, MW_ERR_BUSY, "no worker was free within %u ms", wait->queue_ms);
    }
    *look_us = after(began_us, wait->work_ms);
    return now < *look_us
               ? 0
               : mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms", wait->work_ms);
}

int mw_answer_await(struct mw_answer *answer, const struct mw_answer_wait *wait, int *worker,
                    struct mw_error *error)
{
    int64_t asked_us = mw_clock_us(),
            look_us = earlier(after(asked_us, wait->queue_ms), after(asked_us, wait->work_ms)),
            tick_us = after(asked_us, wait->tick_ms);
    *worker = 0;
    for (;;) {
        int ready = wait_until(answer, earlier(look_us, tick_us), error);
        if (ready < 0)
            return ready;
        if (ready > 0)
            return take_byte(answer, wait, asked_us, worker, error);
        int64_t now = mw_clock_us();
        if (now >= look_us && look_at_clock(answer, wait, asked_us, worker, &look_us, error) != 0)
            return error->code;
        if (now >= tick_us) {
            if (!wait->tick(wait->user))
                return mw_fail(error, MW_ERR_MISSING, "nobody waits for the answer any more");
            tick_us = after(now, wait->tick_ms);
        }
    }
}

struct mw_report *mw_answer_take(struct mw_answer *answer, size_t max, struct mw_error *error)
{
    struct mw_memfile *file = answer->file;
    answer->file = NULL;
    return mw_wire_unpack_file(file, sizeof(struct mw_answer_head), max, error);
}

bool mw_answer_begin(const int fds[MW_ANSWER_FDS])
{
    /* Of a pipe that nobody reads, poll says so whatever it is asked. */
    struct pollfd reader = {.fd = fds[1]};
    const struct mw_answer_head head = {.began_us = mw_clock_us(), .worker = getpid()};
    if (poll(&reader, 1, 0) > 0)
        return false;
    return pwrite(fds[0], &head, sizeof head, 0) == (ssize_t)sizeof head;
}

int mw_answer_give(const int fds[MW_ANSWER_FDS], const struct mw_report *report,
                   struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_adopt(fds[0], sizeof(struct mw_answer_head), error);
    if (!file)
        return error->code;
    int result = mw_wire_pack_into(file, report, error);
    mw_memfile_free(file);
    if (result == 0 && write(fds[1], "", 1) != 1)
        return mw_fail_errno(error, "nobody waits for the report");
    return result;
}
