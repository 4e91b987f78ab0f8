/* sandbox: rlimits, setresuid(2), landlock(7), seccomp(2). */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/landlock.h"
#include "worker/rights.h"
#include "worker/sandbox_filter.h"
#include "worker/sandbox_private.h"

/* Files a scan may have open, and bytes it may write to one: all that is written was in its memory
 * before. */
enum { OPEN_FILES = 256 };
static const rlim_t file_size = (rlim_t)2 << 30;

static int set_limits(const struct mw_sandbox_settings *settings, struct mw_error *error)
{
    rlim_t memory = settings->memory_max > 0 ? settings->memory_max : RLIM_INFINITY;
    const struct {
        __rlimit_resource_t resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, OPEN_FILES},
        {RLIMIT_FSIZE, memory < file_size ? memory : file_size},
        {RLIMIT_DATA, memory},
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_NPROC, 0},
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

/* Below what any other process may have, as memory is freed soonest by whoever reads mail: the
 * message is scanned by another one, or is told unscanned. */
void mw_sandbox_first_to_go(void)
{
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t ignored = write(file, "1000", 4);
        (void)ignored; /* without /proc it is as likely to go as others */
        close(file);
    }
}

int mw_sandbox_change_user(const char *name, struct mw_error *error)
{
    if (!mw_rights_can_change_user())
        return 0;
    const struct passwd *user = getpwnam(name ? name : "nobody");
    if (!user)
        return mw_fail(error, MW_ERR_INPUT, "the user %s for workers does not exist",
                       name ? name : "nobody");
    if (mw_rights_become(user->pw_uid, user->pw_gid) != 0)
        return mw_fail_errno(error, "cannot become the user %s", name);
    return 0;
}

int mw_sandbox_give_folder(const char *folder, const char *user, struct mw_error *error)
{
    if (!mw_rights_can_change_user())
        return 0;
    const struct passwd *owner = getpwnam(user ? user : "nobody");
    if (!owner)
        return mw_fail(error, MW_ERR_INPUT, "the user %s for workers does not exist", user);
    if (chown(folder, owner->pw_uid, owner->pw_gid) != 0)
        return mw_fail_errno(error, "cannot give the folder %s to %s", folder, owner->pw_name);
    return 0;
}

/* 1 when the kernel has no seccomp filters. */
static int confine_calls(const struct mw_sandbox_settings *settings, struct mw_error *error)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return 1;
    if (settings->filter)
        return mw_sandbox_filter_enter(settings->filter, error);
    struct mw_sandbox_filter *filter = mw_sandbox_filter_new(settings->runner, error);
    int result = filter ? mw_sandbox_filter_enter(filter, error) : error->code;
    mw_sandbox_filter_free(filter);
    return result;
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
    const struct mw_landlock_reach reach = {.paths = &rule, .count = settings->scratch ? 1 : 0};
    int result = mw_landlock_enter(&reach, error);
    return result > 0 ? mw_sandbox_missing(settings, arena, missing, mw_sandbox_no_landlock, error)
                      : result;
}

int mw_sandbox_enter(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                     struct mw_texts *missing, struct mw_error *error)
{
    if (settings->mode == MW_SANDBOX_OFF)
        return 0;
    mw_sandbox_first_to_go();
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
    int calls = confine_calls(settings, error);
    if (calls > 0)
        return mw_sandbox_missing(settings, arena, missing, mw_sandbox_no_seccomp, error);
    return calls;
}
