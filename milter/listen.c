/* listen: parse, look whether anybody is there, bind. */
#include "milter/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/address.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/resolve.h"

enum { BACKLOG = 1024, RESOLVE_MS = 5000 };

/* A socket's name taken apart. */
struct place {
    int family;
    char path[108];          /* of a unix socket */
    char host[MW_HOST_SIZE]; /* of the others; "" for all addresses */
    char port[MW_PORT_SIZE];
};

static int wrong(const char *text, struct mw_error *error)
{
    return mw_fail(error, MW_ERR_INPUT,
                   "'%s' is no socket: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST", text);
}

static bool copy(char *out, size_t size, const char *from, size_t length)
{
    if (length >= size)
        return false;
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

/* PORT@HOST as milters have it, HOST:PORT as postfix has it, or PORT alone. */
static bool parse_port(const char *text, struct place *place)
{
    const char *at = strchr(text, '@');
    if (!at && strchr(text, ':'))
        return mw_address_split(text, place->host, place->port);
    const char *host = at ? at + 1 : "";
    size_t length = strlen(host);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    return copy(place->host, sizeof place->host, host, length) &&
           copy(place->port, sizeof place->port, text, at ? (size_t)(at - text) : strlen(text)) &&
           mw_address_is_port(place->port);
}

static int parse(const char *text, struct place *place, struct mw_error *error)
{
    static const struct {
        const char *prefix;
        int family;
    } kinds[] = {{"unix:", AF_UNIX}, {"local:", AF_UNIX}, {"inet:", AF_INET}, {"inet6:", AF_INET6}};
    *place = (struct place){0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, length) != 0)
            continue;
        place->family = kinds[i].family;
        if (place->family != AF_UNIX)
            return parse_port(text + length, place) ? 0 : wrong(text, error);
        if (text[length] != '/')
            return mw_fail(error, MW_ERR_INPUT, "'%s': the path must begin with /", text);
        if (!copy(place->path, sizeof place->path, text + length, strlen(text + length)))
            return mw_fail(error, MW_ERR_INPUT, "'%s': the path has more than %zu bytes", text,
                           sizeof place->path - 1);
        return 0;
    }
    return wrong(text, error);
}

int mw_listen_check(const char *text, struct mw_error *error)
{
    struct place place;
    return parse(text, &place, error);
}

bool mw_listen_is_everywhere(const char *text)
{
    struct place place;
    struct mw_error ignored = {0};
    return parse(text, &place, &ignored) == 0 && place.family != AF_UNIX && place.host[0] == '\0';
}

static int parse_mode(const char *text, mode_t *mode, struct mw_error *error)
{
    char *end;
    unsigned long value = strtoul(text, &end, 8);
    if (*text == '\0' || *end != '\0' || value > 0777)
        return mw_fail(error, MW_ERR_INPUT, "'%s' is no mode such as 0660", text);
    *mode = (mode_t)value;
    return 0;
}

static int find_group(const char *text, gid_t *group, struct mw_error *error)
{
    *group = (gid_t)-1;
    if (!text || *text == '\0')
        return 0;
    char *end;
    const struct group *found = getgrnam(text);
    unsigned long value = strtoul(text, &end, 10);
    if (!found && *end != '\0')
        return mw_fail(error, MW_ERR_INPUT, "there is no group '%s'", text);
    *group = found ? found->gr_gid : (gid_t)value;
    return 0;
}

int mw_listen_check_settings(const struct mw_listen_settings *settings, struct mw_error *error)
{
    mode_t mode;
    gid_t group;
    if (parse_mode(settings->mode, &mode, error) != 0)
        return error->code;
    return find_group(settings->group, &group, error);
}

/* Removes a socket file that nobody listens on; MW_ERR_BUSY when somebody does. */
static int remove_stale(const struct sockaddr_un *address, struct mw_error *error)
{
    struct stat facts;
    const char *path = address->sun_path;
    if (lstat(path, &facts) != 0)
        return errno == ENOENT ? 0 : mw_fail_errno(error, "cannot look at %s", path);
    if (!S_ISSOCK(facts.st_mode))
        return mw_fail(error, MW_ERR_BUSY, "%s is there and no socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return mw_fail_errno(error, "cannot make a socket");
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int why = errno;
    close(fd);
    /* EAGAIN: somebody listens, and is busy. */
    if (result == 0 || why == EAGAIN)
        return mw_fail(error, MW_ERR_BUSY, "another process is listening on %s", path);
    if (why != ECONNREFUSED) {
        errno = why;
        return mw_fail_errno(error, "cannot tell whether anybody listens on %s", path);
    }
    return unlink(path) == 0 ? 0 : mw_fail_errno(error, "cannot remove %s", path);
}

/* Between looking and binding nobody else may do the same: starts take turns by a lock
 * on the folder. */
static int lock_folder(const char *path, struct mw_error *error)
{
    char folder[108];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        mw_fail_errno(error, "cannot use the folder %s for a socket", folder);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int bind_local(int fd, const struct place *place, const struct mw_listen_settings *settings,
                      struct mw_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct mw_error why = {0};
    mode_t mode = 0;
    gid_t group = (gid_t)-1;
    memcpy(address.sun_path, place->path, sizeof place->path);
    if (parse_mode(settings->mode, &mode, error) != 0 ||
        find_group(settings->group, &group, error) != 0)
        return error->code;
    int lock = lock_folder(place->path, error);
    if (lock < 0)
        return error->code;
    int result = remove_stale(&address, error);
    if (result == 0) {
        /* The mode comes with the file: a name may lead somewhere else a moment later. */
        mode_t before = umask(0777 & ~mode);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
            listen(fd, BACKLOG) != 0)
            result = mw_fail_errno(error, "cannot listen on %s", place->path);
        else if (group != (gid_t)-1 &&
                 mw_file_give(place->path, S_IFSOCK, (uid_t)-1, group, &why) != 0)
            result = mw_fail(error, why.code,
                             "milter.socket_group: %s; it is for the group %s (start as root, or "
                             "leave it out where systemd makes the socket)",
                             why.text, settings->group);
        umask(before);
    }
    close(lock);
    return result;
}

static void note_file(struct mw_listener *listener, const char *path)
{
    struct stat facts;
    if (lstat(path, &facts) != 0)
        return;
    snprintf(listener->path, sizeof listener->path, "%s", path);
    listener->device = facts.st_dev;
    listener->inode = facts.st_ino;
}

static int open_local(const struct place *place, const struct mw_listen_settings *settings,
                      struct mw_listener *listener, struct mw_error *error)
{
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return mw_fail_errno(error, "cannot make a socket");
    listener->local = true;
    if (bind_local(listener->fd, place, settings, error) == 0) {
        note_file(listener, place->path);
        return 0;
    }
    close(listener->fd);
    return error->code;
}

static int bind_port(struct mw_listener *listener, const struct addrinfo *address,
                     struct mw_error *error)
{
    int yes = 1;
    listener->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return mw_fail_errno(error, "cannot make a socket");
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->ai_family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    if (bind(listener->fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(listener->fd, BACKLOG) == 0)
        return 0;
    int code = errno == EADDRINUSE ? MW_ERR_BUSY : MW_ERR_SYSTEM;
    mw_fail_errno(error, "cannot listen on %s", listener->name);
    error->code = code;
    close(listener->fd);
    return code;
}

static int open_port(const struct place *place, struct mw_listener *listener,
                     struct mw_error *error)
{
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = place->family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct mw_error why = {0};
    if (mw_resolve(place->host[0] ? place->host : NULL, place->port, &hints,
                   mw_clock_ms() + RESOLVE_MS, &found, &why) != 0)
        return mw_fail(error, MW_ERR_INPUT, "%s: %s", listener->name, why.text);
    int result = bind_port(listener, found, error);
    freeaddrinfo(found);
    return result;
}

int mw_listen_open(const char *text, const struct mw_listen_settings *settings,
                   struct mw_listener *listener, struct mw_error *error)
{
    struct place place = {0};
    *listener = (struct mw_listener){.fd = -1, .file = -1};
    snprintf(listener->name, sizeof listener->name, "%s", text);
    if (parse(text, &place, error) != 0)
        return error->code;
    return place.family == AF_UNIX ? open_local(&place, settings, listener, error)
                                   : open_port(&place, listener, error);
}

/* In a folder that nobody else may enter, and that is gone as soon as the file is open. */
static int bind_private(struct mw_listener *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *parent = getenv("TMPDIR");
    char folder[64];
    snprintf(folder, sizeof folder, "%.40s/mailwitness-XXXXXX",
             parent && strlen(parent) <= 40 ? parent : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    int result = bind(listener->fd, (const struct sockaddr *)&address, sizeof address);
    if (result == 0)
        listener->file = open(address.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (listener->file < 0 || chmod(address.sun_path, 0600) != 0 ||
        listen(listener->fd, BACKLOG) != 0)
        result = -1;
    int why = errno;
    unlink(address.sun_path);
    rmdir(folder);
    errno = why;
    return result;
}

int mw_listen_private(struct mw_listener *listener, struct mw_error *error)
{
    *listener = (struct mw_listener){.local = true, .name = "private", .file = -1};
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd >= 0 && bind_private(listener) == 0)
        return 0;
    mw_fail_errno(error, "cannot make a private socket");
    mw_listen_close(listener);
    return error->code;
}

int mw_listen_take(int fd, struct mw_listener *listener, struct mw_error *error)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address, option_size = sizeof(int);
    int listening = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option_size) != 0 || !listening ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return mw_fail(error, MW_ERR_INPUT, "descriptor %d that was passed is no listening socket",
                       fd);
    *listener = (struct mw_listener){.fd = fd, .local = address.ss_family == AF_UNIX, .file = -1};
    snprintf(listener->name, sizeof listener->name, "passed:%d", fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return 0;
}

void mw_listen_close(struct mw_listener *listener)
{
    struct stat facts;
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->file >= 0)
        close(listener->file);
    listener->fd = listener->file = -1;
    if (listener->path[0] && lstat(listener->path, &facts) == 0 &&
        facts.st_dev == listener->device && facts.st_ino == listener->inode)
        unlink(listener->path);
    listener->path[0] = '\0';
}
