/* landlock: a ruleset for all that this kernel knows. */
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All that can be done to files under this kernel's Landlock. */
static unsigned long long file_rights(int version)
{
    unsigned long long rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
#ifdef LANDLOCK_ACCESS_FS_REFER
    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
#endif
#ifdef LANDLOCK_ACCESS_FS_TRUNCATE
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
#endif
    return rights;
}

static unsigned long long rights_of(enum mw_path_rights wanted, unsigned long long all)
{
    const unsigned long long reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const unsigned long long never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM;
    if (wanted == MW_PATH_WRITE)
        return all & ~never;
    return wanted == MW_PATH_RUN ? reading | LANDLOCK_ACCESS_FS_EXECUTE : reading;
}

/* The rights that make sense for what is no folder. */
static unsigned long long for_file(unsigned long long rights)
{
    unsigned long long kept =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
#ifdef LANDLOCK_ACCESS_FS_TRUNCATE
    kept |= LANDLOCK_ACCESS_FS_TRUNCATE;
#endif
    return rights & kept;
}

static int add_rule(int rules, const struct mw_path_rule *rule, unsigned long long all,
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

int mw_landlock_enter(const struct mw_path_rule *rules, size_t count, struct mw_error *error)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 1;
    struct landlock_ruleset_attr handled = {.handled_access_fs = file_rights((int)version)};
    int set = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (set < 0)
        return mw_fail_errno(error, "cannot confine a worker's files");
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = add_rule(set, &rules[i], handled.handled_access_fs, error);
    if (result == 0 && syscall(SYS_landlock_restrict_self, set, 0) != 0)
        result = mw_fail_errno(error, "cannot confine a worker's files");
    close(set);
    return result;
}
