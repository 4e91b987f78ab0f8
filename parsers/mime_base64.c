/*
 * mime_base64: base64 (RFC 2045 section 6.8) as the different decoders of mail read it.
 * All agree on sound data, which is decoded four digits at a time; where something else
 * stands in it they go different ways, and each has a row here.
 */
#include <string.h>

#include "parsers/mime_private.h"

enum { WHITE = 64, PAD = 65, JUNK = 66 };

/* A digit's value, or one of the above; two of each mean more than 63. */
static const unsigned char values[256] = {
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, WHITE, WHITE, JUNK, JUNK, WHITE, JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, WHITE, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, 62,    JUNK,
    JUNK, JUNK, 63,    52,   53,   54,   55,   56,   57,   58,    59,    60,   61,   JUNK,  JUNK,
    JUNK, PAD,  JUNK,  JUNK, JUNK, 0,    1,    2,    3,    4,     5,     6,    7,    8,     9,
    10,   11,   12,    13,   14,   15,   16,   17,   18,   19,    20,    21,   22,   23,    24,
    25,   JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, 26,   27,   28,    29,    30,   31,   32,    33,
    34,   35,   36,    37,   38,   39,   40,   41,   42,   43,    44,    45,   46,   47,    48,
    49,   50,   51,    JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK, JUNK, JUNK,  JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK,  JUNK,  JUNK, JUNK, JUNK,  JUNK,
    JUNK,
};

/* One stream being decoded. */
struct stream {
    unsigned char *out;
    size_t size;
    uint32_t bits; /* of the digits that no byte was made of yet */
    unsigned digits;
};

static void take_digit(struct stream *stream, unsigned value)
{
    stream->bits = stream->bits << 6 | value;
    if (++stream->digits < 4)
        return;
    stream->out[stream->size++] = (unsigned char)(stream->bits >> 16);
    stream->out[stream->size++] = (unsigned char)(stream->bits >> 8);
    stream->out[stream->size++] = (unsigned char)stream->bits;
    stream->digits = 0;
}

/* What a group that stops short still holds: two digits a byte, three two. */
static void finish_group(struct stream *stream)
{
    if (stream->digits >= 2)
        stream->out[stream->size++] =
            (unsigned char)(stream->bits >> (stream->digits == 2 ? 4 : 10));
    if (stream->digits == 3)
        stream->out[stream->size++] = (unsigned char)(stream->bits >> 2);
    stream->digits = 0;
}

/* Whole groups from at on; returns where something else begins. */
static size_t take_groups(struct stream *stream, struct mw_bytes encoded, size_t at)
{
    const unsigned char *data = encoded.data;
    unsigned char *out = stream->out + stream->size;
    while (encoded.size - at >= 4) {
        uint32_t a = values[data[at]], b = values[data[at + 1]];
        uint32_t c = values[data[at + 2]], d = values[data[at + 3]];
        if ((a | b | c | d) > 63)
            break;
        *out++ = (unsigned char)(a << 2 | b >> 4);
        *out++ = (unsigned char)(b << 4 | c >> 2);
        *out++ = (unsigned char)(c << 6 | d);
        at += 4;
    }
    stream->size = (size_t)(out - stream->out);
    return at;
}

/* What a decoder of this kind does at a "=" or at what is no base64. True: go on. */
static bool take_other(struct stream *stream, enum mw_base64_way way, unsigned value)
{
    if (value == PAD && way == MW_BASE64_PAD_IS_ZERO)
        take_digit(stream, 0);
    else if (value == PAD && way != MW_BASE64_PAD_IS_NOTHING)
        finish_group(stream);
    return !(value == PAD && way == MW_BASE64_ENDS_AT_PAD) &&
           !(value == JUNK && way == MW_BASE64_ENDS_AT_JUNK);
}

struct mw_bytes mw_mime_base64(struct mw_arena *arena, struct mw_bytes encoded,
                               enum mw_base64_way way, struct mw_base64_doubt *doubt)
{
    struct stream stream = {.out = mw_arena_alloc_raw(arena, encoded.size / 4 * 3 + 8)};
    bool padded = false, begun = false, split = false;
    size_t line_ends = 0; /* since the last digit */
    *doubt = (struct mw_base64_doubt){0};
    for (size_t at = 0; at < encoded.size;) {
        unsigned value = values[encoded.data[at]];
        if (value == JUNK && way == MW_BASE64_OF_URLS && strchr("-_", encoded.data[at]) &&
            encoded.data[at])
            value = encoded.data[at] == '-' ? 62 : 63;
        if (value < WHITE) {
            doubt->padding |= padded;
            doubt->paragraphs |= line_ends > 1 && begun;
            doubt->lines |= split;
            if (line_ends > 1 && begun && way == MW_BASE64_ENDS_AT_BLANK_LINE)
                break;
            padded = false;
            begun = true;
            line_ends = 0;
            size_t behind = stream.digits == 0 ? take_groups(&stream, encoded, at) : at;
            if (behind == at) {
                take_digit(&stream, value);
                behind++;
            }
            at = behind;
            continue;
        }
        if (encoded.data[at++] == '\n') {
            line_ends++;
            split |= stream.digits > 0;
            if (way == MW_BASE64_LINE_BY_LINE)
                stream.digits = 0;
        }
        if (value == WHITE)
            continue;
        padded |= value == PAD;
        doubt->junk += value == JUNK;
        if (!take_other(&stream, way, value))
            break;
        if (value == JUNK && way == MW_BASE64_JUNK_ENDS_LINE)
            at = mw_bytes_next_line(encoded, at - 1);
    }
    finish_group(&stream);
    return (struct mw_bytes){stream.out, stream.size};
}

struct mw_bytes mw_mime_decode_base64(struct mw_arena *arena, struct mw_bytes encoded)
{
    struct mw_base64_doubt doubt;
    return mw_mime_base64(arena, encoded, MW_BASE64_GOES_ON, &doubt);
}

bool mw_mime_looks_base64(struct mw_bytes content)
{
    size_t digits = 0;
    for (size_t i = 0; i < content.size && digits < 4096; i++) {
        unsigned value = values[content.data[i]];
        if (value == JUNK || content.data[i] == ' ' || (value == PAD && digits < 2))
            return false;
        digits += value < WHITE;
    }
    return digits >= 16;
}
