/*
 * transport: a stream to Redis over TCP or a unix socket, with TLS when asked, every
 * wait bounded. hiredis 0.14 has no TLS of its own; one path serves all.
 *
 * Deadlines are times of mw_clock_ms. A program that uses this ignores SIGPIPE.
 * One thread uses a transport at a time; a struct mw_tls may be shared.
 */
#ifndef MW_STORE_TRANSPORT_H
#define MW_STORE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/clock.h"
#include "core/error.h"
#include "store/settings.h"

struct mw_tls;

/* What is needed for TLS, read from settings' files; NULL with the file named. */
struct mw_tls *mw_tls_new(const struct mw_redis_settings *settings, struct mw_error *error);
void mw_tls_free(struct mw_tls *tls);

/* Whether text is unix:PATH, HOST:PORT or [IPV6]:PORT; MW_ERR_INPUT if not. */
int mw_address_check(const char *text, struct mw_error *error);

struct mw_transport;

/*
 * Connects. tls may be NULL; the server's certificate must then bear name, or the
 * address' host when name is NULL. MW_ERR_TIMEOUT at the deadline.
 */
struct mw_transport *mw_transport_open(const char *address, struct mw_tls *tls, const char *name,
                                       int64_t deadline, struct mw_error *error);
void mw_transport_free(struct mw_transport *transport);

/* Bytes written or read; 0 when it must be waited first (mw_transport_wait), negative on
 * error; for reading, the other side's end is an error too. */
ssize_t mw_transport_write(struct mw_transport *transport, const struct iovec *pieces, size_t count,
                           struct mw_error *error);
ssize_t mw_transport_read(struct mw_transport *transport, void *buffer, size_t size,
                          struct mw_error *error);

/* Waits until reading, or with more_to_write writing, may go on. */
int mw_transport_wait(struct mw_transport *transport, bool more_to_write, int64_t deadline,
                      struct mw_error *error);

#endif
