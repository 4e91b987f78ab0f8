/*
 * sandbox_calls: the system calls of workers, each with what it is for; and those that nothing
 * which reads files has a use for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "worker/sandbox_private.h"

/* A condition on one argument: of the bits in mask these are set and no others. */
struct condition {
    unsigned argument; /* counted from 0 */
    uint64_t mask, bits;
};

/* Every condition must hold; a call with several rows may be made as any of them says. */
struct call {
    int number;
    unsigned conditions;
    struct condition condition[2];
};

#define INT UINT32_MAX /* the kernel does not see the upper half of an int */
#define IS(argument, value)                                                                        \
    {                                                                                              \
        argument, INT, value                                                                       \
    }
#define ONLY(argument, bits)                                                                       \
    {                                                                                              \
        argument, INT & ~(uint64_t)(bits), 0                                                       \
    }
#define NONE(argument, bits)                                                                       \
    {                                                                                              \
        argument, bits, 0                                                                          \
    }
#define ALL(argument, bits)                                                                        \
    {                                                                                              \
        argument, bits, bits                                                                       \
    }
#define LONG_IS(argument, value)                                                                   \
    {                                                                                              \
        argument, UINT64_MAX, value                                                                \
    }
#define LONG_ONLY(argument, also, value)                                                           \
    {                                                                                              \
        argument, ~(uint64_t)(also), value                                                         \
    }

#define CALL(name)                                                                                 \
    {                                                                                              \
        SCMP_SYS(name), 0,                                                                         \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define CALL_IF(name, one)                                                                         \
    {                                                                                              \
        SCMP_SYS(name), 1,                                                                         \
        {                                                                                          \
            one                                                                                    \
        }                                                                                          \
    }
#define CALL_IF2(name, one, two)                                                                   \
    {                                                                                              \
        SCMP_SYS(name), 2,                                                                         \
        {                                                                                          \
            one, two                                                                               \
        }                                                                                          \
    }

/* clang-format off */
static const struct call allowed[] = {
    /* Reading the message and writing the report; ClamAV's temporary files. */
    CALL(read), CALL(readv), CALL(pread64),
    CALL(write), CALL(writev), CALL(pwrite64),
    CALL(lseek),
    CALL(close),
    CALL(dup),                               /* libclamav, for zlib's gzdopen */
    CALL_IF(ftruncate, LONG_IS(1, 0)),       /* libclamav empties what bytecode unpacks into; to
                                                no other size, or the asking side's file shrinks
                                                while it is read */
    CALL_IF(fcntl, IS(1, F_GETFD)),          /* libmagic, libarchive: close on exec */
    CALL_IF(fcntl, IS(1, F_SETFD)),
    CALL_IF(fcntl, IS(1, F_GETFL)),          /* fdopen, fdopendir. No F_SETFL: the flags belong to
                                                all who have the descriptor; with F_SETOWN and
                                                F_SETSIG, O_ASYNC is a signal to anybody */
    CALL_IF(fcntl, IS(1, F_GET_SEALS)),      /* is what came a sealed memory file? */
    CALL_IF(fcntl, IS(1, F_ADD_SEALS)),      /* what goes to the runner is */

    /* Files, as far as Landlock lets them be reached. O_PATH it does not see; O_ASYNC as above. */
    CALL_IF(open, NONE(1, O_PATH | O_ASYNC)),
    CALL_IF(openat, NONE(2, O_PATH | O_ASYNC)),
    CALL_IF(mkdir, ALL(1, S_IRWXU)),         /* one that its owner cannot enter is hard to remove; */
    CALL_IF(mkdirat, ALL(2, S_IRWXU)),       /* for the same reason no umask, no chmod */
    CALL(unlink), CALL(unlinkat), CALL(rmdir),
    CALL(rename), CALL(renameat),            /* libclamav, libarchive: when a temporary file is whole */
    CALL(getdents64),                        /* libclamav goes through what it unpacked */
    CALL(fstat), CALL(newfstatat), CALL(statx),
    CALL(access), CALL(faccessat), CALL(faccessat2),
    CALL(readlink), CALL(readlinkat),        /* libclamav asks for a descriptor's name */
    CALL(getcwd),                            /* realpath */

    /* Jobs and answers. Without MSG_PEEK: what is looked at must be taken. */
    CALL_IF(recvmsg, ONLY(2, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC)),
    CALL_IF(sendmsg, ONLY(2, MSG_NOSIGNAL | MSG_DONTWAIT)),
    CALL(poll), CALL(ppoll),

    /* Memory that memory_max counts: private, and growing downwards only where the first stack
     * is. Never run: memory that is written and then run is how an attack goes on. */
    CALL_IF2(mmap, LONG_ONLY(2, PROT_READ | PROT_WRITE, 0),
             LONG_ONLY(3, MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_DENYWRITE | MAP_POPULATE,
                       MAP_PRIVATE)),
    CALL_IF2(mmap, LONG_IS(2, PROT_READ), LONG_IS(3, MAP_SHARED)), /* the filter of senders grew */
    CALL_IF(mprotect, LONG_ONLY(2, PROT_READ, 0)),  /* rights are given up; taking PROT_WRITE would
                                                       make the shared mapping writable */
    CALL(munmap),
    CALL_IF(mremap, LONG_IS(3, MREMAP_MAYMOVE)),    /* realloc */
    CALL(brk),                                      /* malloc */
    CALL_IF(madvise, IS(2, MADV_NORMAL)),           /* hints, and giving memory back */
    CALL_IF(madvise, IS(2, MADV_RANDOM)),
    CALL_IF(madvise, IS(2, MADV_SEQUENTIAL)),
    CALL_IF(madvise, IS(2, MADV_WILLNEED)),
    CALL_IF(madvise, IS(2, MADV_DONTNEED)),
    CALL_IF(madvise, IS(2, MADV_FREE)),
    CALL_IF2(prlimit64, IS(0, 0), LONG_IS(2, 0)),   /* asking for its own limits; setting none */
    CALL(getrusage),                                /* how much it grew */
    CALL(sysinfo),                                  /* qsort asks how much memory there is */

    /* Its alarm, and signals in itself: YARA catches faults in mapped files, abort raises one. */
    CALL_IF(setitimer, IS(0, ITIMER_REAL)),
    CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
    CALL(restart_syscall),

    /* Locks and waiting. */
    CALL(futex), CALL(sched_yield), CALL(nanosleep), CALL(clock_nanosleep),

    /* Clocks, random numbers, who it is; nothing is changed by these. */
    CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday), CALL(time), CALL(times),
    CALL(getrandom),
    CALL(uname), CALL(getpid), CALL(gettid),
    CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),

    CALL(exit), CALL(exit_group),
};

/* With a runner beside it only: what is given to that. Such files are not counted by memory_max. */
static const struct call with_runner[] = {
    CALL_IF(memfd_create, ONLY(1, MFD_CLOEXEC | MFD_ALLOW_SEALING)),
};

/* What only a process that was taken over would do, beside what mw_sandbox_deny has: it dies
 * at once. */
static const struct call deadly[] = {
    CALL(socket), CALL(socketpair), CALL(connect), CALL(bind), CALL(listen), CALL(accept),
    CALL(accept4),
    CALL(execve), CALL(execveat), CALL(fork), CALL(vfork), CALL(clone), CALL(clone3),
    CALL(setuid), CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid), CALL(setresgid),
    CALL(setgroups), CALL(setfsuid), CALL(setfsgid), CALL(capset),
    CALL(chown), CALL(fchown), CALL(lchown), CALL(fchownat),
    CALL(kill), CALL(tkill),
    CALL_IF(fcntl, IS(1, F_SETOWN)), CALL_IF(fcntl, IS(1, F_SETOWN_EX)),
    CALL_IF(fcntl, IS(1, F_SETSIG)), CALL_IF(fcntl, IS(1, F_SETLEASE)),
    CALL_IF(fcntl, IS(1, F_NOTIFY)),
};

/* No process that reads files makes these, be it a worker, a runner or a program. */
static const struct call denied[] = {
    /* other processes: their memory, descriptors, time, place in memory, signals */
    CALL(rt_sigqueueinfo), CALL(rt_tgsigqueueinfo),
    CALL(pidfd_open), CALL(pidfd_send_signal), CALL(pidfd_getfd),
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(process_madvise),
    CALL(process_mrelease), CALL(kcmp), CALL(get_robust_list),
    CALL(migrate_pages), CALL(move_pages),
    /* memory and messages that outlive those who made them */
    CALL(shmget), CALL(shmat), CALL(shmctl), CALL(semget), CALL(semctl), CALL(semop),
    CALL(semtimedop), CALL(msgget), CALL(msgsnd), CALL(msgrcv), CALL(msgctl),
    CALL(mq_open), CALL(mq_unlink),
    /* the view of the file system, and files by other ways than their paths */
    CALL(mount), CALL(umount2), CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(fspick),
    CALL(move_mount), CALL(open_tree), CALL(mount_setattr), CALL(pivot_root), CALL(chroot),
    CALL(unshare), CALL(setns), CALL(name_to_handle_at), CALL(open_by_handle_at),
    CALL(fanotify_init), CALL(fanotify_mark), CALL(inotify_add_watch),
    /* ways into the kernel */
    CALL(bpf), CALL(perf_event_open), CALL(keyctl), CALL(add_key), CALL(request_key),
    CALL(io_uring_setup), CALL(io_uring_enter), CALL(io_uring_register),
    CALL(userfaultfd), CALL(memfd_secret), CALL(modify_ldt), CALL(lookup_dcookie),
    CALL(remap_file_pages),
    /* the machine */
    CALL(init_module), CALL(finit_module), CALL(delete_module), CALL(kexec_load),
    CALL(kexec_file_load), CALL(reboot), CALL(swapon), CALL(swapoff), CALL(quotactl),
    CALL(quotactl_fd), CALL(acct), CALL(settimeofday), CALL(clock_settime), CALL(adjtimex),
    CALL(clock_adjtime), CALL(syslog), CALL(vhangup), CALL(iopl), CALL(ioperm),
};

/* Programs try much that they do not need: these fail. */
static const struct call denied_programs[] = {
    /* Others of the same user: their signals, by descriptors as well ... */
    CALL(kill), CALL(tkill),
    CALL_IF(fcntl, IS(1, F_SETOWN)), CALL_IF(fcntl, IS(1, F_SETOWN_EX)),
    CALL_IF(fcntl, IS(1, F_SETSIG)), CALL_IF(fcntl, IS(1, F_SETLEASE)),
    CALL_IF(fcntl, IS(1, F_NOTIFY)),
    CALL_IF(ioctl, IS(1, FIOSETOWN)), CALL_IF(ioctl, IS(1, SIOCSPGRP)),
    CALL_IF(ioctl, IS(1, FIOASYNC)), CALL_IF(ioctl, IS(1, TIOCSTI)),
    /* ... and their share of the processor */
    CALL(sched_setscheduler), CALL(sched_setparam), CALL(sched_setattr), CALL(sched_setaffinity),
    CALL(setpriority), CALL(ioprio_set),
    CALL(personality),
};
/* clang-format on */

static int add_call(scmp_filter_ctx filter, uint32_t action, const struct call *call)
{
    struct scmp_arg_cmp compared[2];
    for (unsigned i = 0; i < call->conditions; i++)
        compared[i] = (struct scmp_arg_cmp){call->condition[i].argument, SCMP_CMP_MASKED_EQ,
                                            call->condition[i].mask, call->condition[i].bits};
    return seccomp_rule_add_array(filter, action, call->number, call->conditions, compared);
}

static int add_calls(scmp_filter_ctx filter, uint32_t action, const struct call *calls,
                     size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = add_call(filter, action, &calls[i]);
    return result;
}

#define ADD(filter, action, calls) add_calls(filter, action, calls, sizeof(calls) / sizeof *(calls))

int mw_sandbox_calls_of_worker(void *filter, bool runner, uint32_t pid)
{
    /* abort(3) raises a signal in itself. */
    const struct call own = CALL_IF(tgkill, IS(0, pid));
    int result = ADD(filter, SCMP_ACT_KILL_PROCESS, denied);
    if (result == 0)
        result = ADD(filter, SCMP_ACT_KILL_PROCESS, deadly);
    if (result == 0)
        result = ADD(filter, SCMP_ACT_ALLOW, allowed);
    if (result == 0 && runner)
        result = ADD(filter, SCMP_ACT_ALLOW, with_runner);
    return result == 0 ? add_call(filter, SCMP_ACT_ALLOW, &own) : result;
}

int mw_sandbox_calls_of_runner(void *filter)
{
    return ADD(filter, SCMP_ACT_ERRNO(EPERM), denied);
}

/* All families but those of the Internet, and the kernel's for looking up routes. */
static int deny_sockets(scmp_filter_ctx filter, bool network)
{
    const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
    if (!network)
        return seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 0);
    struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_LT, AF_INET, 0);
    struct scmp_arg_cmp between = SCMP_A0(SCMP_CMP_GT, AF_INET6, 0);
    int result = seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, local);
    for (unsigned family = AF_INET + 1; family < AF_INET6 && result == 0; family++) {
        struct scmp_arg_cmp other = SCMP_A0(SCMP_CMP_EQ, family, 0);
        result = seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, other);
    }
    return result == 0 ? seccomp_rule_add(filter, eperm, SCMP_SYS(socket), 1, between) : result;
}

int mw_sandbox_calls_of_program(void *filter, bool network)
{
    const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
    /* abort(3) raises a signal in itself; limits are its own to lower. */
    struct scmp_arg_cmp others = SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0);
    struct scmp_arg_cmp elsewhere = SCMP_A0(SCMP_CMP_NE, 0, 0);
    int result = ADD(filter, eperm, denied);
    if (result == 0)
        result = ADD(filter, eperm, denied_programs);
    if (result == 0)
        result = deny_sockets(filter, network);
    if (result == 0)
        result = seccomp_rule_add(filter, eperm, SCMP_SYS(tgkill), 1, others);
    return result == 0 ? seccomp_rule_add(filter, eperm, SCMP_SYS(prlimit64), 1, elsewhere)
                       : result;
}
