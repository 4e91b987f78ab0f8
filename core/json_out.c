/* json_out: one buffer, runs of plain characters copied at once. */
#include "core/json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

enum { FIRST_CAPACITY = 16384, LONGEST_ESCAPE = 6, INTEGER_DIGITS = 24 };

/* Room for size more bytes. As in the arena, running out of memory ends the process. */
static char *reserve(struct mw_json_out *out, size_t size)
{
    if (out->capacity - out->size < size) {
        size_t capacity = out->capacity > 0 ? out->capacity : FIRST_CAPACITY;
        while (capacity - out->size < size)
            capacity *= 2;
        char *text = realloc(out->text, capacity);
        if (!text) {
            fprintf(stderr, "out of memory: %zu bytes of JSON\n", capacity);
            abort();
        }
        out->text = text;
        out->capacity = capacity;
    }
    return out->text + out->size;
}

static void append(struct mw_json_out *out, const void *data, size_t size)
{
    memcpy(reserve(out, size), data, size);
    out->size += size;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void append_escape(struct mw_json_out *out, unsigned char c)
{
    static const char *const shorts[0x5d] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
        ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t",
    };
    if (shorts[c])
        append(out, shorts[c], 2);
    else
        out->size += (size_t)snprintf(reserve(out, LONGEST_ESCAPE + 1), LONGEST_ESCAPE + 1,
                                      "\\u%04X", (unsigned)c);
}

void mw_json_out_string(struct mw_json_out *out, const char *text)
{
    struct mw_bytes bytes = mw_bytes_of(text);
    out->wrong = out->wrong || !mw_utf8_valid(bytes);
    mw_json_out_char(out, '"');
    for (size_t at = 0; at < bytes.size; at++) {
        size_t run = at;
        while (run < bytes.size && is_plain(bytes.data[run]))
            run++;
        append(out, bytes.data + at, run - at);
        if (run < bytes.size)
            append_escape(out, bytes.data[run]);
        at = run;
    }
    mw_json_out_char(out, '"');
}

void mw_json_out_integer(struct mw_json_out *out, int64_t value)
{
    out->size +=
        (size_t)snprintf(reserve(out, INTEGER_DIGITS), INTEGER_DIGITS, "%lld", (long long)value);
}

void mw_json_out_char(struct mw_json_out *out, char c)
{
    *reserve(out, 1) = c;
    out->size++;
}

void mw_json_out_raw(struct mw_json_out *out, const char *text)
{
    append(out, text, strlen(text));
}

void mw_json_out_comma(struct mw_json_out *out)
{
    char last = out->size > 0 ? out->text[out->size - 1] : '{';
    if (last != '{' && last != '[')
        mw_json_out_char(out, ',');
}

void mw_json_out_key(struct mw_json_out *out, const char *key)
{
    mw_json_out_comma(out);
    mw_json_out_string(out, key);
    mw_json_out_char(out, ':');
}

void mw_json_out_back(struct mw_json_out *out, size_t size)
{
    out->size = size;
}

void mw_json_out_finish(struct mw_json_out *out)
{
    *reserve(out, 1) = '\0';
}

/* A character as one or two escapes of UTF-16 (RFC 8259 section 7). */
static void append_hidden(struct mw_json_out *out, uint32_t code)
{
    char text[32];
    unsigned high = 0xD800U | (code - 0x10000) >> 10, low = 0xDC00U | (code & 0x3FFU);
    if (code < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", code);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", high, low);
    mw_json_out_raw(out, text);
}

char *mw_json_show(char *json)
{
    struct mw_bytes bytes = mw_bytes_of(json);
    struct mw_json_out out = {0};
    size_t done = 0;
    for (size_t at = 0; at < bytes.size;) {
        uint32_t code;
        size_t length = bytes.data[at] < 0x80
                            ? 1
                            : mw_utf8_character(mw_bytes_slice(bytes, at, bytes.size), &code);
        if (length > 1 && mw_utf8_is_hidden(code)) {
            append(&out, bytes.data + done, at - done);
            append_hidden(&out, code);
            done = at + length;
        }
        at += length > 0 ? length : 1;
    }
    if (done == 0)
        return json;
    append(&out, bytes.data + done, bytes.size - done);
    mw_json_out_finish(&out);
    free(json);
    return out.text;
}
