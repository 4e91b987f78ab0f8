/*
 * pool: the asking side of the workers. A zygote, forked before there are threads, forks a
 * process for each generation of engines; that forks a worker when it is told to. Each
 * worker has a channel of its own, and its serial number is ours: what one does is never
 * put down to another.
 */
#include "worker/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/problem.h"
#include "parsers/parse.h"
#include "scanners/hash.h"
#include "worker/job.h"
#include "worker/keep.h"
#include "worker/turns.h"
#include "worker/zygote.h"

/*
 * LOAD_MS: until a generation is ready. UNREAD_MS: until a worker has read its job: one that
 * does not hangs, or has no processor; then another one tries, with more patience each time.
 * QUICK_MS: a worker that ends sooner, without reading a job, makes the next one wait, from
 * PAUSE_MS up to PAUSE_MOST_MS.
 */
enum { LOAD_MS = 600000, UNREAD_MS = 500, UNREAD_DOUBLINGS = 4 };
enum { QUICK_MS = 1000, PAUSE_MS = 10, PAUSE_MOST_MS = 5000 };
enum { END_PAUSE_NS = 2000000, END_PATIENCE = 2500, MS = 1000 };

enum worker_state {
    WORKER_NONE, /* to be started */
    WORKER_IDLE,
    WORKER_BUSY,
    WORKER_LEAVING /* its channel is closed; its generation could not be told yet to end it */
};

/* A worker as it is known here. */
struct worker {
    enum worker_state state;
    struct mw_channel channel;
    uint64_t serial;
    int64_t started_us;
    unsigned done; /* messages */
    bool told;     /* when it leaves: its death is worth a word */
};

/* One generation as seen from here; freed with its last user. */
struct generation {
    struct mw_channel control;
    unsigned time_ms, recycle, per_client; /* of a message; 0: no bound */
    unsigned workers;                      /* messages at once, as it was told */
    struct worker *all;
    unsigned count; /* of all: some more than workers, where others are to be kept waiting
                     * by nobody */
    unsigned *idle; /* indices of those that are, the one used last at the end */
    unsigned idle_count;
    unsigned quick_deaths;
    int64_t pause_until_us; /* before that none is started */
    bool lost;              /* its process is gone */
    unsigned users;         /* examinations under way, and one while it is the current one */
    uint64_t deaths;        /* of its workers, as far as it could tell us */
    char *warnings, *engines;
    struct mw_reuse *reuse; /* NULL: nothing is reused */
};

/* A message that waits for a worker, or has one. */
struct place {
    struct mw_turn turn; /* first: a turn is a place */
    pthread_cond_t given;
    struct generation *generation;
    struct worker *worker; /* NULL: it waits */
    const struct mw_pool_wait *wait;
    int64_t late_us; /* until then a worker is to have read it */
    unsigned tries;  /* workers that had it and did not read it */
};

struct mw_pool {
    struct mw_pool_settings settings;
    pid_t zygote;
    struct mw_channel zygote_channel;
    pthread_mutex_t reloading;
    struct mw_verify *verify;
    pthread_mutex_t lock; /* guards all below */
    struct mw_turns *turns;
    struct generation *current;
    uint64_t serial; /* the last one that was given */
    struct mw_memfile *source;
    struct mw_pool_state state;
    int loading;      /* control socket of a generation that is not ready yet; -1: none */
    pthread_t mender; /* starts a generation in place of one that was lost */
    pthread_cond_t mend;
    bool has_mender, ending;
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
        .queue_most = 1000,
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

static int start_zygote(struct mw_pool *pool, struct mw_error *error)
{
    int ends[2];
    if (mw_channel_pair(ends, error) != 0)
        return error->code;
    fflush(NULL);
    pool->zygote = fork();
    if (pool->zygote == 0)
        mw_zygote_run(&pool->settings.generation, ends[1]);
    close(ends[1]);
    pool->zygote_channel = (struct mw_channel){ends[0], MW_CHANNEL_ZYGOTE, true, MW_PHASE_IDLE};
    return pool->zygote > 0 ? 0 : mw_fail_errno(error, "cannot start worker processes");
}

/* --- generations ------------------------------------------------------------------ */

static void close_worker(struct worker *worker)
{
    if (worker->state == WORKER_IDLE || worker->state == WORKER_BUSY)
        close(worker->channel.socket);
    worker->state = WORKER_NONE;
}

/* Its workers end when their channels are closed, and it after them. */
static void drop(struct generation *generation)
{
    mw_reuse_retire(generation->reuse);
    for (unsigned i = 0; i < generation->count; i++)
        close_worker(&generation->all[i]);
    if (generation->control.socket >= 0)
        close(generation->control.socket);
    free(generation->all);
    free(generation->idle);
    free(generation->warnings);
    free(generation->engines);
    free(generation);
}

/* Has the zygote start it; end is its end of the control socket. */
static int ask_zygote(struct mw_pool *pool, const struct generation *generation, int end,
                      const struct mw_memfile *source, struct mw_error *error)
{
    unsigned char room[128];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LOAD);
    int fds[MW_FRAME_FDS] = {end};
    size_t count = 1;
    uint64_t with = 0;
    if (generation->reuse) {
        fds[count++] = mw_reuse_fd(generation->reuse);
        with |= MW_LOAD_TABLE;
    }
    if (source) {
        fds[count++] = mw_memfile_fd(source);
        with |= MW_LOAD_SOURCE;
    }
    mw_frame_put_number(&frame, with);
    return mw_channel_send(&pool->zygote_channel, &frame, fds, count, error);
}

static void set_loading(struct mw_pool *pool, int socket)
{
    pthread_mutex_lock(&pool->lock);
    pool->loading = socket;
    if (pool->ending && socket >= 0)
        shutdown(socket, SHUT_RDWR);
    pthread_mutex_unlock(&pool->lock);
}

/* Its word that it is ready, or why it is not. */
static int await_ready(struct mw_pool *pool, struct generation *generation, struct mw_error *error)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    set_loading(pool, generation->control.socket);
    int result =
        mw_channel_receive(&generation->control, &frame, room, sizeof room, LOAD_MS, error);
    set_loading(pool, -1);
    if (result != 0)
        return result;
    if (frame.kind == MW_FRAME_FAILED)
        return mw_fail(error, MW_ERR_INPUT, "%s", mw_frame_take_text(&frame));
    generation->workers = (unsigned)mw_frame_take_number(&frame);
    generation->per_client = (unsigned)mw_frame_take_number(&frame);
    generation->recycle = (unsigned)mw_frame_take_number(&frame);
    generation->time_ms = (unsigned)mw_frame_take_number(&frame);
    generation->warnings = strdup(mw_frame_take_text(&frame));
    generation->engines = strdup(mw_frame_take_text(&frame));
    if (!mw_frame_is_done(&frame) || !generation->warnings || !generation->engines)
        return mw_fail(error, MW_ERR_FORMAT, "workers did not start as they should");
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

/* Places for its workers; none is there yet. */
static int make_places(const struct mw_pool *pool, struct generation *generation,
                       struct mw_error *error)
{
    generation->count = generation->workers + pool->settings.spare_workers;
    generation->all = calloc(generation->count, sizeof *generation->all);
    generation->idle = calloc(generation->count, sizeof *generation->idle);
    if (generation->all && generation->idle)
        return 0;
    generation->count = 0;
    return mw_fail_errno(error, "cannot start workers");
}

static struct generation *start_generation(struct mw_pool *pool, const struct mw_memfile *source,
                                           struct mw_error *error)
{
    int ends[2];
    struct generation *generation = calloc(1, sizeof *generation);
    if (!generation || mw_channel_pair(ends, error) != 0) {
        mw_fail_errno(error, "cannot start workers");
        free(generation);
        return NULL;
    }
    generation->control = (struct mw_channel){ends[0], MW_CHANNEL_CONTROL, true, MW_PHASE_LOADING};
    generation->users = 1;
    generation->reuse = new_reuse(pool);
    int asked = ask_zygote(pool, generation, ends[1], source, error);
    close(ends[1]);
    if (asked == 0 && await_ready(pool, generation, error) == 0 &&
        make_places(pool, generation, error) == 0) {
        if (generation->reuse)
            mw_reuse_serve(generation->reuse, &generation->control, generation->time_ms);
        return generation;
    }
    drop(generation);
    return NULL;
}

/* --- workers; all with the pool's lock held ----------------------------------------------- */

static void release(struct generation *generation)
{
    if (--generation->users == 0)
        drop(generation);
}

/* A worker's channel exists before it does: a job may be sent at once. */
static bool start_worker(struct mw_pool *pool, struct generation *generation, struct worker *worker)
{
    unsigned char room[64];
    int ends[2];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_START);
    if (mw_channel_pair(ends, &error) != 0)
        return false;
    mw_frame_put_number(&frame, ++pool->serial);
    int sent = mw_channel_send(&generation->control, &frame, &ends[1], 1, &error);
    close(ends[1]);
    if (sent != 0) {
        close(ends[0]);
        generation->lost = generation->lost || sent == MW_ERR_MISSING;
        return false;
    }
    *worker = (struct worker){
        .state = WORKER_IDLE,
        .channel = {ends[0], MW_CHANNEL_JOBS, true, MW_PHASE_IDLE},
        .serial = pool->serial,
        .started_us = mw_clock_us(),
    };
    generation->idle[generation->idle_count++] = (unsigned)(worker - generation->all);
    return true;
}

/* It is killed: one that was taken over would not go when its channel is closed. A generation that
 * was stopped does not read: then it is told later, before another worker takes the place. */
static void end_worker(struct generation *generation, struct worker *worker)
{
    unsigned char room[64];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_END);
    mw_frame_put_number(&frame, worker->serial);
    mw_frame_put_number(&frame, worker->told);
    int sent = mw_channel_send(&generation->control, &frame, NULL, 0, &error);
    worker->state = sent == MW_ERR_BUSY ? WORKER_LEAVING : WORKER_NONE;
}

static void start_missing(struct mw_pool *pool, struct generation *generation)
{
    if (generation->lost || mw_clock_us() < generation->pause_until_us)
        return;
    for (unsigned i = 0; i < generation->count; i++) {
        struct worker *worker = &generation->all[i];
        if (worker->state == WORKER_LEAVING)
            end_worker(generation, worker);
        if (worker->state == WORKER_NONE && !start_worker(pool, generation, worker))
            return;
    }
}

static void start_mender(struct mw_pool *pool);

/* Gives free workers to those whose turn it is. */
static void distribute(struct mw_pool *pool)
{
    struct generation *generation = pool->current;
    struct mw_turn *turn;
    start_missing(pool, generation);
    if (generation->lost && !pool->has_mender)
        start_mender(pool);
    if (generation->lost)
        pthread_cond_signal(&pool->mend);
    while (generation->idle_count > 0 &&
           (turn = mw_turns_next(pool->turns, generation->idle_count))) {
        struct place *place = (struct place *)turn;
        place->generation = generation;
        place->worker = &generation->all[generation->idle[--generation->idle_count]];
        place->worker->state = WORKER_BUSY;
        generation->users++;
        pthread_cond_signal(&place->given);
    }
}

/* What becomes of a worker after a job. */
enum fate {
    FATE_KEEP,
    FATE_RETIRE, /* a fresh one takes its place */
    FATE_END,    /* the same, and its death is told */
    FATE_GONE    /* it did not even read its job */
};

/* Workers that end before they read anything make the next one wait, longer each time: none
 * can be started. Those that a message ended do not, or such mail would delay others. */
static void note_gone(struct generation *generation, const struct worker *worker)
{
    int64_t now = mw_clock_us(), pause = PAUSE_MS;
    if (worker->done > 0 || now - worker->started_us > (int64_t)QUICK_MS * MS)
        return;
    for (unsigned i = 0; i < generation->quick_deaths && pause < PAUSE_MOST_MS; i++)
        pause *= 2;
    generation->quick_deaths++;
    generation->pause_until_us = now + (pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS) * MS;
}

static void settle(struct mw_pool *pool, struct generation *generation, struct worker *worker,
                   enum fate fate)
{
    bool current = generation == pool->current;
    bool bad = fate == FATE_END || fate == FATE_GONE;
    if (fate == FATE_GONE)
        note_gone(generation, worker);
    if (!bad) {
        generation->quick_deaths = 0;
        worker->done++;
    }
    if (bad || fate == FATE_RETIRE || !current ||
        (generation->recycle > 0 && worker->done >= generation->recycle)) {
        close_worker(worker);
        worker->told = bad;
        end_worker(generation, worker);
        return;
    }
    worker->state = WORKER_IDLE;
    generation->idle[generation->idle_count++] = (unsigned)(worker - generation->all);
}

/* --- a message and its place ---------------------------------------------------------------- */

/* Waits, with the lock held, for a turn or a time to look again: at the latest when the bound or
 * the next tick is reached, or workers may be started again. */
static void doze(struct mw_pool *pool, struct place *place, int64_t until_us)
{
    struct timespec time;
    int64_t now = mw_clock_us(), pause_us = pool->current->pause_until_us;
    if (pause_us > now && pause_us < until_us)
        until_us = pause_us;
    time = mw_clock_time(until_us > now ? until_us : now);
    pthread_cond_timedwait(&place->given, &pool->lock, &time);
}

/* With the lock held; gives it up for each tick. */
static void wait_for_turn(struct mw_pool *pool, struct place *place)
{
    const struct mw_pool_wait *wait = place->wait;
    int64_t now = mw_clock_us(), late_us = place->late_us;
    int64_t tick_us = wait->tick ? now + (int64_t)wait->tick_ms * MS : INT64_MAX;
    while (!place->worker && now < late_us) {
        doze(pool, place, tick_us < late_us ? tick_us : late_us);
        now = mw_clock_us();
        if (!place->worker)
            distribute(pool);
        if (!place->worker && wait->tick && now >= tick_us) {
            pthread_mutex_unlock(&pool->lock);
            wait->tick(wait->user);
            pthread_mutex_lock(&pool->lock);
            now = mw_clock_us();
            tick_us = now + (int64_t)wait->tick_ms * MS;
        }
    }
}

/* A worker for a message, or MW_ERR_BUSY. */
static int take_place(struct mw_pool *pool, struct place *place, struct mw_error *error)
{
    mw_clock_condition(&place->given);
    place->worker = NULL;
    pthread_mutex_lock(&pool->lock);
    size_t before = mw_turns_waiting(pool->turns);
    bool room = before < pool->settings.queue_most;
    if (room) {
        mw_turns_wait(pool->turns, &place->turn, place->wait->client);
        distribute(pool);
        wait_for_turn(pool, place);
        if (!place->worker)
            mw_turns_give_up(pool->turns, &place->turn);
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&place->given);
    if (place->worker)
        return 0;
    return room ? mw_fail(error, MW_ERR_BUSY, "no worker was free within %u ms",
                          pool->settings.queue_ms)
                : mw_fail(error, MW_ERR_BUSY, "%zu messages wait for a worker already", before);
}

static void leave_place(struct mw_pool *pool, struct place *place, enum fate fate)
{
    pthread_mutex_lock(&pool->lock);
    settle(pool, place->generation, place->worker, fate);
    mw_turns_done(pool->turns, &place->turn);
    distribute(pool);
    release(place->generation);
    pthread_mutex_unlock(&pool->lock);
}

/* What the generation said since last time: deaths, to be counted and told. */
static void hear_generation(struct mw_pool *pool, struct generation *generation)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    struct mw_error error = {0};
    while (mw_channel_receive(&generation->control, &frame, room, sizeof room, 0, &error) == 0) {
        char text[128];
        mw_frame_take_number(&frame);
        int status = (int)mw_frame_take_number(&frame);
        uint64_t deaths = mw_frame_take_number(&frame);
        if (WIFSIGNALED(status))
            snprintf(text, sizeof text, "a worker was ended by signal %d (%s) and replaced",
                     WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            snprintf(text, sizeof text, "a worker ended with status %d and was replaced",
                     WEXITSTATUS(status));
        pthread_mutex_lock(&pool->lock);
        if (deaths > generation->deaths) {
            pool->state.deaths += deaths - generation->deaths;
            generation->deaths = deaths;
        }
        pthread_mutex_unlock(&pool->lock);
        notice(pool, true, text);
    }
}

/* --- examinations -------------------------------------------------------------------- */

static bool tick_on(void *user)
{
    const struct mw_pool_wait *wait = user;
    wait->tick(wait->user);
    return true;
}

/* More patience each time, up to the bound; but whoever got a worker just before it has as much
 * as anybody at first, or a sound worker would be ended for not having run at once. */
static unsigned unread_ms(const struct place *place)
{
    int64_t left_ms = (place->late_us - mw_clock_us()) / MS;
    unsigned doublings = place->tries < UNREAD_DOUBLINGS ? place->tries : UNREAD_DOUBLINGS;
    unsigned ms = (unsigned)UNREAD_MS << doublings;
    return left_ms < UNREAD_MS ? UNREAD_MS : left_ms < ms ? (unsigned)left_ms : ms;
}

static struct mw_report *do_job(const struct mw_pool *pool, struct place *place,
                                const struct mw_memfile *message, bool *spent,
                                struct mw_error *error)
{
    unsigned time_ms = place->generation->time_ms;
    struct mw_job_wait wait = {
        .unread_ms = unread_ms(place),
        .alarm_ms = time_ms,
        .work_ms = time_ms > 0 ? time_ms + MW_GENERATION_GRACE_MS + MW_GENERATION_SPARE_MS : 0,
        .result_max = pool->settings.result_max};
    if (place->wait->tick) {
        wait.tick_ms = place->wait->tick_ms;
        wait.tick = tick_on;
        wait.user = (void *)(uintptr_t)place->wait;
    }
    if (mw_job_give(&place->worker->channel, MW_FRAME_JOB, message, error) != 0)
        return NULL;
    struct mw_report *report = mw_job_await(&place->worker->channel, &wait, spent, error);
    if (error->code == MW_ERR_TIMEOUT)
        mw_fail(error, MW_ERR_TIMEOUT, "the worker took longer than %u ms and was ended", time_ms);
    return report;
}

/* Something in the message got a parser or scanner into trouble: who knows what it left
 * behind. A fresh process costs about a millisecond. */
static bool is_odd(const struct mw_report *report)
{
    for (size_t i = 0; i < report->errors.count; i++) {
        const struct mw_problem_row *row = mw_problem_row_of(report->errors.items[i].name);
        if (row->effect == MW_HIDES)
            return true;
    }
    return false;
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

/* One worker's try. *again: it has not read the message. */
static struct mw_report *try_worker(struct mw_pool *pool, struct place *place,
                                    const struct mw_memfile *message, bool *again,
                                    struct mw_error *error)
{
    bool spent = true;
    *again = false;
    *error = (struct mw_error){0};
    if (take_place(pool, place, error) != 0)
        return NULL;
    struct mw_report *report = do_job(pool, place, message, &spent, error);
    *again = !report && error->code == MW_ERR_BUSY;
    if (report && place->generation->reuse)
        mw_verify_note(pool->verify, place->generation->reuse, report);
    if (!report)
        hear_generation(pool, place->generation);
    leave_place(pool, place,
                *again                    ? FATE_GONE
                : !report                 ? FATE_END
                : spent || is_odd(report) ? FATE_RETIRE
                                          : FATE_KEEP);
    return report;
}

struct mw_report *mw_pool_examine(struct mw_pool *pool, const struct mw_memfile *message,
                                  struct mw_error *error)
{
    const struct mw_pool_wait none = {0};
    return mw_pool_examine_waiting(pool, message, &none, error);
}

static void count(struct mw_pool *pool, int busy, bool done, bool failed)
{
    pthread_mutex_lock(&pool->lock);
    pool->state.busy += (uint64_t)(int64_t)busy;
    pool->state.done += done;
    pool->state.failed += failed;
    pthread_mutex_unlock(&pool->lock);
}

struct mw_report *mw_pool_examine_waiting(struct mw_pool *pool, const struct mw_memfile *message,
                                          const struct mw_pool_wait *wait, struct mw_error *error)
{
    struct mw_report *report;
    bool again;
    struct place place = {.wait = wait,
                          .late_us = mw_clock_us() + (int64_t)pool->settings.queue_ms * MS};
    count(pool, 1, false, false);
    do {
        report = try_worker(pool, &place, message, &again, error);
        place.tries++;
    } while (again && mw_clock_us() < place.late_us);
    count(pool, -1, report != NULL, report == NULL);
    if (!report && error->code != MW_ERR_BUSY)
        note_message(pool, message, error);
    return report;
}

/* --- taking over ------------------------------------------------------------------------------ */

/* Those that have nothing to do go at once; the others when they are done. */
static void retire(struct generation *generation)
{
    while (generation->idle_count > 0)
        close_worker(&generation->all[generation->idle[--generation->idle_count]]);
    release(generation);
}

/* With reloading held. Takes source when it succeeds. */
static int next_generation(struct mw_pool *pool, struct mw_memfile *source, struct mw_error *error)
{
    struct generation *next = start_generation(pool, source, error);
    if (!next)
        return error->code;
    pthread_mutex_lock(&pool->lock);
    struct generation *old = pool->current;
    pool->current = next;
    pool->state.generation++;
    pool->state.workers = next->workers;
    mw_turns_set_per_client(pool->turns, pool->settings.spare_workers > 0 ? next->per_client : 0);
    if (source != pool->source)
        mw_memfile_free(pool->source);
    pool->source = source;
    if (old)
        retire(old);
    distribute(pool);
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

int mw_pool_reload(struct mw_pool *pool, struct mw_memfile *source, struct mw_error *error)
{
    pthread_mutex_lock(&pool->reloading);
    int result = next_generation(pool, source ? source : pool->source, error);
    pthread_mutex_unlock(&pool->reloading);
    if (result != 0)
        mw_memfile_free(source);
    return result;
}

/* A generation in place of the one that is lost, if it still is. 0 when there is nothing more to
 * do. */
static int mend(struct mw_pool *pool)
{
    struct mw_error error = {0};
    pthread_mutex_lock(&pool->reloading);
    pthread_mutex_lock(&pool->lock);
    bool lost = pool->current->lost;
    pthread_mutex_unlock(&pool->lock);
    int result = lost ? next_generation(pool, pool->source, &error) : 0;
    pthread_mutex_unlock(&pool->reloading);
    if (lost)
        notice(pool, true, result == 0 ? "all workers were gone, others were started" : error.text);
    return result;
}

/* Messages go on waiting in their threads meanwhile, and their bounds hold. */
static void *keep_mending(void *user)
{
    struct mw_pool *pool = user;
    int64_t pause_us = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        struct timespec time;
        if (pause_us > 0) {
            time = mw_clock_time(mw_clock_us() + pause_us);
            pthread_cond_timedwait(&pool->mend, &pool->lock, &time);
        } else if (!pool->current->lost) {
            pthread_cond_wait(&pool->mend, &pool->lock);
        }
        if (pool->ending || !pool->current->lost)
            continue;
        pthread_mutex_unlock(&pool->lock);
        int result = mend(pool);
        pthread_mutex_lock(&pool->lock);
        int64_t longer = pause_us > 0 ? pause_us * 2 : (int64_t)PAUSE_MS * MS;
        pause_us = result == 0                            ? 0
                   : longer < (int64_t)PAUSE_MOST_MS * MS ? longer
                                                          : (int64_t)PAUSE_MOST_MS * MS;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the pool's lock held. Signals are the asking side's own threads' to have. */
static void start_mender(struct mw_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&pool->mender, NULL, keep_mending, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool->has_mender = code == 0;
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
        mw_memfile_free(settings->source);
        return NULL;
    }
    pool->settings = *settings;
    pool->zygote_channel.socket = pool->loading = -1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->reloading, NULL);
    mw_clock_condition(&pool->mend);
    pool->source = settings->source;
    pool->turns = mw_turns_new();
    pool->verify = mw_verify_new(settings->notice, settings->notice_user);
    if (!pool->verify || !pool->turns)
        mw_fail_errno(error, "cannot start workers");
    else if (start_zygote(pool, error) == 0 && mw_pool_reload(pool, NULL, error) == 0)
        return pool;
    mw_pool_free(pool);
    return NULL;
}

/* All processes end of themselves now; one that hangs is ended by force, and takes those
 * below along. */
static void wait_for_zygote(pid_t zygote)
{
    const struct timespec pause = {.tv_nsec = END_PAUSE_NS};
    for (int i = 0; i < END_PATIENCE; i++) {
        if (waitpid(zygote, NULL, WNOHANG) != 0)
            return;
        nanosleep(&pause, NULL);
    }
    /* Not ours to end when we gave up root: then they end with us. */
    if (kill(zygote, SIGKILL) == 0)
        waitpid(zygote, NULL, 0);
}

static void end_mender(struct mw_pool *pool)
{
    if (!pool->has_mender)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    if (pool->loading >= 0)
        shutdown(pool->loading, SHUT_RDWR);
    pthread_cond_signal(&pool->mend);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->mender, NULL);
}

void mw_pool_free(struct mw_pool *pool)
{
    if (!pool)
        return;
    end_mender(pool);
    mw_verify_free(pool->verify);
    if (pool->current)
        drop(pool->current);
    if (pool->zygote_channel.socket >= 0)
        close(pool->zygote_channel.socket);
    if (pool->zygote > 0)
        wait_for_zygote(pool->zygote);
    mw_turns_free(pool->turns);
    mw_memfile_free(pool->source);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->reloading);
    pthread_cond_destroy(&pool->mend);
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
