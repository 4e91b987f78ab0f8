/*
 * pool: the daemon has threads and must not fork; a zygote, forked before they
 * exist, forks a process for each generation.
 */
#include "worker/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "parsers/parse.h"
#include "scanners/hash.h"
#include "worker/answer.h"
#include "worker/keep.h"
#include "worker/wire.h"

enum { LOAD_MS = 600000, PAUSE_NS = 2000000, PATIENCE = 2500 };

/* One generation as seen from here; freed with its last user. */
struct generation {
    int jobs, control;
    unsigned workers, time_ms; /* how many, and how long one may take; 0: no bound */
    unsigned users;            /* examinations under way, and one while it is the current one */
    uint64_t deaths;           /* of its workers, as far as it could tell us */
    char warnings[MW_WIRE_TEXT], engines[MW_WIRE_TEXT];
    struct mw_reuse *reuse; /* NULL: nothing is reused */
};

struct mw_pool {
    struct mw_pool_settings settings;
    pid_t zygote;
    int zygote_socket;
    pthread_mutex_t lock; /* guards all below */
    pthread_mutex_t reloading;
    struct mw_verify *verify;
    struct generation *current;
    struct mw_pool_state state;
};

void mw_pool_settings_default(struct mw_pool_settings *settings)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *settings = (struct mw_pool_settings){
        .generation = {.workers = processors > 0 ? (unsigned)processors : 1,
                       .recycle_messages = 10000,
                       .recycle_growth = (size_t)512 << 20,
                       .sandbox = {.mode = MW_SANDBOX_BEST, .memory_max = (size_t)4 << 30}},
        .queue_ms = 60000,
        .result_max = (size_t)2 << 30,
        .keep_most = 20,
    };
    mw_limits_default(&settings->generation.witness.limits);
    mw_scan_settings_default(&settings->generation.witness.scan);
}

static void notice(const struct mw_pool *pool, bool bad, const char *text)
{
    if (pool->settings.notice)
        pool->settings.notice(pool->settings.notice_user, bad, text);
}

/* --- the zygote ---------------------------------------------------------------- */

/* What else is open here is nobody's business below: another pool, for one, could
 * not be ended while copies of its sockets are kept. Returns where socket is now. */
static int close_others(int socket)
{
    enum { SOCKET = 3 };
    if (socket != SOCKET)
        socket = dup3(socket, SOCKET, O_CLOEXEC);
    close_range(SOCKET + 1, ~0u, 0);
    return socket;
}

_Noreturn static void run_zygote(const struct mw_pool_settings *settings, int socket)
{
    socket = close_others(socket);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN); /* generations are waited for at the end only */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* a terminal's ^C is the asking side's to handle */
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        struct mw_wire wire = {0};
        struct mw_error error = {0};
        int fds[MW_WIRE_FDS];
        size_t count = MW_WIRE_FDS;
        if (mw_wire_receive_some(socket, &wire, fds, &count, -1, &error) != 0 || count < 2)
            break;
        if (fork() == 0) {
            close(socket);
            mw_generation_run(&settings->generation, fds[0], fds[1], count > 2 ? fds[2] : -1);
        }
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    _exit(0);
}

static int start_zygote(struct mw_pool *pool, struct mw_error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return mw_fail_errno(error, "cannot make a socket for worker processes");
    fflush(NULL);
    pool->zygote = fork();
    if (pool->zygote == 0) {
        run_zygote(&pool->settings, ends[1]);
    }
    close(ends[1]);
    pool->zygote_socket = ends[0];
    return pool->zygote > 0 ? 0 : mw_fail_errno(error, "cannot start worker processes");
}

/* --- generations ------------------------------------------------------------------ */

static void drop(struct generation *generation)
{
    mw_reuse_retire(generation->reuse);
    close(generation->jobs);
    close(generation->control);
    free(generation);
}

/* Asks for its process and waits until it has loaded. */
static int await_ready(struct mw_pool *pool, struct generation *generation, const int *ends,
                       struct mw_error *error)
{
    struct mw_wire wire = {.kind = MW_WIRE_LOAD};
    const int fds[] = {ends[0], ends[1], generation->reuse ? mw_reuse_fd(generation->reuse) : -1};
    int sent = mw_wire_send(pool->zygote_socket, &wire, fds, generation->reuse ? 3 : 2, error);
    close(fds[0]);
    close(fds[1]);
    if (sent != 0 || mw_wire_receive(generation->control, &wire, NULL, 0, LOAD_MS, error) != 0)
        return error->code;
    if (wire.kind == MW_WIRE_ENGINES) {
        memcpy(generation->engines, wire.text, sizeof wire.text);
        if (mw_wire_receive(generation->control, &wire, NULL, 0, LOAD_MS, error) != 0)
            return error->code;
    }
    if (wire.kind != MW_WIRE_READY)
        return mw_fail(error, MW_ERR_INPUT, "%s", wire.text);
    generation->workers = (unsigned)wire.number;
    generation->time_ms = (unsigned)wire.flags;
    memcpy(generation->warnings, wire.text, sizeof wire.text);
    if (generation->reuse)
        mw_reuse_serve(generation->reuse, generation->control, generation->time_ms);
    return 0;
}

/* Verdicts to be reused, where that is wanted; without them everything is scanned. */
static struct mw_reuse *new_reuse(const struct mw_pool *pool)
{
    struct mw_error error = {0};
    if (!pool->settings.reuse.enabled)
        return NULL;
    struct mw_reuse *reuse = mw_reuse_new(&pool->settings.reuse, &error);
    if (!reuse)
        notice(pool, true, error.text);
    return reuse;
}

static struct generation *start_generation(struct mw_pool *pool, struct mw_error *error)
{
    int jobs[2], control[2];
    struct generation *generation = calloc(1, sizeof *generation);
    if (!generation || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, jobs) != 0) {
        mw_fail_errno(error, "cannot start workers");
        free(generation);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        mw_fail_errno(error, "cannot start workers");
        close(jobs[0]);
        close(jobs[1]);
        free(generation);
        return NULL;
    }
    generation->jobs = jobs[0];
    generation->control = control[0];
    generation->users = 1;
    generation->reuse = new_reuse(pool);
    const int fds[2] = {jobs[1], control[1]};
    if (await_ready(pool, generation, fds, error) == 0)
        return generation;
    drop(generation);
    return NULL;
}

static struct generation *use_current(struct mw_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct generation *generation = pool->current;
    generation->users++;
    pool->state.busy++;
    pthread_mutex_unlock(&pool->lock);
    return generation;
}

/* With the pool's lock held. */
static void release(struct generation *generation)
{
    if (--generation->users == 0)
        drop(generation);
}

/* What the generation said since last time: deaths, to be counted and told. */
static void hear_generation(struct mw_pool *pool, struct generation *generation)
{
    struct mw_wire wire = {0};
    struct mw_error error = {0};
    while (mw_wire_receive(generation->control, &wire, NULL, 0, 0, &error) == 0) {
        char text[128];
        if (wire.kind != MW_WIRE_DIED)
            continue;
        if (WIFSIGNALED(wire.number))
            snprintf(text, sizeof text, "a worker was ended by signal %d (%s) and replaced",
                     WTERMSIG(wire.number), strsignal(WTERMSIG(wire.number)));
        else
            snprintf(text, sizeof text, "a worker ended with status %d and was replaced",
                     WEXITSTATUS(wire.number));
        pthread_mutex_lock(&pool->lock);
        if (wire.flags > generation->deaths) {
            pool->state.deaths += wire.flags - generation->deaths;
            generation->deaths = wire.flags;
        }
        pthread_mutex_unlock(&pool->lock);
        notice(pool, true, text);
    }
}

static void give_back(struct mw_pool *pool, struct generation *generation, bool good)
{
    if (!good)
        hear_generation(pool, generation);
    pthread_mutex_lock(&pool->lock);
    pool->state.busy--;
    if (good)
        pool->state.done++;
    else
        pool->state.failed++;
    release(generation);
    pthread_mutex_unlock(&pool->lock);
}

/* With reloading held. */
static int next_generation(struct mw_pool *pool, struct mw_error *error)
{
    struct generation *next = start_generation(pool, error);
    if (!next)
        return error->code;
    pthread_mutex_lock(&pool->lock);
    struct generation *old = pool->current;
    pool->current = next;
    pool->state.generation++;
    pool->state.workers = next->workers;
    if (old)
        release(old);
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

int mw_pool_reload(struct mw_pool *pool, struct mw_error *error)
{
    pthread_mutex_lock(&pool->reloading);
    int result = next_generation(pool, error);
    pthread_mutex_unlock(&pool->reloading);
    return result;
}

/* All workers of a generation in use are gone. Many messages find that out at once; the
 * first has another one started, the others wait for it. */
static void replace(struct mw_pool *pool, const struct generation *lost)
{
    struct mw_error error = {0};
    pthread_mutex_lock(&pool->reloading);
    pthread_mutex_lock(&pool->lock);
    bool current = pool->current == lost;
    pthread_mutex_unlock(&pool->lock);
    if (current && next_generation(pool, &error) == 0)
        notice(pool, true, "all workers were gone, others were started");
    else if (current)
        notice(pool, true, error.text);
    pthread_mutex_unlock(&pool->reloading);
}

/* --- examinations -------------------------------------------------------------------- */

static int send_job(struct generation *generation, const struct mw_memfile *message,
                    struct mw_answer *answer, struct mw_error *error)
{
    struct mw_wire wire = {.kind = MW_WIRE_JOB};
    int fds[1 + MW_ANSWER_FDS] = {mw_memfile_fd(message)};
    mw_answer_fds(answer, fds + 1);
    int sent = mw_wire_send(generation->jobs, &wire, fds, 1 + MW_ANSWER_FDS, error);
    mw_answer_sent(answer);
    return sent;
}

static void end_worker(struct generation *generation, int pid)
{
    struct mw_wire wire = {.kind = MW_WIRE_KILL, .number = pid};
    struct mw_error ignored = {0};
    mw_wire_send(generation->control, &wire, NULL, 0, &ignored);
}

static bool tick_on(void *user)
{
    const struct mw_pool_wait *wait = user;
    wait->tick(wait->user);
    return true;
}

static struct mw_report *await_report(struct mw_pool *pool, struct generation *generation,
                                      struct mw_answer *answer, const struct mw_pool_wait *tick,
                                      struct mw_error *error)
{
    unsigned time_ms = generation->time_ms;
    struct mw_answer_wait wait = {
        .queue_ms = pool->settings.queue_ms,
        .alarm_ms = time_ms,
        .work_ms = time_ms > 0 ? time_ms + MW_GENERATION_GRACE_MS + MW_GENERATION_SPARE_MS : 0};
    if (tick) {
        wait.tick_ms = tick->tick_ms;
        wait.tick = tick_on;
        wait.user = (void *)(uintptr_t)tick;
    }
    int worker, code = mw_answer_await(answer, &wait, &worker, error);
    if (code == 0) {
        struct mw_report *report = mw_answer_take(answer, pool->settings.result_max, error);
        /* It is the report that has too many bytes, not the message. */
        if (!report && error->code == MW_ERR_LIMIT)
            error->code = MW_ERR_FORMAT;
        return report;
    }
    if (code == MW_ERR_TIMEOUT) {
        end_worker(generation, worker);
        mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms and was ended", time_ms);
    }
    return NULL;
}

/* Tells which message it was, so that one that ends every worker is found, and keeps
 * it where that is wanted. */
static void note_message(const struct mw_pool *pool, const struct mw_memfile *message,
                         const struct mw_error *why)
{
    struct mw_error error = {0};
    struct mw_bytes raw = {0};
    struct mw_hasher *hasher = mw_hasher_new(&error);
    int fd = fcntl(mw_memfile_fd(message), F_DUPFD_CLOEXEC, 0);
    struct mw_memfile *own = fd >= 0 && hasher ? mw_memfile_receive(fd, SIZE_MAX, &error) : NULL;
    struct mw_arena *arena = mw_arena_new();
    if (own && mw_memfile_map(own, &raw, &error) == 0) {
        const char *sha256 = mw_hasher_sha256(hasher, arena, raw);
        const char *folder = pool->settings.keep_folder;
        notice(pool, true,
               mw_arena_printf(arena, "message with SHA-256 %s: %s", sha256, why->text));
        if (folder && mw_keep_message(folder, pool->settings.keep_most, sha256, raw, &error) < 0)
            notice(pool, true, error.text);
    }
    mw_arena_free(arena);
    mw_memfile_free(own);
    mw_hasher_free(hasher);
}

struct mw_report *mw_pool_examine(struct mw_pool *pool, const struct mw_memfile *message,
                                  struct mw_error *error)
{
    return mw_pool_examine_ticking(pool, message, NULL, error);
}

struct mw_report *mw_pool_examine_ticking(struct mw_pool *pool, const struct mw_memfile *message,
                                          const struct mw_pool_wait *wait, struct mw_error *error)
{
    struct mw_answer *answer = mw_answer_new(error);
    if (!answer)
        return NULL;
    struct generation *generation = use_current(pool);
    int sent = send_job(generation, message, answer, error);
    struct mw_report *report =
        sent == 0 ? await_report(pool, generation, answer, wait, error) : NULL;
    mw_answer_free(answer);
    if (report && generation->reuse)
        mw_verify_note(pool->verify, generation->reuse, report);
    if (sent == MW_ERR_MISSING)
        replace(pool, generation);
    give_back(pool, generation, report != NULL);
    if (!report && sent == 0 && error->code != MW_ERR_BUSY)
        note_message(pool, message, error);
    return report;
}

struct mw_report *mw_pool_unexamined(struct mw_bytes raw, const struct mw_error *why)
{
    struct mw_report *report = mw_report_new();
    struct mw_limits limits;
    struct mw_error error = {0};
    mw_limits_default(&limits);
    struct mw_hasher *hasher = mw_hasher_new(&error);
    report->sha256 = hasher ? mw_hasher_sha256(hasher, report->arena, raw) : "";
    mw_hasher_free(hasher);
    report->size = (int64_t)raw.size;
    report->verdict = MW_UNSCANNED;
    enum mw_problem_kind problem = why->code == MW_ERR_BUSY      ? MW_PROBLEM_WORKER_BUSY
                                   : why->code == MW_ERR_TIMEOUT ? MW_PROBLEM_WORKER_TIMEOUT
                                   : why->code == MW_ERR_FORMAT  ? MW_PROBLEM_WORKER_REPORT
                                   : why->code == MW_ERR_SYSTEM  ? MW_PROBLEM_WORKER_RESOURCES
                                                                 : MW_PROBLEM_WORKER_CRASHED;
    mw_report_problem(report, &limits, problem, NULL, "%s", why->text);
    mw_texts_add(report->arena, &report->unscanned, mw_arena_dup(report->arena, why->text));
    return report;
}

struct mw_pool *mw_pool_new(const struct mw_pool_settings *settings, struct mw_error *error)
{
    struct mw_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        mw_fail_errno(error, "cannot start workers");
        return NULL;
    }
    pool->settings = *settings;
    pool->zygote_socket = -1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->reloading, NULL);
    pool->verify = mw_verify_new(settings->notice, settings->notice_user);
    if (!pool->verify)
        mw_fail_errno(error, "cannot start workers");
    else if (start_zygote(pool, error) == 0 && mw_pool_reload(pool, error) == 0)
        return pool;
    mw_pool_free(pool);
    return NULL;
}

/* All processes end of themselves now; one that hangs is ended by force, and takes those
 * below along. */
static void wait_for_zygote(pid_t zygote)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < PATIENCE; i++) {
        if (waitpid(zygote, NULL, WNOHANG) != 0)
            return;
        nanosleep(&pause, NULL);
    }
    /* Not ours to end when we gave up root: then they end with us. */
    if (kill(zygote, SIGKILL) == 0)
        waitpid(zygote, NULL, 0);
}

void mw_pool_free(struct mw_pool *pool)
{
    if (!pool)
        return;
    mw_verify_free(pool->verify);
    if (pool->current)
        drop(pool->current);
    if (pool->zygote_socket >= 0)
        close(pool->zygote_socket);
    if (pool->zygote > 0)
        wait_for_zygote(pool->zygote);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->reloading);
    free(pool);
}

void mw_pool_set_reuse(struct mw_pool *pool, const struct mw_reuse_settings *reuse)
{
    pthread_mutex_lock(&pool->reloading);
    pool->settings.reuse = *reuse;
    pthread_mutex_unlock(&pool->reloading);
}

bool mw_pool_is_lost(const struct mw_pool *pool)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pool->zygote, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

char *mw_pool_warnings(struct mw_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    char *text = strdup(pool->current->warnings);
    pthread_mutex_unlock(&pool->lock);
    return text;
}

char *mw_pool_engines(struct mw_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    char *text = strdup(pool->current->engines);
    pthread_mutex_unlock(&pool->lock);
    return text;
}

void mw_pool_get_state(struct mw_pool *pool, struct mw_pool_state *state)
{
    pthread_mutex_lock(&pool->lock);
    struct generation *generation = pool->current;
    generation->users++;
    pthread_mutex_unlock(&pool->lock);
    hear_generation(pool, generation);
    pthread_mutex_lock(&pool->lock);
    *state = pool->state;
    release(generation);
    pthread_mutex_unlock(&pool->lock);
    mw_verify_get_state(pool->verify, &state->reuse);
}
