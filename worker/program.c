/* program: fork, confine, exec; read what it prints; end all of it. */
#include "worker/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "parsers/parse.h"
#include "worker/sandbox_exec.h"
#include "worker/scratch.h"

enum { SAID_MAX = 400, ARGUMENTS = 256, EXTENSION = 10, CHILDREN = 4096 };

/* One program under way. */
struct run {
    const struct mw_exec_program *program;
    const struct mw_exec_job *job;
    const struct mw_sandbox_settings *sandbox;
    struct mw_arena *arena;
    struct mw_exec_result *result;
    const char *folder, *input, *home; /* its folder; the file with the part; its own files */
    pid_t pid;
    int out, err, trouble; /* what it prints; why it could not be started */
    int watch;
    int64_t deadline_us;
    char *printed;
    size_t printed_size, printed_room;
    char said[SAID_MAX];
    size_t said_size;
    bool stopped; /* result->end is decided: it is being ended */
};

/* --- in the program's process --------------------------------------------------- */

_Noreturn static void give_up(const struct run *run, const char *text)
{
    ssize_t ignored = write(run->trouble, text, strlen(text));
    (void)ignored;
    _exit(127);
}

static char **list_of(const struct run *run, const struct mw_texts *texts, const char *first,
                      bool fill)
{
    char **list = mw_arena_alloc(run->arena, (ARGUMENTS + 2) * sizeof *list);
    size_t count = 0;
    if (first)
        list[count++] = mw_arena_dup(run->arena, first);
    for (size_t i = 0; i < texts->count && count < ARGUMENTS; i++) {
        const char *text = texts->items[i];
        if (fill)
            text = mw_exec_argument(run->arena, text, run->job, run->input);
        list[count++] = mw_arena_dup(run->arena, text);
    }
    return list;
}

static char **environment_of(const struct run *run)
{
    struct mw_texts all = {0};
    mw_texts_add(run->arena, &all, "PATH=/usr/local/bin:/usr/bin:/bin");
    mw_texts_add(run->arena, &all, "LC_ALL=C.UTF-8");
    mw_texts_add(run->arena, &all, mw_arena_printf(run->arena, "HOME=%s", run->home));
    mw_texts_add(run->arena, &all, mw_arena_printf(run->arena, "TMPDIR=%s", run->home));
    for (size_t i = 0; i < run->program->environment.count; i++)
        mw_texts_add(run->arena, &all, run->program->environment.items[i]);
    return list_of(run, &all, NULL, false);
}

static void set_streams(const struct run *run, int out, int err)
{
    const char *input = run->program->input == MW_EXEC_STDIN ? run->input : "/dev/null";
    int in = open(input, O_RDONLY);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0)
        give_up(run, "cannot set its streams");
}

static int keep_trouble(int trouble)
{
    enum { TROUBLE = 3 };
    if (trouble != TROUBLE) {
        dup2(trouble, TROUBLE);
        fcntl(TROUBLE, F_SETFD, FD_CLOEXEC);
    }
    close_range(TROUBLE + 1, ~0u, 0);
    return TROUBLE;
}

_Noreturn static void become_program(struct run *run, int out, int err)
{
    struct mw_error error = {0};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    set_streams(run, out, err);
    run->trouble = keep_trouble(run->trouble);
    char **arguments = list_of(run, &run->program->arguments, run->program->command, true);
    char **environment = environment_of(run);
    if (chdir(run->home) != 0)
        give_up(run, "cannot enter its folder");
    if (mw_sandbox_enter_program(run->sandbox, run->program, run->input, run->home, &error) != 0)
        give_up(run, error.text);
    execve(run->program->command, arguments, environment);
    give_up(run, strerror(errno));
}

/* --- beside it ---------------------------------------------------------------------- */

/* A number that was cut off, or of one that is gone, would be somebody else's. */
static bool is_own_child(pid_t pid)
{
    siginfo_t info;
    return pid > 1 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Ends each child this process has, or those in sessions that are not ours; false when there are
 * no children, or no list of them. */
static bool end_children(bool strays)
{
    char path[64], *line = NULL, *rest = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    bool found = file && getline(&line, &room, file) > 0;
    if (file)
        fclose(file);
    for (char *word = found ? strtok_r(line, " ", &rest) : NULL; word;
         word = strtok_r(NULL, " ", &rest)) {
        int pid = atoi(word);
        if (is_own_child(pid) && (!strays || getsid(pid) != getsid(0)))
            kill(pid, SIGKILL);
    }
    free(line);
    return found;
}

void mw_program_end_strays(void)
{
    end_children(true);
}

/* Ends all that it left behind: what it started has become our child. */
static void end_all(const struct run *run)
{
    kill(-run->pid, SIGKILL);
    for (int round = 0; round < CHILDREN; round++)
        if (waitpid(-1, NULL, end_children(false) ? 0 : WNOHANG) <= 0)
            return;
}

static void stop(struct run *run, enum mw_exec_end why)
{
    if (run->stopped)
        return;
    run->stopped = true;
    run->result->end = why;
    kill(-run->pid, SIGKILL);
    kill(run->pid, SIGKILL);
}

static void keep_printed(struct run *run, const char *bytes, size_t size)
{
    if (size > run->program->output_max - run->printed_size) {
        stop(run, MW_EXEC_TOO_MUCH);
        return;
    }
    if (run->printed_size + size > run->printed_room) {
        run->printed_room = (run->printed_size + size) * 2;
        char *larger = realloc(run->printed, run->printed_room);
        if (!larger)
            abort();
        run->printed = larger;
    }
    memcpy(run->printed + run->printed_size, bytes, size);
    run->printed_size += size;
}

static void keep_said(struct run *run, const char *bytes, size_t size)
{
    size_t room = sizeof run->said - 1 - run->said_size;
    memcpy(run->said + run->said_size, bytes, size < room ? size : room);
    run->said_size += size < room ? size : room;
}

/* Reads what is there; closes *fd at its end. */
static void hear(struct run *run, int *fd)
{
    char bytes[65536];
    ssize_t size = read(*fd, bytes, sizeof bytes);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (size <= 0) {
        close(*fd);
        *fd = -1;
    } else if (fd == &run->out) {
        keep_printed(run, bytes, (size_t)size);
    } else {
        keep_said(run, bytes, (size_t)size);
    }
}

/* Until it has closed its streams, or must be ended. */
static void listen_to(struct run *run)
{
    while ((run->out >= 0 || run->err >= 0) && !run->stopped) {
        struct pollfd events[] = {{.fd = run->out, .events = POLLIN},
                                  {.fd = run->err, .events = POLLIN},
                                  {.fd = run->watch, .events = 0}};
        int64_t left_ms = (run->deadline_us - mw_clock_us()) / 1000;
        int count =
            left_ms > 0 ? poll(events, 3, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) : 0;
        if (count == 0 || (count > 0 && events[2].revents))
            stop(run, MW_EXEC_TIMEOUT);
        if (count > 0 && events[0].revents)
            hear(run, &run->out);
        if (count > 0 && events[1].revents)
            hear(run, &run->err);
    }
}

/* Until it ends by itself, or its time is up: it may live on with closed streams. */
static int await_end(struct run *run)
{
    int status = 0;
    for (unsigned pause_us = 50;; pause_us = pause_us < 20000 ? pause_us * 2 : pause_us) {
        pid_t pid = waitpid(run->pid, &status, run->stopped ? 0 : WNOHANG);
        if (pid == run->pid || (pid < 0 && errno == ECHILD))
            return status;
        if (mw_clock_us() > run->deadline_us)
            stop(run, MW_EXEC_TIMEOUT);
        if (!run->stopped)
            usleep(pause_us);
    }
}

static void tell(struct run *run, int status)
{
    struct mw_exec_result *result = run->result;
    char trouble[256];
    ssize_t size = read(run->trouble, trouble, sizeof trouble - 1);
    run->said[run->said_size] = '\0';
    run->said[strcspn(run->said, "\r\n")] = '\0';
    result->said = mw_arena_dup(run->arena, run->said);
    if (size > 0) {
        trouble[size] = '\0';
        result->end = MW_EXEC_NOT_STARTED;
        result->said = mw_arena_dup(run->arena, trouble);
    } else if (!run->stopped) {
        result->end = WIFSIGNALED(status) ? MW_EXEC_SIGNALLED : MW_EXEC_EXITED;
        result->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    }
    result->output = (struct mw_bytes){(unsigned char *)run->printed, run->printed_size};
    if (run->printed)
        mw_arena_own(run->arena, free, run->printed);
}

/* The part as a file that only it can read, named so that its extension tells. */
static int write_input(struct run *run, struct mw_error *error)
{
    char extension[EXTENSION + 2] = "";
    const char *given = run->job->facts[MW_EXEC_EXTENSION];
    size_t length = strlen(given);
    bool plain = length > 0 && length <= EXTENSION;
    for (size_t i = 0; plain && i < length; i++)
        plain = isalnum((unsigned char)given[i]) != 0;
    if (plain)
        snprintf(extension, sizeof extension, ".%s", given);
    run->input = mw_arena_printf(run->arena, "%s/part%s", run->folder, extension);
    run->home = mw_arena_printf(run->arena, "%s/home", run->folder);
    if (mkdir(run->home, S_IRWXU) != 0)
        return mw_fail_errno(error, "cannot make the folder %s", run->home);
    int fd = open(run->input, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR);
    struct mw_bytes rest = run->job->data;
    while (fd >= 0 && rest.size > 0) {
        ssize_t n = write(fd, rest.data, rest.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        rest = mw_bytes_slice(rest, (size_t)n, rest.size);
    }
    if (fd < 0 || rest.size > 0)
        mw_fail_errno(error, "cannot write %s", run->input);
    if (fd >= 0)
        close(fd);
    if (error->code == 0 && mw_sandbox_give_folder(run->input, run->sandbox->user, error) == 0)
        mw_sandbox_give_folder(run->home, run->sandbox->user, error);
    return error->code;
}

static int start(struct run *run, struct mw_error *error)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    for (int i = 0; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) != 0)
            mw_fail_errno(error, "cannot run a program");
    run->pid = error->code == 0 ? fork() : -1;
    if (run->pid == 0) {
        run->trouble = pipes[2][1];
        become_program(run, pipes[0][1], pipes[1][1]);
    }
    if (run->pid < 0 && error->code == 0)
        mw_fail_errno(error, "cannot run a program");
    for (int i = 0; i < 3; i++) {
        close(pipes[i][1]);
        if (error->code != 0)
            close(pipes[i][0]);
    }
    run->out = pipes[0][0];
    run->err = pipes[1][0];
    run->trouble = pipes[2][0];
    return error->code;
}

int mw_program_run(const struct mw_exec_program *program, const struct mw_exec_job *job,
                   const struct mw_sandbox_settings *sandbox, const char *folder, int watch,
                   struct mw_arena *arena, struct mw_exec_result *result, struct mw_error *error)
{
    struct run run = {.program = program,
                      .job = job,
                      .sandbox = sandbox,
                      .arena = arena,
                      .result = result,
                      .folder = folder,
                      .watch = watch};
    unsigned time_ms = program->time_ms < job->time_ms ? program->time_ms : job->time_ms;
    *result = (struct mw_exec_result){.said = ""};
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (write_input(&run, error) == 0 && start(&run, error) == 0) {
        run.deadline_us = mw_clock_us() + (int64_t)time_ms * 1000;
        listen_to(&run);
        int status = await_end(&run);
        end_all(&run);
        tell(&run, status);
        close(run.trouble);
        if (run.out >= 0)
            close(run.out);
        if (run.err >= 0)
            close(run.err);
    }
    mw_scratch_empty(folder);
    return error->code;
}
