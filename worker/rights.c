/* rights: capabilities(7), whose system calls the C library does not have. */
#include "worker/rights.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct __user_cap_data_struct capabilities[_LINUX_CAPABILITY_U32S_3];

bool mw_rights_can_change_user(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    capabilities have = {0};
    if (geteuid() == 0)
        return true;
    return syscall(SYS_capget, &header, have) == 0 &&
           (have[CAP_TO_INDEX(CAP_SETUID)].effective & CAP_TO_MASK(CAP_SETUID)) != 0;
}

/* A user other than root keeps its capabilities when it becomes another one. */
int mw_rights_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const capabilities none = {0};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_capset, &header, none);
}

int mw_rights_become(uid_t user, gid_t group)
{
    if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 ||
        setresuid(user, user, user) != 0)
        return -1;
    return user == 0 ? 0 : mw_rights_drop();
}
