/* crew: fork, confine, loop; and in the parent: reap, replace, end on request. */
#include "worker/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parsers/parse.h"
#include "worker/wire.h"

enum { MOST_WORKERS = 1024, LONGEST_PAUSE_MS = 5000, QUICK_DEATH_MS = 1000 };

struct crew {
    struct mw_crew_settings settings;
    struct mw_witness *witness;
    int jobs, control, signals;
    pid_t workers[MOST_WORKERS];
    int64_t started_us[MOST_WORKERS];
    unsigned count;
    unsigned pause_ms; /* before the next worker is started, after quick deaths */
    uint64_t deaths;   /* of workers, but for those that ended in order */
    bool closing;      /* control is closed: no new workers */
};

static void say(const struct crew *crew, enum mw_wire_kind kind, int number, const char *text)
{
    struct mw_wire wire = {.kind = kind, .number = number, .flags = crew->deaths};
    struct mw_error ignored = {0};
    snprintf(wire.text, sizeof wire.text, "%s", text);
    mw_wire_send(crew->control, &wire, NULL, 0, &ignored);
}

_Noreturn static void fail(const struct crew *crew, const char *text)
{
    say(crew, MW_WIRE_FAILED, 0, text);
    _exit(1);
}

/* --- in a worker ------------------------------------------------------------- */

static void set_alarm(unsigned milliseconds)
{
    struct itimerval timer = {
        .it_value = {milliseconds / 1000, (suseconds_t)(milliseconds % 1000) * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static long resident_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

/* Reads the message in file and answers on reply. */
static void do_job(struct crew *crew, struct mw_memfile *file, int reply)
{
    struct mw_error error = {0};
    struct mw_bytes raw = {0};
    struct mw_wire wire = {.kind = MW_WIRE_STARTED, .number = getpid()};
    if (mw_wire_send(reply, &wire, NULL, 0, &error) != 0 || mw_memfile_map(file, &raw, &error) != 0)
        return;
    struct mw_report *report = mw_witness_examine(crew->witness, raw);
    struct mw_memfile *result = mw_wire_pack(report, &error);
    wire.kind = MW_WIRE_RESULT;
    if (result) {
        int fd = mw_memfile_fd(result);
        mw_wire_send(reply, &wire, &fd, 1, &error);
    }
    mw_memfile_free(result);
    mw_report_free(report);
}

_Noreturn static void work(struct crew *crew)
{
    unsigned done = 0, time_ms = crew->settings.witness.limits.time_ms;
    long at_first = resident_kib();
    for (;;) {
        struct mw_wire wire = {0};
        struct mw_error error = {0};
        int fds[2];
        int result = mw_wire_receive(crew->jobs, &wire, fds, 2, -1, &error);
        if (result == MW_ERR_FORMAT)
            continue;
        if (result != 0)
            _exit(0);
        /* The kernel ends a worker that takes too long, whatever hangs in it. */
        if (time_ms > 0)
            set_alarm(time_ms + MW_CREW_GRACE_MS);
        struct mw_memfile *file = mw_memfile_receive(fds[0], SIZE_MAX, &error);
        if (file)
            do_job(crew, file, fds[1]);
        mw_memfile_free(file);
        close(fds[1]);
        set_alarm(0);
        done++;
        size_t growth = (size_t)(resident_kib() - at_first) * 1024;
        if ((crew->settings.recycle_messages > 0 && done >= crew->settings.recycle_messages) ||
            (crew->settings.recycle_growth > 0 && growth > crew->settings.recycle_growth))
            _exit(0);
    }
}

static void leave_streams(void)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0)
        return;
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    if (nowhere > STDERR_FILENO)
        close(nowhere);
}

/* Only standard streams and the jobs stay open. */
static int keep_only(int jobs)
{
    enum { JOBS = 3 };
    if (jobs != JOBS) {
        dup2(jobs, JOBS);
        fcntl(JOBS, F_SETFD, FD_CLOEXEC);
    }
    close_range(JOBS + 1, ~0u, 0);
    return JOBS;
}

_Noreturn static void become_worker(struct crew *crew)
{
    struct mw_error error = {0};
    struct mw_texts missing = {0};
    struct mw_arena *arena = mw_arena_new();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    leave_streams();
    crew->jobs = keep_only(crew->jobs);
    if (mw_sandbox_enter(&crew->settings.sandbox, arena, &missing, &error) != 0) {
        fprintf(stderr, "worker: %s\n", error.text);
        _exit(2);
    }
    mw_arena_free(arena);
    work(crew);
}

/* --- in the crew's own process ------------------------------------------------- */

static void start_worker(struct crew *crew, unsigned slot)
{
    pid_t pid = fork();
    if (pid == 0)
        become_worker(crew);
    crew->workers[slot] = pid > 0 ? pid : 0;
    crew->started_us[slot] = mw_parse_clock_us();
    if (pid < 0)
        crew->pause_ms = LONGEST_PAUSE_MS;
}

static void start_missing(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count && !crew->closing; i++)
        if (crew->workers[i] == 0)
            start_worker(crew, i);
}

static bool has_workers(const struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (crew->workers[i] != 0)
            return true;
    return false;
}

/* Deaths soon after the start make the next one wait, longer each time. */
static void note_death(struct crew *crew, unsigned slot, int status)
{
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int64_t lived_ms = (mw_parse_clock_us() - crew->started_us[slot]) / 1000;
    crew->workers[slot] = 0;
    if (orderly || lived_ms > QUICK_DEATH_MS) {
        crew->pause_ms = 0;
    } else {
        unsigned longer = crew->pause_ms == 0 ? 10 : crew->pause_ms * 2;
        crew->pause_ms = longer < LONGEST_PAUSE_MS ? longer : LONGEST_PAUSE_MS;
    }
    if (orderly || crew->closing)
        return;
    crew->deaths++;
    say(crew, MW_WIRE_DIED, status, "");
}

static void reap(struct crew *crew)
{
    struct signalfd_siginfo unused;
    while (read(crew->signals, &unused, sizeof unused) == (ssize_t)sizeof unused) {
    }
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < crew->count; i++)
            if (crew->workers[i] == pid)
                note_death(crew, i, status);
}

/* Only our own children can be ended: the number is checked, not believed. */
static void obey(struct crew *crew)
{
    struct mw_wire wire = {0};
    struct mw_error error = {0};
    int result = mw_wire_receive(crew->control, &wire, NULL, 0, -1, &error);
    if (result != 0 && result != MW_ERR_FORMAT) {
        crew->closing = true;
        return;
    }
    for (unsigned i = 0; result == 0 && wire.kind == MW_WIRE_KILL && i < crew->count; i++)
        if (crew->workers[i] != 0 && crew->workers[i] == wire.number)
            kill(crew->workers[i], SIGKILL);
}

/* Tries the sandbox in a child of its own: its text goes to missing; false when
 * it cannot be entered. */
static bool probe_sandbox(const struct crew *crew, char *text, size_t size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts missing = {0};
        struct mw_arena *arena = mw_arena_new();
        int result = mw_sandbox_enter(&crew->settings.sandbox, arena, &missing, &error);
        if (result != 0)
            mw_texts_add(arena, &missing, error.text);
        for (size_t i = 0; i < missing.count; i++)
            dprintf(ends[1], "%s\n", missing.items[i]);
        _exit(result != 0);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t n; got + 1 < size && (n = read(ends[0], text + got, size - got - 1)) > 0;)
        got += (size_t)n;
    text[got] = '\0';
    close(ends[0]);
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void load(struct crew *crew)
{
    struct mw_error error = {0};
    struct mw_arena *arena = mw_arena_new(); /* as long as the process */
    char text[MW_WIRE_TEXT] = "";
    if (crew->settings.load &&
        crew->settings.load(crew->settings.user, &crew->settings, arena, &error) != 0)
        fail(crew, error.text);
    unsigned workers = crew->settings.workers;
    crew->count = workers < 1 ? 1 : workers > MOST_WORKERS ? MOST_WORKERS : workers;
    if (!probe_sandbox(crew, text, sizeof text))
        fail(crew, text[0] ? text : "cannot enter the sandbox");
    crew->witness = mw_witness_new(&crew->settings.witness, &error);
    if (!crew->witness)
        fail(crew, error.text);
    const struct mw_texts *warnings = mw_witness_warnings(crew->witness);
    size_t used = strlen(text);
    for (size_t i = 0; i < warnings->count && used + 1 < sizeof text; i++) {
        int length = snprintf(text + used, sizeof text - used, "%s\n", warnings->items[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    struct mw_wire wire = {
        .kind = MW_WIRE_READY,
        .number = (int)crew->count,
        .flags = crew->settings.witness.limits.time_ms,
    };
    snprintf(wire.text, sizeof wire.text, "%s", text);
    if (mw_wire_send(crew->control, &wire, NULL, 0, &error) != 0)
        _exit(1);
}

_Noreturn void mw_crew_run(const struct mw_crew_settings *settings, int jobs, int control)
{
    struct crew *crew = calloc(1, sizeof *crew);
    sigset_t children;
    if (!crew)
        _exit(1);
    crew->settings = *settings;
    crew->jobs = jobs;
    crew->control = control;
    /* Nobody may listen for long: what cannot be said is counted in what is said next. */
    fcntl(control, F_SETFL, O_NONBLOCK);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    load(crew);
    sigprocmask(SIG_BLOCK, &children, NULL);
    crew->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    start_missing(crew);
    while (!crew->closing || has_workers(crew)) {
        struct pollfd events[] = {{.fd = crew->signals, .events = POLLIN},
                                  {.fd = crew->closing ? -1 : control, .events = POLLIN}};
        /* A worker that died while its place had to wait is started after the pause. */
        poll(events, 2, crew->pause_ms > 0 ? (int)crew->pause_ms : -1);
        if (events[1].revents)
            obey(crew);
        if (crew->closing && crew->jobs >= 0) {
            close(crew->jobs);
            crew->jobs = -1;
        }
        reap(crew);
        if (crew->pause_ms == 0 || !(events[0].revents & POLLIN))
            start_missing(crew);
    }
    _exit(0);
}
