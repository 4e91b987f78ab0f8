/* unit_hostile: workers that lie: what they answer is a failed scan, and nothing more. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "t/unit/worker_side.h"
#include "worker/job.h"
#include "worker/pool.h"
#include "worker/result.h"

enum { RESULT_MAX = 1 << 20 };

/* A sound packed report, made before there are workers, and a copy to spoil. */
static unsigned char *good, *copy;
static size_t good_size;

/* --- in a worker ------------------------------------------------------------------- */

static struct mw_channel jobs_channel(void)
{
    return (struct mw_channel){find_jobs(), MW_CHANNEL_JOBS, false, MW_PHASE_WORKING};
}

/* Asks for room for so many bytes: the file it is given. */
static int ask_for_room(struct mw_channel *jobs, size_t size)
{
    unsigned char room[256];
    struct mw_frame_in got;
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LARGE);
    mw_frame_put_number(&frame, size);
    if (mw_channel_send(jobs, &frame, NULL, 0, &error) != 0 ||
        mw_channel_receive(jobs, &got, room, sizeof room, -1, &error) != 0)
        _exit(3);
    return got.fds[0];
}

static void say_filed(struct mw_channel *jobs)
{
    unsigned char room[256];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_FILED);
    mw_frame_put_number(&frame, 1);
    mw_channel_send(jobs, &frame, NULL, 0, &error);
}

static void send_bytes(const unsigned char *bytes, size_t size)
{
    static unsigned char room[MW_FRAME_MAX];
    struct mw_channel jobs = jobs_channel();
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_RESULT);
    mw_frame_put_number(&frame, 1);
    unsigned char *space = mw_frame_put_space(&frame, size);
    if (!space)
        _exit(3);
    memcpy(space, bytes, size);
    _exit(mw_channel_send(&jobs, &frame, NULL, 0, &error) != 0);
}

static void truncated(void)
{
    send_bytes(good, good_size / 2);
}

static void longer(void)
{
    send_bytes(copy, good_size + 1);
}

static void empty(void)
{
    send_bytes(good, 0);
}

static void no_report(void)
{
    memset(copy, 0x5a, good_size);
    send_bytes(copy, good_size);
}

/* It says that it has this much, which nobody wants. */
static void oversized(void)
{
    struct mw_channel jobs = jobs_channel();
    ask_for_room(&jobs, RESULT_MAX + 1);
    _exit(0);
}

/* It fills more than it asked for. */
static void overfull(void)
{
    struct mw_channel jobs = jobs_channel();
    int file = ask_for_room(&jobs, good_size);
    if (pwrite(file, good, good_size, 0) == (ssize_t)good_size &&
        pwrite(file, "", 1, RESULT_MAX) == 1)
        say_filed(&jobs);
    _exit(0);
}

static void lying_size(void)
{
    copy[8] ^= 0x40;
    send_bytes(copy, good_size);
}

static void lying_count(void)
{
    copy[16] = 200;
    send_bytes(copy, good_size);
}

static void huge_count(void)
{
    memset(copy + 16, 0xff, 8);
    send_bytes(copy, good_size);
}

static void wrong_hash(void)
{
    copy[good_size - 1] ^= 1;
    send_bytes(copy, good_size);
}

static void no_utf8(void)
{
    unsigned char *subject = memmem(copy, good_size, "subject-text", 12);
    if (subject)
        *subject = 0xff;
    send_bytes(copy, good_size);
}

/* Of a large one no copy is made: it could be changed while it is read. A confined worker cannot
 * map it so. */
static void still_writing(void)
{
    struct mw_channel jobs = jobs_channel();
    int file = ask_for_room(&jobs, RESULT_MAX / 2);
    if (pwrite(file, "", 1, RESULT_MAX / 2 - 1) != 1 ||
        mmap(NULL, RESULT_MAX / 2, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED ||
        pwrite(file, good, good_size, 0) != (ssize_t)good_size)
        _exit(3);
    say_filed(&jobs);
    for (;;) {
    }
}

/* It cuts the file, again and again, while it may be read. */
static void shrinking(void)
{
    struct mw_channel jobs = jobs_channel();
    int file = ask_for_room(&jobs, RESULT_MAX / 2);
    if (ftruncate(file, RESULT_MAX / 2) == 0)
        say_filed(&jobs);
    while (ftruncate(file, 0) == 0 && ftruncate(file, RESULT_MAX / 2) == 0) {
    }
    _exit(0);
}

/* Bytes that are no frame; a frame of another phase; one that goes on behind its end. */
static void no_frame(void)
{
    if (write(find_jobs(), good, good_size) > 0)
        _exit(0);
    _exit(3);
}

static void out_of_phase(void)
{
    struct mw_channel jobs = jobs_channel();
    jobs.phase = MW_PHASE_FILING;
    say_filed(&jobs);
    _exit(0);
}

static void with_more(void)
{
    unsigned char room[256];
    struct mw_channel jobs = jobs_channel();
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LARGE);
    mw_frame_put_number(&frame, 100);
    mw_frame_put_number(&frame, 100);
    mw_channel_send(&jobs, &frame, NULL, 0, &error);
    _exit(0);
}

static void for_ever(void)
{
    for (;;) {
    }
}

static void silent(void)
{
    _exit(0);
}

static const struct {
    const char *name;
    void (*answer)(void);
    const char *problem;
    bool unconfined;
} lies[] = {
    {"truncated", truncated, "worker.report", false},
    {"with bytes too many", longer, "worker.report", false},
    {"empty", empty, "worker.report", false},
    {"of other bytes", no_report, "worker.report", false},
    {"larger than may be", oversized, "worker.report", false},
    {"larger than it said", overfull, "worker.report", false},
    {"that is no frame", no_frame, "worker.report", false},
    {"in a frame that may not come now", out_of_phase, "worker.report", false},
    {"in a frame with something behind it", with_more, "worker.report", false},
    {"that lies about its size", lying_size, "worker.report", false},
    {"that counts attachments it has not", lying_count, "worker.report", false},
    {"that counts more than there can be", huge_count, "worker.report", false},
    {"with bytes of another SHA-256", wrong_hash, "worker.report", false},
    {"that is not UTF-8", no_utf8, "worker.report", false},
    {"that can still be changed", still_writing, "worker.report", true},
    {"that shrinks while it is read", shrinking, "worker.report", true},
    {"that never comes", silent, "worker.crashed", false},
    {"for which it takes too long", for_ever, "worker.timeout", false},
};

static int is_new(void *user, const char *address)
{
    unsigned number = 0;
    (void)user;
    if (sscanf(address, "liar%u@", &number) == 1 && number < sizeof lies / sizeof *lies)
        lies[number].answer();
    return 0;
}

/* --- the asking side --------------------------------------------------------------- */

static struct mw_memfile *message_from(const char *sender)
{
    struct mw_error error = {0};
    char text[256];
    snprintf(text, sizeof text,
             "From: %s@example.com\nSubject: subject-text\nContent-Type: application/pdf\n\n"
             "the attached bytes",
             sender);
    struct mw_memfile *file = mw_memfile_new("message", &error);
    mw_memfile_append(file, mw_bytes_of(text), SIZE_MAX, &error);
    mw_memfile_seal(file, &error);
    return file;
}

static struct mw_report *examine(struct mw_pool *pool, const char *sender, struct mw_error *error)
{
    struct mw_memfile *message = message_from(sender);
    struct mw_report *report = mw_pool_examine(pool, message, error);
    mw_memfile_free(message);
    return report;
}

static void test_lie(struct mw_pool *pool, unsigned number)
{
    char sender[32];
    struct mw_error error = {0}, none = {0};
    snprintf(sender, sizeof sender, "liar%u", number);
    struct mw_report *report = examine(pool, sender, &error);
    tap_ok(!report && error.code != 0, "a report %s is none", lies[number].name);
    mw_report_free(report);
    report = mw_pool_unexamined(mw_bytes_of("raw"), &error);
    tap_is(report->errors.count == 1 ? report->errors.items[0].name : NULL, lies[number].problem,
           error.text);
    tap_ok(report->verdict == MW_UNSCANNED, "... and makes the message unscanned");
    mw_report_free(report);
    report = examine(pool, "honest", &none);
    if (!tap_ok(report && report->attachments.count == 1 &&
                    report->attachments.items[0].data.size == 18,
                "... the next message is examined as ever"))
        printf("# %s\n", none.text);
    mw_report_free(report);
}

/* The last of the lies takes for ever. */
static void *hang(void *pool)
{
    char sender[32];
    struct mw_error error = {0};
    snprintf(sender, sizeof sender, "liar%zu", sizeof lies / sizeof *lies - 1);
    mw_report_free(examine(pool, sender, &error));
    return NULL;
}

/* While its only worker hangs, another message is put off. */
static void test_busy(const struct mw_pool_settings *given)
{
    pthread_t thread;
    struct mw_error error = {0};
    struct mw_pool_settings settings = *given;
    settings.queue_ms = 100;
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (!tap_ok(pool && pthread_create(&thread, NULL, hang, pool) == 0, "a pool starts"))
        return;
    for (int i = 0; i < 1000 && error.code == 0; i++)
        mw_report_free(examine(pool, "honest", &error));
    struct mw_report *report = mw_pool_unexamined(mw_bytes_of("raw"), &error);
    tap_is(report->errors.items[0].name, "worker.busy", error.text);
    tap_ok(report->verdict == MW_UNSCANNED, "... and makes the message unscanned");
    mw_report_free(report);
    pthread_join(thread, NULL);
    mw_pool_free(pool);
}

/* A message with so many bytes attached: its result has no room in a frame. */
static struct mw_memfile *large_message(void)
{
    struct mw_error error = {0};
    unsigned char *bytes = calloc(1, RESULT_MAX / 2);
    struct mw_memfile *file = mw_memfile_new("message", &error);
    mw_memfile_append(file, mw_bytes_of("Content-Type: application/pdf\n\n"), SIZE_MAX, &error);
    mw_memfile_append(file, (struct mw_bytes){bytes, RESULT_MAX / 2}, SIZE_MAX, &error);
    mw_memfile_seal(file, &error);
    free(bytes);
    return file;
}

/* Where the system gives no descriptor more nobody died, and the next message is read. */
static void test_resources(struct mw_pool *pool)
{
    struct mw_error error = {0};
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    struct mw_memfile *small = message_from("honest"), *large = large_message();
    int next = fcntl(mw_memfile_fd(large), F_DUPFD_CLOEXEC, 0);
    close(next);
    const struct rlimit none = {(rlim_t)next, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    struct mw_report *report = mw_pool_examine(pool, small, &error);
    tap_ok(report != NULL, "without a descriptor left a small message is examined all the same");
    mw_report_free(report);
    report = mw_pool_examine(pool, large, &error);
    setrlimit(RLIMIT_NOFILE, &before);
    tap_ok(!report && error.code == MW_ERR_SYSTEM, "... a large one is not");
    report = mw_pool_unexamined(mw_bytes_of("raw"), &error);
    tap_is(report->errors.items[0].name, "worker.resources", error.text);
    mw_report_free(report);
    mw_memfile_free(small);
    error = (struct mw_error){0};
    report = mw_pool_examine(pool, large, &error);
    tap_ok(report != NULL, "... but when there are some again");
    mw_report_free(report);
    mw_memfile_free(large);
}

static bool make_good_report(void)
{
    struct mw_error error = {0};
    struct mw_witness_settings settings = {0};
    struct mw_bytes raw, bytes = {0};
    mw_limits_default(&settings.limits);
    struct mw_memfile *message = message_from("honest");
    struct mw_witness *witness = mw_witness_new(&settings, &error);
    mw_memfile_map(message, &raw, &error);
    struct mw_report *report = mw_witness_examine(witness, raw);
    struct mw_memfile *file = mw_result_file(report, &error);
    if (file && mw_memfile_map(file, &bytes, &error) == 0) {
        good_size = bytes.size;
        good = calloc(2, good_size + 16);
        copy = good + good_size + 16;
        memcpy(good, bytes.data, good_size);
        memcpy(copy, bytes.data, good_size);
    }
    mw_memfile_free(file);
    mw_report_free(report);
    mw_witness_free(witness);
    mw_memfile_free(message);
    return good != NULL;
}

int main(void)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    mw_pool_settings_default(&settings);
    settings.generation.workers = 1;
    settings.generation.witness.limits.time_ms = 2000;
    settings.generation.witness.sender_filter.is_new = is_new;
    settings.result_max = RESULT_MAX;
    if (!tap_ok(make_good_report(), "a sound report is there to spoil"))
        return tap_done();
    struct mw_pool *confined = mw_pool_new(&settings, &error);
    settings.generation.sandbox.mode = MW_SANDBOX_OFF;
    struct mw_pool *unconfined = confined ? mw_pool_new(&settings, &error) : NULL;
    if (!tap_ok(unconfined != NULL, "pools start"))
        printf("# %s\n", error.text);
    for (unsigned i = 0; unconfined && i < sizeof lies / sizeof *lies; i++)
        test_lie(lies[i].unconfined ? unconfined : confined, i);
    if (confined)
        test_resources(confined);
    mw_pool_free(confined);
    mw_pool_free(unconfined);
    settings.generation.sandbox.mode = MW_SANDBOX_BEST;
    test_busy(&settings);
    free(good);
    return tap_done();
}
