/* sandbox_exec: the same means as sandbox.c, for processes that start others. */
#include "worker/sandbox_exec.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/landlock.h"
#include "worker/sandbox_private.h"

enum { OPEN_FILES = 256, PROCESSES = 512, MOST_PATHS = 256 };

/* What programs are made of. */
static const struct mw_path_rule system_paths[] = {
    {"/usr", MW_PATH_RUN},          {"/bin", MW_PATH_RUN},         {"/sbin", MW_PATH_RUN},
    {"/lib", MW_PATH_RUN},          {"/lib32", MW_PATH_RUN},       {"/lib64", MW_PATH_RUN},
    {"/opt", MW_PATH_RUN},          {"/etc", MW_PATH_READ},        {"/dev/zero", MW_PATH_READ},
    {"/dev/urandom", MW_PATH_READ}, {"/dev/random", MW_PATH_READ}, {"/dev/null", MW_PATH_WRITE},
};
enum { SYSTEM_PATHS = sizeof system_paths / sizeof *system_paths };

/* Rules being gathered. */
struct rules {
    struct mw_path_rule items[MOST_PATHS];
    size_t count;
};

static void add(struct rules *rules, const char *path, enum mw_path_rights rights)
{
    if (rules->count < MOST_PATHS)
        rules->items[rules->count++] = (struct mw_path_rule){path, rights};
}

static void add_program(struct rules *rules, const struct mw_exec_program *program)
{
    add(rules, program->command, MW_PATH_RUN);
    for (size_t i = 0; i < program->paths.count; i++)
        add(rules, program->paths.items[i], MW_PATH_RUN);
}

static void add_system(struct rules *rules)
{
    for (size_t i = 0; i < SYSTEM_PATHS; i++)
        add(rules, system_paths[i].path, system_paths[i].rights);
}

/* Where the kernel has no Landlock, the generation has said so already. */
static int confine_files(const struct rules *rules, struct mw_error *error)
{
    return mw_landlock_enter(rules->items, rules->count, error) < 0 ? error->code : 0;
}

static int limit(__rlimit_resource_t resource, size_t value, struct mw_error *error)
{
    struct rlimit wanted = {value, value}, now;
    if (getrlimit(resource, &now) == 0 && now.rlim_max < wanted.rlim_max)
        wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
    return setrlimit(resource, &wanted) == 0
               ? 0
               : mw_fail_errno(error, "cannot set a program's resource limits");
}

int mw_sandbox_enter_runner(const struct mw_sandbox_settings *settings,
                            const struct mw_exec_programs *programs, struct mw_error *error)
{
    struct rules rules = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (settings->mode == MW_SANDBOX_OFF)
        return 0;
    /* Counted by user: only for one that is used for workers alone. */
    if (geteuid() == 0 && limit(RLIMIT_NPROC, PROCESSES, error) != 0)
        return error->code;
    if (mw_sandbox_change_user(settings->user, error) != 0)
        return error->code;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return mw_fail_errno(error, "cannot forbid a worker new privileges");
    add_system(&rules);
    add(&rules, "/proc/self", MW_PATH_READ); /* to find what programs leave behind */
    add(&rules, settings->scratch, MW_PATH_WRITE);
    for (size_t i = 0; i < programs->count; i++)
        add_program(&rules, &programs->items[i]);
    return confine_files(&rules, error);
}

/* What programs need as little, beside what mw_sandbox_deny has. A worker is not let to make these
 * calls either: it may only what it is known to need. */
static const int denied[] = {
    SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam), SCMP_SYS(sched_setattr),
    SCMP_SYS(setpriority),        SCMP_SYS(ioprio_set),     SCMP_SYS(personality),
};

static int deny_sockets(scmp_filter_ctx filter, bool network)
{
    const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
    if (!network)
        return seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 0);
    /* All families but those of the Internet, and the kernel's for looking up routes. */
    struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_LT, AF_INET, 0);
    struct scmp_arg_cmp between = SCMP_A0(SCMP_CMP_GT, AF_INET6, 0);
    int result = seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, local);
    for (unsigned family = AF_INET + 1; family < AF_INET6 && result == 0; family++) {
        struct scmp_arg_cmp other = SCMP_A0(SCMP_CMP_EQ, family, 0);
        result = seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, other);
    }
    return result == 0 ? seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, between) : result;
}

static int add_rules(scmp_filter_ctx filter, const struct mw_exec_program *program)
{
    const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
    int result = mw_sandbox_deny(filter, eperm);
    if (result == 0)
        result = deny_sockets(filter, program->network);
    for (size_t i = 0; i < sizeof denied / sizeof *denied && result == 0; i++)
        result = seccomp_rule_add(filter, eperm, denied[i], 0);
    /* abort(3) raises a signal in itself; limits are its own to lower. */
    struct scmp_arg_cmp others = SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0);
    if (result == 0)
        result = seccomp_rule_add(filter, eperm, SCMP_SYS(tgkill), 1, others);
    struct scmp_arg_cmp elsewhere = SCMP_A0(SCMP_CMP_NE, 0, 0);
    if (result == 0)
        result = seccomp_rule_add(filter, eperm, SCMP_SYS(prlimit64), 1, elsewhere);
    return result;
}

static int confine_calls(const struct mw_exec_program *program, struct mw_error *error)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return 0; /* as the generation has said */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int result = filter ? add_rules(filter, program) : -ENOMEM;
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result == 0)
        return 0;
    errno = -result;
    return mw_fail_errno(error, "cannot confine a program's system calls");
}

int mw_sandbox_enter_program(const struct mw_sandbox_settings *settings,
                             const struct mw_exec_program *program, const char *input,
                             const char *home, struct mw_error *error)
{
    struct rules rules = {0};
    if (limit(RLIMIT_CORE, 0, error) != 0 || limit(RLIMIT_NOFILE, OPEN_FILES, error) != 0 ||
        limit(RLIMIT_FSIZE, program->memory_max, error) != 0 ||
        limit(RLIMIT_CPU, program->time_ms / 1000 + 1, error) != 0)
        return error->code;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (settings->mode == MW_SANDBOX_OFF)
        return limit(RLIMIT_AS, program->memory_max, error);
    if (mw_sandbox_change_user(settings->user, error) != 0)
        return error->code;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return mw_fail_errno(error, "cannot forbid a program new privileges");
    add_system(&rules);
    add_program(&rules, program);
    add(&rules, input, MW_PATH_READ);
    add(&rules, home, MW_PATH_WRITE);
    if (confine_files(&rules, error) != 0 || confine_calls(program, error) != 0)
        return error->code;
    /* Last: this process may be larger than the program is allowed to be. */
    return limit(RLIMIT_AS, program->memory_max, error);
}
