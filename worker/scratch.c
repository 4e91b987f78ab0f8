/* scratch: mkdir(2), nftw(3). */
#include "worker/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/sandbox.h"

static const char prefix[] = "mailwitness-";
enum { WALK_FILES = 16 };

struct mw_scratch {
    char path[512];
};

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    (void)facts;
    (void)kind;
    /* What cannot be removed does not keep the rest. */
    if (remove(path) != 0 && place->level == 0)
        return -1;
    return 0;
}

static int remove_below(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    return place->level > 0 ? remove_one(path, facts, kind, place) : 0;
}

void mw_scratch_empty(const char *folder)
{
    nftw(folder, remove_below, WALK_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, WALK_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

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
        char path[512];
        struct stat facts;
        if (is_stale(entry->d_name) &&
            snprintf(path, sizeof path, "%s/%s", base, entry->d_name) < (int)sizeof path &&
            lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid())
            remove_tree(path);
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

struct mw_scratch *mw_scratch_new(const char *base, struct mw_error *error)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};
    struct mw_scratch *scratch = calloc(1, sizeof *scratch);
    const char *const *bases = base ? &base : places;
    for (size_t i = 0; scratch && i < (base ? 1 : sizeof places / sizeof *places); i++) {
        remove_stale(bases[i]);
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
    remove_tree(scratch->path);
    free(scratch);
}

const char *mw_scratch_folder(struct mw_scratch *scratch, struct mw_arena *arena, const char *name,
                              const char *user, struct mw_error *error)
{
    const char *path = mw_arena_printf(arena, "%s/%s", scratch->path, name);
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) {
        mw_fail_errno(error, "cannot make the folder %s", path);
        return NULL;
    }
    return mw_sandbox_give_folder(path, user, error) == 0 ? path : NULL;
}
