/* unit_sandbox: what a confined process tries and cannot do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "worker/landlock.h"
#include "worker/program.h"
#include "worker/sandbox.h"
#include "worker/sandbox_exec.h"

enum { MEMORY = 256 << 20 };

/* Made before: what a confined process has from those who started it. */
static int ends[2], memory_file;
static pid_t test;
static char scratch[] = "/tmp/unit_sandbox-XXXXXX";

/* Each returns 0 when it was denied in an orderly way. */
static int read_passwd(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static int write_tmp(void)
{
    return open("/tmp/unit_sandbox-outside", O_WRONLY | O_CREAT, 0600) >= 0;
}

static int read_proc(void)
{
    return open("/proc/self/maps", O_RDONLY) >= 0;
}

static int make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int make_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int run_program(void)
{
    char *arguments[] = {NULL};
    execv("/bin/true", arguments);
    return 1;
}

static int fork_child(void)
{
    return fork() >= 0;
}

static int trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, test, NULL, NULL) == 0;
}

static int signal_parent(void)
{
    return kill(test, 0) == 0;
}

static int run_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

static int become_root(void)
{
    return setresuid(0, 0, 0) == 0;
}

static int use_much_memory(void)
{
    return mmap(NULL, (size_t)512 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

/* What must go on working: 0 when it does. */
static int use_scratch(void)
{
    char path[64], text[4] = "";
    snprintf(path, sizeof path, "%s/file", scratch);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    bool good = fd >= 0 && write(fd, "abc", 3) == 3 && pread(fd, text, 3, 0) == 3 &&
                memcmp(text, "abc", 3) == 0 && unlink(path) == 0;
    return !good;
}

static int use_memfile(void)
{
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    return !(fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
}

/* --- a signal of its choice to another process, by a descriptor --- */

static int own_descriptor(void)
{
    return fcntl(ends[0], F_SETOWN, test) == 0;
}

static int own_descriptor_ex(void)
{
    struct f_owner_ex owner = {F_OWNER_PID, test};
    return fcntl(ends[0], F_SETOWN_EX, &owner) == 0;
}

static int choose_signal(void)
{
    return fcntl(ends[0], F_SETSIG, SIGKILL) == 0;
}

static int want_signal(void)
{
    return fcntl(ends[0], F_SETFL, O_ASYNC) == 0 || ioctl(ends[0], FIOASYNC, &(int){1}) == 0;
}

static int take_lease(void)
{
    return fcntl(memory_file, F_SETLEASE, F_RDLCK) == 0;
}

static int be_notified(void)
{
    return fcntl(memory_file, F_NOTIFY, DN_MODIFY) == 0;
}

/* --- what others have as well --- */

static int change_flags(void)
{
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static int peek(void)
{
    char byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    return recvmsg(ends[0], &message, MSG_PEEK) >= 0 || recv(ends[0], &byte, 1, MSG_PEEK) >= 0;
}

static int cut_file(void)
{
    return ftruncate(memory_file, 1) == 0 || truncate("/tmp", 0) == 0;
}

static int put_name(void)
{
    return symlink("/etc/passwd", "x") == 0 || link("/etc/passwd", "x") == 0;
}

/* --- memory that nobody counts --- */

static bool maps(int protection, int flags, int fd)
{
    return mmap(NULL, 4096, protection, flags, fd, 0) != MAP_FAILED;
}

static int share_memory(void)
{
    return maps(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1) ||
           maps(PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1) ||
           maps(PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, memory_file);
}

static int share_file(void)
{
    return maps(PROT_READ | PROT_WRITE, MAP_SHARED, memory_file);
}

static int share_file_later(void)
{
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory_file, 0);
    return map == MAP_FAILED || mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0;
}

static int grow_down(void)
{
    return maps(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
}

static int run_later(void)
{
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED || mprotect(map, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int merge_memory(void)
{
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED || madvise(map, 4096, MADV_MERGEABLE) == 0 ||
           madvise(map, 4096, MADV_HUGEPAGE) == 0;
}

static int write_far(void)
{
    signal(SIGXFSZ, SIG_IGN);
    return pwrite(memory_file, "x", 1, MEMORY) == 1;
}

static int huge_memory_file(void)
{
    return memfd_create("x", MFD_HUGETLB) >= 0;
}

static int raise_limits(void)
{
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_DATA, &none) == 0 || setrlimit(RLIMIT_CORE, &none) == 0;
}

/* --- files --- */

static int change_mode(void)
{
    return chmod(scratch, 0777) == 0 || fchmod(memory_file, 0777) == 0 ||
           fchmodat(AT_FDCWD, scratch, 0777, 0) == 0;
}

static int change_owner(void)
{
    return chown(scratch, getuid(), getgid()) == 0;
}

static int shut_folder(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/shut", scratch);
    return mkdir(path, 0) == 0 || syscall(SYS_umask, 0777) >= 0;
}

static int hold_path(void)
{
    return open("/etc/shadow", O_PATH) >= 0;
}

/* --- itself and others --- */

static int become_visible(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 || prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0;
}

static int limit_parent(void)
{
    struct rlimit none = {0, 0};
    return prlimit(test, RLIMIT_CPU, &none, NULL) == 0 ||
           prlimit(test, RLIMIT_CPU, NULL, &none) == 0;
}

static int slow_parent(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return setpriority(PRIO_PROCESS, (id_t)test, 19) == 0 ||
           sched_setaffinity(test, sizeof one, &one) == 0 ||
           sched_setscheduler(test, SCHED_IDLE, &(struct sched_param){0}) == 0;
}

static int set_timers(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGKILL};
    struct itimerval soon = {.it_value = {1, 0}};
    return syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0 ||
           setitimer(ITIMER_PROF, &soon, NULL) == 0;
}

/* Calls that one try each is enough for. */
#define CALLS(name, number, ...)                                                                   \
    static int name(void)                                                                          \
    {                                                                                              \
        return syscall(number, __VA_ARGS__) >= 0;                                                  \
    }
CALLS(make_uring, SYS_io_uring_setup, 1, NULL)
CALLS(handle_faults, SYS_userfaultfd, 1)
CALLS(secret_memory, 447, 0)
CALLS(open_pid, SYS_pidfd_open, test, 0)
CALLS(compare, SYS_kcmp, test, test, 0, 0, 0)
CALLS(read_memory, SYS_process_vm_readv, test, NULL, 0, NULL, 0, 0)
CALLS(use_keys, SYS_keyctl, 0, -3, 1)
CALLS(shared_segment, SYS_shmget, IPC_PRIVATE, 4096, 0600)
CALLS(add_filter, SYS_seccomp, 2, 0, NULL)
CALLS(watch, SYS_inotify_add_watch, ends[0], "/tmp", IN_CREATE)
CALLS(open_handle, SYS_open_by_handle_at, AT_FDCWD, NULL, 0)
CALLS(remap, SYS_remap_file_pages, NULL, 4096, 0, 0, 0)

enum outcome { DENIED, KILLED, WORKS };

static const struct {
    int (*attempt)(void);
    enum outcome outcome;
    const char *promise;
} attempts[] = {
    {read_passwd, DENIED, "a file elsewhere cannot be read"},
    {write_tmp, DENIED, "a file elsewhere cannot be made"},
    {read_proc, DENIED, "/proc cannot be read"},
    {make_socket, KILLED, "a socket kills"},
    {make_unix_socket, KILLED, "a local socket kills"},
    {run_program, KILLED, "exec kills"},
    {fork_child, KILLED, "fork kills"},
    {trace_parent, KILLED, "ptrace kills"},
    {signal_parent, KILLED, "a signal to another process kills"},
    {become_root, KILLED, "changing the user kills"},
    {run_memory, DENIED, "memory that can be written and run is denied"},
    {use_much_memory, DENIED, "memory beyond the bound is denied"},
    {own_descriptor, KILLED, "giving a descriptor's signals to another process kills"},
    {own_descriptor_ex, KILLED, "... in the other form, too"},
    {choose_signal, KILLED, "choosing the signal of a descriptor kills"},
    {want_signal, DENIED, "no descriptor signals"},
    {take_lease, KILLED, "a lease, which signals, kills"},
    {be_notified, KILLED, "being told of changes by a signal kills"},
    {change_flags, DENIED, "flags of a socket that others have cannot be changed"},
    {peek, DENIED, "what comes by a socket cannot be looked at and left there"},
    {cut_file, DENIED, "a file that another process reads cannot be given another size"},
    {put_name, DENIED, "links cannot be made"},
    {share_memory, DENIED, "shared memory, which no bound counts, is denied"},
    {share_file, DENIED, "... so is a memory file mapped for writing"},
    {share_file_later, DENIED, "... and one that becomes so later"},
    {grow_down, DENIED, "another stack, which no bound counts, is denied"},
    {run_later, DENIED, "memory that was written cannot be run"},
    {merge_memory, DENIED, "memory is not merged with what others have"},
    {write_far, DENIED, "a file cannot be larger than memory"},
    {huge_memory_file, DENIED, "memory files of huge pages are denied"},
    {raise_limits, DENIED, "limits cannot be raised"},
    {change_mode, DENIED, "modes of files cannot be changed"},
    {change_owner, KILLED, "changing the owner of a file kills"},
    {shut_folder, DENIED, "a folder that cannot be entered cannot be made"},
    {hold_path, DENIED, "paths elsewhere cannot be held"},
    {become_visible, DENIED, "it stays undumpable, and dies with its parent"},
    {limit_parent, DENIED, "the limits of others are out of reach"},
    {slow_parent, DENIED, "... so are their priority, processors and scheduling"},
    {set_timers, DENIED, "there is no timer but its alarm"},
    {make_uring, KILLED, "io_uring kills"},
    {handle_faults, KILLED, "userfaultfd kills"},
    {secret_memory, KILLED, "secret memory kills"},
    {open_pid, KILLED, "a descriptor of another process kills"},
    {compare, KILLED, "comparing processes kills"},
    {read_memory, KILLED, "reading another process's memory kills"},
    {use_keys, KILLED, "keyrings kill"},
    {shared_segment, KILLED, "a shared segment, which outlives its maker, kills"},
    {add_filter, DENIED, "the filter cannot be followed by another one"},
    {watch, KILLED, "watching folders kills"},
    {open_handle, KILLED, "opening files without their path kills"},
    {remap, KILLED, "mapping pages of a file in another order kills"},
    {use_scratch, WORKS, "the scratch folder can be used"},
    {use_memfile, WORKS, "memory files can be made and sealed"},
};

static int confined(int (*attempt)(void), bool *missing)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts texts = {0};
        struct mw_sandbox_settings settings = {
            .mode = MW_SANDBOX_BEST, .scratch = scratch, .memory_max = MEMORY, .runner = true};
        if (mw_sandbox_enter(&settings, mw_arena_new(), &texts, &error) != 0) {
            printf("# %s\n", error.text);
            _exit(99);
        }
        if (texts.count > 0)
            _exit(77);
        _exit(attempt());
    }
    waitpid(pid, &status, 0);
    *missing = WIFEXITED(status) && WEXITSTATUS(status) == 77;
    return status;
}

/* --- without a runner beside it --- */

static bool makes_memory_file(bool runner)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts texts = {0};
        struct mw_sandbox_settings settings = {.runner = runner, .mode = MW_SANDBOX_BEST};
        if (mw_sandbox_enter(&settings, mw_arena_new(), &texts, &error) != 0)
            _exit(99);
        _exit(use_memfile());
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

/* --- when memory is short --- */

static int oom_score(const char *pid)
{
    char path[64];
    int score = -1;
    snprintf(path, sizeof path, "/proc/%s/oom_score_adj", pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%d", &score) != 1)
        score = -1;
    if (file)
        fclose(file);
    return score;
}

static void test_first_to_go(void)
{
    int ready[2];
    char pid_text[16], byte;
    struct mw_error error = {0};
    struct mw_texts texts = {0};
    struct mw_sandbox_settings settings = {.mode = MW_SANDBOX_BEST};
    if (pipe(ready) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        mw_sandbox_enter(&settings, mw_arena_new(), &texts, &error);
        byte = write(ready[1], "", 1) == 1;
        for (;;)
            poll(NULL, 0, -1);
    }
    close(ready[1]);
    snprintf(pid_text, sizeof pid_text, "%d", (int)pid);
    bool entered = read(ready[0], &byte, 1) == 1;
    tap_ok(entered && oom_score(pid_text) == 1000, "when memory is short it is the first to go");
    tap_ok(oom_score("self") < 1000, "... and not who started it");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
}

/* --- Landlock alone: what holds where a filter lets a call pass --- */

static int signal_test(void)
{
    return kill(test, 0) == 0;
}

static int reach_abstract(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0unit_sandbox"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&name,
                   offsetof(struct sockaddr_un, sun_path) + sizeof "\0unit_sandbox" - 1) == 0;
}

/* A port nobody has refuses the connection; it must not come to that. */
static int reach_port(void)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return !(connect(fd, (struct sockaddr *)&name, sizeof name) != 0 && errno == EACCES);
}

static int cut_elsewhere(void)
{
    return truncate("/proc/self/comm", 0) == 0 || errno != EACCES;
}

static int control_device(void)
{
    int size, fd = open("/dev/null", O_RDWR);
    return fd < 0 || ioctl(fd, TIOCOUTQ, &size) == 0 || errno != EACCES;
}

static int move_out(void)
{
    char from[64], to[64];
    snprintf(from, sizeof from, "%s/file", scratch);
    snprintf(to, sizeof to, "%s-file", scratch);
    int fd = open(from, O_WRONLY | O_CREAT, 0600);
    close(fd);
    bool moved = rename(from, to) == 0 || link(from, to) == 0;
    unlink(moved ? to : from);
    return fd < 0 || moved;
}

static const struct {
    int version;
    int (*attempt)(void);
    const char *promise;
} landlock_attempts[] = {
    {1, move_out, "a file cannot be moved out of the folder"},
    {3, cut_elsewhere, "a file elsewhere cannot be cut"},
    {4, reach_port, "TCP ports cannot be connected to"},
    {5, control_device, "a device that may be written to takes no commands"},
    {6, signal_test, "processes outside cannot be sent signals"},
    {6, reach_abstract, "abstract sockets made outside cannot be connected to"},
};

static int under_landlock(int (*attempt)(void))
{
    const struct mw_path_rule rules[] = {{scratch, MW_PATH_WRITE}, {"/dev/null", MW_PATH_WRITE}};
    const struct mw_landlock_reach reach = {.paths = rules, .count = 2};
    struct mw_error error = {0};
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(mw_landlock_enter(&reach, &error) != 0 ? 99 : attempt());
    }
    waitpid(pid, &status, 0);
    return status;
}

static void test_landlock(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0unit_sandbox"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bool listening =
        bind(listener, (struct sockaddr *)&name,
             offsetof(struct sockaddr_un, sun_path) + sizeof "\0unit_sandbox" - 1) == 0 &&
        listen(listener, 1) == 0;
    tap_ok(listening && reach_abstract() == 1, "an abstract socket can be reached");
    for (size_t i = 0; i < sizeof landlock_attempts / sizeof *landlock_attempts; i++)
        if (mw_landlock_version() < landlock_attempts[i].version)
            printf("ok %u # SKIP this kernel has no Landlock %d\n", ++tap_count,
                   landlock_attempts[i].version);
        else
            tap_is_number(under_landlock(landlock_attempts[i].attempt), 0,
                          landlock_attempts[i].promise);
    close(listener);
}

/* --- programs: what they try fails, and does not kill --- */

static int own_by_ioctl(void)
{
    return ioctl(ends[0], FIOSETOWN, &test) == 0 || ioctl(ends[0], SIOCSPGRP, &test) == 0;
}

static const struct {
    int (*attempt)(void);
    const char *promise;
} program_attempts[] = {
    {signal_test, "a program cannot signal others"},
    {own_descriptor, "... nor by a descriptor"},
    {own_descriptor_ex, "... in either form"},
    {choose_signal, "... nor choose the signal"},
    {own_by_ioctl, "... nor by ioctl"},
    {take_lease, "... nor by a lease"},
    {be_notified, "... nor by a notice of changes"},
    {slow_parent, "a program cannot change the priority, processors and scheduling of others"},
    {limit_parent, "... nor their limits"},
    {shared_segment, "a program leaves no shared segment behind"},
    {trace_parent, "a program cannot trace others"},
    {read_memory, "... nor read their memory"},
    {open_pid, "... nor take a descriptor of them"},
    {watch, "a program cannot watch folders"},
    {make_uring, "a program has no io_uring"},
    {read_passwd, "a program reads /etc"},
};

static int as_program(int (*attempt)(void))
{
    const struct mw_exec_program program = {
        .command = "/bin/true", .memory_max = MEMORY, .time_ms = 5000, .output_max = 100};
    const struct mw_sandbox_settings settings = {.mode = MW_SANDBOX_BEST};
    struct mw_error error = {0};
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(mw_sandbox_enter_program(&settings, &program, scratch, scratch, &error) != 0
                  ? 99
                  : attempt());
    waitpid(pid, &status, 0);
    return status;
}

static void test_programs(void)
{
    for (size_t i = 0; i < sizeof program_attempts / sizeof *program_attempts; i++) {
        int wanted = program_attempts[i].attempt == read_passwd ? 1 << 8 : 0;
        tap_is_number(as_program(program_attempts[i].attempt), wanted, program_attempts[i].promise);
    }
}

/* A kernel without Landlock, as far as a process can tell. */
static bool hide_landlock(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool good = filter && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                           SCMP_SYS(landlock_create_ruleset), 0) == 0;
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

/* Enters the sandbox where there is no Landlock: 0 as wanted. */
static int without_landlock(enum mw_sandbox_mode mode)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts texts = {0};
        struct mw_sandbox_settings settings = {.mode = mode, .scratch = scratch};
        int result = hide_landlock() ? mw_sandbox_enter(&settings, mw_arena_new(), &texts, &error)
                                     : MW_ERR_INTERNAL;
        bool told = texts.count > 0 && strstr(texts.items[0], "no Landlock");
        bool named = strstr(error.text, "the sandbox is required, but") != NULL;
        bool good =
            mode == MW_SANDBOX_REQUIRED ? result == MW_ERR_MISSING && named : result == 0 && told;
        _exit(good ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return status;
}

/* In a process of its own. A list of them that is cut off ends with a number of anybody's. */
static int end_many_strays(void)
{
    enum { STRAYS = 600 };
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (int i = 0; i < STRAYS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setsid();
            for (;;)
                pause();
        }
        if (pid < 0)
            return 2;
        while (getsid(pid) == getsid(0))
            usleep(100);
    }
    mw_program_end_strays();
    int ended = 0, status;
    for (int i = 0; i < 5000 && ended < STRAYS; i++) {
        if (waitpid(-1, &status, WNOHANG) > 0)
            ended++;
        else
            usleep(1000);
    }
    return ended == STRAYS ? 0 : 1;
}

static void test_strays(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(end_many_strays());
    waitpid(pid, &status, 0);
    tap_is_number(status, 0, "however many a program left behind, all of them are ended");
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    printf("1..0 # SKIP the sandbox has no system call filter under a sanitizer\n");
    return 0;
#endif
    struct mw_error error = {0};
    test = getpid();
    memory_file = memfd_create("shared", 0);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0 || write(ends[1], "x", 1) != 1 ||
        ftruncate(memory_file, 4096) != 0)
        return 2;
    if (!mkdtemp(scratch) || mw_sandbox_give_folder(scratch, NULL, &error) != 0)
        return 2;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        bool missing;
        int status = confined(attempts[i].attempt, &missing);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (missing)
            printf("ok %u # SKIP this kernel lacks Landlock or seccomp\n", ++tap_count);
        else
            tap_ok(attempts[i].outcome == KILLED ? killed : orderly, "%s", attempts[i].promise);
    }
    tap_ok(makes_memory_file(true) && !makes_memory_file(false),
           "memory files can be made only where there is a runner to be given them");
    test_first_to_go();
    test_landlock();
    test_programs();
    test_strays();
    tap_is_number(without_landlock(MW_SANDBOX_REQUIRED), 0,
                  "a required sandbox refuses to run where the kernel lacks a part of it");
    tap_is_number(without_landlock(MW_SANDBOX_BEST), 0,
                  "otherwise it runs with what there is, and tells what is missing");
    struct mw_sandbox_settings wrong = {.user = "no-such-user"};
    if (geteuid() == 0)
        tap_ok(mw_sandbox_give_folder(scratch, wrong.user, &error) == MW_ERR_INPUT &&
                   strstr(error.text, "no-such-user"),
               "a user that does not exist is named");
    rmdir(scratch);
    return tap_done();
}
