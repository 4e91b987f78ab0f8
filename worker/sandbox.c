/* sandbox: rlimits, setresuid(2), landlock(7), seccomp(2). */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/landlock.h"
#include "worker/sandbox_private.h"

/* Files a scan may have open, and bytes it may write to one. */
enum { OPEN_FILES = 256 };
static const rlim_t file_size = (rlim_t)2 << 30;

static int set_limits(const struct mw_sandbox_settings *settings, struct mw_error *error)
{
    const struct {
        __rlimit_resource_t resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, OPEN_FILES},
        {RLIMIT_FSIZE, file_size},
        {RLIMIT_DATA, settings->memory_max > 0 ? settings->memory_max : RLIM_INFINITY},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (MW_UNDER_SANITIZER && limits[i].resource == RLIMIT_DATA)
            continue; /* the sanitizer's own memory would count */
        struct rlimit limit = {limits[i].value, limits[i].value}, now;
        /* A bound that is already lower stays: it cannot be raised. */
        if (getrlimit(limits[i].resource, &now) == 0 && now.rlim_max < limit.rlim_max)
            limit.rlim_cur = limit.rlim_max = now.rlim_max;
        if (setrlimit(limits[i].resource, &limit) != 0)
            return mw_fail_errno(error, "cannot set the resource limits of a worker");
    }
    return 0;
}

int mw_sandbox_change_user(const char *name, struct mw_error *error)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *user = getpwnam(name ? name : "nobody");
    if (!user)
        return mw_fail(error, MW_ERR_INPUT, "the user %s for workers does not exist", name);
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return mw_fail_errno(error, "cannot become the user %s", name);
    return 0;
}

int mw_sandbox_give_folder(const char *folder, const char *user, struct mw_error *error)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *owner = getpwnam(user ? user : "nobody");
    if (!owner)
        return mw_fail(error, MW_ERR_INPUT, "the user %s for workers does not exist", user);
    if (chown(folder, owner->pw_uid, owner->pw_gid) != 0)
        return mw_fail_errno(error, "cannot give the folder %s to %s", folder, owner->pw_name);
    return 0;
}

/* What scanning needs. Files it opens are those that Landlock lets it open. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(lseek),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_yield),
    SCMP_SYS(futex),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(rename),
    SCMP_SYS(getdents64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getrandom),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(setitimer),
    SCMP_SYS(umask),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(membarrier),
};

/* What only a process that was taken over would do, beside what mw_sandbox_deny has: it dies
 * at once. */
static const int deadly[] = {
    SCMP_SYS(socket),   SCMP_SYS(socketpair), SCMP_SYS(connect),   SCMP_SYS(bind),
    SCMP_SYS(listen),   SCMP_SYS(accept),     SCMP_SYS(accept4),   SCMP_SYS(execve),
    SCMP_SYS(execveat), SCMP_SYS(fork),       SCMP_SYS(vfork),     SCMP_SYS(clone),
    SCMP_SYS(clone3),   SCMP_SYS(setuid),     SCMP_SYS(setresuid),
};

static int add_rules(scmp_filter_ctx filter)
{
    int result = mw_sandbox_deny(filter, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        result |= seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    /* Memory that is both written and run is how an attack goes on. */
    struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
    /* abort(3) raises a signal in itself. */
    struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
    struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, 0, 0);
    result |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, own);
    return result;
}

/* 1 when the kernel has no seccomp filters. */
static int confine_calls(struct mw_error *error)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return 1;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int result = filter ? add_rules(filter) : -ENOMEM;
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result == 0)
        return 0;
    errno = -result;
    return mw_fail_errno(error, "cannot confine a worker's system calls");
}

const char mw_sandbox_no_landlock[] =
    "this kernel has no Landlock: files are guarded by the user workers run as only";
const char mw_sandbox_no_seccomp[] =
    "this kernel has no seccomp filters: any system call can be made";

int mw_sandbox_missing(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                       struct mw_texts *missing, const char *what, struct mw_error *error)
{
    mw_texts_add(arena, missing, what);
    if (settings->mode == MW_SANDBOX_REQUIRED)
        return mw_fail(error, MW_ERR_MISSING, "the sandbox is required, but %s", what);
    return 0;
}

static int confine_files(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                         struct mw_texts *missing, struct mw_error *error)
{
    const struct mw_path_rule rule = {settings->scratch, MW_PATH_WRITE};
    int result = mw_landlock_enter(&rule, settings->scratch ? 1 : 0, error);
    return result > 0 ? mw_sandbox_missing(settings, arena, missing, mw_sandbox_no_landlock, error)
                      : result;
}

int mw_sandbox_enter(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                     struct mw_texts *missing, struct mw_error *error)
{
    if (settings->mode == MW_SANDBOX_OFF)
        return 0;
    if (set_limits(settings, error) != 0 || mw_sandbox_change_user(settings->user, error) != 0)
        return error->code;
    /* Changing the user undid it, if it was asked for before. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return mw_fail_errno(error, "cannot forbid a worker new privileges");
    if (confine_files(settings, arena, missing, error) != 0)
        return error->code;
    if (MW_UNDER_SANITIZER)
        return 0; /* its runtime makes calls at exit that the filter forbids */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int calls = confine_calls(error);
    if (calls > 0)
        return mw_sandbox_missing(settings, arena, missing, mw_sandbox_no_seccomp, error);
    return calls;
}
