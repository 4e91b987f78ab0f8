/* mbox: where one message ends and the next begins. */
#include "cli/mbox.h"

#include <stdlib.h>
#include <string.h>

/* "hh:mm" somewhere, and a four-digit year at the end or before a zone. */
static bool has_date(struct mw_bytes line)
{
    bool time = false;
    int digits = 0;
    for (size_t i = 0; i < line.size; i++) {
        unsigned char c = line.data[i];
        bool digit = c >= '0' && c <= '9';
        if (c == ':' && digits > 0 && i + 1 < line.size && line.data[i + 1] >= '0' &&
            line.data[i + 1] <= '9')
            time = true;
        digits = digit ? digits + 1 : 0;
        if (time && digits == 4)
            return true;
    }
    return false;
}

/* A From_ line: "From ", an address or a dash, and a date; at the very start
 * or behind a blank line, so that quoted mail does not split. */
static bool separates(struct mw_bytes bytes, size_t at)
{
    struct mw_bytes line = mw_bytes_slice(bytes, at, mw_bytes_next_line(bytes, at) - at);
    if (line.size < 12 || memcmp(line.data, "From ", 5) != 0 || !has_date(line))
        return false;
    if (at == 0)
        return true;
    size_t before = at - 1; /* the line feed that ends the line before */
    if (before > 0 && bytes.data[before - 1] == '\r')
        before--;
    return before == 0 || bytes.data[before - 1] == '\n';
}

/* The next separator at or after from, or the end. */
static size_t next_separator(struct mw_bytes bytes, size_t from)
{
    while (from < bytes.size && !separates(bytes, from))
        from = mw_bytes_next_line(bytes, from);
    return from;
}

bool mw_mbox_is(struct mw_bytes bytes)
{
    return bytes.size > 0 && separates(bytes, 0) &&
           next_separator(bytes, mw_bytes_next_line(bytes, 0)) < bytes.size;
}

static bool is_quoted_from(struct mw_bytes line)
{
    size_t i = 0;
    while (i < line.size && line.data[i] == '>')
        i++;
    return i > 0 && line.size - i >= 5 && memcmp(line.data + i, "From ", 5) == 0;
}

static struct mw_bytes unquote(struct mw_bytes raw, unsigned char *out)
{
    size_t size = 0;
    for (size_t at = 0, next; at < raw.size; at = next) {
        next = mw_bytes_next_line(raw, at);
        struct mw_bytes line = mw_bytes_slice(raw, at, next - at);
        if (is_quoted_from(line))
            line = mw_bytes_slice(line, 1, line.size);
        memcpy(out + size, line.data, line.size);
        size += line.size;
    }
    return (struct mw_bytes){out, size};
}

/* Drops the blank line that stands before the next separator. */
static struct mw_bytes without_last_blank(struct mw_bytes raw)
{
    size_t size = raw.size;
    if (size < 2 || raw.data[size - 1] != '\n')
        return raw;
    size_t blank = size - 1;
    if (blank > 0 && raw.data[blank - 1] == '\r')
        blank--;
    if (blank > 0 && raw.data[blank - 1] == '\n')
        raw.size = blank;
    return raw;
}

static int one_message(struct mw_bytes raw, size_t number,
                       int (*each)(void *user, struct mw_bytes raw, size_t number), void *user)
{
    raw = without_last_blank(raw);
    if (mw_bytes_find(raw, 0, mw_bytes_of("\n>")) == raw.size)
        return each(user, raw, number);
    unsigned char *copy = malloc(raw.size + 1);
    if (!copy)
        return -1;
    int result = each(user, unquote(raw, copy), number);
    free(copy);
    return result;
}

int mw_mbox_each(struct mw_bytes bytes, int (*each)(void *user, struct mw_bytes raw, size_t number),
                 void *user)
{
    size_t number = 0;
    for (size_t at = 0; at < bytes.size;) {
        size_t start = mw_bytes_next_line(bytes, at);
        size_t end = next_separator(bytes, start);
        int result = one_message(mw_bytes_slice(bytes, start, end - start), ++number, each, user);
        if (result != 0)
            return result;
        at = end;
    }
    return 0;
}
