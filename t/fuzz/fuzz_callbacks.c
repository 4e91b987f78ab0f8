/*
 * libFuzzer target: a mail server that says anything, to a daemon of one worker in this process,
 * through libmilter and a real socket. Beyond not crashing: every connection ends when its client
 * ends it, and nothing of it is left.
 *
 * The input: one byte (1: negotiate first; 2: the rest goes out as it is), then frames: a letter,
 * a byte of size (255: two more), data.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/callbacks.h"
#include "milter/engine.h"
#include "milter/frame.h"
#include "milter/listen.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NEGOTIATE = 1, AS_IT_IS = 2, LATE_MS = 60000 };

static struct mw_daemon *the_daemon;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static struct mw_config *configuration(void)
{
    static const char text[] = "filter: { };\nworkers: { count = 1; sandbox = \"off\"; };\n";
    struct mw_texts mistakes = {0};
    char path[] = "/tmp/mw-fuzz-XXXXXX";
    int fd = mkstemp(path);
    need(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1,
         "a configuration");
    close(fd);
    struct mw_config *config = mw_config_load(path, mw_arena_new(), &mistakes);
    need(config != NULL, mistakes.count > 0 ? mistakes.items[0] : "a configuration");
    unlink(path);
    return config;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct mw_error error = {0};
    struct mw_listener own;

    the_daemon = mw_daemon_new(configuration(), NULL, NULL, &error);
    need(the_daemon != NULL, error.text);
    struct mw_wake *wake = mw_wake_new(&error);
    need(wake && mw_daemon_start(the_daemon, &error) == 0 &&
             mw_callbacks_register(the_daemon, &error) == 0 &&
             mw_listen_private(&own, &error) == 0 && mw_engine_prepare(&own, &error) == 0 &&
             mw_engine_start(wake, &error) == 0,
         error.text);
    mw_listen_close(&own);
    return 0;
}

/* Until it is all out or the other side has closed. */
static void put(int fd, const void *data, size_t size)
{
    const unsigned char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        size -= (size_t)sent;
    }
}

static void put_frame(int fd, uint8_t letter, const void *data, size_t size)
{
    size_t length = size + 1;
    unsigned char head[MW_FRAME_HEAD] = {0, (unsigned char)(length >> 16),
                                         (unsigned char)(length >> 8), (unsigned char)length,
                                         letter};
    put(fd, head, sizeof head);
    put(fd, data, size);
}

static void put_frames(int fd, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 2 <= size;) {
        uint8_t letter = data[at];
        size_t length = data[at + 1];
        at += 2;
        if (length == 255 && at + 2 <= size) {
            length = (size_t)data[at] << 8 | data[at + 1];
            at += 2;
        }
        size_t there = length < size - at ? length : size - at;
        put_frame(fd, letter, data + at, there);
        at += there;
    }
}

/* The answers are of no interest, the end is. */
static void wait_for_end(int fd)
{
    char answers[4096];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    shutdown(fd, SHUT_WR);
    do
        need(poll(&ready, 1, LATE_MS) == 1, "a connection ends when its client has ended it");
    while (read(fd, answers, sizeof answers) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char options[12] = {0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
    if (size == 0)
        return 0;
    int fd = mw_engine_connect();
    need(fd >= 0, "there is a connection");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (data[0] & NEGOTIATE)
        put_frame(fd, 'O', options, sizeof options);
    if (data[0] & AS_IT_IS)
        put(fd, data + 1, size - 1);
    else
        put_frames(fd, data + 1, size - 1);
    wait_for_end(fd);
    close(fd);
    need(atomic_load(&the_daemon->counters.connections_open) == 0 &&
             atomic_load(&the_daemon->counters.messages_open) == 0 &&
             atomic_load(&the_daemon->users) == 0 && atomic_load(&the_daemon->admission.held) == 0,
         "nothing is left of a connection");
    return 0;
}
