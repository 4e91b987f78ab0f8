/* unit_sandbox: what a confined process tries and cannot do. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "worker/sandbox.h"

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
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static int signal_parent(void)
{
    return kill(getppid(), 0) == 0;
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
        struct mw_sandbox_settings settings = {MW_SANDBOX_BEST, NULL, scratch, (size_t)256 << 20};
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
        struct mw_sandbox_settings settings = {mode, NULL, scratch, 0};
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

int main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    printf("1..0 # SKIP the sandbox has no system call filter under a sanitizer\n");
    return 0;
#endif
    struct mw_error error = {0};
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
    tap_is_number(without_landlock(MW_SANDBOX_REQUIRED), 0,
                  "a required sandbox refuses to run where the kernel lacks a part of it");
    tap_is_number(without_landlock(MW_SANDBOX_BEST), 0,
                  "otherwise it runs with what there is, and tells what is missing");
    struct mw_sandbox_settings wrong = {MW_SANDBOX_BEST, "no-such-user", scratch, 0};
    if (geteuid() == 0)
        tap_ok(mw_sandbox_give_folder(scratch, wrong.user, &error) == MW_ERR_INPUT &&
                   strstr(error.text, "no-such-user"),
               "a user that does not exist is named");
    rmdir(scratch);
    return tap_done();
}
