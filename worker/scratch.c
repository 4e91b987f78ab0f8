/* scratch: mkdir(2); removing by openat(2), unlinkat(2) and renameat(2). */
#include "worker/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/landlock.h"
#include "worker/rights.h"
#include "worker/sandbox.h"

static const char prefix[] = "mailwitness-";
enum { PATH_ROOM = 512, OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct mw_scratch {
    char path[PATH_ROOM];
    const char *user;
    uint64_t made; /* folders so far */
};

/* --- removing ------------------------------------------------------------------------ */

/*
 * A tree is made flat while it is removed: folders below the top's own are moved up into the
 * top. So neither paths nor descriptors grow with its depth, and no link is ever followed.
 */
struct removal {
    int top;
    dev_t device;
    uint64_t next;     /* number in the next name that a folder gets when it is moved up */
    uint64_t progress; /* entries removed or moved */
};

/* Its owner may have shut it, even to itself. */
static int open_folder(int parent, const char *name)
{
    int folder = openat(parent, name, OPEN_FOLDER);
    struct stat facts;
    if (folder >= 0 || errno != EACCES || fstatat(parent, name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(facts.st_mode) || fchmodat(parent, name, S_IRWXU, 0) != 0)
        return folder;
    return openat(parent, name, OPEN_FOLDER);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What becomes of a folder called name in folder that is not empty. */
typedef void folder_action(struct removal *removal, int folder, const char *name);

/* Removes what is in folder, which is closed. */
static void remove_entries(struct removal *removal, int folder, folder_action *on_folder)
{
    DIR *list = fdopendir(folder);
    if (!list)
        close(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        const char *name = entry->d_name;
        if (is_dot(name))
            continue;
        if (unlinkat(dirfd(list), name, 0) == 0 || unlinkat(dirfd(list), name, AT_REMOVEDIR) == 0)
            removal->progress++;
        else if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
            on_folder(removal, dirfd(list), name);
    }
    if (list)
        closedir(list);
}

/* Into the top, under a name that is not there. A folder that one may not write to cannot get
 * another parent. */
static void move_up(struct removal *removal, int folder, const char *name)
{
    char fresh[40];
    int opened = open_folder(folder, name);
    if (opened < 0)
        return;
    fchmod(opened, S_IRWXU);
    close(opened);
    do {
        snprintf(fresh, sizeof fresh, ".%016" PRIx64, removal->next++);
        if (renameat(folder, name, removal->top, fresh) == 0) {
            removal->progress++;
            return;
        }
    } while (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR);
}

/* A folder in the top: what is in it goes, or comes up; then it goes. */
static void remove_folder(struct removal *removal, int top, const char *name)
{
    struct stat facts;
    int folder = open_folder(top, name);
    if (folder < 0)
        return;
    if (fstat(folder, &facts) != 0 || facts.st_dev != removal->device) {
        close(folder); /* something is mounted there: not ours */
        return;
    }
    fchmod(folder, S_IRWXU);
    remove_entries(removal, folder, move_up);
    if (unlinkat(top, name, AT_REMOVEDIR) == 0)
        removal->progress++;
}

/* Until nothing is left, or nothing can be done about the rest. */
static void empty_folder(int parent, const char *name)
{
    struct removal removal = {.top = open_folder(parent, name)};
    struct stat facts;
    uint64_t before;
    if (removal.top < 0)
        return;
    fchmod(removal.top, S_IRWXU);
    if (fstat(removal.top, &facts) == 0 &&
        getrandom(&removal.next, sizeof removal.next, 0) == (ssize_t)sizeof removal.next) {
        removal.device = facts.st_dev;
        do {
            before = removal.progress;
            int again = openat(removal.top, ".", OPEN_FOLDER);
            if (again >= 0)
                remove_entries(&removal, again, remove_folder);
        } while (removal.progress > before);
    }
    close(removal.top);
}

void mw_scratch_empty(const char *folder)
{
    empty_folder(AT_FDCWD, folder);
}

/* In a child: with the rights of the folder's owner, and with those to this folder only. */
_Noreturn static void empty_as_owner(const char *folder, const struct stat *facts)
{
    struct mw_error ignored = {0};
    const struct mw_path_rule only = {folder, MW_PATH_WRITE};
    const struct mw_landlock_reach reach = {.paths = &only, .count = 1};
    if (mw_rights_become(facts->st_uid, facts->st_gid) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || mw_landlock_enter(&reach, &ignored) < 0)
        _exit(1);
    mw_scratch_empty(folder);
    _exit(0);
}

/* Waits until it is gone, or what can be removed of it is. Those who could write to it may still
 * be there, as others of the same user: our own rights are not for what they made. */
static void remove_folder_of(const char *folder)
{
    struct stat facts;
    if (rmdir(folder) == 0 || lstat(folder, &facts) != 0 || !S_ISDIR(facts.st_mode))
        return;
    if (facts.st_uid == geteuid()) {
        mw_scratch_empty(folder);
    } else {
        pid_t pid = fork();
        if (pid == 0)
            empty_as_owner(folder, &facts);
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    rmdir(folder);
}

/* With all folders of processes in it. */
static void remove_scratch(const char *path)
{
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char folder[PATH_ROOM + sizeof entry->d_name];
        snprintf(folder, sizeof folder, "%s/%s", path, entry->d_name);
        if (!is_dot(entry->d_name))
            remove_folder_of(folder);
    }
    if (list)
        closedir(list);
    rmdir(path);
}

void mw_scratch_discard(char *path)
{
    /* Most tidied up: no child is needed. What a child cannot be had for goes at the end. */
    if (path && rmdir(path) != 0 && errno != ENOENT && fork() == 0) {
        close_range(STDERR_FILENO + 1, ~0u, 0);
        remove_folder_of(path);
        _exit(0);
    }
    free(path);
}

/* --- making -------------------------------------------------------------------------- */

/* Left by one that was killed: the name tells whose it was. */
static bool is_stale(const char *name)
{
    char *end;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    long pid = strtol(name + sizeof prefix - 1, &end, 10);
    return pid > 0 && *end == '-' && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void remove_stale(const char *base)
{
    DIR *folder = opendir(base);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[PATH_ROOM];
        struct stat facts;
        if (is_stale(entry->d_name) &&
            snprintf(path, sizeof path, "%s/%s", base, entry->d_name) < (int)sizeof path &&
            lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid())
            remove_scratch(path);
    }
    if (folder)
        closedir(folder);
}

static bool make_in(struct mw_scratch *scratch, const char *base)
{
    int length = snprintf(scratch->path, sizeof scratch->path, "%s/%s%ld-XXXXXX", base, prefix,
                          (long)getpid());
    /* Its folders can be reached by those they are given to, not listed. */
    return length < (int)sizeof scratch->path && mkdtemp(scratch->path) &&
           chmod(scratch->path, S_IRWXU | S_IXGRP | S_IXOTH) == 0;
}

struct mw_scratch *mw_scratch_new(const char *base, const char *user, struct mw_error *error)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};
    struct mw_scratch *scratch = calloc(1, sizeof *scratch);
    const char *const *bases = base ? &base : places;
    for (size_t i = 0; scratch && i < (base ? 1 : sizeof places / sizeof *places); i++) {
        remove_stale(bases[i]);
        scratch->user = user;
        if (make_in(scratch, bases[i]))
            return scratch;
    }
    mw_fail_errno(error, "cannot make a folder for temporary files in %s", base ? base : "/tmp");
    free(scratch);
    return NULL;
}

void mw_scratch_free(struct mw_scratch *scratch)
{
    if (!scratch)
        return;
    remove_scratch(scratch->path);
    free(scratch);
}

char *mw_scratch_folder(struct mw_scratch *scratch, const char *name, struct mw_error *error)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s-%" PRIu64, scratch->path, name, ++scratch->made) < 0) {
        mw_fail(error, MW_ERR_SYSTEM, "no memory for the name of a folder");
        return NULL;
    }
    if (mkdir(path, S_IRWXU) != 0)
        mw_fail_errno(error, "cannot make the folder %s", path);
    else if ((scratch->user && !*scratch->user) ||
             mw_sandbox_give_folder(path, scratch->user, error) == 0)
        return path;
    free(path);
    return NULL;
}
