/* wake: handlers that count, and an eventfd. */
#include "milter/wake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mw_wake {
    int event;
    atomic_uint reload, end;
};

/* A handler has no other way to it. */
static struct mw_wake the_wake = {.event = -1};

void mw_wake_up(struct mw_wake *wake)
{
    uint64_t one = 1;
    ssize_t written = write(wake->event, &one, sizeof one);
    (void)written; /* it is full: the thread will wake */
}

static void on_signal(int number)
{
    int before = errno;
    if (number != SIGCHLD)
        atomic_fetch_add(number == SIGHUP ? &the_wake.reload : &the_wake.end, 1);
    mw_wake_up(&the_wake);
    errno = before;
}

void mw_wake_hold_reload(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void mw_wake_hold_end(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

struct mw_wake *mw_wake_new(struct mw_error *error)
{
    static const int caught[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    the_wake.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (the_wake.event < 0) {
        mw_fail_errno(error, "cannot wait for signals");
        return NULL;
    }
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaction(caught[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that must not grow is an error with a name */
    mw_wake_block(false);
    return &the_wake;
}

void mw_wake_wait(struct mw_wake *wake, int timeout_ms, struct mw_wake_signals *signals)
{
    struct pollfd ready = {.fd = wake->event, .events = POLLIN};
    uint64_t count;
    if (poll(&ready, 1, timeout_ms) > 0) {
        ssize_t got = read(wake->event, &count, sizeof count);
        (void)got;
    }
    signals->reload = atomic_exchange(&wake->reload, 0);
    signals->end = atomic_exchange(&wake->end, 0);
}

void mw_wake_block(bool block)
{
    sigset_t set;
    if (block)
        sigfillset(&set);
    else
        sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int mw_wake_thread(void *(*run)(void *), void *argument, struct mw_error *error)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return mw_fail(error, MW_ERR_SYSTEM, "cannot start a thread: %s", strerror(code));
    pthread_detach(thread);
    return 0;
}

/*
 * In place of the C library's, for libmilter: its thread takes SIGHUP, SIGINT and SIGTERM, which
 * end the daemon then, whenever the main thread has them blocked for a moment. It waits for
 * ever instead; such a signal waits for the main thread.
 */
int sigwait(const sigset_t *set, int *number)
{
    (void)set;
    (void)number;
    for (;;)
        pause();
}
