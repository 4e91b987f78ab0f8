/*
 * mime_decode: transfer encodings, by GMime's step functions straight from the
 * message into memory of the right size. What real mail breaks is mended
 * around them, line by line or group by group.
 */
#include <string.h>
#include <strings.h>

#include "parsers/mime_private.h"

typedef struct mw_bytes decode_function(struct mw_arena *arena, struct mw_bytes encoded);

static struct mw_bytes step_all(struct mw_arena *arena, struct mw_bytes encoded,
                                GMimeContentEncoding encoding)
{
    GMimeEncoding state;
    g_mime_encoding_init_decode(&state, encoding);
    unsigned char *out = mw_arena_alloc_raw(arena, g_mime_encoding_outlen(&state, encoded.size));
    size_t size =
        g_mime_encoding_step(&state, (const char *)encoded.data, encoded.size, (char *)out);
    return (struct mw_bytes){out, size};
}

/* Soft line breaks whose "=" has blanks behind it (RFC 2045 section 6.7 rule 3
 * tells decoders to drop them): GMime would keep the "=". */
static bool has_blank_soft_break(struct mw_bytes encoded)
{
    const unsigned char *at = encoded.data, *end = encoded.data + encoded.size;
    while (at < end && (at = memchr(at, '=', (size_t)(end - at)))) {
        at++;
        if (at < end && (*at == ' ' || *at == '\t'))
            return true;
    }
    return false;
}

static struct mw_bytes drop_soft_break_blanks(struct mw_arena *arena, struct mw_bytes encoded)
{
    unsigned char *copy = mw_arena_alloc_raw(arena, encoded.size);
    size_t size = 0;
    for (size_t i = 0; i < encoded.size; i++) {
        copy[size++] = encoded.data[i];
        if (encoded.data[i] != '=')
            continue;
        size_t next = i + 1;
        while (next < encoded.size && (encoded.data[next] == ' ' || encoded.data[next] == '\t'))
            next++;
        if (next < encoded.size && (encoded.data[next] == '\r' || encoded.data[next] == '\n'))
            i = next - 1;
    }
    return (struct mw_bytes){copy, size};
}

static struct mw_bytes decode_quoted_printable(struct mw_arena *arena, struct mw_bytes encoded)
{
    if (has_blank_soft_break(encoded))
        encoded = drop_soft_break_blanks(arena, encoded);
    return step_all(arena, encoded, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
}

static bool is_base64_digit(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* One run of base64 digits without padding, with padding supplied at its end:
 * what a client shows when the "=" are missing, too many or in the middle. */
static size_t decode_base64_run(struct mw_bytes run, unsigned char *out)
{
    GMimeEncoding state;
    g_mime_encoding_init_decode(&state, GMIME_CONTENT_ENCODING_BASE64);
    size_t size = g_mime_encoding_step(&state, (const char *)run.data, run.size, (char *)out);
    int left = (state.state < 0 ? -state.state : state.state) & 3;
    if (left == 2)
        size += g_mime_encoding_step(&state, "==", 2, (char *)out + size);
    else if (left == 3)
        size += g_mime_encoding_step(&state, "=", 1, (char *)out + size);
    return size;
}

struct mw_bytes mw_mime_decode_base64(struct mw_arena *arena, struct mw_bytes encoded)
{
    unsigned char *out = mw_arena_alloc_raw(arena, encoded.size / 4 * 3 + 8);
    size_t size = 0, at = 0;
    while (at < encoded.size) {
        struct mw_bytes rest = mw_bytes_slice(encoded, at, encoded.size);
        const unsigned char *equals = memchr(rest.data, '=', rest.size);
        size_t length = equals ? (size_t)(equals - rest.data) : rest.size;
        size += decode_base64_run(mw_bytes_slice(rest, 0, length), out + size);
        at += length;
        while (at < encoded.size && !is_base64_digit(encoded.data[at]))
            at++;
    }
    return (struct mw_bytes){out, size};
}

/* The line after "begin MODE NAME", or 0 when there is no such line near the top. */
static size_t uu_start(struct mw_bytes encoded)
{
    for (size_t at = 0, lines = 0; at < encoded.size && lines < 50; lines++) {
        size_t next = mw_bytes_next_line(encoded, at);
        if (mw_bytes_has_prefix_nocase(mw_bytes_slice(encoded, at, encoded.size), "begin "))
            return next;
        at = next;
    }
    return 0;
}

/* One line of uuencode, made as long as its first character says: blanks at
 * line ends get lost in mail. Returns false at the end of the data. */
static bool decode_uu_line(struct mw_bytes line, unsigned char *out, size_t *size)
{
    while (line.size > 0 && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
        line.size--;
    if (line.size == 0)
        return true;
    size_t bytes = (size_t)((line.data[0] - 32) & 63);
    if (bytes == 0 || (line.size == 3 && memcmp(line.data, "end", 3) == 0))
        return false;
    char full[1 + 84 + 1];
    size_t length = 1 + (bytes + 2) / 3 * 4;
    memset(full, ' ', sizeof full);
    memcpy(full, line.data, line.size < length ? line.size : length);
    full[length] = '\n';
    int state = 0;
    guint32 save = 0;
    *size += g_mime_encoding_uudecode_step((const unsigned char *)full, length + 1, out + *size,
                                           &state, &save);
    return true;
}

/* Bytes that the lines from at on say they have: many more than they take up where blanks
 * were lost, or are said to be. */
static size_t uu_size(struct mw_bytes encoded, size_t at)
{
    size_t size = 0;
    for (size_t next; at < encoded.size; at = next) {
        next = mw_bytes_next_line(encoded, at);
        if (encoded.data[at] != '\n' && encoded.data[at] != '\r')
            size += (size_t)((encoded.data[at] - 32) & 63);
    }
    return size;
}

static struct mw_bytes decode_uu(struct mw_arena *arena, struct mw_bytes encoded)
{
    enum { LINE = 66 }; /* what one line may write, beyond what it says */
    size_t at = uu_start(encoded), size = 0;
    unsigned char *out = mw_arena_alloc_raw(arena, uu_size(encoded, at) + LINE);
    while (at < encoded.size) {
        size_t next = mw_bytes_next_line(encoded, at);
        if (!decode_uu_line(mw_bytes_slice(encoded, at, next - at), out, &size))
            break;
        at = next;
    }
    return (struct mw_bytes){out, size};
}

static size_t size_of_uu(struct mw_bytes encoded)
{
    return uu_size(encoded, uu_start(encoded));
}

static bool is_yenc_keyword(struct mw_bytes line)
{
    return line.size > 1 && line.data[0] == '=' && line.data[1] == 'y';
}

/* One line of yEnc data; an "=" never has a "y" behind it there. */
static size_t decode_yenc_line(struct mw_bytes line, unsigned char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < line.size; i++) {
        unsigned c = line.data[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '=' && i + 1 < line.size)
            c = line.data[++i] - 64u;
        out[size++] = (unsigned char)(c - 42u);
    }
    return size;
}

/* yEnc draft 1.3, first part of a block. By hand: GMime's decoder takes the
 * carriage returns of mail for data. */
static struct mw_bytes decode_yenc(struct mw_arena *arena, struct mw_bytes encoded)
{
    unsigned char *out = mw_arena_alloc_raw(arena, encoded.size + 1);
    size_t size = 0;
    bool begun = false;
    for (size_t at = 0, next; at < encoded.size; at = next) {
        next = mw_bytes_next_line(encoded, at);
        struct mw_bytes line = mw_bytes_slice(encoded, at, next - at);
        if (mw_bytes_has_prefix_nocase(line, "=yend"))
            break;
        if (is_yenc_keyword(line))
            begun = true;
        else if (begun)
            size += decode_yenc_line(line, out + size);
    }
    return (struct mw_bytes){out, size};
}

/* Those without a size make no more bytes than they read. */
static const struct {
    const char *name;
    decode_function *decode;
    size_t (*size)(struct mw_bytes encoded);
} decoders[] = {
    {"base64", mw_mime_decode_base64, NULL}, {"quoted-printable", decode_quoted_printable, NULL},
    {"x-uuencode", decode_uu, size_of_uu},   {"x-uue", decode_uu, size_of_uu},
    {"uuencode", decode_uu, size_of_uu},     {"uue", decode_uu, size_of_uu},
    {"x-yenc", decode_yenc, NULL},           {"yenc", decode_yenc, NULL},
};

struct mw_bytes mw_mime_decode(struct mw_parse *parse, const char *place, struct mw_bytes encoded,
                               const char *encoding)
{
    if (!encoding || encoded.size == 0)
        return encoded;
    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++) {
        if (strcasecmp(encoding, decoders[i].name) != 0)
            continue;
        size_t size = decoders[i].size ? decoders[i].size(encoded) : encoded.size;
        if (!mw_parse_take(parse, place, size))
            return (struct mw_bytes){0};
        return decoders[i].decode(parse->report->arena, encoded);
    }
    return encoded;
}
