/* sandbox_filter: libseccomp makes the program, we load it. */
#include "worker/sandbox_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/sandbox_private.h"

/* Stands in the program where the process' own id belongs: no process has this one. */
enum { ANY_PID = 0x7fedcba9 };

struct mw_sandbox_filter {
    unsigned short count;
    struct sock_filter program[];
};

/* The instructions that libseccomp writes to a file. */
static struct mw_sandbox_filter *read_program(int file)
{
    off_t size = lseek(file, 0, SEEK_END);
    size_t count = size > 0 ? (size_t)size / sizeof(struct sock_filter) : 0;
    struct mw_sandbox_filter *filter =
        count > 0 && count <= BPF_MAXINSNS ? malloc(sizeof *filter + (size_t)size) : NULL;
    if (!filter || pread(file, filter->program, (size_t)size, 0) != (ssize_t)size) {
        free(filter);
        return NULL;
    }
    filter->count = (unsigned short)count;
    return filter;
}

struct mw_sandbox_filter *mw_sandbox_filter_new(bool runner, struct mw_error *error)
{
    struct mw_sandbox_filter *filter = NULL;
    scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int file = memfd_create("mailwitness-filter", MFD_CLOEXEC);
    /* A tree: a long row of comparisons is slow where arguments are looked at. */
    int result = rules ? seccomp_attr_set(rules, SCMP_FLTATR_CTL_OPTIMIZE, 2) : -ENOMEM;
    if (result == 0)
        result = mw_sandbox_calls_of_worker(rules, runner, ANY_PID);
    if (result == 0)
        result = file >= 0 ? seccomp_export_bpf(rules, file) : -errno;
    if (result == 0)
        filter = read_program(file);
    seccomp_release(rules);
    if (file >= 0)
        close(file);
    if (!filter) {
        errno = result != 0 ? -result : EINVAL;
        mw_fail_errno(error, "cannot make the filter of a worker's system calls");
    }
    return filter;
}

void mw_sandbox_filter_free(struct mw_sandbox_filter *filter)
{
    free(filter);
}

int mw_sandbox_filter_enter(const struct mw_sandbox_filter *filter, struct mw_error *error)
{
    size_t size = filter->count * sizeof *filter->program;
    struct sock_filter *own = malloc(size);
    if (!own)
        return mw_fail_errno(error, "cannot confine a worker's system calls");
    memcpy(own, filter->program, size);
    for (unsigned i = 0; i < filter->count; i++)
        if (BPF_CLASS(own[i].code) == BPF_JMP && own[i].k == ANY_PID)
            own[i].k = (unsigned)getpid();
    struct sock_fprog program = {filter->count, own};
    int result = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    free(own);
    return result == 0 ? 0 : mw_fail_errno(error, "cannot confine a worker's system calls");
}
