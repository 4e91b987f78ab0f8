/* frame: a table, and one message at a time. */
#include "worker/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/utf8.h"

/* What may be said: over which channel, by whom, when, and what then is. */
struct row {
    const char *name;
    enum mw_channel_kind channel;
    bool by_asker;
    enum mw_phase phase, next;
    unsigned fds_least, fds_most;
    size_t most; /* bytes of the fields */
};

static const struct row table[MW_FRAME_KINDS] = {
    [MW_FRAME_LOAD] = {"LOAD", MW_CHANNEL_ZYGOTE, true, MW_PHASE_IDLE, MW_PHASE_IDLE, 1, 3,
                       MW_FRAME_MAX},
    [MW_FRAME_READY] = {"READY", MW_CHANNEL_CONTROL, false, MW_PHASE_LOADING, MW_PHASE_IDLE, 0, 0,
                        MW_FRAME_MAX},
    [MW_FRAME_FAILED] = {"FAILED", MW_CHANNEL_CONTROL, false, MW_PHASE_LOADING, MW_PHASE_LOADING, 0,
                         0, MW_FRAME_MAX},
    [MW_FRAME_DIED] = {"DIED", MW_CHANNEL_CONTROL, false, MW_PHASE_IDLE, MW_PHASE_IDLE, 0, 0, 64},
    [MW_FRAME_START] = {"START", MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE, MW_PHASE_IDLE, 1, 1, 64},
    [MW_FRAME_VERIFY] = {"VERIFY", MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE, MW_PHASE_IDLE, 1, 1,
                         64},
    [MW_FRAME_END] = {"END", MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE, MW_PHASE_IDLE, 0, 0, 64},
    [MW_FRAME_JOB] = {"JOB", MW_CHANNEL_JOBS, true, MW_PHASE_IDLE, MW_PHASE_WORKING, 1, 1, 64},
    [MW_FRAME_FILE] = {"FILE", MW_CHANNEL_JOBS, true, MW_PHASE_IDLE, MW_PHASE_WORKING, 1, 1, 64},
    [MW_FRAME_RESULT] = {"RESULT", MW_CHANNEL_JOBS, false, MW_PHASE_WORKING, MW_PHASE_IDLE, 0, 0,
                         MW_FRAME_RESULT_MAX},
    [MW_FRAME_LARGE] = {"LARGE", MW_CHANNEL_JOBS, false, MW_PHASE_WORKING, MW_PHASE_ROOM, 0, 0, 64},
    [MW_FRAME_ROOM] = {"ROOM", MW_CHANNEL_JOBS, true, MW_PHASE_ROOM, MW_PHASE_FILING, 1, 1, 64},
    [MW_FRAME_FILED] = {"FILED", MW_CHANNEL_JOBS, false, MW_PHASE_FILING, MW_PHASE_IDLE, 0, 0, 64},
    [MW_FRAME_RUN] = {"RUN", MW_CHANNEL_RUNNER, true, MW_PHASE_IDLE, MW_PHASE_WORKING, 1, 1,
                      MW_FRAME_MAX},
    [MW_FRAME_RAN] = {"RAN", MW_CHANNEL_RUNNER, false, MW_PHASE_WORKING, MW_PHASE_IDLE, 1, 1,
                      MW_FRAME_MAX},
};

/* --- fields: a byte for the type, then a number or a length in eight ---------------------- */

enum { NUMBER = 1, TEXT, BYTES, FIELD = 1 + sizeof(uint64_t) };

static void put_field(struct mw_frame_out *frame, unsigned char type, uint64_t value)
{
    if (frame->full || frame->room - frame->size < FIELD) {
        frame->full = true;
        return;
    }
    frame->bytes[frame->size] = type;
    memcpy(frame->bytes + frame->size + 1, &value, sizeof value);
    frame->size += FIELD;
}

struct mw_frame_out mw_frame_begin(void *bytes, size_t room, enum mw_frame_kind kind)
{
    struct mw_frame_out frame = {.bytes = bytes, .room = room};
    put_field(&frame, NUMBER, kind);
    return frame;
}

void mw_frame_put_number(struct mw_frame_out *frame, uint64_t number)
{
    put_field(frame, NUMBER, number);
}

static unsigned char *put_space(struct mw_frame_out *frame, unsigned char type, size_t size)
{
    put_field(frame, type, size);
    if (frame->full || frame->room - frame->size < size) {
        frame->full = true;
        return NULL;
    }
    frame->size += size;
    return frame->bytes + frame->size - size;
}

unsigned char *mw_frame_put_space(struct mw_frame_out *frame, size_t size)
{
    return put_space(frame, BYTES, size);
}

void mw_frame_put_text(struct mw_frame_out *frame, const char *text)
{
    size_t size = strlen(text) + 1;
    unsigned char *at = put_space(frame, TEXT, size);
    if (at)
        memcpy(at, text, size);
}

/* Its number, or the length of the bytes that follow it. */
static bool take_field(struct mw_frame_in *frame, unsigned char type, uint64_t *value)
{
    if (frame->bad || frame->rest.size < FIELD || frame->rest.data[0] != type) {
        frame->bad = true;
        return false;
    }
    memcpy(value, frame->rest.data + 1, sizeof *value);
    frame->rest = mw_bytes_slice(frame->rest, FIELD, frame->rest.size);
    return true;
}

static struct mw_bytes take_space(struct mw_frame_in *frame, unsigned char type)
{
    uint64_t size = 0;
    if (!take_field(frame, type, &size) || size > frame->rest.size) {
        frame->bad = true;
        return (struct mw_bytes){0};
    }
    struct mw_bytes bytes = mw_bytes_slice(frame->rest, 0, (size_t)size);
    frame->rest = mw_bytes_slice(frame->rest, (size_t)size, frame->rest.size);
    return bytes;
}

uint64_t mw_frame_take_number(struct mw_frame_in *frame)
{
    uint64_t number = 0;
    return take_field(frame, NUMBER, &number) ? number : 0;
}

struct mw_bytes mw_frame_take_bytes(struct mw_frame_in *frame)
{
    return take_space(frame, BYTES);
}

const char *mw_frame_take_text(struct mw_frame_in *frame)
{
    struct mw_bytes text = take_space(frame, TEXT);
    bool sound = text.size > 0 && memchr(text.data, '\0', text.size) == text.data + text.size - 1;
    if (!sound)
        frame->bad = true;
    return sound ? (const char *)text.data : "";
}

bool mw_frame_is_done(const struct mw_frame_in *frame)
{
    return !frame->bad && frame->rest.size == 0;
}

void mw_frame_close(struct mw_frame_in *frame)
{
    for (size_t i = 0; i < frame->fd_count; i++)
        close(frame->fds[i]);
    frame->fd_count = 0;
}

/* --- sending ------------------------------------------------------------------------------ */

static bool may(const struct mw_channel *channel, uint64_t kind, bool by_asker, size_t size,
                size_t fds)
{
    const struct row *row = kind < MW_FRAME_KINDS ? &table[kind] : NULL;
    return row && row->name && row->channel == channel->kind && row->by_asker == by_asker &&
           row->phase == channel->phase && fds >= row->fds_least && fds <= row->fds_most &&
           size <= row->most;
}

static uint64_t kind_of(struct mw_bytes bytes)
{
    struct mw_frame_in frame = {.rest = bytes};
    return mw_frame_take_number(&frame);
}

static void attach(struct msghdr *message, const int *fds, size_t count)
{
    size_t size = count * sizeof *fds;
    message->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), fds, size);
}

/* A phase is written only where it changes: frames that leave it may come from any thread. */
static void step(struct mw_channel *channel, enum mw_phase next)
{
    if (channel->phase != next)
        channel->phase = next;
}

int mw_channel_send(struct mw_channel *channel, const struct mw_frame_out *frame, const int *fds,
                    size_t count, struct mw_error *error)
{
    struct iovec data = {frame->bytes, frame->size};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MW_FRAME_FDS * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    uint64_t kind = kind_of((struct mw_bytes){frame->bytes, frame->size});
    if (frame->full || !may(channel, kind, channel->asks, frame->size, count))
        return mw_fail(error, MW_ERR_INTERNAL, "the frame %s of %zu bytes may not be sent now",
                       kind < MW_FRAME_KINDS && table[kind].name ? table[kind].name : "?",
                       frame->size);
    if (count > 0) {
        message.msg_control = control.bytes;
        attach(&message, fds, count);
    }
    ssize_t sent;
    do
        sent = sendmsg(channel->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)frame->size) {
        step(channel, table[kind].next);
        return 0;
    }
    if (errno == EPIPE || errno == ECONNRESET)
        return mw_fail(error, MW_ERR_MISSING, "the process has ended");
    if (errno == EAGAIN)
        return mw_fail(error, MW_ERR_BUSY, "the process does not read what it is sent");
    return mw_fail_errno(error, "cannot send to a process");
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Those that were not expected are closed. */
static size_t take_fds(struct msghdr *message, int *fds)
{
    size_t taken = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (taken < MW_FRAME_FDS)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    return taken;
}

int mw_channel_wait(const struct mw_channel *channel, int timeout_ms, struct mw_error *error)
{
    struct pollfd ready = {.fd = channel->socket, .events = POLLIN};
    int count = poll(&ready, 1, timeout_ms);
    if (count < 0 && errno != EINTR)
        return mw_fail_errno(error, "cannot wait for a process");
    return count > 0;
}

/* What was received, by the table; its kind is taken off. */
static bool is_allowed(struct mw_channel *channel, struct mw_frame_in *frame, size_t size)
{
    uint64_t kind = mw_frame_take_number(frame);
    if (frame->bad || !may(channel, kind, !channel->asks, size, frame->fd_count))
        return false;
    frame->kind = (enum mw_frame_kind)kind;
    step(channel, table[kind].next);
    return true;
}

int mw_channel_receive(struct mw_channel *channel, struct mw_frame_in *frame, void *bytes,
                       size_t room, int timeout_ms, struct mw_error *error)
{
    struct iovec data = {bytes, room};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MW_FRAME_FDS * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control};
    *frame = (struct mw_frame_in){0};
    if (timeout_ms > 0) {
        int ready = mw_channel_wait(channel, timeout_ms, error);
        if (ready < 0)
            return ready;
        if (ready == 0)
            return mw_fail(error, MW_ERR_TIMEOUT, "no word within %d ms", timeout_ms);
    }
    ssize_t size;
    do
        size = recvmsg(channel->socket, &message,
                       MSG_CMSG_CLOEXEC | (timeout_ms >= 0 ? MSG_DONTWAIT : 0));
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN)
        return mw_fail(error, MW_ERR_TIMEOUT, "nothing was said");
    if (size < 0 && errno == ECONNRESET)
        return mw_fail(error, MW_ERR_BUSY, "the process went before it read what it was sent");
    if (size < 0)
        return mw_fail_errno(error, "cannot receive from a process");
    frame->fd_count = take_fds(&message, frame->fds);
    if (size == 0 && frame->fd_count == 0)
        return mw_fail(error, MW_ERR_MISSING, "the process has ended");
    frame->rest = (struct mw_bytes){bytes, (size_t)size};
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && is_allowed(channel, frame, (size_t)size))
        return 0;
    size_t descriptors = frame->fd_count;
    mw_frame_close(frame);
    return mw_fail(error, MW_ERR_FORMAT,
                   "a process sent what may not come now: %zd bytes, %zu descriptors", size,
                   descriptors);
}

bool mw_channel_is_quiet(const struct mw_channel *channel)
{
    char byte;
    return recv(channel->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool mw_channel_is_read(const struct mw_channel *channel)
{
    int unread = 0;
    return ioctl(channel->socket, SIOCOUTQ, &unread) != 0 || unread == 0;
}

int mw_channel_pair(int sockets[2], struct mw_error *error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0)
        return 0;
    sockets[0] = sockets[1] = -1;
    return mw_fail_errno(error, "cannot make a socket for worker processes");
}
