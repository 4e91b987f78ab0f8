/* landlock: a ruleset for all that this kernel knows. */
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The kernel's interface as of version 6, which the system's headers may be older than. Numbers
 * are part of the interface and do not change.
 */
struct ruleset {
    uint64_t files;
    uint64_t tcp;    /* version 4 */
    uint64_t scopes; /* version 6 */
};

enum {
    FILES_1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, /* version 1 */
    REFER = 1 << 13,                                  /* 2: move and link between folders */
    TRUNCATE = 1 << 14,                               /* 3: cut a file */
    IOCTL_DEV = 1 << 15,                              /* 5: ioctl(2) on devices */
    BIND_TCP = 1 << 0,                                /* 4 */
    CONNECT_TCP = 1 << 1,                             /* 4 */
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,              /* 6 */
    SCOPE_SIGNAL = 1 << 1,                            /* 6 */
};

/* All that a version can take away; size is how much of the struct it knows. */
static struct ruleset all_of(int version, bool network, size_t *size)
{
    struct ruleset all = {.files = FILES_1};
    if (version >= 2)
        all.files |= REFER;
    if (version >= 3)
        all.files |= TRUNCATE;
    if (version >= 4 && !network)
        all.tcp = BIND_TCP | CONNECT_TCP;
    if (version >= 5)
        all.files |= IOCTL_DEV;
    if (version >= 6)
        all.scopes = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    *size = version >= 6   ? sizeof all
            : version >= 4 ? offsetof(struct ruleset, scopes)
                           : offsetof(struct ruleset, tcp);
    return all;
}

static uint64_t rights_of(enum mw_path_rights wanted, uint64_t all)
{
    const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                           LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                           LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | IOCTL_DEV;
    if (wanted == MW_PATH_WRITE)
        return all & ~never;
    return wanted == MW_PATH_RUN ? reading | LANDLOCK_ACCESS_FS_EXECUTE : reading;
}

/* The rights that make sense for what is no folder. */
static uint64_t for_file(uint64_t rights)
{
    return rights & (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                     LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE);
}

static int add_rule(int rules, const struct mw_path_rule *rule, uint64_t all,
                    struct mw_error *error)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = rights_of(rule->rights, all)};
    struct stat facts;
    beneath.parent_fd = open(rule->path, O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0 && rule->rights != MW_PATH_WRITE && errno == ENOENT)
        return 0;
    long result = -1;
    if (beneath.parent_fd >= 0 && fstat(beneath.parent_fd, &facts) == 0) {
        if (!S_ISDIR(facts.st_mode))
            beneath.allowed_access = for_file(beneath.allowed_access);
        result = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    }
    if (result != 0)
        mw_fail_errno(error, "cannot give a worker %s", rule->path);
    if (beneath.parent_fd >= 0)
        close(beneath.parent_fd);
    return result == 0 ? 0 : error->code;
}

int mw_landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 1 ? 0 : (int)version;
}

int mw_landlock_enter(const struct mw_landlock_reach *reach, struct mw_error *error)
{
    int version = mw_landlock_version();
    if (version == 0)
        return 1;
    size_t size;
    const struct ruleset all = all_of(version, reach->network, &size);
    int set = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (set < 0)
        return mw_fail_errno(error, "cannot confine a worker's files");
    int result = 0;
    for (size_t i = 0; i < reach->count && result == 0; i++)
        result = add_rule(set, &reach->paths[i], all.files, error);
    if (result == 0 && syscall(SYS_landlock_restrict_self, set, 0) != 0)
        result = mw_fail_errno(error, "cannot confine a worker's files");
    close(set);
    return result;
}
