/* unit_scratch: whatever a process leaves in its folder goes, and nobody gets the folder again. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "worker/pool.h"
#include "worker/sandbox.h"
#include "worker/scratch.h"

enum { LEVELS = 3000, NAME = 200, WIDE = 5000, FEW_FILES = 16 };

static char base[] = "/dev/shm/unit_scratch-XXXXXX";

/* --- what is left behind --------------------------------------------------------------- */

/* Paths thirty times as long as can be named, with a file on each level; how deep it came. */
static int make_deep(const char *folder)
{
    char name[NAME + 1];
    memset(name, 'd', NAME);
    name[NAME] = '\0';
    int level, at = open(folder, O_RDONLY | O_DIRECTORY);
    for (level = 0; level < LEVELS && at >= 0 && mkdirat(at, name, 0700) == 0; level++) {
        int file = openat(at, "file", O_WRONLY | O_CREAT, 0600);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY);
        close(file);
        close(at);
        at = next;
    }
    close(at);
    return level;
}

static int make_wide(const char *folder)
{
    int count = 0, at = open(folder, O_RDONLY | O_DIRECTORY);
    for (char name[32]; count < WIDE; count++) {
        snprintf(name, sizeof name, "%d", count);
        int file = openat(at, name, O_WRONLY | O_CREAT, 0600);
        if (file < 0)
            break;
        close(file);
    }
    close(at);
    return count;
}

/* Folders that not even their owner can list, enter or change. */
static int make_shut(const char *folder)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY);
    bool good = mkdirat(at, "shut", 0700) == 0 && mkdirat(at, "shut/in", 0700) == 0 &&
                mkdirat(at, "shut/in/it", 0700) == 0 && mkdirat(at, "shut/in/it/deeper", 0700) == 0;
    good = good && fchmodat(at, "shut/in/it", 0500, 0) == 0 && fchmodat(at, "shut/in", 0, 0) == 0 &&
           fchmodat(at, "shut", 0500, 0) == 0 && fchmod(at, 0) == 0;
    close(at);
    return good;
}

/* Ways out, one beside and one below. */
static int make_links(const char *folder)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY);
    bool good = mkdirat(at, "below", 0700) == 0 && symlinkat(base, at, "out") == 0 &&
                symlinkat(base, at, "below/out") == 0 && symlinkat("..", at, "below/up") == 0;
    close(at);
    return good;
}

static const struct {
    int (*make)(const char *folder);
    int wanted;
    const char *promise;
} kinds[] = {
    {make_deep, LEVELS, "a tree deeper than any path is removed"},
    {make_wide, WIDE, "a folder with many files is removed"},
    {make_shut, 1, "folders that were shut are removed"},
    {make_links, 1, "links that lead out are removed"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* By a process of the user that the folder is given to. */
static bool fill(const char *folder, size_t kind)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 &&
            (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
            _exit(2);
        _exit(kinds[kind].make(folder) != kinds[kind].wanted);
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

static bool is_gone(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) != 0 && errno == ENOENT;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static void test_discard(struct mw_scratch *scratch, size_t kind)
{
    struct mw_error error = {0};
    char *folder = mw_scratch_folder(scratch, "worker", &error);
    char copy[512] = "";
    snprintf(copy, sizeof copy, "%s", folder ? folder : "");
    bool filled = folder && fill(folder, kind);
    struct rlimit files, few;
    getrlimit(RLIMIT_NOFILE, &files);
    few = (struct rlimit){FEW_FILES, files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    mw_scratch_discard(folder);
    reap_all();
    setrlimit(RLIMIT_NOFILE, &files);
    if (!tap_ok(filled && is_gone(copy), "%s, with few descriptors", kinds[kind].promise))
        printf("# %s %s\n", filled ? "filled" : "not filled", error.text);
}

static void test_all_at_once(struct mw_scratch *scratch)
{
    struct mw_error error = {0};
    bool filled = true;
    for (size_t i = 0; i < KINDS; i++) {
        char *folder = mw_scratch_folder(scratch, "worker", &error);
        filled = filled && folder && fill(folder, i);
        free(folder);
    }
    mw_scratch_free(scratch);
    glob_t found;
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s/mailwitness-*", base);
    tap_ok(filled && glob(pattern, 0, NULL, &found) == GLOB_NOMATCH,
           "the end removes what is in all folders");
}

static void test_of_a_killed(void)
{
    struct mw_error error = {0};
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_scratch *lost = mw_scratch_new(base, NULL, &error);
        char *folder = lost ? mw_scratch_folder(lost, "worker", &error) : NULL;
        _exit(folder && fill(folder, 0) ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    struct mw_scratch *next = mw_scratch_new(base, NULL, &error);
    glob_t found = {0};
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s/mailwitness-*", base);
    glob(pattern, 0, NULL, &found);
    tap_ok(status == 0 && next && found.gl_pathc == 1,
           "the next start removes the tree that a killed process left");
    globfree(&found);
    mw_scratch_free(next);
}

/* --- in workers of a pool -------------------------------------------------------------- */

static struct shared {
    char folder[512];
    int levels, streams;
} * shared;

static int is_new(void *user, const char *address)
{
    (void)user;
    if (strncmp(address, "filler@", 7) == 0) {
        shared->levels = make_deep(shared->folder);
        _exit(1);
    }
    for (int fd = 0; fd < 3; fd++) {
        struct stat facts;
        shared->streams += fstat(fd, &facts) == 0 && facts.st_rdev == makedev(1, 3);
    }
    return 0;
}

static bool ask(struct mw_pool *pool, const char *sender)
{
    struct mw_error error = {0};
    char text[64];
    snprintf(text, sizeof text, "From: %s@example.com\n\ntext", sender);
    struct mw_memfile *file = mw_memfile_new("message", &error);
    mw_memfile_append(file, mw_bytes_of(text), SIZE_MAX, &error);
    mw_memfile_seal(file, &error);
    struct mw_report *report = mw_pool_examine(pool, file, &error);
    mw_memfile_free(file);
    bool good = report != NULL;
    mw_report_free(report);
    return good;
}

/* The one worker's folder, once it has one. */
static bool find_folder(char *path, size_t size)
{
    glob_t found = {0};
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s/mailwitness-*/worker-*", base);
    for (int tries = 0; tries < 1000; tries++) {
        bool one = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1;
        if (one)
            snprintf(path, size, "%s", found.gl_pathv[0]);
        globfree(&found);
        if (one)
            return true;
        usleep(10000);
    }
    return false;
}

static void test_pool(void)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    char first[512] = "", second[512] = "";
    mw_pool_settings_default(&settings);
    settings.generation.workers = 1;
    settings.generation.witness.sender_filter.is_new = is_new;
    settings.generation.sandbox.scratch = base;
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (!tap_ok(pool && find_folder(first, sizeof first), "a worker has a folder of its own"))
        return;
    snprintf(shared->folder, sizeof shared->folder, "%s", first);
    tap_ok(!ask(pool, "filler") && shared->levels == LEVELS, "it fills that and dies");
    shared->streams = 0;
    tap_ok(ask(pool, "honest"), "... the next message is examined");
#if !MW_UNDER_SANITIZER
    tap_is_number(shared->streams, 3, "... by a worker whose standard streams are all /dev/null");
#endif
    tap_ok(find_folder(second, sizeof second) && strcmp(first, second) != 0,
           "... and a fresh folder, and the other one goes");
    mw_pool_free(pool);
    tap_ok(rmdir(base) == 0, "nothing is left at the end");
}

int main(void)
{
    struct mw_error error = {0};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(base) || chmod(base, 0755) != 0)
        return 2;
    struct mw_scratch *scratch = mw_scratch_new(base, NULL, &error);
    if (!tap_ok(scratch != NULL, "a place for folders is made"))
        return tap_done();
    char *one = mw_scratch_folder(scratch, "worker", &error);
    char *copy = one ? strdup(one) : NULL;
    mw_scratch_discard(one);
    char *other = mw_scratch_folder(scratch, "worker", &error);
    tap_ok(copy && other && strcmp(copy, other) != 0 && is_gone(copy),
           "no folder is handed on: the next one has another name");
    mw_scratch_discard(other);
    free(copy);
    for (size_t i = 0; i < KINDS; i++)
        test_discard(scratch, i);
    test_all_at_once(scratch);
    test_of_a_killed();
    test_pool();
    return tap_done();
}
