/* text: charset conversion by iconv(3), detection by libuchardet. */
#include "parsers/text.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uchardet.h>

#include "core/ascii.h"
#include "core/utf8.h"

/* Names that mail uses, and what its writers and clients mean by them
 * (after the WHATWG Encoding Standard, which mail clients follow too). */
static const struct {
    const char *name, *meant;
} aliases[] = {
    {"iso-8859-1", "windows-1252"},
    {"latin1", "windows-1252"},
    {"iso8859-1", "windows-1252"},
    {"iso-8859-9", "windows-1254"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"iso-8859-8-e", "iso-8859-8"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"x-gbk", "gb18030"},
    {"ks_c_5601-1987", "cp949"},
    {"euc-kr", "cp949"},
    {"shift_jis", "cp932"},
    {"x-sjis", "cp932"},
    {"iso-2022-jp", "iso-2022-jp-3"},
    {"unicode-1-1-utf-7", "utf-7"},
    {"utf8", "utf-8"},
    {"x-unknown", ""},
    {"unknown-8bit", ""},
    {"default", ""},
    {"us-ascii", ""},
    {"ascii", ""},
    {"ansi_x3.4-1968", ""},
};

/* What mail is written in, under iconv's names; aliases load the same files. */
static const char *const in_use[] = {
    "utf-8",         "utf-7",         "utf-16",       "utf-16le",     "utf-16be",
    "utf-32",        "utf-32le",      "utf-32be",     "ucs-2",        "ucs-4",
    "iso-8859-1",    "iso-8859-2",    "iso-8859-3",   "iso-8859-4",   "iso-8859-5",
    "iso-8859-6",    "iso-8859-7",    "iso-8859-8",   "iso-8859-9",   "iso-8859-10",
    "iso-8859-11",   "iso-8859-13",   "iso-8859-14",  "iso-8859-15",  "iso-8859-16",
    "windows-1250",  "windows-1251",  "windows-1252", "windows-1253", "windows-1254",
    "windows-1255",  "windows-1256",  "windows-1257", "windows-1258", "koi8-r",
    "koi8-u",        "koi8-t",        "ibm437",       "ibm850",       "ibm852",
    "ibm855",        "ibm862",        "ibm866",       "macintosh",    "mac-cyrillic",
    "tis-620",       "viscii",        "tcvn",         "gb18030",      "gbk",
    "gb2312",        "euc-cn",        "big5",         "big5-hkscs",   "euc-tw",
    "euc-jp",        "eucjp-ms",      "shift_jis",    "cp932",        "iso-2022-jp",
    "iso-2022-jp-2", "iso-2022-jp-3", "euc-kr",       "cp949",        "johab",
    "iso-2022-kr",   "iso-2022-cn",   "armscii-8",    "georgian-ps",  "cp874",
    "windows-31j",   "ibm037",
};
enum { IN_USE = sizeof in_use / sizeof *in_use };

struct mw_text_converters {
    iconv_t open[IN_USE];
};

struct mw_text_converters *mw_text_converters_new(void)
{
    struct mw_text_converters *converters = calloc(1, sizeof *converters);
    for (size_t i = 0; converters && i < IN_USE; i++)
        converters->open[i] = iconv_open("UTF-8", in_use[i]);
    return converters;
}

void mw_text_converters_free(struct mw_text_converters *converters)
{
    for (size_t i = 0; converters && i < IN_USE; i++)
        if (converters->open[i] != (iconv_t)-1)
            iconv_close(converters->open[i]);
    free(converters);
}

static const char *meant_by(const char *charset)
{
    if (!charset)
        return "";
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcasecmp(charset, aliases[i].name) == 0)
            return aliases[i].meant;
    return charset;
}

static bool is_unicode_name(const char *charset)
{
    return strcasecmp(charset, "utf-8") == 0 || *charset == '\0';
}

/*
 * Converts all of bytes; bad sequences become U+FFFD, one a byte. Returns the
 * text, or NULL when the charset is unknown to iconv.
 */
static char *convert(struct mw_arena *arena, struct mw_bytes bytes, const char *charset,
                     size_t *replaced)
{
    iconv_t converter = iconv_open("UTF-8", charset);
    if (converter == (iconv_t)-1)
        return NULL;
    size_t size = bytes.size + bytes.size / 2 + 64, room = size;
    char *out = mw_arena_alloc_raw(arena, size);
    char *to = out;
    /* iconv reads its input only; its prototype predates const. */
    union {
        const unsigned char *data;
        char *text;
    } from = {.data = bytes.data};
    size_t left = bytes.size;
    *replaced = 0;
    while (left > 0) {
        bool done = iconv(converter, &from.text, &left, &to, &room) != (size_t)-1;
        if (done || left == 0)
            break;
        /* A replacement, and what a state that ends writes, fit always. */
        if (errno == E2BIG || room < 32) {
            out = mw_arena_resize(arena, out, size, size * 2);
            to = out + size - room;
            room += size;
            size *= 2;
            continue;
        }
        memcpy(to, "\xEF\xBF\xBD", 3);
        to += 3;
        room -= 3;
        from.text++;
        left--;
        ++*replaced;
    }
    iconv(converter, NULL, NULL, &to, &room);
    iconv_close(converter);
    struct mw_bytes result = {(const unsigned char *)out, (size_t)(to - out)};
    size_t cleaned = 0;
    char *text = mw_utf8_clean(arena, result, &cleaned);
    mw_arena_return(arena, out, size);
    *replaced += cleaned;
    return text;
}

/*
 * ISO-2022-JP with what its standard has not: half-width katakana, and the rows of NEC and
 * IBM that mail is full of and that converters refuse. In EUC each is the same two digits
 * with the highest bits set, and that charset has those rows.
 */
static unsigned char *japanese_to_euc(struct mw_arena *arena, struct mw_bytes bytes, size_t *length)
{
    unsigned char *out = mw_arena_alloc_raw(arena, bytes.size * 2 + 1);
    size_t size = 0;
    enum { ASCII, DOUBLE, KATAKANA } state = ASCII;
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char c = bytes.data[i];
        const unsigned char *next = bytes.data + i + 1;
        if (c == 0x1b && i + 2 < bytes.size && (next[0] == '$' || next[0] == '(')) {
            state = next[0] == '$' ? DOUBLE : next[1] == 'I' ? KATAKANA : ASCII;
            i += 2;
        } else if (c < 0x21 || c > 0x7e || state == ASCII) {
            state = c == '\n' ? ASCII : state;
            out[size++] = c;
        } else if (state == KATAKANA) {
            out[size++] = 0x8e;
            out[size++] = c | 0x80;
        } else {
            out[size++] = c | 0x80;
        }
    }
    *length = size;
    return out;
}

/* HZ (RFC 1843), which iconv(3) has not: GB 2312 in seven bits between ~{ and ~}. */
static unsigned char *hz_to_gb(struct mw_arena *arena, struct mw_bytes bytes, size_t *length)
{
    unsigned char *out = mw_arena_alloc_raw(arena, bytes.size + 1);
    size_t size = 0;
    bool chinese = false;
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char c = bytes.data[i], next = i + 1 < bytes.size ? bytes.data[i + 1] : '\0';
        if (c == '~' && next && strchr(chinese ? "}" : "{~\n", next)) {
            if (next == '~')
                out[size++] = '~';
            chinese = next == '{';
            i++;
        } else if (c == '~' && next == '\r') {
            i += 2; /* a line that goes on */
        } else {
            chinese = chinese && c != '\n';
            out[size++] = chinese && c > 0x20 && c < 0x7f ? c | 0x80 : c;
        }
    }
    *length = size;
    return out;
}

/* UTF-16 without a mark: whichever order has the zeros of ASCII where they belong. */
static const char *utf16_order(struct mw_bytes bytes)
{
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < bytes.size && i < 4096; i++)
        zeros[i % 2] += bytes.data[i] == 0;
    return zeros[0] > zeros[1] ? "utf-16be" : "utf-16le";
}

/* Converts what a charset of mail was made into one that iconv(3) has, which is not kept. */
static char *convert_made(struct mw_arena *arena, unsigned char *made, size_t size,
                          const char *charset, size_t *replaced)
{
    char *text = convert(arena, (struct mw_bytes){made, size}, charset, replaced);
    mw_arena_return(arena, made, size);
    return text;
}

/* A text that another one took the place of. */
static void drop(struct mw_arena *arena, const char *text)
{
    if (text)
        mw_arena_return(arena, text, strlen(text));
}

/* Whether it may be a charset of seven bits, with some damage. */
static bool is_seven_bit(struct mw_bytes bytes)
{
    size_t high = 0;
    for (size_t i = 0; i < bytes.size; i++)
        high += bytes.data[i] >> 7;
    return high <= bytes.size / 8;
}

/* What of a charset iconv(3) reads otherwise than mail is written. */
static char *convert_traps(struct mw_arena *arena, struct mw_bytes bytes, const char *charset,
                           size_t *replaced)
{
    size_t size = 0;
    if (strcasecmp(charset, "hz-gb-2312") == 0 || strcasecmp(charset, "hz") == 0) {
        unsigned char *made = hz_to_gb(arena, bytes, &size);
        return convert_made(arena, made, size, "gb18030", replaced);
    }
    if (strcasecmp(charset, "utf-16") == 0)
        return convert(arena, bytes, utf16_order(bytes), replaced);
    char *text = convert(arena, bytes, charset, replaced);
    if (text && *replaced > 0 && strncasecmp(charset, "iso-2022-jp", 11) == 0 &&
        is_seven_bit(bytes)) {
        size_t others = 0;
        unsigned char *made = japanese_to_euc(arena, bytes, &size);
        char *other = convert_made(arena, made, size, "eucjp-ms", &others);
        if (other && others < *replaced) {
            drop(arena, text);
            *replaced = others;
            return other;
        }
        drop(arena, other);
    }
    return text;
}

static const char *detect(struct mw_arena *arena, struct mw_bytes bytes)
{
    uchardet_t detector = uchardet_new();
    size_t size = bytes.size < 65536 ? bytes.size : 65536;
    const char *name = NULL;
    if (uchardet_handle_data(detector, (const char *)bytes.data, size) == 0) {
        uchardet_data_end(detector);
        name = mw_arena_dup(arena, uchardet_get_charset(detector));
    }
    uchardet_delete(detector);
    return name && *name ? name : NULL;
}

/* The charset a byte order mark stands for, and how long the mark is. */
static const char *byte_order_mark(struct mw_bytes bytes, size_t *length)
{
    static const struct {
        const char *mark;
        size_t length;
        const char *charset;
    } marks[] = {
        {"\xEF\xBB\xBF", 3, "utf-8"}, {"\xFF\xFE", 2, "utf-16le"}, {"\xFE\xFF", 2, "utf-16be"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        *length = marks[i].length;
        if (bytes.size >= *length && memcmp(bytes.data, marks[i].mark, *length) == 0)
            return marks[i].charset;
    }
    *length = 0;
    return NULL;
}

static const char *lower(struct mw_arena *arena, const char *name)
{
    return mw_ascii_lower_text(mw_utf8_clean_line(arena, mw_bytes_of(name), NULL));
}

static void take_utf8(struct mw_arena *arena, struct mw_bytes bytes, struct mw_text *text)
{
    text->replaced = 0;
    text->text = mw_utf8_clean(arena, bytes, &text->replaced);
    text->charset = "utf-8";
}

/* Nothing declared fits: guess. */
static void guess(struct mw_arena *arena, struct mw_bytes bytes, struct mw_text *text)
{
    text->guessed = true;
    if (mw_utf8_valid(bytes)) {
        take_utf8(arena, bytes, text);
        return;
    }
    const char *name = detect(arena, bytes);
    if (name && strcasecmp(name, "ascii") != 0 && !is_unicode_name(meant_by(name))) {
        text->text = convert(arena, bytes, meant_by(name), &text->replaced);
        text->charset = lower(arena, meant_by(name));
        if (text->text && text->replaced == 0)
            return;
        drop(arena, text->text);
        text->text = NULL;
    }
    if (name && is_unicode_name(name)) {
        take_utf8(arena, bytes, text);
        return;
    }
    text->text = convert(arena, bytes, "windows-1252", &text->replaced);
    text->charset = "windows-1252";
    if (!text->text)
        take_utf8(arena, bytes, text);
}

void mw_text_decode(struct mw_arena *arena, struct mw_bytes bytes, const char *charset,
                    struct mw_text *text)
{
    *text = (struct mw_text){0};
    size_t mark = 0;
    const char *marked = byte_order_mark(bytes, &mark);
    bytes = mw_bytes_slice(bytes, mark, bytes.size);
    const char *meant = marked ? marked : meant_by(charset);
    if (is_unicode_name(meant)) {
        /* UTF-16 and UTF-32 are full of NULs and so never pass as UTF-8. */
        if (mw_utf8_valid(bytes)) {
            take_utf8(arena, bytes, text);
            if (*meant == '\0' && charset && mw_bytes_is_ascii(bytes))
                text->charset = lower(arena, charset);
            return;
        }
        if (marked)
            take_utf8(arena, bytes, text);
        else
            guess(arena, bytes, text);
        return;
    }
    text->text = convert_traps(arena, bytes, meant, &text->replaced);
    text->charset = lower(arena, marked ? marked : charset);
    if (text->text && text->replaced == 0)
        return;
    struct mw_text guessed = {0};
    guess(arena, bytes, &guessed);
    bool better = !text->text || (guessed.replaced < text->replaced &&
                                  strcmp(guessed.charset, "windows-1252") != 0);
    drop(arena, better ? text->text : guessed.text);
    if (better)
        *text = guessed;
}
