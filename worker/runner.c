/* runner: jobs and answers over one socket. */
#include "worker/runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memfile.h"
#include "worker/program.h"
#include "worker/sandbox_exec.h"

/* Bytes of a fact, and of what a program's end is told with. */
enum { SPARE_MS = 2000, FACT_MAX = 1024, SAID_MAX = 4096 };

/* --- the mail worker's end ---------------------------------------------------------- */

static int send_job(struct mw_runner *runner, const struct mw_exec_job *job, struct mw_error *error)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_RUN);
    struct mw_memfile *file = mw_memfile_new("mailwitness-part", error);
    mw_frame_put_number(&frame, job->program);
    mw_frame_put_number(&frame, job->time_ms);
    for (int i = 0; i < MW_EXEC_FACTS; i++)
        mw_frame_put_text(&frame, strlen(job->facts[i]) <= FACT_MAX ? job->facts[i] : "");
    if (file && mw_memfile_append(file, job->data, SIZE_MAX, error) == 0 &&
        mw_memfile_seal(file, error) == 0) {
        int fd = mw_memfile_fd(file);
        mw_channel_send(&runner->channel, &frame, &fd, 1, error);
    }
    mw_memfile_free(file);
    return error->code;
}

static void free_memfile(void *file)
{
    mw_memfile_free(file);
}

/* Whether the frame is a sound answer. Takes its descriptor. */
static int take_answer(struct mw_frame_in *frame, struct mw_arena *arena,
                       struct mw_exec_result *result, struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_receive(frame->fds[0], SIZE_MAX, error);
    if (!file)
        return error->code;
    mw_arena_own(arena, free_memfile, file);
    uint64_t end = mw_frame_take_number(frame), code = mw_frame_take_number(frame);
    const char *said = mw_frame_take_text(frame);
    if (!mw_frame_is_done(frame) || end > MW_EXEC_NOT_STARTED)
        return mw_fail(error, MW_ERR_INTERNAL, "what runs programs gave no sound answer");
    result->end = (enum mw_exec_end)end;
    result->code = (int)code;
    result->said = mw_arena_dup(arena, said);
    return mw_memfile_map(file, &result->output, error);
}

int mw_runner_ask(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
                  struct mw_exec_result *result, struct mw_error *error)
{
    struct mw_runner *runner = user;
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    if (runner->broken)
        return mw_fail(error, MW_ERR_INTERNAL, "what runs programs has ended");
    int wait_ms = job->time_ms < INT32_MAX - SPARE_MS ? (int)job->time_ms + SPARE_MS : -1;
    if (send_job(runner, job, error) == 0 &&
        mw_channel_receive(&runner->channel, &frame, room, sizeof room, wait_ms, error) == 0 &&
        take_answer(&frame, arena, result, error) == 0)
        return 0;
    runner->broken = true;
    return mw_fail(error, MW_ERR_INTERNAL, "what runs programs has ended or does not answer");
}

/* --- in the runner ------------------------------------------------------------------- */

/* The job as it came, checked; false when it is none. */
static bool read_job(const struct mw_runner_settings *settings, struct mw_frame_in *frame,
                     struct mw_exec_job *job)
{
    uint64_t program = mw_frame_take_number(frame), time_ms = mw_frame_take_number(frame);
    for (int i = 0; i < MW_EXEC_FACTS; i++)
        job->facts[i] = mw_frame_take_text(frame);
    job->program = (size_t)program;
    job->time_ms = (unsigned)time_ms;
    return mw_frame_is_done(frame) && program < settings->programs->count && time_ms > 0 &&
           time_ms <= UINT32_MAX;
}

static void answer(struct mw_channel *channel, const struct mw_exec_result *result)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_RAN);
    mw_frame_put_number(&frame, (uint64_t)result->end);
    mw_frame_put_number(&frame, (unsigned)result->code);
    mw_frame_put_text(&frame, strlen(result->said) <= SAID_MAX ? result->said : "");
    struct mw_memfile *file = mw_memfile_new("mailwitness-output", &error);
    if (file && mw_memfile_append(file, result->output, SIZE_MAX, &error) == 0 &&
        mw_memfile_seal(file, &error) == 0) {
        int fd = mw_memfile_fd(file);
        mw_channel_send(channel, &frame, &fd, 1, &error);
    }
    mw_memfile_free(file);
}

/* One job; false when it was none, or there are no more. */
static bool serve_one(const struct mw_runner_settings *settings, struct mw_channel *channel)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    struct mw_error error = {0};
    struct mw_exec_job job = {0};
    struct mw_exec_result result = {.said = ""};
    if (mw_channel_receive(channel, &frame, room, sizeof room, -1, &error) != 0)
        return false;
    struct mw_memfile *file = mw_memfile_receive(frame.fds[0], SIZE_MAX, &error);
    struct mw_arena *arena = mw_arena_new();
    bool good =
        file && mw_memfile_map(file, &job.data, &error) == 0 && read_job(settings, &frame, &job);
    if (good &&
        mw_program_run(&settings->programs->items[job.program], &job, &settings->sandbox,
                       settings->sandbox.scratch, channel->socket, arena, &result, &error) != 0) {
        result.end = MW_EXEC_NOT_STARTED;
        result.said = mw_arena_dup(arena, error.text);
    }
    if (good)
        answer(channel, &result);
    mw_arena_free(arena);
    mw_memfile_free(file);
    return good;
}

_Noreturn void mw_runner_serve(const struct mw_runner_settings *settings, int socket)
{
    struct mw_channel channel = {socket, MW_CHANNEL_RUNNER, false, MW_PHASE_IDLE};
    struct mw_error error = {0};
    signal(SIGPIPE, SIG_IGN);
    if (mw_sandbox_enter_runner(&settings->sandbox, settings->programs, &error) != 0) {
        fprintf(stderr, "worker: %s\n", error.text);
        _exit(2);
    }
    if (settings->sandbox.mode != MW_SANDBOX_OFF)
        dup2(STDOUT_FILENO, STDERR_FILENO); /* as workers do */
    while (serve_one(settings, &channel)) {
    }
    _exit(0);
}

int mw_runner_run_here(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
                       struct mw_exec_result *result, struct mw_error *error)
{
    const struct mw_runner_settings *settings = user;
    char folder[] = "/tmp/mailwitness-run-XXXXXX";
    if (!mkdtemp(folder))
        return mw_fail_errno(error, "cannot make a folder for a program");
    if (mw_sandbox_give_folder(folder, settings->sandbox.user, error) == 0)
        mw_program_run(&settings->programs->items[job->program], job, &settings->sandbox, folder,
                       -1, arena, result, error);
    rmdir(folder);
    return error->code;
}
