/* flight: small commands in one buffer, large ones as they were formatted. */
#include "store/flight.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 65536, WORDS = 64 };

/* One run of bytes: owned by hiredis when large, else a part of the buffer. */
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

void mw_flight_clear(struct mw_flight *flight)
{
    for (size_t i = 0; i < flight->pieces.count; i++)
        if (flight->pieces.items[i].large)
            redisFreeCommand(flight->pieces.items[i].large);
    flight->pieces.count = flight->used = flight->count = 0;
}

void mw_flight_free(struct mw_flight *flight)
{
    if (!flight)
        return;
    mw_flight_clear(flight);
    free(flight->pieces.items);
    free(flight->vectors);
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

static void copy_small(struct mw_flight *flight, const char *bytes, size_t size)
{
    if (flight->used + size > flight->capacity) {
        flight->capacity = (flight->used + size) * 2 + 4096;
        flight->buffer = must(realloc(flight->buffer, flight->capacity));
    }
    size_t last = flight->pieces.count;
    struct piece *piece = last > 0 && !flight->pieces.items[last - 1].large
                              ? &flight->pieces.items[last - 1]
                              : next_piece(flight);
    memcpy(flight->buffer + flight->used, bytes, size);
    flight->used += size;
    piece->size += size;
}

void mw_flight_words(struct mw_flight *flight, const struct mw_bytes *words, size_t count)
{
    const char *few[WORDS], **values = few;
    size_t few_sizes[WORDS], *sizes = few_sizes;
    if (count > WORDS) {
        values = must(malloc(count * sizeof *values));
        sizes = must(malloc(count * sizeof *sizes));
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = words[i].size > 0 ? (const char *)words[i].data : "";
        sizes[i] = words[i].size;
    }
    char *command = NULL;
    int size = redisFormatCommandArgv(&command, (int)count, values, sizes);
    if (size < 0)
        must(NULL);
    flight->count++;
    if (size < LARGE) {
        copy_small(flight, command, (size_t)size);
        redisFreeCommand(command);
    } else {
        struct piece *piece = next_piece(flight);
        piece->large = command;
        piece->size = (size_t)size;
    }
    if (values != few) {
        free(values);
        free(sizes);
    }
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
