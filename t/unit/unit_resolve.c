/* unit_resolve: names are asked for no longer than there is time, beside a name server of our
 * own that never answers. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "milter/listen.h"
#include "store/transport.h"
#include "t/unit/tap.h"

enum { WAIT_MS = 300, HANGS_S = 60 };

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        printf("# cannot write %s\n", path);
    close(fd);
}

static bool put_over(const char *path, const char *text)
{
    char draft[] = "/tmp/unit_resolve-XXXXXX";
    int fd = mkstemp(draft);
    write_file(draft, text);
    bool done = fd >= 0 && mount(draft, path, NULL, MS_BIND, NULL) == 0;
    unlink(draft);
    close(fd);
    return done;
}

/* A network and files of our own: nobody else's are touched. */
static bool be_alone(void)
{
    uid_t user = getuid();
    char map[64];
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1", (unsigned)user);
    write_file("/proc/self/uid_map", map);
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
    close(fd);
    return up && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           put_over("/etc/nsswitch.conf", "hosts: files dns\n") &&
           put_over("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
}

static int silent_server(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

static bool connects(const char *host, uint16_t port)
{
    char address[64];
    struct mw_error error = {0};
    snprintf(address, sizeof address, "%s:%u", host, port);
    struct mw_transport *transport =
        mw_transport_open(address, NULL, NULL, mw_clock_ms() + 20000, &error);
    if (!transport)
        printf("# %s\n", error.text);
    mw_transport_free(transport);
    return transport != NULL;
}

int main(void)
{
    struct mw_error error = {0};
    uint16_t port = 0;
    if (!be_alone()) {
        printf("1..0 # SKIP no namespaces here\n");
        return 0;
    }
    int server = silent_server(), listener = listen_somewhere(&port);
    alarm(HANGS_S);
    struct mw_transport *transport =
        mw_transport_open("redis.example:6379", NULL, NULL, mw_clock_ms() + WAIT_MS, &error);
    tap_ok(!transport && error.code == MW_ERR_TIMEOUT,
           "a name server that is silent costs no more than the time there is");
    tap_ok(strstr(error.text, "redis.example") != NULL, "... and the name is told");
    char query[512];
    tap_ok(recv(server, query, sizeof query, MSG_DONTWAIT) > 0, "... which was asked for");
    tap_ok(connects("localhost", port), "a name that is known is found all the same");
    tap_ok(connects("127.0.0.1", port), "... and a number needs nobody");
    struct mw_listener socket = {.fd = -1};
    const struct mw_listen_settings settings = {"0660", NULL};
    error = (struct mw_error){0};
    tap_ok(mw_listen_open("inet:0@localhost", &settings, &socket, &error) == 0,
           "a socket is opened by name");
    mw_listen_close(&socket);
    tap_ok(mw_listen_open("inet:0@milter.example", &settings, &socket, &error) == MW_ERR_INPUT &&
               strstr(error.text, "no name server answers in time for milter.example"),
           "... or not, in time");
    close(server);
    close(listener);
    return tap_done();
}
