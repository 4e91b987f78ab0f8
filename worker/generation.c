/* generation: fork, confine, loop; and in the parent: reap, replace, end on request. */
#include "worker/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "parsers/parse.h"
#include "worker/reuse_table.h"
#include "worker/runner.h"
#include "worker/scratch.h"
#include "worker/verifier.h"
#include "worker/wire.h"
#include "worker/work.h"

/* ORPHANED: the signal by which the kernel tells that the asking side is gone. */
enum { MOST_WORKERS = 1024, LONGEST_PAUSE_MS = 5000, QUICK_DEATH_MS = 1000, ORPHANED = SIGUSR1 };
enum { VERIFIER_NICE = 10, QUESTION_FDS = 1 + MW_ANSWER_FDS };

/* A place for a worker, and for what runs programs for it. */
struct slot {
    pid_t worker, runner; /* 0: none */
    int64_t started_us;
    char *worker_folder, *runner_folder; /* of these processes alone; NULL: none */
};

struct generation {
    struct mw_generation_settings settings;
    struct mw_witness *witness;
    struct mw_arena *arena; /* as long as the process */
    struct mw_scratch *scratch;
    struct mw_runner helper; /* in a worker: its own */
    int jobs, control, signals;
    struct mw_reuse_table *reuse; /* NULL: none; workers have its mapping from us */
    struct slot slots[MOST_WORKERS];
    struct slot verifier;
    unsigned count;
    unsigned pause_ms; /* before the next worker is started, after quick deaths */
    uint64_t deaths;   /* of workers, but for those that ended in order */
    bool closing;      /* control is closed: no new workers */
};

static void say(const struct generation *generation, enum mw_wire_kind kind, int number,
                const char *text)
{
    struct mw_wire wire = {.kind = kind, .number = number, .flags = generation->deaths};
    struct mw_error ignored = {0};
    snprintf(wire.text, sizeof wire.text, "%s", text);
    mw_wire_send(generation->control, &wire, NULL, 0, &ignored);
}

/* --- in a worker or runner --------------------------------------------------------- */

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

/* Only standard streams and count descriptors stay open, as 3 and so on. */
static void keep_only(int *fds, unsigned count)
{
    enum { FIRST = 3 };
    /* First out of each other's way, then into place. */
    for (unsigned i = 0; i < count; i++)
        if (fds[i] < FIRST + (int)count)
            fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST + (int)count);
    for (unsigned i = 0; i < count; i++)
        fds[i] = dup3(fds[i], FIRST + (int)i, O_CLOEXEC);
    close_range(FIRST + count, ~0u, 0);
}

static void forget_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

/* A terminal can be read from and told more than text, a log file be cut: one who reads mail has
 * neither. Where to complain until it is confined; it stays so for debugging. */
static int leave_errors(const struct generation *generation)
{
    int complaints = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (generation->settings.sandbox.mode != MW_SANDBOX_OFF && !MW_UNDER_SANITIZER)
        dup2(STDOUT_FILENO, STDERR_FILENO);
    return complaints;
}

/* Confined, with what is open in fds; ends the process when it cannot be. */
static void confine(struct generation *generation, const struct slot *slot, int *fds,
                    unsigned count)
{
    struct mw_error error = {0};
    struct mw_texts missing = {0};
    struct mw_arena *arena = mw_arena_new();
    const struct mw_sender_filter *filter = &generation->settings.witness.sender_filter;
    struct mw_sandbox_settings sandbox = generation->settings.sandbox;
    sandbox.scratch = slot->worker_folder;
    sandbox.runner = slot->runner_folder != NULL;
    forget_signals();
    leave_streams();
    keep_only(fds, count);
    int complaints = leave_errors(generation);
    if (mw_witness_start(generation->witness, slot->worker_folder, &error) != 0 ||
        (filter->reopen && filter->reopen(filter->user, &error) != 0) ||
        mw_sandbox_enter(&sandbox, arena, &missing, &error) != 0) {
        dprintf(complaints, "worker: %s\n", error.text);
        _exit(2);
    }
    close(complaints);
    mw_arena_free(arena);
}

_Noreturn static void become_worker(struct generation *generation, const struct slot *slot,
                                    int helper)
{
    int fds[] = {generation->jobs, helper};
    unsigned count = helper >= 0 ? 2 : 1;
    confine(generation, slot, fds, count);
    generation->helper.socket = count > 1 ? fds[1] : -1;
    mw_witness_reuse(generation->witness, generation->reuse);
    mw_work(generation->witness, &generation->settings, count > 1 ? &generation->helper : NULL,
            fds[0]);
}

/* It has nothing but the one file and the socket for the one answer, and gives way to
 * who works on mail. */
_Noreturn static void become_verifier(struct generation *generation, int *fds)
{
    setpriority(PRIO_PROCESS, 0, VERIFIER_NICE);
    confine(generation, &generation->verifier, fds, QUESTION_FDS);
    mw_verifier_run(generation->witness, generation->settings.witness.limits.time_ms, fds[0],
                    fds + 1);
}

_Noreturn static void become_runner(const struct generation *generation, const struct slot *slot,
                                    int socket)
{
    struct mw_runner_settings settings = {.programs = &generation->settings.witness.scan.programs,
                                          .sandbox = generation->settings.sandbox};
    settings.sandbox.scratch = slot->runner_folder;
    forget_signals();
    leave_streams();
    keep_only(&socket, 1);
    mw_runner_serve(&settings, socket);
}

/* --- in the generation's own process ------------------------------------------------- */

static bool is_free(const struct slot *slot)
{
    return slot->worker == 0 && slot->runner == 0;
}

/* Folders of their own, where there are any; no process is given what another one left. */
static bool make_folders(struct generation *generation, struct slot *slot, bool runs_programs)
{
    struct mw_error error = {0};
    if (generation->scratch)
        slot->worker_folder = mw_scratch_folder(generation->scratch, "worker", &error);
    if (slot->worker_folder && runs_programs)
        slot->runner_folder = mw_scratch_folder(generation->scratch, "runner", &error);
    if (error.code != 0)
        fprintf(stderr, "worker: %s\n", error.text);
    return error.code == 0;
}

static void discard(char **folder)
{
    mw_scratch_discard(*folder);
    *folder = NULL;
}

static void start_worker(struct generation *generation, struct slot *slot)
{
    int ends[2] = {-1, -1};
    bool runs_programs = generation->settings.witness.scan.programs.count > 0;
    if (!make_folders(generation, slot, runs_programs)) {
        discard(&slot->worker_folder);
        generation->pause_ms = LONGEST_PAUSE_MS;
        return;
    }
    if (runs_programs) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0)
            slot->runner = fork();
        if (slot->runner == 0 && ends[1] >= 0)
            become_runner(generation, slot, ends[1]);
    }
    pid_t pid = slot->runner >= 0 ? fork() : -1;
    if (pid == 0)
        become_worker(generation, slot, ends[0]);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
    slot->worker = pid > 0 ? pid : 0;
    slot->runner = slot->runner > 0 ? slot->runner : 0;
    slot->started_us = mw_clock_us();
    if (slot->runner == 0)
        discard(&slot->runner_folder);
    if (slot->worker == 0) {
        discard(&slot->worker_folder);
        generation->pause_ms = LONGEST_PAUSE_MS;
    }
}

static void start_missing(struct generation *generation)
{
    for (unsigned i = 0; i < generation->count && !generation->closing; i++)
        if (is_free(&generation->slots[i]))
            start_worker(generation, &generation->slots[i]);
}

static bool has_workers(const struct generation *generation)
{
    for (unsigned i = 0; i < generation->count; i++)
        if (!is_free(&generation->slots[i]))
            return true;
    return generation->verifier.worker != 0;
}

static void bury_verifier(struct generation *generation)
{
    generation->verifier.worker = 0;
    discard(&generation->verifier.worker_folder);
}

/* One at a time: who asks for the next one wants nothing more from the last one. */
static void start_verifier(struct generation *generation, int *fds)
{
    int status = 0;
    if (generation->verifier.worker != 0) {
        kill(generation->verifier.worker, SIGKILL);
        while (waitpid(generation->verifier.worker, &status, 0) < 0 && errno == EINTR) {
        }
        bury_verifier(generation);
    }
    pid_t pid = make_folders(generation, &generation->verifier, false) ? fork() : -1;
    if (pid == 0)
        become_verifier(generation, fds);
    generation->verifier.worker = pid > 0 ? pid : 0;
    if (pid < 0)
        bury_verifier(generation);
}

/* Deaths soon after the start make the next one wait, longer each time. */
static void note_death(struct generation *generation, const struct slot *slot, int status)
{
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int64_t lived_ms = (mw_clock_us() - slot->started_us) / 1000;
    if (orderly || lived_ms > QUICK_DEATH_MS) {
        generation->pause_ms = 0;
    } else {
        unsigned longer = generation->pause_ms == 0 ? 10 : generation->pause_ms * 2;
        generation->pause_ms = longer < LONGEST_PAUSE_MS ? longer : LONGEST_PAUSE_MS;
    }
    if (orderly || generation->closing)
        return;
    generation->deaths++;
    say(generation, MW_WIRE_DIED, status, "");
}

static void bury(struct generation *generation, pid_t pid, int status)
{
    if (generation->verifier.worker == pid)
        bury_verifier(generation);
    for (unsigned i = 0; i < generation->count; i++) {
        struct slot *slot = &generation->slots[i];
        if (slot->worker == pid) {
            slot->worker = 0;
            discard(&slot->worker_folder);
            /* It has nobody to work for; were it left to see that itself, one that hangs would
             * keep the place for ever. */
            if (slot->runner > 0)
                kill(slot->runner, SIGKILL);
            note_death(generation, slot, status);
        } else if (slot->runner == pid) {
            slot->runner = 0;
            discard(&slot->runner_folder);
        }
    }
}

/* Nobody waits for a report any more. */
static void end_at_once(struct generation *generation)
{
    generation->closing = true;
    if (generation->verifier.worker > 0)
        kill(generation->verifier.worker, SIGKILL);
    for (unsigned i = 0; i < generation->count; i++)
        if (generation->slots[i].worker > 0)
            kill(generation->slots[i].worker, SIGKILL);
}

static void reap(struct generation *generation)
{
    struct signalfd_siginfo signal;
    while (read(generation->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo == ORPHANED)
            end_at_once(generation);
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        bury(generation, pid, status);
}

/* Only our own workers can be ended: the number is checked, not believed. */
static void end_worker(const struct generation *generation, pid_t pid)
{
    bool ours = generation->verifier.worker != 0 && generation->verifier.worker == pid;
    for (unsigned i = 0; i < generation->count; i++)
        ours = ours || (generation->slots[i].worker != 0 && generation->slots[i].worker == pid);
    if (ours)
        kill(pid, SIGKILL);
}

/* What the asking side wants. It may be gone. */
static void obey(struct generation *generation)
{
    struct mw_wire wire = {0};
    struct mw_error error = {0};
    int fds[MW_WIRE_FDS];
    size_t count = MW_WIRE_FDS;
    int result = mw_wire_receive_some(generation->control, &wire, fds, &count, -1, &error);
    if (result != 0) {
        generation->closing = generation->closing || result != MW_ERR_FORMAT;
        return;
    }
    if (wire.kind == MW_WIRE_VERIFY && count == QUESTION_FDS)
        start_verifier(generation, fds);
    if (wire.kind == MW_WIRE_KILL)
        end_worker(generation, wire.number);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* Tries the sandbox in a child of its own: its text goes to missing; false when
 * it cannot be entered. */
static bool probe_sandbox(const struct generation *generation, const char *folder, char *text,
                          size_t size)
{
    int ends[2];
    struct mw_sandbox_settings sandbox = generation->settings.sandbox;
    sandbox.scratch = folder;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts missing = {0};
        struct mw_arena *arena = mw_arena_new();
        int result = mw_sandbox_enter(&sandbox, arena, &missing, &error);
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

/* A place for folders, for what keeps files for a while: ClamAV, and programs. */
static int make_scratch(struct generation *generation, struct mw_error *error)
{
    const struct mw_scan_settings *scan = &generation->settings.witness.scan;
    const struct mw_sandbox_settings *sandbox = &generation->settings.sandbox;
    const char *user = sandbox->mode == MW_SANDBOX_OFF ? "root" : sandbox->user;
    if (scan->programs.count == 0 && !scan->clamav.database && !sandbox->scratch)
        return 0;
    generation->scratch = mw_scratch_new(sandbox->scratch, user, error);
    return error->code;
}

_Noreturn static void end(struct generation *generation, int status)
{
    /* Children that still remove what workers left. */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    mw_scratch_free(generation->scratch);
    _exit(status);
}

_Noreturn static void fail(struct generation *generation, const char *text)
{
    say(generation, MW_WIRE_FAILED, 0, text);
    end(generation, 1);
}

/* What became of loading: the engines, how many workers there are, warnings. */
static void say_ready(struct generation *generation, const char *missing)
{
    struct mw_error error = {0};
    const struct mw_texts *warnings = mw_witness_warnings(generation->witness);
    struct mw_wire wire = {
        .kind = MW_WIRE_READY,
        .number = (int)generation->count,
        .flags = generation->settings.witness.limits.time_ms,
    };
    size_t used = (size_t)snprintf(wire.text, sizeof wire.text, "%s", missing);
    for (size_t i = 0; i < warnings->count && used + 1 < sizeof wire.text; i++) {
        int length =
            snprintf(wire.text + used, sizeof wire.text - used, "%s\n", warnings->items[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    say(generation, MW_WIRE_ENGINES, 0, mw_witness_engines(generation->witness, generation->arena));
    if (mw_wire_send(generation->control, &wire, NULL, 0, &error) != 0)
        end(generation, 1);
}

static void load(struct generation *generation)
{
    struct mw_error error = {0};
    struct mw_generation_settings *settings = &generation->settings;
    char text[MW_WIRE_TEXT] = "";
    if (settings->load && settings->load(settings->user, settings, generation->arena, &error) != 0)
        fail(generation, error.text);
    unsigned workers = settings->workers;
    generation->count = workers < 1 ? 1 : workers > MOST_WORKERS ? MOST_WORKERS : workers;
    char *folder = NULL;
    if (make_scratch(generation, &error) != 0 ||
        (generation->scratch &&
         !(folder = mw_scratch_folder(generation->scratch, "probe", &error))))
        fail(generation, error.text);
    if (!probe_sandbox(generation, folder, text, sizeof text))
        fail(generation, text[0] ? text : "cannot enter the sandbox");
    mw_scratch_discard(folder);
    settings->witness.scan.runner = (struct mw_exec_runner){mw_runner_ask, &generation->helper};
    generation->witness = mw_witness_new(&settings->witness, &error);
    if (!generation->witness)
        fail(generation, error.text);
    say_ready(generation, text);
}

/* Workers finish what they have; nobody waits for what a verifier says. */
static void close_down(struct generation *generation)
{
    if (generation->verifier.worker > 0)
        kill(generation->verifier.worker, SIGKILL);
    if (generation->jobs >= 0)
        close(generation->jobs);
    generation->jobs = -1;
}

/* The table, to read; without it everything is scanned. */
static struct mw_reuse_table *open_table(int table)
{
    struct mw_error ignored = {0};
    return table >= 0 ? mw_reuse_table_open(table, &ignored) : NULL;
}

_Noreturn void mw_generation_run(const struct mw_generation_settings *settings, int jobs,
                                 int control, int table)
{
    struct generation *generation = calloc(1, sizeof *generation);
    sigset_t children;
    if (!generation)
        _exit(1);
    generation->reuse = open_table(table);
    generation->settings = *settings;
    generation->arena = mw_arena_new();
    generation->jobs = jobs;
    generation->control = control;
    /* Nobody may listen for long: what cannot be said is counted in what is said next. */
    fcntl(control, F_SETFL, O_NONBLOCK);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigaddset(&children, ORPHANED);
    sigprocmask(SIG_BLOCK, &children, NULL);
    prctl(PR_SET_PDEATHSIG, ORPHANED);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    load(generation);
    generation->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    start_missing(generation);
    while (!generation->closing || has_workers(generation)) {
        struct pollfd events[] = {{.fd = generation->signals, .events = POLLIN},
                                  {.fd = generation->closing ? -1 : control, .events = POLLIN}};
        /* A worker that died while its place had to wait is started after the pause. */
        poll(events, 2, generation->pause_ms > 0 ? (int)generation->pause_ms : -1);
        if (events[1].revents)
            obey(generation);
        if (generation->closing)
            close_down(generation);
        reap(generation);
        if (generation->pause_ms == 0 || !(events[0].revents & POLLIN))
            start_missing(generation);
    }
    end(generation, 0);
}
