/* metrics_http: libmicrohttpd; the only user of it. */
#include "milter/metrics_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/address.h"

/*
 * One who reads metrics needs one connection; nobody may take all descriptors. Before all
 * places are taken the oldest connection is hung up on, so that those who connect and say
 * nothing, or say it byte by byte, keep nobody waiting.
 */
enum { CONNECTIONS = 32, SPARE = 8, BACKLOG = 128, IDLE_SECONDS = 10 };

/* A connection, in the order they came. Only libmicrohttpd's one thread knows them. */
struct link {
    struct link *before, *next;
    int fd; /* -1: was hung up on */
};

struct mw_metrics_http {
    struct MHD_Daemon *daemon;
    struct link all; /* the head: next is the oldest */
    unsigned open;
};

static void hang_up_on_oldest(struct mw_metrics_http *http)
{
    struct link *oldest = http->all.next;
    while (oldest->fd < 0)
        oldest = oldest->next;
    shutdown(oldest->fd, SHUT_RDWR);
    oldest->fd = -1;
    http->open--;
}

static void begin(struct mw_metrics_http *http, struct MHD_Connection *connection, void **place)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct link *link = calloc(1, sizeof *link);
    if (!link || !info) {
        free(link);
        return;
    }
    *link = (struct link){http->all.before, &http->all, info->connect_fd};
    link->before->next = http->all.before = link;
    *place = link;
    if (++http->open > CONNECTIONS - SPARE)
        hang_up_on_oldest(http);
}

static void end(struct mw_metrics_http *http, struct link *link)
{
    if (!link)
        return;
    link->before->next = link->next;
    link->next->before = link->before;
    http->open -= link->fd >= 0;
    free(link);
}

static void note_connection(void *user, struct MHD_Connection *connection, void **place,
                            enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        begin(user, connection, place);
    else
        end(user, *place);
}

static enum MHD_Result give(struct MHD_Connection *connection, unsigned status, char *text,
                            const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result give_plain(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    char *copy = strdup(text);
    return copy ? give(connection, status, copy, "text/plain; charset=utf-8") : MHD_NO;
}

static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version, (void)upload;
    /* The first call comes after the head of the request, the next with its body. */
    static char seen;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return give_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is known here\n");
    if (strcmp(url, "/metrics") != 0)
        return give_plain(connection, MHD_HTTP_NOT_FOUND, "look at /metrics\n");
    char *text = mw_metrics_text(user);
    return text ? give(connection, MHD_HTTP_OK, text, "text/plain; version=0.0.4; charset=utf-8")
                : MHD_NO;
}

/* HOST:PORT or [HOST]:PORT to something to bind to; the caller frees it. */
static struct addrinfo *resolve(const char *address, struct mw_error *error)
{
    char host[MW_HOST_SIZE], port[MW_PORT_SIZE];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (!mw_address_split(address, host, port) || getaddrinfo(host, port, &hints, &found) != 0) {
        mw_fail(error, MW_ERR_INPUT, "metrics.listen: '%s' is not HOST:PORT such as 127.0.0.1:9197",
                address);
        return NULL;
    }
    return found;
}

static int listen_on(const char *address, struct mw_error *error)
{
    struct addrinfo *where = resolve(address, error);
    if (!where)
        return -1;
    int yes = 1;
    int descriptor = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(descriptor, where->ai_addr, where->ai_addrlen) != 0 ||
        listen(descriptor, BACKLOG) != 0) {
        mw_fail_errno(error, "metrics.listen: cannot listen on %s", address);
        if (descriptor >= 0)
            close(descriptor);
        descriptor = -1;
    }
    freeaddrinfo(where);
    return descriptor;
}

struct mw_metrics_http *mw_metrics_http_start(struct mw_metrics *metrics, const char *address,
                                              struct mw_error *error)
{
    int descriptor = listen_on(address, error);
    if (descriptor < 0)
        return NULL;
    struct mw_metrics_http *http = calloc(1, sizeof *http);
    if (http) {
        http->all.before = http->all.next = &http->all;
        http->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, answer, metrics,
            MHD_OPTION_LISTEN_SOCKET, descriptor, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION,
            note_connection, http, MHD_OPTION_END);
    }
    if (http && http->daemon)
        return http;
    mw_fail_errno(error, "metrics.listen: cannot start the listener on %s", address);
    close(descriptor);
    free(http);
    return NULL;
}

void mw_metrics_http_stop(struct mw_metrics_http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
