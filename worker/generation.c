/* generation: load, then fork, end and bury as it is told. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "core/memfile.h"
#include "worker/frame.h"
#include "worker/program.h"
#include "worker/reuse_table.h"
#include "worker/runner.h"
#include "worker/sandbox_filter.h"
#include "worker/scratch.h"
#include "worker/share.h"
#include "worker/work.h"

/* ORPHANED: the signal by which the kernel tells that the asking side is gone. */
enum { MOST_WORKERS = 2048, ORPHANED = SIGUSR1, VERIFIER_NICE = 10 };

/* Status of a worker that could not be started, as waitpid gives it. */
enum { NOT_STARTED = 127 << 8 };

/* A worker, and what runs programs for it. */
struct slot {
    uint64_t serial;
    bool used, verifies;
    bool retired;                        /* to be ended, for no fault of its own */
    pid_t worker, runner;                /* 0: none */
    char *worker_folder, *runner_folder; /* of these processes alone; NULL: none */
};

struct generation {
    struct mw_generation_settings settings;
    struct mw_witness *witness;
    struct mw_arena *arena; /* as long as the process */
    struct mw_scratch *scratch;
    struct mw_sandbox_filter *filters[2]; /* without a runner, with one; NULL: not made */
    bool programs;                        /* workers have runners */
    struct mw_runner helper;              /* in a worker: its own */
    struct mw_channel control;
    int signals;
    struct mw_reuse_table *reuse; /* NULL: none; workers have its mapping from us */
    struct slot slots[MOST_WORKERS];
    unsigned slots_used; /* none is used from here on */
    uint64_t deaths;     /* of workers, but for those that ended in order */
    bool closing;        /* control is closed: no new workers */
};

/* What is said to nobody, or to one that does not listen, is counted in what is said next. */
static int say(struct generation *generation, const struct mw_frame_out *frame)
{
    struct mw_error ignored = {0};
    return mw_channel_send(&generation->control, frame, NULL, 0, &ignored);
}

static void say_died(struct generation *generation, const struct slot *slot, int status)
{
    unsigned char room[64];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_DIED);
    generation->deaths++;
    mw_frame_put_number(&frame, slot->serial);
    mw_frame_put_number(&frame, (unsigned)status);
    mw_frame_put_number(&frame, generation->deaths);
    say(generation, &frame);
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
    sandbox.filter = generation->filters[sandbox.runner];
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

/* It has its channel, and where there are programs a socket to its runner. A verifier has
 * neither that nor the table, and gives way to who works on mail. */
_Noreturn static void become_worker(struct generation *generation, const struct slot *slot,
                                    int socket, int helper)
{
    int fds[] = {socket, helper};
    unsigned count = helper >= 0 ? 2 : 1;
    if (slot->verifies)
        setpriority(PRIO_PROCESS, 0, VERIFIER_NICE);
    confine(generation, slot, fds, count);
    generation->helper =
        (struct mw_runner){{fds[count - 1], MW_CHANNEL_RUNNER, true, MW_PHASE_IDLE}, false};
    mw_witness_reuse(generation->witness, slot->verifies ? NULL : generation->reuse);
    struct mw_channel jobs = {fds[0], MW_CHANNEL_JOBS, false, MW_PHASE_IDLE};
    mw_work(generation->witness, &generation->settings, count > 1 ? &generation->helper : NULL,
            &jobs);
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

/* --- in the generation's own process: starting ----------------------------------------- */

static struct slot *slot_of(struct generation *generation, uint64_t serial)
{
    for (unsigned i = 0; i < generation->slots_used; i++)
        if (generation->slots[i].used && generation->slots[i].serial == serial)
            return &generation->slots[i];
    return NULL;
}

static struct slot *free_slot(struct generation *generation)
{
    for (unsigned i = 0; i < MOST_WORKERS; i++) {
        struct slot *slot = &generation->slots[i];
        if (slot->used)
            continue;
        if (i >= generation->slots_used)
            generation->slots_used = i + 1;
        return slot;
    }
    return NULL;
}

/* Folders of their own, where there are any; no process is given what another one left. */
static bool make_folders(struct generation *generation, struct slot *slot)
{
    struct mw_error error = {0};
    if (generation->scratch)
        slot->worker_folder = mw_scratch_folder(generation->scratch, "worker", &error);
    if (slot->worker_folder && generation->programs && !slot->verifies)
        slot->runner_folder = mw_scratch_folder(generation->scratch, "runner", &error);
    if (error.code != 0)
        fprintf(stderr, "worker: %s\n", error.text);
    return error.code == 0;
}

/* Both of its processes are gone. */
static void leave_slot(struct slot *slot)
{
    if (slot->worker != 0 || slot->runner != 0)
        return;
    mw_scratch_discard(slot->worker_folder);
    mw_scratch_discard(slot->runner_folder);
    *slot = (struct slot){0};
}

/* A runner first, where there is one: both ends of its socket are closed here. */
static bool fork_both(struct generation *generation, struct slot *slot, int socket)
{
    struct mw_error ignored = {0};
    int ends[2] = {-1, -1};
    if (slot->runner_folder) {
        slot->runner = mw_channel_pair(ends, &ignored) == 0 ? fork() : -1;
        if (slot->runner == 0)
            become_runner(generation, slot, ends[1]);
    }
    pid_t pid = slot->runner >= 0 ? fork() : -1;
    if (pid == 0)
        become_worker(generation, slot, socket, ends[0]);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
    slot->worker = pid > 0 ? pid : 0;
    slot->runner = slot->runner > 0 ? slot->runner : 0;
    return pid > 0;
}

/* One verifier at a time: who asks for the next one wants nothing more from the last one. */
static void end_verifier(struct generation *generation)
{
    for (unsigned i = 0; i < generation->slots_used; i++) {
        struct slot *slot = &generation->slots[i];
        if (!slot->used || !slot->verifies || slot->worker <= 0)
            continue;
        kill(slot->worker, SIGKILL);
        while (waitpid(slot->worker, NULL, 0) < 0 && errno == EINTR) {
        }
        slot->worker = 0;
        leave_slot(slot);
    }
}

/* The channel's end is closed here in every case: who has the other one sees it when there
 * is no worker. */
static void start(struct generation *generation, uint64_t serial, bool verifies, int socket)
{
    struct slot *slot = free_slot(generation);
    if (verifies)
        end_verifier(generation);
    if (!slot || slot_of(generation, serial))
        return;
    *slot = (struct slot){.serial = serial, .used = true, .verifies = verifies};
    if (make_folders(generation, slot) && fork_both(generation, slot, socket))
        return;
    if (slot->runner > 0)
        kill(slot->runner, SIGKILL);
    say_died(generation, slot, NOT_STARTED);
    leave_slot(slot);
}

/* --- ending and burying ---------------------------------------------------------------- */

static void end_worker(struct generation *generation, uint64_t serial, bool retired)
{
    struct slot *slot = slot_of(generation, serial);
    if (!slot || slot->worker <= 0)
        return;
    slot->retired = retired;
    kill(slot->worker, SIGKILL);
}

static void bury(struct generation *generation, pid_t pid, int status)
{
    for (unsigned i = 0; i < generation->slots_used; i++) {
        struct slot *slot = &generation->slots[i];
        if (!slot->used || (slot->worker != pid && slot->runner != pid))
            continue;
        if (slot->runner == pid) {
            slot->runner = 0;
        } else {
            slot->worker = 0;
            /* It has nobody to work for; were it left to see that itself, one that hangs would
             * keep the place for ever. */
            if (slot->runner > 0)
                kill(slot->runner, SIGKILL);
            bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!orderly && !generation->closing && !slot->verifies && !slot->retired)
                say_died(generation, slot, status);
        }
        leave_slot(slot);
        return;
    }
}

/* Nobody waits for a report any more. */
static void end_all(struct generation *generation)
{
    generation->closing = true;
    for (unsigned i = 0; i < generation->slots_used; i++) {
        const struct slot *slot = &generation->slots[i];
        if (slot->used && slot->worker > 0)
            kill(slot->worker, SIGKILL);
    }
}

static bool has_workers(const struct generation *generation)
{
    for (unsigned i = 0; i < generation->slots_used; i++)
        if (generation->slots[i].used)
            return true;
    return false;
}

static void reap(struct generation *generation)
{
    struct signalfd_siginfo signal;
    while (read(generation->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo == ORPHANED)
            end_all(generation);
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        bury(generation, pid, status);
        if (generation->programs)
            mw_program_end_strays();
    }
}

/* What the asking side wants. When it has closed the channel nobody waits for a worker. */
static void do_as_told(struct generation *generation)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_in frame;
    struct mw_error error = {0};
    int result = mw_channel_receive(&generation->control, &frame, room, sizeof room, 0, &error);
    if (result != 0) {
        if (result != MW_ERR_FORMAT && result != MW_ERR_TIMEOUT)
            end_all(generation);
        return;
    }
    uint64_t serial = mw_frame_take_number(&frame);
    bool retired = frame.kind == MW_FRAME_END && mw_frame_take_number(&frame) == 0;
    if (mw_frame_is_done(&frame)) {
        if (frame.kind == MW_FRAME_END)
            end_worker(generation, serial, retired);
        else
            start(generation, serial, frame.kind == MW_FRAME_VERIFY, frame.fds[0]);
    }
    mw_frame_close(&frame);
}

/* --- loading ------------------------------------------------------------------------------ */

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
    const char *user = sandbox->mode == MW_SANDBOX_OFF ? "" : sandbox->user;
    generation->programs = scan->programs.count > 0;
    if (!generation->programs && !scan->clamav.database && !sandbox->scratch)
        return 0;
    generation->scratch = mw_scratch_new(sandbox->scratch, user, error);
    return error->code;
}

/* Where they cannot be made each worker tries, and says why not. */
static void make_filters(struct generation *generation)
{
    struct mw_error ignored = {0};
    if (generation->settings.sandbox.mode == MW_SANDBOX_OFF)
        return;
    generation->filters[0] = mw_sandbox_filter_new(false, &ignored);
    if (generation->programs)
        generation->filters[1] = mw_sandbox_filter_new(true, &ignored);
}

_Noreturn static void end(struct generation *generation, int status)
{
    /* Children that still remove what workers left. */
    do
        mw_program_end_strays();
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
    mw_scratch_free(generation->scratch);
    _exit(status);
}

_Noreturn static void fail(struct generation *generation, const char *text)
{
    unsigned char room[MW_FRAME_MAX];
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_FAILED);
    mw_frame_put_text(&frame, text);
    say(generation, &frame);
    end(generation, 1);
}

/* What was loaded with reservations, a line each; what goes beyond a few KB is left out. */
static const char *warnings_of(const struct generation *generation, const char *missing)
{
    enum { MOST = 3000 };
    const struct mw_texts *warnings = mw_witness_warnings(generation->witness);
    const char *text = missing;
    for (size_t i = 0; i < warnings->count; i++) {
        const char *longer = mw_arena_printf(generation->arena, "%s%s\n", text, warnings->items[i]);
        if (strlen(longer) > MOST)
            break;
        text = longer;
    }
    return text;
}

static void say_ready(struct generation *generation, const char *missing)
{
    unsigned char room[MW_FRAME_MAX];
    const struct mw_generation_settings *settings = &generation->settings;
    struct mw_frame_out frame = mw_frame_begin(room, sizeof room, MW_FRAME_READY);
    const char *engines = mw_witness_engines(generation->witness, generation->arena);
    mw_frame_put_number(&frame, settings->workers);
    mw_frame_put_number(&frame, settings->per_client);
    mw_frame_put_number(&frame, settings->recycle_messages);
    mw_frame_put_number(&frame, settings->witness.limits.time_ms);
    mw_frame_put_text(&frame, warnings_of(generation, missing));
    mw_frame_put_text(&frame, frame.size + strlen(engines) + 64 < sizeof room ? engines : "[]");
    if (say(generation, &frame) != 0)
        end(generation, 1);
}

/* Changes the settings by what the asking side gave to read. */
static int read_source(struct generation *generation, int source, struct mw_error *error)
{
    struct mw_generation_settings *settings = &generation->settings;
    struct mw_memfile *file = source >= 0 ? mw_memfile_receive(source, SIZE_MAX, error) : NULL;
    struct mw_bytes bytes = {0};
    if (!settings->load || (source >= 0 && (!file || mw_memfile_map(file, &bytes, error) != 0)))
        return error->code;
    return settings->load(settings->user, bytes, settings, generation->arena, error);
}

static void load(struct generation *generation, int source)
{
    struct mw_error error = {0};
    struct mw_generation_settings *settings = &generation->settings;
    char text[1024] = "";
    if (read_source(generation, source, &error) != 0)
        fail(generation, error.text);
    if (settings->workers < 1)
        settings->workers = 1;
    if (settings->workers > MOST_WORKERS / 2)
        settings->workers = MOST_WORKERS / 2;
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
    make_filters(generation);
    mw_share_memory();
    say_ready(generation, text);
}

/* The table, to read; without it everything is scanned. */
static struct mw_reuse_table *open_table(int table)
{
    struct mw_error ignored = {0};
    return table >= 0 ? mw_reuse_table_open(table, &ignored) : NULL;
}

static int watch_children(void)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigaddset(&children, ORPHANED);
    sigprocmask(SIG_BLOCK, &children, NULL);
    prctl(PR_SET_PDEATHSIG, ORPHANED);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* for what programs leave behind */
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void mw_generation_run(const struct mw_generation_settings *settings,
                                 const struct mw_generation_start *start)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (!generation)
        _exit(1);
    generation->signals = watch_children();
    generation->reuse = open_table(start->table);
    generation->settings = *settings;
    generation->arena = mw_arena_new();
    generation->control =
        (struct mw_channel){start->control, MW_CHANNEL_CONTROL, false, MW_PHASE_LOADING};
    load(generation, start->source);
    while (!generation->closing || has_workers(generation)) {
        struct pollfd events[] = {
            {.fd = generation->signals, .events = POLLIN},
            {.fd = generation->closing ? -1 : start->control, .events = POLLIN}};
        poll(events, 2, -1);
        if (events[1].revents)
            do_as_told(generation);
        reap(generation);
    }
    end(generation, 0);
}
