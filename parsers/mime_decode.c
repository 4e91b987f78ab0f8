/*
 * mime_decode: transfer encodings, by GMime's step functions straight from the
 * message into memory of the right size. What real mail breaks is mended
 * around them, line by line or group by group.
 */
#include <string.h>

#include "core/ascii.h"
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

static int escape_digit(unsigned char c, bool capitals)
{
    return capitals && c >= 'a' ? -1 : mw_hex_value((char)c);
}

/* Behind a soft line break that begins at at, which is behind its "="; or at. */
static size_t behind_soft_break(struct mw_bytes encoded, size_t at)
{
    size_t end = at;
    while (end < encoded.size && (encoded.data[end] == ' ' || encoded.data[end] == '\t'))
        end++;
    if (end + 1 < encoded.size && encoded.data[end] == '\r' && encoded.data[end + 1] == '\n')
        end++;
    return end < encoded.size && encoded.data[end] == '\n' ? end + 1
           : end == encoded.size                           ? end
                                                           : at;
}

struct mw_bytes mw_mime_quoted(struct mw_arena *arena, struct mw_bytes encoded,
                               struct mw_quoted_way way, struct mw_quoted_doubt *doubt)
{
    unsigned char *out = mw_arena_alloc_raw(arena, encoded.size + 1);
    size_t size = 0;
    *doubt = (struct mw_quoted_doubt){0};
    for (size_t i = 0; i < encoded.size; i++) {
        unsigned char c = encoded.data[i];
        if (c != '=') {
            out[size++] = c;
            continue;
        }
        size_t behind = behind_soft_break(encoded, i + 1);
        if (behind > i + 1 || behind == encoded.size) {
            i = behind - 1;
            continue;
        }
        unsigned char first = encoded.data[i + 1];
        unsigned char second = i + 2 < encoded.size ? encoded.data[i + 2] : '\0';
        int high = escape_digit(first, way.capitals), low = escape_digit(second, way.capitals);
        if (high >= 0 && low >= 0) {
            out[size++] = (unsigned char)(high * 16 + low);
            doubt->small |= first >= 'a' || second >= 'a';
            i += 2;
            continue;
        }
        doubt->broken = true;
        i += way.dropped - 1U;
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

static int binhex_value(unsigned char c)
{
    static const char digits[] =
        "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The digits between the colons to bytes, then runs: 0x90 and a count repeat what stands
 * before, 0x90 and 0 are 0x90 itself. */
static struct mw_bytes binhex_bytes(struct mw_parse *parse, const char *place,
                                    struct mw_bytes digits)
{
    enum { STEP = 1 << 16 };
    struct mw_arena *arena = parse->report->arena;
    MW_LIST(unsigned char) out = {0};
    unsigned bits = 0, held = 0;
    bool repeat = false;
    size_t taken = digits.size;
    out.capacity = digits.size + 64;
    out.items = mw_arena_alloc_raw(arena, out.capacity);
    for (size_t i = 0; i < digits.size && digits.data[i] != ':'; i++) {
        int value = binhex_value(digits.data[i]);
        if (value < 0)
            continue;
        bits = bits << 6 | (unsigned)value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        unsigned char byte = (unsigned char)(bits >> held);
        size_t copies = 1;
        if (repeat) {
            copies = byte == 0 ? 1 : byte - 1U;
            byte = byte == 0 || out.count == 0 ? 0x90 : out.items[out.count - 1];
        } else if (byte == 0x90) {
            repeat = true;
            continue;
        }
        repeat = false;
        if (out.count + copies > taken) {
            if (!mw_parse_take(parse, place, STEP))
                break;
            taken += STEP;
        }
        for (; copies > 0; copies--)
            *(unsigned char *)mw_list_add(arena, &out, 1) = byte;
    }
    return (struct mw_bytes){out.items, out.count};
}

static size_t big_number(const unsigned char *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* BinHex 4.0 (RFC 1741 appendix A): the data fork, and behind it the resource fork. */
static struct mw_bytes decode_binhex(struct mw_parse *parse, const char *place,
                                     struct mw_bytes encoded)
{
    const unsigned char *colon = NULL;
    for (size_t at = 0; at < encoded.size && !colon; at = mw_bytes_next_line(encoded, at))
        if (encoded.data[at] == ':')
            colon = encoded.data + at + 1;
    if (!colon)
        return (struct mw_bytes){0};
    struct mw_bytes digits = {colon, (size_t)(encoded.data + encoded.size - colon)};
    struct mw_bytes all = binhex_bytes(parse, place, digits);
    enum { FIXED = 1 + 4 + 4 + 2 + 4 + 4 + 2 };
    size_t name = all.size > 0 ? all.data[0] + 1U : 0;
    if (all.size < name + FIXED)
        return (struct mw_bytes){0};
    size_t data = big_number(all.data + name + 11), resource = big_number(all.data + name + 15);
    struct mw_bytes fork = mw_bytes_slice(all, name + FIXED, data);
    if (fork.size < data)
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_MIME_ENCODING, place,
                          "the BinHex holds %zu of the %zu bytes it promises", fork.size, data);
    if (resource == 0 || fork.size < data)
        return fork;
    /* A checksum stands between the two. */
    struct mw_bytes second = mw_bytes_slice(all, name + FIXED + data + 2, resource);
    unsigned char *both = mw_arena_alloc_raw(parse->report->arena, fork.size + second.size + 1);
    memcpy(both, fork.data, fork.size);
    if (second.size > 0)
        memcpy(both + fork.size, second.data, second.size);
    return (struct mw_bytes){both, fork.size + second.size};
}

struct mw_bytes mw_mime_decode(struct mw_parse *parse, const char *place, struct mw_bytes encoded,
                               enum mw_encoding encoding, struct mw_base64_doubt *doubt)
{
    static decode_function *const decoders[MW_ENCODINGS] = {
        [MW_ENCODING_BASE64] = mw_mime_decode_base64,
        [MW_ENCODING_QUOTED] = decode_quoted_printable,
        [MW_ENCODING_UU] = decode_uu,
        [MW_ENCODING_YENC] = decode_yenc,
    };
    if (encoding == MW_ENCODING_NONE || encoded.size == 0)
        return encoded;
    size_t size = encoding == MW_ENCODING_UU ? size_of_uu(encoded) : encoded.size;
    if (!mw_parse_take(parse, place, size))
        return (struct mw_bytes){0};
    if (encoding == MW_ENCODING_BASE64 && doubt)
        return mw_mime_base64(parse->report->arena, encoded, MW_BASE64_GOES_ON, doubt);
    if (encoding == MW_ENCODING_BINHEX)
        return decode_binhex(parse, place, encoded);
    return decoders[encoding](parse->report->arena, encoded);
}
