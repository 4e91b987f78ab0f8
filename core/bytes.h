/*
 * bytes: data from outside travels as pointer and length, never as a C string.
 */
#ifndef MW_CORE_BYTES_H
#define MW_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes; data may be NULL only when size is 0. */
struct mw_bytes {
    const unsigned char *data;
    size_t size;
};

/* The bytes of a C string, without its NUL; NULL gives an empty run. */
struct mw_bytes mw_bytes_of(const char *text);

/* Bytes from offset on, at most size of them; clipped to what is there. */
struct mw_bytes mw_bytes_slice(struct mw_bytes bytes, size_t offset, size_t size);

/* Offset of needle in bytes at or after from, or bytes.size when not there. */
size_t mw_bytes_find(struct mw_bytes bytes, size_t from, struct mw_bytes needle);

/* Whether bytes start with prefix, ASCII letters compared without case. */
bool mw_bytes_has_prefix_nocase(struct mw_bytes bytes, const char *prefix);

/* Whether no byte has its highest bit set. */
bool mw_bytes_is_ascii(struct mw_bytes bytes);

/* Offset just after the line that starts at from (its newline included). */
size_t mw_bytes_next_line(struct mw_bytes bytes, size_t from);

/* The size lowest bytes (1 to 8) of number, the lowest first, to at and back. */
void mw_bytes_put_little(unsigned char *at, uint64_t number, size_t size);
uint64_t mw_bytes_get_little(const unsigned char *at, size_t size);

#endif
