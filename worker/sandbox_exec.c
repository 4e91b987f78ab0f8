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
#include "worker/rights.h"
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
static int confine_reach(const struct rules *rules, bool network, struct mw_error *error)
{
    const struct mw_landlock_reach reach = {rules->items, rules->count, network};
    return mw_landlock_enter(&reach, error) < 0 ? error->code : 0;
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

static int load(scmp_filter_ctx filter, int result, const char *whose, struct mw_error *error)
{
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result == 0)
        return 0;
    errno = -result;
    return mw_fail_errno(error, "cannot confine %s's system calls", whose);
}

/* For a program, or NULL: for what starts programs. */
static int confine_calls(const struct mw_exec_program *program, struct mw_error *error)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return 0; /* as the generation has said */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int result = !filter   ? -ENOMEM
                 : program ? mw_sandbox_calls_of_program(filter, program->network)
                           : mw_sandbox_calls_of_runner(filter);
    return load(filter, result, program ? "a program" : "what starts programs", error);
}

int mw_sandbox_enter_runner(const struct mw_sandbox_settings *settings,
                            const struct mw_exec_programs *programs, struct mw_error *error)
{
    struct rules rules = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    mw_sandbox_first_to_go();
    if (settings->mode == MW_SANDBOX_OFF)
        return 0;
    /* Counted by user: only for one that is used for workers alone. */
    if (mw_rights_can_change_user() && limit(RLIMIT_NPROC, PROCESSES, error) != 0)
        return error->code;
    if (mw_sandbox_change_user(settings->user, error) != 0)
        return error->code;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return mw_fail_errno(error, "cannot forbid a worker new privileges");
    add_system(&rules);
    add(&rules, "/proc/self", MW_PATH_READ); /* to find what programs leave behind */
    add(&rules, settings->scratch, MW_PATH_WRITE);
    bool network = false;
    for (size_t i = 0; i < programs->count; i++) {
        add_program(&rules, &programs->items[i]);
        network = network || programs->items[i].network;
    }
    if (confine_reach(&rules, network, error) != 0)
        return error->code;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return confine_calls(NULL, error);
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
    if (confine_reach(&rules, program->network, error) != 0 || confine_calls(program, error) != 0)
        return error->code;
    /* Last: this process may be larger than the program is allowed to be. */
    return limit(RLIMIT_AS, program->memory_max, error);
}
