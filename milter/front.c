/* front: one epoll loop; a relay has two ends and a buffer for each way. What comes from
 * outside goes on frame by frame, each looked at when it is whole. */
#include "milter/front.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/engine.h"
#include "milter/frame.h"
#include "milter/wake.h"

/* The largest frame fits. */
enum { BUFFER = MW_FRAME_HEAD + MW_FRAME_DATA_MAX, EVENTS = 64, TURNS = 8, PAUSE_US = 10000 };

enum kind { LISTENER, END };

/* What an event is about. */
struct source {
    enum kind kind;
    int fd;
    struct end *end; /* NULL for a listener */
};

struct mw_front {
    int epoll;
    struct relay *dead; /* to be freed when no event can be about them */
    struct source listeners[MW_FRONT_LISTENERS];
    size_t listener_count;
};

/* One end of a relay, and what came from it and is to go to the other: the bytes of the buffer
 * from start on, as many as size; the first of them, as many as good, may go. */
struct end {
    struct source source;
    struct relay *relay;
    struct end *other;
    bool tcp, ended, told; /* nothing more comes; the other end was told so */
    bool looked_at;        /* frames of a mail server, not answers of libmilter */
    uint32_t interest;     /* as epoll knows it */
    size_t start, size, good;
    unsigned char
        *buffer; /* room for BUFFER bytes; NULL while there are none: most ends are idle */
};

struct relay {
    struct end ends[2];
    bool dead;
    struct relay *next; /* among the dead */
};

static void acknowledge(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
}

/* --- moving bytes ---------------------------------------------------------------- */

/* All whole frames behind those that are good already. */
static void look_at_frames(struct end *end)
{
    while (end->size - end->good >= MW_FRAME_HEAD) {
        const unsigned char *at = end->buffer + end->start + end->good;
        char letter = (char)at[MW_FRAME_HEAD - 1];
        long size = mw_frame_data_size(at);
        if (size >= 0 && end->size - end->good < MW_FRAME_HEAD + (size_t)size)
            return;
        const char *why =
            size < 0 ? "a length that no frame has"
                     : mw_frame_wrong(letter, (struct mw_bytes){at + MW_FRAME_HEAD, (size_t)size});
        if (why) {
            mw_frame_refuse(letter, why);
            end->relay->dead = true;
            return;
        }
        end->good += MW_FRAME_HEAD + (size_t)size;
    }
}

/* Reads more behind what is there, none of which may go yet; false when there is nothing to be
 * had now. */
static bool take(struct end *end)
{
    if (!end->buffer && !(end->buffer = malloc(BUFFER)))
        abort();
    if (end->start > 0)
        memmove(end->buffer, end->buffer + end->start, end->size);
    end->start = 0;
    ssize_t got = recv(end->source.fd, end->buffer + end->size, BUFFER - end->size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got < 0)
        end->relay->dead = true;
    if (got <= 0) {
        end->ended = true;
        return false;
    }
    end->size += (size_t)got;
    if (end->tcp)
        acknowledge(end->source.fd);
    if (end->looked_at)
        look_at_frames(end);
    else
        end->good = end->size;
    return true;
}

/* Sends what may go; false when it cannot be sent now. */
static bool pass(struct end *end)
{
    while (end->good > 0) {
        ssize_t sent =
            send(end->other->source.fd, end->buffer + end->start, end->good, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return false;
        if (sent <= 0) {
            end->relay->dead = true;
            return false;
        }
        end->start += (size_t)sent;
        end->size -= (size_t)sent;
        end->good -= (size_t)sent;
    }
    return true;
}

/* One way, a bounded number of turns: others are waiting too. */
static void pump(struct end *end)
{
    for (int turn = 0; turn < TURNS && !end->relay->dead; turn++)
        if (!pass(end) || end->ended || !take(end))
            break;
    if (end->ended && end->good == 0 && !end->told && !end->relay->dead) {
        shutdown(end->other->source.fd, SHUT_WR);
        end->told = true;
    }
}

/* --- relays ---------------------------------------------------------------------- */

static void close_relay(struct relay *relay)
{
    for (int i = 0; i < 2; i++) {
        close(relay->ends[i].source.fd);
        free(relay->ends[i].buffer);
    }
    free(relay);
}

static void leave_buffer(struct end *end)
{
    if (end->size > 0)
        return;
    free(end->buffer);
    end->buffer = NULL;
}

static void watch(const struct mw_front *front, struct end *end)
{
    uint32_t interest = (end->good == 0 && !end->ended ? (uint32_t)EPOLLIN : 0) |
                        (end->other->good > 0 ? (uint32_t)EPOLLOUT : 0);
    if (interest == end->interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = &end->source};
    if (epoll_ctl(front->epoll, EPOLL_CTL_MOD, end->source.fd, &event) != 0)
        end->relay->dead = true;
    end->interest = interest;
}

static void move(struct mw_front *front, struct relay *relay, uint32_t events)
{
    pump(&relay->ends[0]);
    pump(&relay->ends[1]);
    leave_buffer(&relay->ends[0]);
    leave_buffer(&relay->ends[1]);
    watch(front, &relay->ends[0]);
    watch(front, &relay->ends[1]);
    /* An end that is gone altogether is reported whatever was asked for. */
    bool gone = (events & EPOLLERR) != 0;
    bool done = relay->ends[0].told && relay->ends[1].told;
    relay->dead = relay->dead || gone || done;
    if (relay->dead) {
        relay->next = front->dead;
        front->dead = relay;
    }
}

static bool begin(const struct mw_front *front, struct relay *relay, int outer, int inner, bool tcp)
{
    const int fds[2] = {outer, inner};
    for (int i = 0; i < 2; i++) {
        struct end *end = &relay->ends[i];
        end->source = (struct source){END, fds[i], end};
        end->relay = relay;
        end->other = &relay->ends[!i];
        end->interest = EPOLLIN;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &end->source};
        if (epoll_ctl(front->epoll, EPOLL_CTL_ADD, fds[i], &event) != 0)
            return false;
    }
    relay->ends[0].tcp = tcp;
    relay->ends[0].looked_at = true;
    return true;
}

static void lead(const struct mw_front *front, int outer)
{
    int yes = 1, inner = mw_engine_connect();
    bool tcp = setsockopt(outer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0;
    setsockopt(outer, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    struct relay *relay = inner >= 0 ? calloc(1, sizeof *relay) : NULL;
    if (tcp)
        acknowledge(outer);
    if (relay && begin(front, relay, outer, inner, tcp))
        return;
    /* The mail server sees a milter that hangs up, and does what it is set to do then. */
    close(outer);
    if (inner >= 0)
        close(inner);
    free(relay);
}

static void take_connections(const struct mw_front *front, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        lead(front, fd);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        usleep(PAUSE_US);
}

/* Both ends of a relay may be among the events: it is freed after the last of them. */
static void handle(struct mw_front *front, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;
        if (source->kind == LISTENER)
            take_connections(front, source->fd);
        else if (!source->end->relay->dead)
            move(front, source->end->relay, events[i].events);
    }
    while (front->dead) {
        struct relay *relay = front->dead;
        front->dead = relay->next;
        close_relay(relay);
    }
}

static void *run(void *argument)
{
    struct mw_front *front = argument;
    struct epoll_event events[EVENTS] = {{0}};
    for (;;)
        handle(front, events, epoll_wait(front->epoll, events, EVENTS, -1));
    return NULL;
}

struct mw_front *mw_front_start(struct mw_error *error)
{
    struct mw_front *front = calloc(1, sizeof *front);
    if (!front)
        abort();
    front->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (front->epoll < 0)
        mw_fail_errno(error, "cannot wait for connections");
    else if (mw_wake_thread(run, front, error) == 0)
        return front;
    free(front);
    return NULL;
}

int mw_front_add(struct mw_front *front, const struct mw_listener *listener, struct mw_error *error)
{
    if (front->listener_count == MW_FRONT_LISTENERS)
        return mw_fail(error, MW_ERR_LIMIT, "more than %d sockets", MW_FRONT_LISTENERS);
    struct source *source = &front->listeners[front->listener_count++];
    *source = (struct source){LISTENER, listener->fd, NULL};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(front->epoll, EPOLL_CTL_ADD, listener->fd, &event) == 0)
        return 0;
    return mw_fail_errno(error, "cannot wait for connections to %s", listener->name);
}
