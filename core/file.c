/* file: stat, open without waiting, look again. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    case S_IFLNK:
        return "a link";
    default:
        return "a device";
    }
}

static int fail_open(const char *path, struct mw_error *error)
{
    int code = errno == ENOENT ? MW_ERR_MISSING : MW_ERR_SYSTEM;
    return mw_fail(error, code, "%s: %s", path, strerror(errno));
}

static int refuse_kind(const char *path, mode_t mode, struct mw_error *error)
{
    return mw_fail(error, MW_ERR_INPUT, "%s: is no file but %s", path, kind_of(mode));
}

int mw_file_open(const char *path, struct mw_error *error)
{
    struct stat facts;
    /* Opening a device may do something already. */
    if (stat(path, &facts) != 0)
        return fail_open(path, error);
    if (!S_ISREG(facts.st_mode))
        return refuse_kind(path, facts.st_mode, error);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(path, error);
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode))
        return fd;
    close(fd);
    return refuse_kind(path, facts.st_mode, error);
}

int mw_file_check(const char *path, struct mw_error *error)
{
    int fd = mw_file_open(path, error);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* Up to the end, or max bytes. */
static ssize_t read_all(int fd, char *to, size_t max)
{
    size_t got = 0;
    while (got < max) {
        ssize_t n = read(fd, to + got, max - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int mw_file_read(const char *path, size_t max, struct mw_arena *arena, struct mw_bytes *bytes,
                 struct mw_error *error)
{
    /* Files below /proc tell no size. */
    enum { ROOM_LEAST = 65536 };
    struct stat facts;
    int fd = mw_file_open(path, error);
    if (fd < 0)
        return fd;
    size_t room = fstat(fd, &facts) == 0 ? (size_t)facts.st_size + 1 : 0;
    room = room < ROOM_LEAST ? ROOM_LEAST : room;
    room = room > max ? max + 1 : room;
    char *text = mw_arena_alloc_raw(arena, room + 1);
    ssize_t got = read_all(fd, text, room);
    int result = got < 0 ? mw_fail(error, MW_ERR_SYSTEM, "%s: %s", path, strerror(errno)) : 0;
    close(fd);
    if (result != 0)
        return result;
    if ((size_t)got > max)
        return mw_fail(error, MW_ERR_LIMIT, "%s: has more than the %zu bytes allowed", path, max);
    text[got] = '\0';
    *bytes = (struct mw_bytes){(const unsigned char *)text, (size_t)got};
    return 0;
}

int mw_file_write_all(int fd, struct mw_bytes rest)
{
    while (rest.size > 0) {
        ssize_t n = write(fd, rest.data, rest.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        rest = mw_bytes_slice(rest, (size_t)n, rest.size);
    }
    return 0;
}

int mw_file_replace(const char *path, struct mw_bytes bytes, mode_t mode, struct mw_error *error)
{
    char draft[PATH_MAX];
    struct stat facts;
    if (lstat(path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return mw_fail(error, MW_ERR_BUSY, "cannot write %s: %s is there", path,
                       kind_of(facts.st_mode));
    if (snprintf(draft, sizeof draft, "%s.XXXXXX", path) >= (int)sizeof draft)
        return mw_fail(error, MW_ERR_INPUT, "cannot write %s: the path is too long", path);
    int fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0)
        return mw_fail_errno(error, "cannot write %s as user %u", path, (unsigned)geteuid());
    int result = fchmod(fd, mode) == 0 && mw_file_write_all(fd, bytes) == 0 ? 0 : -1;
    if (close(fd) != 0 || result != 0 || rename(draft, path) != 0) {
        result = mw_fail_errno(error, "cannot write %s", path);
        unlink(draft);
    }
    return result;
}

int mw_file_give(const char *path, mode_t type, uid_t user, gid_t group, struct mw_error *error)
{
    struct stat facts;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0)
        mw_fail_errno(error, "cannot look at %s", path);
    else if ((facts.st_mode & S_IFMT) != type || facts.st_nlink > 1)
        mw_fail(error, MW_ERR_BUSY, "%s was replaced by something else", path);
    else if (fchownat(fd, "", user, group, AT_EMPTY_PATH) != 0)
        mw_fail_errno(error, "cannot give %s away", path);
    else {
        close(fd);
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return error ? error->code : MW_ERR_SYSTEM;
}

int mw_file_check_folder(const char *folder, uid_t user, struct mw_error *error)
{
    struct stat facts;
    if (stat(folder, &facts) != 0)
        return mw_fail_errno(error, "cannot look at the folder %s", folder);
    if (!S_ISDIR(facts.st_mode))
        return mw_fail(error, MW_ERR_INPUT, "%s is no folder", folder);
    /* In a sticky one nobody removes what is another's. */
    if ((facts.st_mode & S_IWOTH) && !(facts.st_mode & S_ISVTX))
        return mw_fail(error, MW_ERR_INPUT,
                       "anybody may write to the folder %s, and put another file in the place of "
                       "ours: chmod o-w it, or use another",
                       folder);
    if (facts.st_uid != 0 && facts.st_uid != geteuid() && facts.st_uid != user)
        return mw_fail(error, MW_ERR_INPUT,
                       "the folder %s belongs to user %u, who could put another file in the place "
                       "of ours: chown it, or use another",
                       folder, (unsigned)facts.st_uid);
    return 0;
}

bool mw_file_is_open_to_all(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && (facts.st_mode & S_IROTH);
}
