/* bytes: runs of bytes from outside. */
#include "core/bytes.h"

#include <string.h>
#include <strings.h>

struct mw_bytes mw_bytes_of(const char *text)
{
    if (!text)
        return (struct mw_bytes){0};
    return (struct mw_bytes){(const unsigned char *)text, strlen(text)};
}

struct mw_bytes mw_bytes_slice(struct mw_bytes bytes, size_t offset, size_t size)
{
    if (offset >= bytes.size)
        return (struct mw_bytes){0};
    size_t left = bytes.size - offset;
    return (struct mw_bytes){bytes.data + offset, size < left ? size : left};
}

size_t mw_bytes_find(struct mw_bytes bytes, size_t from, struct mw_bytes needle)
{
    if (from >= bytes.size || needle.size == 0)
        return bytes.size;
    const unsigned char *found =
        memmem(bytes.data + from, bytes.size - from, needle.data, needle.size);
    return found ? (size_t)(found - bytes.data) : bytes.size;
}

bool mw_bytes_has_prefix_nocase(struct mw_bytes bytes, const char *prefix)
{
    size_t length = strlen(prefix);
    return bytes.size >= length && strncasecmp((const char *)bytes.data, prefix, length) == 0;
}

bool mw_bytes_is_ascii(struct mw_bytes bytes)
{
    unsigned char all = 0;
    for (size_t i = 0; i < bytes.size; i++)
        all |= bytes.data[i];
    return all < 0x80;
}

size_t mw_bytes_next_line(struct mw_bytes bytes, size_t from)
{
    if (from >= bytes.size)
        return bytes.size;
    const unsigned char *end = memchr(bytes.data + from, '\n', bytes.size - from);
    return end ? (size_t)(end - bytes.data) + 1 : bytes.size;
}

void mw_bytes_put_little(unsigned char *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(number >> (8 * i));
}

uint64_t mw_bytes_get_little(const unsigned char *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i > 0; i--)
        number = number << 8 | at[i - 1];
    return number;
}
