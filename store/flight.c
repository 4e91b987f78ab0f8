/*
 * flight: small commands in one buffer, large ones each in its own. We write the protocol's
 * lengths ourselves: hiredis does it by printf, a third of all that a save costs us.
 */
#include "store/flight.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 65536, WORDS = 64, LENGTH = 24 };

/* One run of bytes: owned when large, else a part of the buffer. */
struct piece {
    char *large;
    size_t at, size;
};

struct mw_flight {
    char *buffer;
    size_t used, capacity;
    MW_LIST(struct piece) pieces;
    struct iovec *vectors;
    size_t vector_room, count;
    redisReply **replies;
    size_t reply_count, reply_room;
};

/* As with arenas: without memory there is nothing sensible to go on with. */
static void *must(void *memory)
{
    if (!memory) {
        fputs("mailwitness: out of memory\n", stderr);
        abort();
    }
    return memory;
}

struct mw_flight *mw_flight_new(void)
{
    return must(calloc(1, sizeof(struct mw_flight)));
}

static void drop_replies(struct mw_flight *flight)
{
    for (size_t i = 0; i < flight->reply_count; i++)
        freeReplyObject(flight->replies[i]);
    flight->reply_count = 0;
}

void mw_flight_clear(struct mw_flight *flight)
{
    drop_replies(flight);
    for (size_t i = 0; i < flight->pieces.count; i++)
        free(flight->pieces.items[i].large);
    flight->pieces.count = flight->used = flight->count = 0;
}

void mw_flight_free(struct mw_flight *flight)
{
    if (!flight)
        return;
    mw_flight_clear(flight);
    free(flight->pieces.items);
    free(flight->vectors);
    free(flight->replies);
    free(flight->buffer);
    free(flight);
}

static struct piece *next_piece(struct mw_flight *flight)
{
    if (flight->pieces.count == flight->pieces.capacity) {
        flight->pieces.capacity = flight->pieces.capacity * 2 + 4;
        flight->pieces.items =
            must(realloc(flight->pieces.items, flight->pieces.capacity * sizeof(struct piece)));
    }
    struct piece *piece = &flight->pieces.items[flight->pieces.count++];
    *piece = (struct piece){.at = flight->used};
    return piece;
}

/* "$12\r\n" or "*3\r\n" at `at`; how many bytes. */
static size_t write_length(char *at, char kind, size_t number)
{
    char digits[24];
    size_t count = 0, used = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    at[used++] = kind;
    while (count > 0)
        at[used++] = digits[--count];
    at[used++] = '\r';
    at[used++] = '\n';
    return used;
}

/* Room for size bytes more at the end of the buffer, as part of its last piece. */
static struct piece *reserve(struct mw_flight *flight, size_t size)
{
    if (flight->used + size > flight->capacity) {
        flight->capacity = (flight->used + size) * 2 + 4096;
        flight->buffer = must(realloc(flight->buffer, flight->capacity));
    }
    size_t last = flight->pieces.count;
    bool goes_on = last > 0 && !flight->pieces.items[last - 1].large;
    return goes_on ? &flight->pieces.items[last - 1] : next_piece(flight);
}

/* What is sent for one command (redis.io, "RESP protocol spec"). */
static size_t write_command(char *at, const struct mw_bytes *words, size_t count)
{
    size_t used = write_length(at, '*', count);
    for (size_t i = 0; i < count; i++) {
        used += write_length(at + used, '$', words[i].size);
        if (words[i].size > 0)
            memcpy(at + used, words[i].data, words[i].size);
        used += words[i].size;
        at[used++] = '\r';
        at[used++] = '\n';
    }
    return used;
}

void mw_flight_words(struct mw_flight *flight, const struct mw_bytes *words, size_t count)
{
    size_t most = LENGTH;
    for (size_t i = 0; i < count; i++)
        most += LENGTH + words[i].size + 2;
    flight->count++;
    if (most < LARGE) {
        struct piece *piece = reserve(flight, most);
        size_t size = write_command(flight->buffer + flight->used, words, count);
        flight->used += size;
        piece->size += size;
        return;
    }
    struct piece *piece = next_piece(flight);
    piece->large = must(malloc(most));
    piece->size = write_command(piece->large, words, count);
}

void mw_flight_add(struct mw_flight *flight, ...)
{
    struct mw_bytes words[WORDS];
    size_t count = 0;
    va_list arguments;
    va_start(arguments, flight);
    for (const char *word; count < WORDS && (word = va_arg(arguments, const char *)) != NULL;)
        words[count++] = mw_bytes_of(word);
    va_end(arguments);
    mw_flight_words(flight, words, count);
}

size_t mw_flight_count(const struct mw_flight *flight)
{
    return flight->count;
}

redisReply **mw_flight_expect(struct mw_flight *flight)
{
    drop_replies(flight);
    if (flight->reply_room < flight->count) {
        flight->reply_room = flight->count;
        flight->replies = must(realloc(flight->replies, flight->count * sizeof(redisReply *)));
    }
    flight->reply_count = flight->count;
    for (size_t i = 0; i < flight->count; i++)
        flight->replies[i] = NULL;
    return flight->replies;
}

const redisReply *mw_flight_reply(const struct mw_flight *flight, size_t index)
{
    return index < flight->reply_count ? flight->replies[index] : NULL;
}

const struct iovec *mw_flight_pieces(struct mw_flight *flight, size_t *count)
{
    *count = flight->pieces.count;
    if (flight->vector_room < *count) {
        flight->vector_room = *count;
        flight->vectors = must(realloc(flight->vectors, *count * sizeof *flight->vectors));
    }
    for (size_t i = 0; i < *count; i++) {
        const struct piece *piece = &flight->pieces.items[i];
        flight->vectors[i].iov_base = piece->large ? piece->large : flight->buffer + piece->at;
        flight->vectors[i].iov_len = piece->size;
    }
    return flight->vectors;
}
