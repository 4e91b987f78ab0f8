/*
 * flight: Redis commands made ready to travel together (RESP).
 *
 * Built before a connection is taken, so that none is held while we think.
 * Not thread-safe: one thread builds a flight.
 */
#ifndef MW_STORE_FLIGHT_H
#define MW_STORE_FLIGHT_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <sys/uio.h>

#include "core/arena.h"
#include "core/bytes.h"

struct mw_flight;

/* A new empty flight; the caller frees it. */
struct mw_flight *mw_flight_new(void);
void mw_flight_free(struct mw_flight *flight);

/* Empties it for the next use, its replies too, keeping its memory. */
void mw_flight_clear(struct mw_flight *flight);

/* Appends one command; its words are copied. */
void mw_flight_words(struct mw_flight *flight, const struct mw_bytes *words, size_t count);

/* The same with C strings; the last argument is NULL. */
void mw_flight_add(struct mw_flight *flight, ...) __attribute__((sentinel));

/* How many commands, and so replies. */
size_t mw_flight_count(const struct mw_flight *flight);

/*
 * Replies belong to their flight, until it flies again, is cleared or freed.
 * mw_flight_expect drops those of an earlier try and gives room for one a command, all NULL,
 * for who reads them. mw_flight_reply is the index-th one, NULL when it did not come.
 */
redisReply **mw_flight_expect(struct mw_flight *flight);
const redisReply *mw_flight_reply(const struct mw_flight *flight, size_t index);

/* The bytes to send, in order, borrowed until the flight changes. */
const struct iovec *mw_flight_pieces(struct mw_flight *flight, size_t *count);

#endif
