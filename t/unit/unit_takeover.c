/*
 * unit_takeover: code of an attacker's runs inside confined workers of a real pool and does
 * what its system calls allow. The mail of others is read by nobody, right, and in time, and
 * the worker is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "t/unit/open_files.h"
#include "t/unit/tap.h"
#include "t/unit/worker_side.h"
#include "worker/job.h"
#include "worker/pool.h"

enum {
    WORKERS = 2,
    VICTIMS = 3,
    MAILS = 25,
    TIME_MS = 1000,
    LATE_US = 4000000,
    ROUNDS = 3000,
    SLOW_US = 400000,
    MOST_TRIES = 50
};

/* What attackers tell; shared with them since before they were forked, for this test alone. */
static struct {
    atomic_int pid, over;
    atomic_uint secrets; /* bytes of other people's mail that they saw */
    atomic_uint tries;   /* workers that the attacker's message got */
} * told;

static pid_t asker;

/* --- in a worker ---------------------------------------------------------------------- */

static struct mw_channel own_channel(enum mw_phase phase)
{
    return (struct mw_channel){find_jobs(), MW_CHANNEL_JOBS, false, phase};
}

/* A sound answer, of the attacker's making. */
static void answer(enum mw_phase phase)
{
    struct mw_error error = {0};
    struct mw_channel jobs = own_channel(phase);
    struct mw_report *report = mw_report_new();
    report->md5 = report->sha1 = report->sha256 = report->sha512 = "";
    report->subject = "forged";
    mw_job_answer(&jobs, report, false, &error);
    mw_report_free(report);
}

static void no_alarm(void)
{
    struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
}

/* Takes whatever comes, and looks into it. */
static void receive_all(int flags)
{
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char bytes[256], text[256];
        struct iovec data = {bytes, sizeof bytes};
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(3 * sizeof(int))];
        } control = {0};
        struct msghdr message = {.msg_iov = &data,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control};
        ssize_t size = recvmsg(find_jobs(), &message, flags | MSG_DONTWAIT);
        struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        int fd;
        usleep(100);
        if (!header)
            continue;
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
        ssize_t read = pread(fd, text, sizeof text, 0);
        if (read > 0 && memmem(text, (size_t)read, "victim", 6))
            atomic_fetch_add(&told->secrets, 1);
        answer(MW_PHASE_WORKING);
        close(fd);
    }
}

static void take_jobs(void)
{
    no_alarm();
    answer(MW_PHASE_WORKING);
    receive_all(0);
}

static void peek_at_jobs(void)
{
    no_alarm();
    answer(MW_PHASE_WORKING);
    receive_all(MSG_PEEK);
}

static void answer_unasked(void)
{
    for (int i = 0; i < ROUNDS; i++)
        answer(MW_PHASE_WORKING);
}

static void change_flags(void)
{
    int jobs = find_jobs();
    fcntl(jobs, F_SETFL, O_NONBLOCK | O_ASYNC);
    fcntl(jobs, F_SETOWN, asker);
    fcntl(jobs, F_SETSIG, SIGKILL);
}

static void hang_idle(void)
{
    no_alarm();
    answer(MW_PHASE_WORKING);
    for (;;)
        usleep(1000);
}

static void hang_busy(void)
{
    no_alarm();
    for (;;) {
    }
}

/* Asks for room and never says that it filled it. */
static void never_file(void)
{
    unsigned char room[128];
    struct mw_error error = {0};
    struct mw_channel jobs = own_channel(MW_PHASE_WORKING);
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LARGE);
    no_alarm();
    mw_frame_put_number(&frame, 100000);
    mw_channel_send(&jobs, &frame, NULL, 0, &error);
    hang_busy();
}

/* Asks for room, does not read the answer, and ends: nothing that was sent to it is to look as if
 * it had not read its job, which another worker would get then, and another. */
static void leave_room_unread(void)
{
    unsigned char room[128];
    struct mw_error error = {0};
    struct mw_channel jobs = own_channel(MW_PHASE_WORKING);
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_LARGE);
    struct pollfd ready = {.fd = jobs.socket, .events = POLLIN};
    mw_frame_put_number(&frame, 100000);
    mw_channel_send(&jobs, &frame, NULL, 0, &error);
    poll(&ready, 1, TIME_MS);
}

static void leave_room_unread_and_hang(void)
{
    no_alarm();
    leave_room_unread();
    hang_busy();
}

/* What only the asking side may say. */
static void give_orders(void)
{
    for (uint64_t serial = 0; serial < 100; serial++) {
        unsigned char room[128];
        struct mw_error error = {0};
        struct mw_channel control = {find_jobs(), MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE};
        struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_END);
        mw_frame_put_number(&frame, serial);
        mw_channel_send(&control, &frame, NULL, 0, &error);
    }
}

static void fill_memory(void)
{
    for (size_t size = (size_t)1 << 30; size > 4096; size /= 2)
        for (char *bytes; (bytes = malloc(size));)
            memset(bytes, 1, size < 1 << 20 ? size : 1 << 20);
}

static void fill_descriptors(void)
{
    while (fcntl(0, F_DUPFD_CLOEXEC, 0) >= 0) {
    }
}

static void close_all(void)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        close(fd);
    hang_busy();
}

static void fork_more(void)
{
    for (int i = 0; i < 100; i++)
        syscall(SYS_fork);
}

static void signal_others(void)
{
    kill(asker, SIGKILL);
}

static void signal_by_thread(void)
{
    syscall(SYS_tgkill, asker, asker, SIGKILL);
}

static void die(void)
{
    abort();
}

static void answer_and_die(void)
{
    answer(MW_PHASE_WORKING);
}

static const struct {
    const char *name;
    void (*act)(void);
} acts[] = {
    {"takes jobs", take_jobs},
    {"looks at jobs and leaves them", peek_at_jobs},
    {"answers what it was not asked", answer_unasked},
    {"changes its socket's flags and owner", change_flags},
    {"answers, and hangs then", hang_idle},
    {"hangs", hang_busy},
    {"asks for room and never fills it", never_file},
    {"leaves the room it asked for, and ends", leave_room_unread},
    {"leaves the room it asked for, and hangs", leave_room_unread_and_hang},
    {"gives orders", give_orders},
    {"takes all memory it can get", fill_memory},
    {"takes all descriptors it can get", fill_descriptors},
    {"closes all that it has", close_all},
    {"forks", fork_more},
    {"sends signals", signal_others},
    {"sends signals to threads", signal_by_thread},
    {"dies", die},
    {"answers and dies", answer_and_die},
};

static int is_new(void *user, const char *address)
{
    unsigned number = 0;
    (void)user;
    if (strncmp(address, "slow@", 5) == 0)
        usleep(SLOW_US);
    if (sscanf(address, "act%u@", &number) == 1 && number < sizeof acts / sizeof *acts) {
        atomic_store(&told->pid, getpid());
        if (atomic_fetch_add(&told->tries, 1) >= MOST_TRIES)
            _exit(9); /* or it would never end */
        acts[number].act();
        atomic_store(&told->over, 1);
        _exit(9);
    }
    return 0;
}

/* --- the asking side --------------------------------------------------------------- */

struct victim {
    struct mw_pool *pool;
    unsigned number;
    unsigned wrong, missing;
    int64_t longest_us;
};

static struct mw_report *examine(struct mw_pool *pool, const char *from, const char *client,
                                 struct mw_error *error)
{
    char text[256];
    const struct mw_pool_wait wait = {.client = client};
    struct mw_memfile *file = mw_memfile_new("message", error);
    snprintf(text, sizeof text, "From: %s@example.com\nSubject: %s\n\nbody of %s\n", from, from,
             from);
    mw_memfile_append(file, mw_bytes_of(text), SIZE_MAX, error);
    mw_memfile_seal(file, error);
    struct mw_report *report = mw_pool_examine_waiting(pool, file, &wait, error);
    mw_memfile_free(file);
    return report;
}

static void *send_mails(void *user)
{
    struct victim *victim = user;
    for (unsigned i = 0; i < MAILS; i++) {
        char from[64], client[32];
        struct mw_error error = {0};
        snprintf(from, sizeof from, "victim-%u-%u", victim->number, i);
        snprintf(client, sizeof client, "192.0.%u.1", victim->number);
        int64_t start = mw_clock_us();
        struct mw_report *report = examine(victim->pool, from, client, &error);
        int64_t took = mw_clock_us() - start;
        victim->longest_us = took > victim->longest_us ? took : victim->longest_us;
        victim->missing += !report;
        victim->wrong += report && (!report->subject || strcmp(report->subject, from) != 0);
        if (!report)
            printf("# %s\n", error.text);
        mw_report_free(report);
    }
    return NULL;
}

static void *attack(void *user)
{
    const struct victim *attacker = user;
    char from[32];
    struct mw_error error = {0};
    snprintf(from, sizeof from, "act%u", attacker->number);
    mw_report_free(examine(attacker->pool, from, "203.0.113.9", &error));
    return NULL;
}

/* A worker that has ended is a zombie for a moment. */
static bool is_gone(pid_t pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    const char *state = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static bool goes(pid_t pid)
{
    int64_t late = mw_clock_us() + 20000000;
    while (!is_gone(pid))
        if (mw_clock_us() > late || usleep(5000) != 0)
            return false;
    return true;
}

static void test_act(struct mw_pool *pool, unsigned number)
{
    struct victim victims[VICTIMS] = {0}, attacker = {.pool = pool, .number = number};
    pthread_t threads[VICTIMS], other;
    unsigned wrong = 0, missing = 0;
    int64_t longest_us = 0;
    atomic_store(&told->pid, 0);
    atomic_store(&told->secrets, 0);
    atomic_store(&told->tries, 0);
    pthread_create(&other, NULL, attack, &attacker);
    for (unsigned i = 0; i < VICTIMS; i++) {
        victims[i] = (struct victim){.pool = pool, .number = i};
        pthread_create(&threads[i], NULL, send_mails, &victims[i]);
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        pthread_join(threads[i], NULL);
        wrong += victims[i].wrong;
        missing += victims[i].missing;
        longest_us = victims[i].longest_us > longest_us ? victims[i].longest_us : longest_us;
    }
    pthread_join(other, NULL);
    pid_t pid = atomic_load(&told->pid);
    printf("# a worker that %s: the longest wait of others was %lld ms\n", acts[number].name,
           (long long)longest_us / 1000);
    tap_ok(pid > 0 && wrong == 0 && missing == 0 && longest_us < LATE_US,
           "while a worker %s all mail of others is examined, each as its own", acts[number].name);
    tap_ok(atomic_load(&told->secrets) == 0, "... it has seen none of it");
    tap_ok(goes(pid), "... and is replaced");
    tap_is_number(atomic_load(&told->tries), 1, "... and no other worker got its message");
}

static void notice(void *user, bool bad, const char *text)
{
    (void)user;
    (void)bad;
    (void)text;
}

/* --- no attacker: just one client with much mail that takes long ------------------------- */

enum { FLOOD = 24 };

struct flood {
    struct mw_pool *pool;
    atomic_uint done;
};

static void *send_slow(void *user)
{
    struct flood *flood = user;
    struct mw_error error = {0};
    mw_report_free(examine(flood->pool, "slow", "203.0.113.7", &error));
    atomic_fetch_add(&flood->done, 1);
    return NULL;
}

static void test_flood(struct mw_pool *pool)
{
    struct flood flood = {.pool = pool};
    pthread_t threads[FLOOD];
    for (int i = 0; i < FLOOD; i++)
        pthread_create(&threads[i], NULL, send_slow, &flood);
    usleep(SLOW_US / 4); /* all workers that it can have it has */
    unsigned before = atomic_load(&flood.done);
    for (int i = 0; i < 3; i++) {
        struct mw_error error = {0};
        struct mw_report *report = examine(pool, "innocent", "192.0.2.1", &error);
        tap_ok(report != NULL, "mail of another client is examined beside a flood");
        mw_report_free(report);
    }
    unsigned meanwhile = atomic_load(&flood.done) - before;
    printf("# %u of %d slow mails were done meanwhile\n", meanwhile, FLOOD);
    tap_ok(meanwhile <= WORKERS, "... without waiting for the flood's turn");
    for (int i = 0; i < FLOOD; i++)
        pthread_join(threads[i], NULL);
    tap_is_number(atomic_load(&flood.done), FLOOD, "the flood is examined as well");
}

/* With a fresh worker for each message, or with one that goes on. One that goes on is given
 * the mail of others, as ever, and can read that. */
static void test_all(bool fresh)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    mw_pool_settings_default(&settings);
    settings.generation.workers = WORKERS;
    settings.generation.per_client = WORKERS - 1;
    settings.generation.recycle_messages = fresh ? 1 : 1000;
    settings.generation.sandbox.memory_max = (size_t)256 << 20;
    settings.generation.witness.limits.time_ms = TIME_MS;
    settings.generation.witness.sender_filter.is_new = is_new;
    settings.spare_workers = 1;
    settings.notice = notice;
    int before = open_files();
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (!tap_ok(pool != NULL, "a pool starts, %s",
                fresh ? "with a fresh worker for each message" : "with workers that go on"))
        printf("# %s\n", error.text);
    for (unsigned i = fresh ? 0 : 2; pool && i < sizeof acts / sizeof *acts; i++)
        test_act(pool, i);
    if (pool && !fresh)
        test_flood(pool);
    mw_pool_free(pool);
    tap_is_number(open_files(), before, "no descriptor is left over");
}

/* An answer that is on its way when the job comes: no worker that has not read a job knows what to
 * say to it. */
static void test_answer_before_job(void)
{
    int ends[2];
    bool spent;
    struct mw_error error = {0};
    const struct mw_job_wait wait = {.unread_ms = TIME_MS, .result_max = SIZE_MAX};
    struct mw_memfile *file = mw_memfile_new("message", &error);
    struct mw_report *report = mw_report_new();
    report->md5 = report->sha1 = report->sha256 = report->sha512 = "";
    mw_memfile_append(file, mw_bytes_of("Subject: of a victim\n\n"), SIZE_MAX, &error);
    if (!tap_ok(mw_memfile_seal(file, &error) == 0 && mw_channel_pair(ends, &error) == 0,
                "there is a channel"))
        return;
    struct mw_channel here = {ends[0], MW_CHANNEL_JOBS, true, MW_PHASE_IDLE};
    struct mw_channel there = {ends[1], MW_CHANNEL_JOBS, false, MW_PHASE_WORKING};
    mw_job_give(&here, MW_FRAME_JOB, file, &error);
    mw_job_answer(&there, report, false, &error);
    struct mw_report *answer = mw_job_await(&here, &wait, &spent, &error);
    tap_ok(!answer && error.code == MW_ERR_BUSY, "an answer to a job that was not read is none");
    mw_report_free(answer);
    mw_report_free(report);
    mw_memfile_free(file);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    asker = getpid();
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        return 2;
    test_answer_before_job();
    test_all(true);
    test_all(false);
    return tap_done();
}
