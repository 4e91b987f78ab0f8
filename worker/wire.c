/* wire: fixed-size messages, descriptors, and the form of a packed report. */
#include "worker/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/report_pack.h"
#include "scanners/hash.h"

static const uint64_t pack_magic = 0x314b434150574dull; /* "MWPACK1" */

/* How a packed report begins; sizes of the attachments' bytes follow, then the report,
 * then the bytes themselves, in the report's order. */
struct pack_head {
    uint64_t magic;
    uint64_t report_size;
    uint64_t attachments;
};

int mw_wire_send(int socket, const struct mw_wire *wire, const int *fds, size_t count,
                 struct mw_error *error)
{
    struct iovec data = {(void *)(uintptr_t)wire, sizeof *wire};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MW_WIRE_FDS * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    for (;;) {
        if (sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *wire)
            return 0;
        if (errno == EPIPE || errno == ECONNRESET)
            return mw_fail(error, MW_ERR_MISSING, "the worker processes have ended");
        if (errno != EINTR)
            return mw_fail_errno(error, "cannot send to a worker process");
    }
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* The descriptors of a message, as many as there are room for; the rest closed. */
static size_t take_fds(struct msghdr *message, int *fds)
{
    size_t taken = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (taken < MW_WIRE_FDS)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    return taken;
}

static int wait_for(int socket, int timeout_ms, struct mw_error *error)
{
    struct pollfd ready = {.fd = socket, .events = POLLIN};
    for (;;) {
        int count = poll(&ready, 1, timeout_ms);
        if (count > 0)
            return 0;
        if (count == 0)
            return mw_fail(error, MW_ERR_TIMEOUT, "no answer within %d ms", timeout_ms);
        if (errno != EINTR)
            return mw_fail_errno(error, "cannot wait for a worker process");
    }
}

static int bad_message(const int *fds, size_t count, ssize_t size, struct mw_error *error)
{
    close_all(fds, count);
    return mw_fail(error, MW_ERR_FORMAT, "a worker process sent %zd bytes and %zu descriptors",
                   size, count);
}

int mw_wire_receive(int socket, struct mw_wire *wire, int *fds, size_t count, int timeout_ms,
                    struct mw_error *error)
{
    int received[MW_WIRE_FDS] = {-1, -1, -1};
    size_t taken = MW_WIRE_FDS;
    int result = mw_wire_receive_some(socket, wire, received, &taken, timeout_ms, error);
    if (result == 0 && taken != count)
        return bad_message(received, taken, sizeof *wire, error);
    if (result == 0 && count > 0)
        memcpy(fds, received, count * sizeof *fds);
    return result;
}

int mw_wire_receive_some(int socket, struct mw_wire *wire, int *fds, size_t *count, int timeout_ms,
                         struct mw_error *error)
{
    struct iovec data = {wire, sizeof *wire};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MW_WIRE_FDS * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control};
    if (timeout_ms >= 0 && wait_for(socket, timeout_ms, error) != 0)
        return error->code;
    ssize_t size;
    do
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (timeout_ms == 0 ? MSG_DONTWAIT : 0));
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN)
        return mw_fail(error, MW_ERR_TIMEOUT, "nothing has been said");
    if (size < 0 && errno != ECONNRESET)
        return mw_fail_errno(error, "cannot receive from a worker process");
    if (size <= 0)
        return mw_fail(error, MW_ERR_MISSING, "the worker process has ended");
    int received[MW_WIRE_FDS];
    size_t taken = take_fds(&message, received);
    bool whole = size == (ssize_t)sizeof *wire && taken <= *count &&
                 !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (!whole)
        return bad_message(received, taken, size, error);
    if (taken > 0)
        memcpy(fds, received, taken * sizeof *fds);
    *count = taken;
    wire->text[MW_WIRE_TEXT - 1] = '\0';
    return 0;
}

static int append(struct mw_memfile *file, const void *data, size_t size, struct mw_error *error)
{
    return mw_memfile_append(file, (struct mw_bytes){data, size}, SIZE_MAX, error);
}

static int write_pack(struct mw_memfile *file, const struct mw_report *report,
                      struct mw_bytes packed, struct mw_error *error)
{
    size_t count = report->attachments.count;
    struct pack_head head = {pack_magic, packed.size, count};
    size_t size = sizeof head + count * sizeof(uint64_t);
    unsigned char *front = mw_arena_alloc(report->arena, size + packed.size);
    memcpy(front, &head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        uint64_t one = report->attachments.items[i].data.size;
        memcpy(front + sizeof head + i * sizeof one, &one, sizeof one);
    }
    memcpy(front + size, packed.data, packed.size);
    if (append(file, front, size + packed.size, error) != 0)
        return error->code;
    for (size_t i = 0; i < count; i++) {
        struct mw_bytes data = report->attachments.items[i].data;
        if (append(file, data.data, data.size, error) != 0)
            return error->code;
    }
    return 0;
}

int mw_wire_pack_into(struct mw_memfile *file, const struct mw_report *report,
                      struct mw_error *error)
{
    struct mw_bytes packed = mw_report_pack(report);
    int result = write_pack(file, report, packed, error);
    free((void *)(uintptr_t)packed.data);
    return result;
}

struct mw_memfile *mw_wire_pack(const struct mw_report *report, struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_new("mailwitness-report", error);
    if (!file || (mw_wire_pack_into(file, report, error) == 0 && mw_memfile_seal(file, error) == 0))
        return file;
    mw_memfile_free(file);
    return NULL;
}

/* The next size bytes of a packed report; false when there are not so many. */
static bool cut(struct mw_bytes *rest, uint64_t size, struct mw_bytes *out)
{
    if (size > rest->size)
        return false;
    *out = mw_bytes_slice(*rest, 0, (size_t)size);
    *rest = mw_bytes_slice(*rest, (size_t)size, rest->size);
    return true;
}

/* Gives each attachment its bytes, if they are what its SHA-256 says. */
static int attach(struct mw_report *report, struct mw_bytes sizes, struct mw_bytes rest,
                  struct mw_error *error)
{
    bool any = report->attachments.count > 0;
    struct mw_hasher *hasher = any ? mw_hasher_new(error) : NULL;
    int result = any && !hasher ? MW_ERR_MISSING : 0;
    for (size_t i = 0; i < report->attachments.count && result == 0; i++) {
        struct mw_attachment *file = &report->attachments.items[i];
        uint64_t size;
        memcpy(&size, sizes.data + i * sizeof size, sizeof size);
        if (!cut(&rest, size, &file->data) || file->size != (int64_t)size || !file->sha256 ||
            strcmp(mw_hasher_sha256(hasher, report->arena, file->data), file->sha256) != 0)
            result = mw_fail(error, MW_ERR_FORMAT,
                             "a worker's bytes of attachment %zu are not what its report says", i);
    }
    if (result == 0 && rest.size > 0)
        result = mw_fail(error, MW_ERR_FORMAT, "a worker sent %zu bytes too many", rest.size);
    mw_hasher_free(hasher);
    return result;
}

static struct mw_report *read_pack(struct mw_bytes rest, struct mw_error *error)
{
    struct mw_bytes head_bytes, sizes, packed;
    struct pack_head head = {0};
    if (cut(&rest, sizeof head, &head_bytes))
        memcpy(&head, head_bytes.data, sizeof head);
    if (head.magic != pack_magic || head.attachments > rest.size / sizeof(uint64_t) ||
        !cut(&rest, head.attachments * sizeof(uint64_t), &sizes) ||
        !cut(&rest, head.report_size, &packed)) {
        mw_fail(error, MW_ERR_FORMAT, "a worker's result is no packed report");
        return NULL;
    }
    struct mw_report *report = mw_report_unpack(packed, error);
    if (!report)
        return NULL;
    if (report->attachments.count != head.attachments)
        mw_fail(error, MW_ERR_FORMAT, "a worker's report lists other attachments than it sent");
    else if (attach(report, sizes, rest, error) == 0)
        return report;
    mw_report_free(report);
    return NULL;
}

static void free_memfile(void *file)
{
    mw_memfile_free(file);
}

/* What stands in file behind the first skip bytes; file is the report's, or freed. */
static struct mw_report *read_file(struct mw_memfile *file, size_t skip, struct mw_error *error)
{
    struct mw_bytes bytes, head;
    struct mw_report *report = NULL;
    if (mw_memfile_map(file, &bytes, error) == 0) {
        if (cut(&bytes, skip, &head))
            report = read_pack(bytes, error);
        else
            mw_fail(error, MW_ERR_FORMAT, "a worker's result is no packed report");
    }
    if (report)
        mw_arena_own(report->arena, free_memfile, file);
    else
        mw_memfile_free(file);
    return report;
}

struct mw_report *mw_wire_unpack(int fd, size_t max, struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_receive(fd, max, error);
    return file ? read_file(file, 0, error) : NULL;
}

struct mw_report *mw_wire_unpack_file(struct mw_memfile *file, size_t skip, size_t max,
                                      struct mw_error *error)
{
    if (mw_memfile_settle(file, max, error) == 0)
        return read_file(file, skip, error);
    mw_memfile_free(file);
    return NULL;
}
