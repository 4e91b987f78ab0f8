/*
 * unit_verify: what the asking side believes of a verifier's answer: one that dies, hangs,
 * sends junk, speaks of another file, or of not all of it, has nothing kept.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scanners/hash.h"
#include "t/unit/open_files.h"
#include "t/unit/tap.h"
#include "worker/job.h"
#include "worker/result.h"
#include "worker/verify.h"

enum { SIZE = 2000, PATIENCE = 1000, PAUSE_US = 10000, TIME_MS = 1, LATE_S = 10 };

/* How the one who plays the verifier behaves. */
enum manner {
    SOUND,
    DIES,
    HANGS,
    JUNK,
    OTHER_FILE,
    TWO_FILES,
    NO_FILE,
    LIMITED,
    UNSCANNED,
    NOBODY,
    OTHERWISE
};

struct play {
    int socket;         /* the generation's end of its control socket */
    atomic_int manner;  /* enum manner */
    atomic_uint asked;  /* files asked about */
    atomic_ullong last; /* serial of the last verifier */
    atomic_bool ended;  /* it was to be ended */
};

static atomic_uint notices;

static void notice(void *user, bool bad, const char *text)
{
    (void)user;
    (void)text;
    atomic_fetch_add(&notices, bad);
}

static struct mw_attachment *add_file(struct mw_report *report, unsigned number)
{
    struct mw_error error = {0};
    struct mw_digests digests;
    struct mw_hasher *hasher = mw_hasher_new(&error);
    char *bytes = mw_arena_alloc(report->arena, SIZE);
    snprintf(bytes, SIZE, "file %u", number);
    struct mw_attachment *file =
        mw_list_add(report->arena, &report->attachments, sizeof *report->attachments.items);
    file->path = "2";
    file->data = (struct mw_bytes){(const unsigned char *)bytes, SIZE};
    file->size = SIZE;
    mw_hasher_all(hasher, report->arena, file->data, &digests);
    file->md5 = digests.md5;
    file->sha1 = digests.sha1;
    file->sha256 = digests.sha256;
    file->sha512 = digests.sha512;
    mw_hasher_free(hasher);
    return file;
}

static void add_finding(struct mw_report *report, const char *name)
{
    struct mw_finding *found =
        mw_list_add(report->arena, &report->attachments.items[0].findings, sizeof *found);
    found->scanner = "clamav";
    found->name = name;
    found->severity = MW_SEVERITY_MALICIOUS;
}

/* A report about the file with this number, in which clamav found "Bad". */
static struct mw_report *report_of(unsigned number)
{
    struct mw_report *report = mw_report_new();
    struct mw_engine *engine =
        mw_list_add(report->arena, &report->engines, sizeof *report->engines.items);
    engine->name = "clamav";
    engine->version = "";
    add_file(report, number);
    add_finding(report, "Bad");
    return report;
}

static void spoil(struct mw_report *report, enum manner manner)
{
    struct mw_limits limits;
    mw_limits_default(&limits);
    if (manner == TWO_FILES)
        add_file(report, 1000);
    if (manner == NO_FILE)
        report->attachments.count = 0;
    if (manner == LIMITED)
        mw_report_problem(report, &limits, MW_PROBLEM_LIMIT_FINDINGS_PER_PART, NULL, "too many");
    if (manner == UNSCANNED)
        mw_texts_add(report->arena, &report->unscanned, "clamav: it broke");
    if (manner == NOBODY)
        report->engines.count = 0;
    if (manner == OTHERWISE)
        report->attachments.items[0].findings.count = 0;
}

/* In place of a report. */
static void give_junk(struct mw_channel *jobs)
{
    unsigned char room[128];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_RESULT);
    mw_frame_put_number(&frame, 1);
    memcpy(mw_frame_put_space(&frame, 9), "no report", 9);
    if (mw_channel_send(jobs, &frame, NULL, 0, &error) != 0)
        printf("# nobody waits for junk\n");
}

/* The file that is asked about, by its number; 0 when nobody asks. */
static unsigned take_question(struct mw_channel *jobs)
{
    struct mw_error error = {0};
    enum mw_frame_kind kind;
    struct mw_memfile *file;
    if (mw_job_take(jobs, &kind, &file, &error) != 0)
        return 0;
    struct mw_report *asked = mw_result_read_file(file, &error);
    unsigned number =
        (unsigned)strtoul((const char *)asked->attachments.items[0].data.data + 5, NULL, 10);
    mw_report_free(asked);
    return number;
}

/* Stands for the verifier that has this socket. */
static void answer(const struct play *play, int socket)
{
    struct mw_channel jobs = {socket, MW_CHANNEL_JOBS, false, MW_PHASE_IDLE};
    struct mw_error error = {0};
    enum manner manner = (enum manner)atomic_load(&play->manner);
    unsigned number = take_question(&jobs);
    if (manner == HANGS)
        mw_channel_wait(&jobs, LATE_S * 1000, &error);
    if (manner == DIES || manner == HANGS || number == 0)
        return;
    if (manner == JUNK) {
        give_junk(&jobs);
        return;
    }
    struct mw_report *report = report_of(manner == OTHER_FILE ? number + 1 : number);
    spoil(report, manner);
    mw_job_answer(&jobs, report, true, &error);
    mw_report_free(report);
}

/* Stands for a generation and its verifiers. */
static void *play(void *user)
{
    struct play *play = user;
    struct mw_channel control = {play->socket, MW_CHANNEL_CONTROL, false, MW_PHASE_IDLE};
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    struct mw_error error = {0};
    while (mw_channel_receive(&control, &frame, room, sizeof room, -1, &error) == 0) {
        uint64_t serial = mw_frame_take_number(&frame);
        if (frame.kind == MW_FRAME_END)
            atomic_store(&play->ended, serial == atomic_load(&play->last));
        if (frame.kind == MW_FRAME_VERIFY) {
            atomic_store(&play->ended, false);
            atomic_store(&play->last, serial);
            atomic_fetch_add(&play->asked, 1);
            answer(play, frame.fds[0]);
        }
        mw_frame_close(&frame);
    }
    return NULL;
}

static uint64_t finished(struct mw_verify *verify)
{
    struct mw_reuse_state state;
    mw_verify_get_state(verify, &state);
    return state.kept + state.failures + state.disagreements;
}

/* The same file comes twice; waits for what comes of it. Whether it is known then. */
static bool becomes_known(struct mw_verify *verify, struct mw_reuse *reuse, unsigned number)
{
    struct mw_error error = {0};
    uint64_t before = finished(verify);
    struct mw_report *report = report_of(number);
    mw_verify_note(verify, reuse, report);
    mw_verify_note(verify, reuse, report);
    for (int i = 0; i < PATIENCE && finished(verify) == before; i++)
        usleep(PAUSE_US);
    if (finished(verify) != before + 1)
        printf("# the verification of file %u does not end\n", number);
    struct mw_reuse_table *table = mw_reuse_table_open(dup(mw_reuse_fd(reuse)), &error);
    const struct mw_known *known =
        mw_reuse_find(table, report->arena, report->attachments.items[0].sha256);
    bool good = known && known->facts->findings.count == 1 && known->engines->count == 1;
    mw_reuse_table_free(table);
    mw_report_free(report);
    return good;
}

static const struct {
    enum manner manner;
    const char *promise;
} answers[] = {
    {DIES, "a verifier that dies"},
    {JUNK, "an answer that is no report"},
    {OTHER_FILE, "an answer about another file"},
    {TWO_FILES, "an answer about two files"},
    {NO_FILE, "an answer about no file"},
    {LIMITED, "an answer with a bound that was met"},
    {UNSCANNED, "an answer of a scanner that failed"},
    {NOBODY, "an answer of no scanner"},
    {OTHERWISE, "an answer that is not what the worker found"},
    {HANGS, "a verifier that takes too long"},
};

static void test_answers(struct mw_verify *verify, struct mw_reuse *reuse, struct play *play)
{
    unsigned number = 1;
    tap_ok(becomes_known(verify, reuse, number++), "a file that came twice becomes known");
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        atomic_store(&play->manner, answers[i].manner);
        /* Two apart: the answer about another one must not be about the next. */
        tap_ok(!becomes_known(verify, reuse, number), "of %s nothing is kept", answers[i].promise);
        number += 2;
    }
    for (int i = 0; i < PATIENCE && !atomic_load(&play->ended); i++)
        usleep(PAUSE_US);
    tap_ok(atomic_load(&play->ended), "... and that verifier is ended");
    atomic_store(&play->manner, SOUND);
    tap_ok(becomes_known(verify, reuse, number), "after all that the next file becomes known");
    struct mw_reuse_state state;
    mw_verify_get_state(verify, &state);
    tap_is_number((long long)state.disagreements, 1, "who finds something else disagrees");
    tap_is_number((long long)state.kept, 2, "what is kept is counted");
    tap_ok(state.kept + state.failures + state.disagreements == state.verifications,
           "... as is what is not");
    tap_ok(atomic_load(&notices) > 0, "what is amiss is told");
}

/* What may not be asked about: small, cut short, without a scanner, not at hand. */
static void test_left_alone(struct mw_verify *verify, struct mw_reuse *reuse, struct play *play)
{
    struct mw_limits limits;
    unsigned before = atomic_load(&play->asked);
    mw_limits_default(&limits);
    struct mw_report *reports[5];
    for (unsigned i = 0; i < 5; i++)
        reports[i] = report_of(500 + i);
    reports[0]->attachments.items[0].data.size = MW_REUSE_LEAST - 1;
    mw_report_problem(reports[1], &limits, MW_PROBLEM_LIMIT_FINDINGS_PER_PART, "2", "too many");
    reports[2]->engines.count = 0;
    reports[3]->attachments.items[0].unscanned = "clamav: it broke";
    mw_texts_add(reports[4]->arena, &reports[4]->attachments.items[0].reused, "clamav");
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 5; i++)
            mw_verify_note(verify, reuse, reports[i]);
    /* Questions are answered in their order: when this one is, no other was asked. */
    becomes_known(verify, reuse, 600);
    tap_is_number(atomic_load(&play->asked), before + 1,
                  "files that are small, not scanned in full or known already are left alone");
    for (int i = 0; i < 5; i++)
        mw_report_free(reports[i]);
}

/* More files than can wait, while a verifier takes its time. */
static void test_flood(struct mw_verify *verify, struct mw_reuse *reuse, struct play *play)
{
    unsigned before = atomic_load(&play->asked);
    struct mw_report *report = report_of(1000);
    atomic_store(&play->manner, HANGS);
    mw_verify_note(verify, reuse, report);
    mw_verify_note(verify, reuse, report);
    mw_report_free(report);
    for (int i = 0; i < PATIENCE && atomic_load(&play->asked) == before; i++)
        usleep(PAUSE_US);
    int open_before = open_files();
    for (unsigned i = 1; i <= 100; i++) {
        report = report_of(1000 + i);
        mw_verify_note(verify, reuse, report);
        mw_verify_note(verify, reuse, report);
        mw_report_free(report);
    }
    int waiting = open_files() - open_before;
    tap_ok(waiting > 0 && waiting < 20, "of a flood of files few wait to be asked about");
}

int main(void)
{
    struct mw_error error = {0};
    struct mw_reuse_settings settings = {.enabled = true, .seconds = 3600, .entries = 64};
    struct play game = {.manner = SOUND};
    pthread_t thread;
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return 2;
    game.socket = ends[1];
    struct mw_verify *verify = mw_verify_new(notice, NULL);
    struct mw_reuse *reuse = mw_reuse_new(&settings, &error);
    tap_ok(reuse != NULL, "verdicts can be kept");
    struct mw_channel control = {ends[0], MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE};
    mw_reuse_serve(reuse, &control, TIME_MS);
    pthread_create(&thread, NULL, play, &game);
    test_answers(verify, reuse, &game);
    test_left_alone(verify, reuse, &game);
    test_flood(verify, reuse, &game);
    mw_reuse_retire(reuse);
    close(ends[0]);
    pthread_join(thread, NULL);
    tap_ok(true, "a generation can go while files are waiting");
    mw_verify_free(verify);
    close(ends[1]);
    return tap_done();
}
