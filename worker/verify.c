/* verify: a queue of files, each in a memory file, and a thread that asks about them. */
#include "worker/verify.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "worker/generation.h"
#include "worker/job.h"
#include "worker/result.h"
#include "worker/sightings.h"

/* Times in ms. ROOM: bytes an answer may have beside the file's. */
enum { QUEUE = 8, TICK = 100, START = 10000, UNBOUNDED = 600000, ROOM = 1 << 24 };

/* Serial numbers of verifiers are none of workers'. */
static const uint64_t first_serial = (uint64_t)1 << 63;

/* Larger files are scanned each time. */
static const size_t largest = (size_t)64 << 20;

/* Remembered files for each that is known. */
enum { SIGHTINGS = 4 };

struct mw_reuse {
    atomic_uint users;
    int64_t lasts_us;
    struct mw_reuse_table *table; /* written by the asking thread alone */
    unsigned time_ms;
    pthread_mutex_t lock;       /* guards what follows */
    struct mw_channel *control; /* NULL: nobody to ask */
    struct mw_sightings *sightings;
};

/* A file to ask about: a packed report with what a worker found in it. */
struct question {
    struct mw_reuse *reuse;
    struct mw_memfile *file;
};

struct mw_verify {
    void (*notice)(void *user, bool bad, const char *text);
    void *user;
    atomic_ullong serial, hits, verifications, kept, failures, disagreements;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t more;
    pthread_t thread;
    bool started;
    struct question questions[QUEUE]; /* a ring */
    unsigned first, count;
};

/* --- a generation's verdicts ---------------------------------------------------------- */

static void release(struct mw_reuse *reuse)
{
    if (atomic_fetch_sub(&reuse->users, 1) > 1)
        return;
    mw_sightings_free(reuse->sightings);
    mw_reuse_table_free(reuse->table);
    pthread_mutex_destroy(&reuse->lock);
    free(reuse);
}

struct mw_reuse *mw_reuse_new(const struct mw_reuse_settings *settings, struct mw_error *error)
{
    struct mw_reuse *reuse = calloc(1, sizeof *reuse);
    if (!reuse) {
        mw_fail_errno(error, "cannot keep verdicts for reuse");
        return NULL;
    }
    atomic_init(&reuse->users, 1);
    reuse->lasts_us = (int64_t)settings->seconds * 1000000;
    pthread_mutex_init(&reuse->lock, NULL);
    reuse->table = mw_reuse_table_new(settings->entries, error);
    if (reuse->table)
        reuse->sightings = mw_sightings_new(settings->entries * SIGHTINGS, reuse->lasts_us);
    if (reuse->sightings)
        return reuse;
    if (reuse->table)
        mw_fail_errno(error, "cannot remember files for reuse");
    release(reuse);
    return NULL;
}

int mw_reuse_fd(const struct mw_reuse *reuse)
{
    return mw_reuse_table_fd(reuse->table);
}

void mw_reuse_serve(struct mw_reuse *reuse, struct mw_channel *control, unsigned time_ms)
{
    reuse->time_ms = time_ms;
    reuse->control = control;
}

void mw_reuse_retire(struct mw_reuse *reuse)
{
    if (!reuse)
        return;
    pthread_mutex_lock(&reuse->lock);
    reuse->control = NULL;
    pthread_mutex_unlock(&reuse->lock);
    release(reuse);
}

/* Tells the generation, if it is there still: to start a verifier with this end of a channel
 * (MW_FRAME_VERIFY), or to end it. */
static int tell_generation(struct mw_reuse *reuse, enum mw_frame_kind kind, uint64_t serial,
                           int end, struct mw_error *error)
{
    unsigned char room[64];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, kind);
    mw_frame_put_number(&frame, serial);
    if (kind == MW_FRAME_END)
        mw_frame_put_number(&frame, 0);
    pthread_mutex_lock(&reuse->lock);
    int result = reuse->control
                     ? mw_channel_send(reuse->control, &frame, &end, end >= 0 ? 1 : 0, error)
                     : mw_fail(error, MW_ERR_MISSING, "its generation of workers is gone");
    pthread_mutex_unlock(&reuse->lock);
    return result;
}

static bool is_retired(struct mw_reuse *reuse)
{
    pthread_mutex_lock(&reuse->lock);
    bool retired = !reuse->control;
    pthread_mutex_unlock(&reuse->lock);
    return retired;
}

static bool seen_again(struct mw_reuse *reuse, const unsigned char *key)
{
    pthread_mutex_lock(&reuse->lock);
    bool again = mw_sightings_again(reuse->sightings, key, mw_clock_us());
    pthread_mutex_unlock(&reuse->lock);
    return again;
}

static void settle(struct mw_reuse *reuse, const unsigned char *key)
{
    pthread_mutex_lock(&reuse->lock);
    mw_sightings_settle(reuse->sightings, key, mw_clock_us());
    pthread_mutex_unlock(&reuse->lock);
}

/* --- asking ----------------------------------------------------------------------------- */

static void tell(const struct mw_verify *verify, const char *sha256, const char *what)
{
    char text[sizeof((struct mw_error *)0)->text + 128];
    if (!verify->notice)
        return;
    snprintf(text, sizeof text, "attachment with SHA-256 %s: %s", sha256, what);
    verify->notice(verify->user, true, text);
}

/* Whose answer is waited for. */
struct wish {
    const struct mw_verify *verify;
    struct mw_reuse *reuse;
};

static bool is_wanted(void *user)
{
    const struct wish *wish = user;
    return !atomic_load(&wish->verify->stopping) && !is_retired(wish->reuse);
}

/* A verifier's answer about the file, or NULL. */
static struct mw_report *ask(struct mw_verify *verify, const struct question *question,
                             struct mw_error *error)
{
    struct mw_reuse *reuse = question->reuse;
    struct mw_error ignored = {0};
    struct wish wish = {verify, reuse};
    unsigned long long serial = first_serial + atomic_fetch_add(&verify->serial, 1);
    const struct mw_job_wait wait = {.unread_ms = START,
                                     .work_ms = reuse->time_ms > 0
                                                    ? reuse->time_ms + MW_GENERATION_GRACE_MS +
                                                          MW_GENERATION_SPARE_MS
                                                    : UNBOUNDED,
                                     .alarm_ms = reuse->time_ms,
                                     .tick_ms = TICK,
                                     .tick = is_wanted,
                                     .user = &wish,
                                     .result_max = mw_memfile_size(question->file) + ROOM};
    int ends[2];
    bool spent;
    if (mw_channel_pair(ends, error) != 0)
        return NULL;
    struct mw_channel channel = {ends[0], MW_CHANNEL_JOBS, true, MW_PHASE_IDLE};
    struct mw_report *report = NULL;
    int asked = tell_generation(reuse, MW_FRAME_VERIFY, serial, ends[1], error);
    close(ends[1]);
    if (asked == 0 && mw_job_give(&channel, MW_FRAME_FILE, question->file, error) == 0)
        report = mw_job_await(&channel, &wait, &spent, error);
    if (!report)
        tell_generation(reuse, MW_FRAME_END, serial, -1, &ignored);
    close(ends[0]);
    return report;
}

/* Nothing about the file was left out, and it is about this file. */
static bool is_whole(const struct mw_report *answer, const struct mw_attachment *file)
{
    return answer->attachments.count == 1 && answer->errors.count == 0 &&
           answer->unscanned.count == 0 && answer->engines.count > 0 &&
           strcmp(answer->attachments.items[0].sha256, file->sha256) == 0;
}

/* The next finding of a scanner from at on. */
static const struct mw_finding *next_of(const struct mw_findings *findings, const char *scanner,
                                        size_t *at)
{
    while (*at < findings->count) {
        const struct mw_finding *one = &findings->items[(*at)++];
        if (one->scanner && strcmp(one->scanner, scanner) == 0)
            return one;
    }
    return NULL;
}

static bool same_findings(const struct mw_findings *a, const struct mw_findings *b,
                          const char *scanner)
{
    for (size_t i = 0, j = 0;;) {
        const struct mw_finding *one = next_of(a, scanner, &i), *other = next_of(b, scanner, &j);
        if (!one || !other)
            return one == other;
        if (one->severity != other->severity || !one->name || !other->name ||
            strcmp(one->name, other->name) != 0)
            return false;
    }
}

/* Whether the worker that had the message found the same. */
static bool agree(const struct mw_report *answer, const struct mw_attachment *file)
{
    for (size_t i = 0; i < answer->engines.count; i++)
        if (!answer->engines.items[i].name ||
            !same_findings(&answer->attachments.items[0].findings, &file->findings,
                           answer->engines.items[i].name))
            return false;
    return true;
}

static void use(struct mw_verify *verify, struct mw_reuse *reuse, const struct mw_report *answer,
                const struct mw_attachment *file)
{
    struct mw_error error = {0};
    bool whole = is_whole(answer, file);
    if (whole && !agree(answer, file)) {
        atomic_fetch_add(&verify->disagreements, 1);
        tell(verify, file->sha256,
             "a fresh worker found something else in it than the one that had the message: "
             "nothing about it is reused");
        return;
    }
    int64_t expires_us = mw_clock_us() + reuse->lasts_us;
    bool kept = whole && mw_reuse_keep(reuse->table, answer, expires_us, &error) == 0;
    atomic_fetch_add(kept ? &verify->kept : &verify->failures, 1);
}

static void answer(struct mw_verify *verify, const struct question *question)
{
    struct mw_error error = {0};
    int own = fcntl(mw_memfile_fd(question->file), F_DUPFD_CLOEXEC, 0);
    struct mw_memfile *copy = own >= 0 ? mw_memfile_receive(own, SIZE_MAX, &error) : NULL;
    struct mw_report *asked = copy ? mw_result_read_file(copy, &error) : NULL;
    if (!asked)
        return;
    const struct mw_attachment *file = &asked->attachments.items[0];
    atomic_fetch_add(&verify->verifications, 1);
    struct mw_report *found = ask(verify, question, &error);
    if (found) {
        use(verify, question->reuse, found, file);
    } else {
        atomic_fetch_add(&verify->failures, 1);
        if (!atomic_load(&verify->stopping) && !is_retired(question->reuse))
            tell(verify, file->sha256, error.text);
    }
    mw_report_free(found);
    mw_report_free(asked);
}

static void forget(const struct question *question)
{
    mw_memfile_free(question->file);
    release(question->reuse);
}

static bool take(struct mw_verify *verify, struct question *question)
{
    pthread_mutex_lock(&verify->lock);
    while (verify->count == 0 && !atomic_load(&verify->stopping))
        pthread_cond_wait(&verify->more, &verify->lock);
    bool any = verify->count > 0;
    if (any) {
        *question = verify->questions[verify->first];
        verify->first = (verify->first + 1) % QUEUE;
        verify->count--;
    }
    pthread_mutex_unlock(&verify->lock);
    return any;
}

static void *run(void *user)
{
    struct mw_verify *verify = user;
    struct question question;
    while (take(verify, &question)) {
        if (!atomic_load(&verify->stopping))
            answer(verify, &question);
        forget(&question);
    }
    return NULL;
}

struct mw_verify *mw_verify_new(void (*notice)(void *user, bool bad, const char *text), void *user)
{
    struct mw_verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return NULL;
    verify->notice = notice;
    verify->user = user;
    pthread_mutex_init(&verify->lock, NULL);
    pthread_cond_init(&verify->more, NULL);
    return verify;
}

void mw_verify_free(struct mw_verify *verify)
{
    if (!verify)
        return;
    pthread_mutex_lock(&verify->lock);
    atomic_store(&verify->stopping, true);
    pthread_cond_signal(&verify->more);
    pthread_mutex_unlock(&verify->lock);
    if (verify->started)
        pthread_join(verify->thread, NULL);
    pthread_cond_destroy(&verify->more);
    pthread_mutex_destroy(&verify->lock);
    free(verify);
}

/* --- what came ---------------------------------------------------------------------------- */

/* What a verifier is told, and what it is to be compared with. */
static struct mw_memfile *write_question(const struct mw_report *report,
                                         const struct mw_attachment *file)
{
    struct mw_error ignored = {0};
    struct mw_report *asked = mw_report_new();
    asked->from = report->from;
    asked->subject = report->subject;
    struct mw_attachment *copy = mw_list_add(asked->arena, &asked->attachments, sizeof *copy);
    *copy = *file;
    copy->headers = (struct mw_headers){0};
    struct mw_memfile *packed = mw_result_file(asked, &ignored);
    mw_report_free(asked);
    return packed;
}

static bool has_room(struct mw_verify *verify)
{
    pthread_mutex_lock(&verify->lock);
    bool room = verify->count < QUEUE;
    pthread_mutex_unlock(&verify->lock);
    return room;
}

/* Takes the question's file, and a reference of its own; false when there is no room. */
static bool put(struct mw_verify *verify, struct question question)
{
    pthread_mutex_lock(&verify->lock);
    if (!verify->started && verify->count < QUEUE)
        verify->started = pthread_create(&verify->thread, NULL, run, verify) == 0;
    bool good = verify->started && verify->count < QUEUE;
    if (good) {
        atomic_fetch_add(&question.reuse->users, 1);
        verify->questions[(verify->first + verify->count++) % QUEUE] = question;
        pthread_cond_signal(&verify->more);
    }
    pthread_mutex_unlock(&verify->lock);
    return good;
}

/* A problem of the file's own: what was found may not be all. */
static bool has_problem(const struct mw_report *report, const struct mw_attachment *file)
{
    for (size_t i = 0; i < report->errors.count; i++) {
        const char *place = report->errors.items[i].place;
        if (place && file->path && strcmp(place, file->path) == 0)
            return true;
    }
    return file->unscanned || report->engines.count == 0;
}

static void consider(struct mw_verify *verify, struct mw_reuse *reuse,
                     const struct mw_report *report, const struct mw_attachment *file)
{
    unsigned char key[MW_REUSE_KEY];
    if (file->reused.count > 0) {
        atomic_fetch_add(&verify->hits, 1);
        return;
    }
    if (file->data.size < MW_REUSE_LEAST || file->data.size > largest ||
        has_problem(report, file) || !mw_reuse_key(file->sha256, key) || !seen_again(reuse, key) ||
        !has_room(verify))
        return;
    struct question question = {reuse, write_question(report, file)};
    if (question.file && put(verify, question))
        settle(reuse, key);
    else
        mw_memfile_free(question.file);
}

void mw_verify_note(struct mw_verify *verify, struct mw_reuse *reuse,
                    const struct mw_report *report)
{
    for (size_t i = 0; i < report->attachments.count; i++)
        consider(verify, reuse, report, &report->attachments.items[i]);
}

void mw_verify_get_state(struct mw_verify *verify, struct mw_reuse_state *state)
{
    *state = (struct mw_reuse_state){
        .hits = atomic_load(&verify->hits),
        .verifications = atomic_load(&verify->verifications),
        .kept = atomic_load(&verify->kept),
        .failures = atomic_load(&verify->failures),
        .disagreements = atomic_load(&verify->disagreements),
    };
}
