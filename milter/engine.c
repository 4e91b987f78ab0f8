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

enum { DESCRIPTORS = 65536, IDLE_S = 7200 };

/* As libmilter, of which there is one a process. */
static int the_descriptor = -1;
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

int mw_engine_prepare(int fd, struct mw_error *error)
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
    if (dup3(fd, the_descriptor, O_CLOEXEC) < 0)
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

void mw_engine_nudge(void)
{
    unsigned now = atomic_load_explicit(&heard, memory_order_relaxed);
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    if (atomic_exchange(&heard_before, now) != now ||
        getsockname(the_descriptor, (struct sockaddr *)&address, &size) != 0)
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* Whether it is taken at once or not: there will be another nudge. */
    int unused = connect(fd, (struct sockaddr *)&address, size);
    (void)unused;
    close(fd);
}

/* libmilter goes on with a socket that nobody can find. */
void mw_engine_stop_accepting(void)
{
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* Without a path the system makes up a name (unix(7), autobind). */
    if (bind(fd, (struct sockaddr *)&nowhere, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0)
        dup3(fd, the_descriptor, O_CLOEXEC);
    close(fd);
}

void mw_engine_stop(void)
{
    smfi_stop();
}

bool mw_engine_has_ended(void)
{
    return atomic_load(&the_end);
}
