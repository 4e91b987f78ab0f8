/* runner: jobs and answers over one socket. */
#include "worker/runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/utf8.h"
#include "worker/program.h"
#include "worker/sandbox_exec.h"
#include "worker/wire.h"

enum { SPARE_MS = 2000 };

/* --- the mail worker's end ---------------------------------------------------------- */

/* The facts one behind the other, each with its NUL. */
static void pack_facts(const struct mw_exec_job *job, struct mw_wire *wire)
{
    size_t at = 0;
    for (int i = 0; i < MW_EXEC_FACTS; i++) {
        size_t size = strlen(job->facts[i]) + 1;
        if (size > sizeof wire->text - at - (size_t)(MW_EXEC_FACTS - i))
            size = 1;
        memcpy(wire->text + at, job->facts[i], size - 1);
        wire->text[at + size - 1] = '\0';
        at += size;
    }
}

static int send_job(struct mw_runner *runner, const struct mw_exec_job *job, struct mw_error *error)
{
    struct mw_wire wire = {.kind = MW_WIRE_RUN, .number = (int32_t)job->program};
    struct mw_memfile *file = mw_memfile_new("mailwitness-part", error);
    wire.flags = ++runner->asked << 32 | job->time_ms;
    pack_facts(job, &wire);
    if (file && mw_memfile_append(file, job->data, SIZE_MAX, error) == 0 &&
        mw_memfile_seal(file, error) == 0) {
        int fd = mw_memfile_fd(file);
        mw_wire_send(runner->socket, &wire, &fd, 1, error);
    }
    mw_memfile_free(file);
    return error->code;
}

static void free_memfile(void *file)
{
    mw_memfile_free(file);
}

static int take_answer(struct mw_runner *runner, const struct mw_wire *wire, int fd,
                       struct mw_arena *arena, struct mw_exec_result *result,
                       struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_receive(fd, SIZE_MAX, error);
    if (!file)
        return error->code;
    mw_arena_own(arena, free_memfile, file);
    if (wire->kind != MW_WIRE_RAN || wire->flags >> 32 != runner->asked)
        return mw_fail(error, MW_ERR_INTERNAL, "what runs programs gave no sound answer");
    result->end = (enum mw_exec_end)(wire->flags & UINT32_MAX);
    result->code = wire->number;
    result->said = mw_arena_dup(arena, wire->text);
    return mw_memfile_map(file, &result->output, error);
}

int mw_runner_ask(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
                  struct mw_exec_result *result, struct mw_error *error)
{
    struct mw_runner *runner = user;
    struct mw_wire wire = {0};
    int fd = -1;
    if (runner->broken)
        return mw_fail(error, MW_ERR_INTERNAL, "what runs programs has ended");
    int wait_ms = job->time_ms < INT32_MAX - SPARE_MS ? (int)job->time_ms + SPARE_MS : -1;
    if (send_job(runner, job, error) == 0 &&
        mw_wire_receive(runner->socket, &wire, &fd, 1, wait_ms, error) == 0 &&
        take_answer(runner, &wire, fd, arena, result, error) == 0)
        return 0;
    runner->broken = true;
    return mw_fail(error, MW_ERR_INTERNAL, "what runs programs has ended or does not answer");
}

/* --- in the runner ------------------------------------------------------------------- */

/* The job as it came, checked; false when it is none. */
static bool read_job(const struct mw_runner_settings *settings, const struct mw_wire *wire,
                     struct mw_exec_job *job)
{
    size_t at = 0;
    for (int i = 0; i < MW_EXEC_FACTS; i++) {
        const char *end = memchr(wire->text + at, '\0', sizeof wire->text - at);
        if (!end)
            return false;
        job->facts[i] = wire->text + at;
        at = (size_t)(end - wire->text) + 1;
        if (at >= sizeof wire->text)
            return false;
    }
    job->program = (size_t)wire->number;
    job->time_ms = (unsigned)(wire->flags & UINT32_MAX);
    return wire->kind == MW_WIRE_RUN && wire->number >= 0 &&
           job->program < settings->programs->count && job->time_ms > 0;
}

static void answer(int socket, const struct mw_wire *asked, const struct mw_exec_result *result)
{
    struct mw_error error = {0};
    struct mw_wire wire = {.kind = MW_WIRE_RAN,
                           .number = result->code,
                           .flags = (asked->flags >> 32) << 32 | (uint64_t)result->end};
    snprintf(wire.text, sizeof wire.text, "%s", result->said);
    struct mw_memfile *file = mw_memfile_new("mailwitness-output", &error);
    if (file && mw_memfile_append(file, result->output, SIZE_MAX, &error) == 0 &&
        mw_memfile_seal(file, &error) == 0) {
        int fd = mw_memfile_fd(file);
        mw_wire_send(socket, &wire, &fd, 1, &error);
    }
    mw_memfile_free(file);
}

/* One job; false when it was none, or there are no more. */
static bool serve_one(const struct mw_runner_settings *settings, int socket)
{
    struct mw_wire wire = {0};
    struct mw_error error = {0};
    struct mw_exec_job job = {0};
    struct mw_exec_result result = {.said = ""};
    int fd = -1;
    if (mw_wire_receive(socket, &wire, &fd, 1, -1, &error) != 0)
        return false;
    struct mw_memfile *file = mw_memfile_receive(fd, SIZE_MAX, &error);
    struct mw_arena *arena = mw_arena_new();
    bool good =
        file && mw_memfile_map(file, &job.data, &error) == 0 && read_job(settings, &wire, &job);
    if (good && mw_program_run(&settings->programs->items[job.program], &job, &settings->sandbox,
                               settings->sandbox.scratch, socket, arena, &result, &error) != 0) {
        result.end = MW_EXEC_NOT_STARTED;
        result.said = mw_arena_dup(arena, error.text);
    }
    if (good)
        answer(socket, &wire, &result);
    mw_arena_free(arena);
    mw_memfile_free(file);
    return good;
}

_Noreturn void mw_runner_serve(const struct mw_runner_settings *settings, int socket)
{
    struct mw_error error = {0};
    signal(SIGPIPE, SIG_IGN);
    if (mw_sandbox_enter_runner(&settings->sandbox, settings->programs, &error) != 0) {
        fprintf(stderr, "worker: %s\n", error.text);
        _exit(2);
    }
    if (settings->sandbox.mode != MW_SANDBOX_OFF)
        dup2(STDOUT_FILENO, STDERR_FILENO); /* as workers do */
    while (serve_one(settings, socket)) {
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
