/* engine: find libmilter's listening descriptor and lay ours over it. */
#include "milter/engine.h"

#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/listen.h"

enum { DESCRIPTORS = 65536, IDLE_S = 7200 };

/* As libmilter, of which there is one a process. */
static int the_descriptor = -1;
static int the_file = -1; /* of a private socket: see listen.h */
static atomic_bool the_end;
static atomic_uint heard, heard_before; /* callbacks, now and at the last nudge */

static int find_descriptor(const char *path)
{
    for (int fd = 3; fd < DESCRIPTORS; fd++) {
        struct sockaddr_un address;
        socklen_t size = sizeof address;
        memset(&address, 0, sizeof address);
        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
            address.sun_family == AF_UNIX && strcmp(address.sun_path, path) == 0)
            return fd;
    }
    return -1;
}

static int open_private(const char *folder, struct mw_error *error)
{
    char path[64], name[80];
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(name, sizeof name, "unix:%s", path);
    bool opened = smfi_setconn(name) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS;
    if (opened)
        the_descriptor = find_descriptor(path);
    unlink(path);
    if (the_descriptor < 0)
        return mw_fail(error, MW_ERR_INTERNAL, "libmilter cannot open its socket in %s", folder);
    return 0;
}

int mw_engine_prepare(const struct mw_listener *listener, struct mw_error *error)
{
    const char *parent = getenv("TMPDIR");
    char folder[48];
    snprintf(folder, sizeof folder, "%.20s/mailwitness-XXXXXX",
             parent && strlen(parent) <= 20 ? parent : "/tmp");
    if (!mkdtemp(folder))
        return mw_fail_errno(error, "cannot make a folder in /tmp");
    int result = open_private(folder, error);
    rmdir(folder);
    if (result != 0)
        return result;
    if (listener->file >= 0)
        the_file = fcntl(listener->file, F_DUPFD_CLOEXEC, 0);
    if (dup3(listener->fd, the_descriptor, O_CLOEXEC) < 0 || (listener->file >= 0 && the_file < 0))
        return mw_fail_errno(error, "cannot give libmilter our socket");
    smfi_settimeout(IDLE_S);
    return 0;
}

static void *run(void *wake)
{
    smfi_main();
    atomic_store(&the_end, true);
    mw_wake_up(wake);
    return NULL;
}

int mw_engine_start(struct mw_wake *wake, struct mw_error *error)
{
    return mw_wake_thread(run, wake, error);
}

void mw_engine_heard(void)
{
    atomic_fetch_add_explicit(&heard, 1, memory_order_relaxed);
}

int mw_engine_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    if (the_file >= 0)
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", the_file);
    else if (getsockname(the_descriptor, (struct sockaddr *)&address, &size) != 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) == 0)
        return fd;
    close(fd);
    return -1;
}

void mw_engine_nudge(void)
{
    unsigned now = atomic_load_explicit(&heard, memory_order_relaxed);
    int fd = atomic_exchange(&heard_before, now) == now ? mw_engine_connect() : -1;
    if (fd >= 0)
        close(fd);
}

/* libmilter goes on with a socket that nobody can find. */
void mw_engine_stop_accepting(void)
{
    struct mw_error ignored = {0};
    struct mw_listener nowhere;
    if (mw_listen_private(&nowhere, &ignored) != 0)
        return;
    dup3(nowhere.fd, the_descriptor, O_CLOEXEC);
    mw_listen_close(&nowhere);
}

bool mw_engine_has_ended(void)
{
    return atomic_load(&the_end);
}
