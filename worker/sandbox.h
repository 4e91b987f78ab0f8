/*
 * sandbox: what a process gives up before it touches a byte of mail.
 */
#ifndef MW_WORKER_SANDBOX_H
#define MW_WORKER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/error.h"

/* Whether a sanitizer is built in, whose runtime does at the end what a filter forbids. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MW_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MW_UNDER_SANITIZER 1
#endif
#endif
#ifndef MW_UNDER_SANITIZER
#define MW_UNDER_SANITIZER 0
#endif

enum mw_sandbox_mode {
    MW_SANDBOX_REQUIRED, /* refuse to run where a part of it is missing */
    MW_SANDBOX_BEST,     /* take what the system has, and say what is missing */
    MW_SANDBOX_OFF       /* for debugging */
};

struct mw_sandbox_settings {
    enum mw_sandbox_mode mode;
    const char *user;    /* to become, as root or with CAP_SETUID; NULL: nobody */
    const char *scratch; /* the one folder that stays writable; NULL: none */
    size_t memory_max;   /* bytes of data a process may have; 0: no bound */
    bool runner;         /* one stands beside it: memory files can be made for that */
    /* Made for such a worker (sandbox_filter.h); NULL: it makes its own. */
    const struct mw_sandbox_filter *filter;
};

/*
 * Confines the calling process for good, in this order: resource limits, user,
 * no new privileges, Landlock (files), seccomp (system calls). It also dies with its parent from
 * then on. After it the process can read and write what it has open, use memory, make memory files,
 * and work in its scratch folder. Sockets, exec, fork, ptrace, signals to others and files
 * elsewhere are denied: calls that only an attacker makes kill the process, others fail with EPERM
 * or EACCES.
 *
 * missing gets a sentence for each part the system does not have; with
 * MW_SANDBOX_REQUIRED that is MW_ERR_MISSING. One thread must exist.
 */
int mw_sandbox_enter(const struct mw_sandbox_settings *settings, struct mw_arena *arena,
                     struct mw_texts *missing, struct mw_error *error);

/* Lets the user that workers become (NULL: nobody) have a folder or file, when they can
 * become it (worker/rights.h); nothing to do otherwise. */
int mw_sandbox_give_folder(const char *folder, const char *user, struct mw_error *error);

#endif
