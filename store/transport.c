/* transport: non-blocking sockets, poll(2) and OpenSSL. */
#include "store/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/address.h"
#include "core/file.h"
#include "core/resolve.h"

enum { PIECES = 256 };

struct mw_tls {
    SSL_CTX *context;
};

struct mw_transport {
    int fd;
    SSL *ssl;
    short wants; /* what TLS itself waits for */
};

/* --- addresses --------------------------------------------------------------------- */

static const char *unix_path(const char *address)
{
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

int mw_address_check(const char *text, struct mw_error *error)
{
    char host[MW_HOST_SIZE];
    char port[MW_PORT_SIZE];
    const char *path = unix_path(text);
    struct sockaddr_un un;
    if (path && strlen(path) >= sizeof un.sun_path)
        return mw_fail(error, MW_ERR_INPUT,
                       "the path of a unix socket must be shorter than %zu bytes: %s",
                       sizeof un.sun_path, path);
    if ((path && *path) || (!path && mw_address_split(text, host, port)))
        return 0;
    return mw_fail(error, MW_ERR_INPUT, "'%s' is neither unix:PATH nor HOST:PORT", text);
}

/* --- TLS ---------------------------------------------------------------------------- */

static int fail_tls(struct mw_error *error, int code, const char *what, const char *name)
{
    char why[256] = "";
    unsigned long number = ERR_peek_last_error();
    ERR_error_string_n(number, why, sizeof why);
    ERR_clear_error();
    return mw_fail(error, code, "%s%s%s%s%s", what, name ? " " : "", name ? name : "",
                   number ? ": " : "", number ? why : "");
}

static int load_files(SSL_CTX *context, const struct mw_redis_settings *settings,
                      struct mw_error *error)
{
    const char *ca = settings->tls_ca_file, *cert = settings->tls_cert_file;
    const char *key = settings->tls_key_file ? settings->tls_key_file : cert;
    const struct {
        const char *what, *path;
    } files[] = {
        {"authorities' certificates in", ca}, {"certificate", cert}, {"key", cert ? key : NULL}};
    struct mw_error why = {0};
    /* OpenSSL would wait for a FIFO. */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].path && mw_file_check(files[i].path, &why) != 0)
            return mw_fail(error, why.code, "cannot use the %s %s", files[i].what, why.text);
    if (ca ? SSL_CTX_load_verify_file(context, ca) != 1
           : SSL_CTX_set_default_verify_paths(context) != 1)
        return fail_tls(error, MW_ERR_INPUT, "cannot read the authorities' certificates in",
                        ca ? ca : "the system's folder");
    if (!cert)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return fail_tls(error, MW_ERR_INPUT, "cannot use the certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return fail_tls(error, MW_ERR_INPUT, "cannot use the key", key);
    return 0;
}

struct mw_tls *mw_tls_new(const struct mw_redis_settings *settings, struct mw_error *error)
{
    struct mw_tls *tls = calloc(1, sizeof *tls);
    if (tls)
        tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls || !tls->context) {
        fail_tls(error, MW_ERR_INTERNAL, "cannot prepare TLS", NULL);
        mw_tls_free(tls);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (load_files(tls->context, settings, error) == 0)
        return tls;
    mw_tls_free(tls);
    return NULL;
}

void mw_tls_free(struct mw_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* What a result of OpenSSL means: 0 wait, negative failed. */
static int judge(struct mw_transport *transport, int result, struct mw_error *error)
{
    transport->wants = 0;
    int system = errno;
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        transport->wants = POLLIN;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        transport->wants = POLLOUT;
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return mw_fail(error, MW_ERR_SYSTEM, "Redis closed the connection");
    case SSL_ERROR_SYSCALL:
        errno = system ? system : ECONNRESET;
        return mw_fail_errno(error, "the connection to Redis broke");
    default:
        break;
    }
    long verified = SSL_get_verify_result(transport->ssl);
    if (verified != X509_V_OK) {
        ERR_clear_error();
        return mw_fail(error, MW_ERR_SYSTEM, "the certificate of Redis is not trusted: %s",
                       X509_verify_cert_error_string(verified));
    }
    return fail_tls(error, MW_ERR_SYSTEM, "TLS with Redis failed", NULL);
}

static int expect_name(SSL *ssl, const char *name)
{
    unsigned char number[16];
    bool is_number =
        inet_pton(AF_INET, name, number) == 1 || inet_pton(AF_INET6, name, number) == 1;
    if (is_number)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 &&
           SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)name) == 1;
}

static int shake_hands(struct mw_transport *transport, struct mw_tls *tls, const char *name,
                       int64_t deadline, struct mw_error *error)
{
    transport->ssl = SSL_new(tls->context);
    if (!transport->ssl || SSL_set_fd(transport->ssl, transport->fd) != 1 ||
        (name && !expect_name(transport->ssl, name)))
        return fail_tls(error, MW_ERR_INTERNAL, "cannot start TLS", NULL);
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(transport->ssl);
        if (result == 1)
            return 0;
        if (judge(transport, result, error) < 0)
            return MW_ERR_SYSTEM;
        if (mw_transport_wait(transport, false, deadline, error) != 0)
            return error->code;
    }
}

/* --- connecting ----------------------------------------------------------------------- */

static int finish_connect(struct mw_transport *transport, const char *address, int64_t deadline,
                          struct mw_error *error)
{
    int problem = 0;
    socklen_t size = sizeof problem;
    transport->wants = POLLOUT;
    if (mw_transport_wait(transport, false, deadline, error) != 0)
        return mw_fail(error, MW_ERR_TIMEOUT, "no answer from %s while connecting", address);
    transport->wants = 0;
    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        problem = errno;
    errno = problem;
    return problem == 0 ? 0 : mw_fail_errno(error, "cannot connect to %s", address);
}

static int connect_to(struct mw_transport *transport, const char *address,
                      const struct sockaddr *to, socklen_t size, int64_t deadline,
                      struct mw_error *error)
{
    transport->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (transport->fd < 0)
        return mw_fail_errno(error, "cannot make a socket for %s", address);
    if (connect(transport->fd, to, size) == 0)
        return 0;
    if (errno == EINPROGRESS)
        return finish_connect(transport, address, deadline, error);
    return mw_fail_errno(error, "cannot connect to %s", address);
}

static int connect_unix(struct mw_transport *transport, const char *address, int64_t deadline,
                        struct mw_error *error)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const char *path = unix_path(address);
    memcpy(un.sun_path, path, strlen(path) + 1);
    return connect_to(transport, address, (const void *)&un, sizeof un, deadline, error);
}

static int connect_tcp(struct mw_transport *transport, const char *address, const char *host,
                       const char *port, int64_t deadline, struct mw_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    struct mw_error why = {0};
    int result = mw_resolve(host, port, &hints, deadline, &found, &why);
    if (result != 0)
        return mw_fail(error, result, "cannot find the host of %s: %s", address, why.text);
    for (struct addrinfo *one = found; one; one = one->ai_next) {
        result = connect_to(transport, address, one->ai_addr, one->ai_addrlen, deadline, error);
        if (result == 0)
            break;
        if (transport->fd >= 0)
            close(transport->fd);
        transport->fd = -1;
    }
    freeaddrinfo(found);
    int yes = 1;
    if (result == 0) {
        setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        setsockopt(transport->fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    }
    return result;
}

struct mw_transport *mw_transport_open(const char *address, struct mw_tls *tls, const char *name,
                                       int64_t deadline, struct mw_error *error)
{
    char host[MW_HOST_SIZE] = "", port[MW_PORT_SIZE] = "";
    if (mw_address_check(address, error) != 0)
        return NULL;
    struct mw_transport *transport = calloc(1, sizeof *transport);
    if (!transport) {
        mw_fail_errno(error, "cannot connect to %s", address);
        return NULL;
    }
    transport->fd = -1;
    int result;
    if (unix_path(address)) {
        result = connect_unix(transport, address, deadline, error);
    } else {
        mw_address_split(address, host, port);
        result = connect_tcp(transport, address, host, port, deadline, error);
    }
    if (result == 0 && tls)
        result = shake_hands(transport, tls, name ? name : *host ? host : NULL, deadline, error);
    if (result == 0)
        return transport;
    mw_transport_free(transport);
    return NULL;
}

void mw_transport_free(struct mw_transport *transport)
{
    if (!transport)
        return;
    SSL_free(transport->ssl);
    if (transport->fd >= 0)
        close(transport->fd);
    free(transport);
}

/* --- bytes ------------------------------------------------------------------------------ */

ssize_t mw_transport_write(struct mw_transport *transport, const struct iovec *pieces, size_t count,
                           struct mw_error *error)
{
    if (transport->ssl) {
        size_t done = 0;
        ERR_clear_error();
        int result = SSL_write_ex(transport->ssl, pieces[0].iov_base, pieces[0].iov_len, &done);
        return result == 1 ? (ssize_t)done : judge(transport, result, error);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = count < PIECES ? count : PIECES};
    ssize_t done = sendmsg(transport->fd, &message, MSG_NOSIGNAL);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return done >= 0 ? done : mw_fail_errno(error, "cannot write to Redis");
}

ssize_t mw_transport_read(struct mw_transport *transport, void *buffer, size_t size,
                          struct mw_error *error)
{
    if (transport->ssl) {
        size_t done = 0;
        ERR_clear_error();
        int result = SSL_read_ex(transport->ssl, buffer, size, &done);
        return result == 1 ? (ssize_t)done : judge(transport, result, error);
    }
    ssize_t done = recv(transport->fd, buffer, size, 0);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (done == 0)
        return mw_fail(error, MW_ERR_SYSTEM, "Redis closed the connection");
    return done > 0 ? done : mw_fail_errno(error, "cannot read from Redis");
}

int mw_transport_wait(struct mw_transport *transport, bool more_to_write, int64_t deadline,
                      struct mw_error *error)
{
    if (transport->ssl && SSL_pending(transport->ssl) > 0)
        return 0;
    short events = transport->wants ? transport->wants : POLLIN;
    if (more_to_write)
        events |= POLLOUT;
    struct pollfd wait = {.fd = transport->fd, .events = events};
    for (;;) {
        int64_t left = deadline - mw_clock_ms();
        int ready = poll(&wait, 1, left > 0 ? (int)(left < 3600000 ? left : 3600000) : 0);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return mw_fail_errno(error, "cannot wait for Redis");
        if (left <= 0)
            return mw_fail(error, MW_ERR_TIMEOUT, "no answer from Redis in time");
    }
}
