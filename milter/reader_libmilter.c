/*
 * reader: libmilter's mi_rd_cmd, anew.
 *
 * Small frames come many at a time, and libmilter asks the system whether there is more before
 * each of them: what we took from the socket it would not see. So they are looked at without
 * being taken (MSG_PEEK), given out one by one, and taken when the last of them is: as long as
 * we have one the socket says that there is something to read. A connection stays with its
 * thread until nothing is left, so what was read ahead belongs to the thread.
 */
#include "milter/reader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "milter/frame.h"

enum { AHEAD = 16384, PAUSE_US = 10000 };

/* How libmilter is told that there is no frame. */
enum { ENDED_TIMEOUT = 1, ENDED_MEMORY = 3, ENDED_ERROR = 4, ENDED_CLOSED = 5 };

struct reader {
    int fd;
    char command;
    size_t at, size; /* given out, and seen; both 0 when the socket has all that was not used */
    unsigned char seen[AHEAD];
};

/* libmilter calls without a context of ours: what belongs to its thread is kept for that. */
static pthread_key_t the_key;
static pthread_once_t the_start = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    if (pthread_key_create(&the_key, free) != 0)
        abort();
}

static struct reader *this_reader(bool make)
{
    pthread_once(&the_start, make_key);
    struct reader *reader = pthread_getspecific(the_key);
    if (reader || !make)
        return reader;
    reader = malloc(sizeof *reader);
    if (!reader || pthread_setspecific(the_key, reader) != 0) {
        free(reader);
        return NULL;
    }
    reader->fd = -1;
    reader->command = '\0';
    reader->at = reader->size = 0;
    return reader;
}

/* Waits until there is something to read; 0, or how it ended. */
static char wait_for(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int result;
    do
        result = poll(&ready, 1, timeout_ms);
    while (result < 0 && errno == EINTR);
    return result > 0 ? 0 : result == 0 ? ENDED_TIMEOUT : ENDED_ERROR;
}

/* At least one byte; how many, or 0 with how it ended. */
static size_t get(int fd, void *to, size_t size, int flags, int timeout_ms, char *ended)
{
    *ended = 0;
    for (bool waited = false;; waited = true) {
        ssize_t got;
        do
            got = recv(fd, to, size, flags | MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            return (size_t)got;
        if (got == 0)
            *ended = ENDED_CLOSED;
        /* Readable, and nothing to be read: urgent data, say. Waiting again would not end. */
        else if (errno != EAGAIN || waited)
            *ended = ENDED_ERROR;
        else
            *ended = wait_for(fd, timeout_ms);
        if (*ended)
            return 0;
    }
}

static char get_all(int fd, void *to, size_t size, int timeout_ms)
{
    char ended = 0;
    for (size_t done = 0; done < size && !ended;)
        done += get(fd, (unsigned char *)to + done, size - done, 0, timeout_ms, &ended);
    return ended;
}

/* The size of the frame at the front of what was seen; 0 when it is not all there. */
static size_t whole_frame(const struct reader *reader)
{
    size_t left = reader->size - reader->at;
    if (left < MW_FRAME_HEAD)
        return 0;
    long data = mw_frame_data_size(reader->seen + reader->at);
    return data >= 0 && left >= MW_FRAME_HEAD + (size_t)data ? MW_FRAME_HEAD + (size_t)data : 0;
}

/* Takes from the socket what was given out. */
static char settle(struct reader *reader)
{
    char ended = get_all(reader->fd, reader->seen, reader->at, 0);
    reader->at = reader->size = 0;
    return ended;
}

struct frame {
    unsigned char *data; /* malloc; NULL for none */
    size_t size;
    char letter;
};

static char make_room(struct frame *frame, long size)
{
    frame->size = (size_t)size;
    frame->data = size > 0 ? malloc((size_t)size) : NULL;
    return size > 0 && !frame->data ? ENDED_MEMORY : 0;
}

/* The next one of those that were seen. */
static char give_out(struct reader *reader, size_t size, struct frame *frame)
{
    const unsigned char *at = reader->seen + reader->at;
    frame->letter = (char)at[MW_FRAME_HEAD - 1];
    char ended = make_room(frame, (long)(size - MW_FRAME_HEAD));
    if (frame->data)
        memcpy(frame->data, at + MW_FRAME_HEAD, frame->size);
    reader->at += size;
    if (!ended && whole_frame(reader) == 0)
        ended = settle(reader);
    return ended;
}

/* One that is large or has not all come yet. */
static char read_alone(const struct reader *reader, int timeout_ms, struct frame *frame)
{
    unsigned char head[MW_FRAME_HEAD];
    char ended = get_all(reader->fd, head, sizeof head, timeout_ms);
    if (ended)
        return ended;
    frame->letter = (char)head[MW_FRAME_HEAD - 1];
    long size = mw_frame_data_size(head);
    if (size < 0) {
        mw_frame_refuse(frame->letter, "a length that no frame has");
        return ENDED_ERROR;
    }
    ended = make_room(frame, size);
    return ended ? ended : get_all(reader->fd, frame->data, frame->size, timeout_ms);
}

static char next_frame(struct reader *reader, int timeout_ms, struct frame *frame)
{
    char ended = 0;
    if (reader->size == 0)
        reader->size = get(reader->fd, reader->seen, AHEAD, MSG_PEEK, timeout_ms, &ended);
    if (ended)
        return ended;
    size_t size = whole_frame(reader);
    if (size > 0)
        return give_out(reader, size, frame);
    reader->size = 0;
    return read_alone(reader, timeout_ms, frame);
}

/* Of libmilter's comm.c (8.15 to 8.18): the data in memory that libmilter frees, NULL for none;
 * a letter below ' ' is the end of the connection. */
char *mi_rd_cmd(int fd, const struct timeval *timeout, char *command, size_t *size,
                const char *name);

char *mi_rd_cmd(int fd, const struct timeval *timeout, char *command, size_t *size,
                const char *name)
{
    (void)name;
    struct reader *reader = this_reader(true);
    struct frame frame = {NULL, 0, '\0'};
    *size = 0;
    *command = ENDED_MEMORY;
    if (!reader)
        return NULL;
    if (reader->fd != fd)
        reader->at = reader->size = 0;
    reader->fd = fd;
    *command = next_frame(reader, (int)timeout->tv_sec * 1000, &frame);
    if (!*command) {
        const char *wrong = mw_frame_wrong(frame.letter, (struct mw_bytes){frame.data, frame.size});
        if (wrong)
            mw_frame_refuse(frame.letter, wrong);
        *command = wrong ? ENDED_ERROR : frame.letter;
    }
    reader->command = *command;
    if (*command < ' ') {
        free(frame.data);
        return NULL;
    }
    *size = frame.size;
    return (char *)frame.data;
}

/*
 * In the C library's place, for libmilter, which alone calls it here: where the system has no
 * descriptor for a connection it asks again at once, and takes a processor until there is one.
 */
int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict size)
{
    int connection = accept4(fd, address, size, SOCK_CLOEXEC);
    int why = errno;
    if (connection < 0 && (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM))
        usleep(PAUSE_US);
    errno = why;
    return connection;
}

bool mw_reader_is_built(void)
{
    return true;
}

bool mw_reader_is_heard(void)
{
    const struct reader *reader = this_reader(false);
    struct pollfd ready = {.fd = reader ? reader->fd : -1, .events = POLLOUT};
    return !reader || poll(&ready, 1, 0) > 0;
}

char mw_reader_command(void)
{
    const struct reader *reader = this_reader(false);
    return reader ? reader->command : '\0';
}

void mw_reader_close(void)
{
    struct reader *reader = this_reader(false);
    if (reader && reader->at > 0)
        settle(reader);
    if (reader)
        reader->size = 0;
}
