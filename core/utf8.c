/* utf8: validation and cleaning. */
#include "core/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD";

/* Of data that is not empty, as mw_utf8_character. */
static size_t character(const unsigned char *data, size_t size, uint32_t *code)
{
    static const struct {
        unsigned char mask, lead;
        size_t length;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xE0, 0xC0, 2, 0x80},
                 {0xF0, 0xE0, 3, 0x800},
                 {0xF8, 0xF0, 4, 0x10000}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if ((data[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (size < forms[f].length)
            return 0;
        uint32_t value = data[0] & (unsigned char)~forms[f].mask;
        for (size_t i = 1; i < forms[f].length; i++) {
            if ((data[i] & 0xC0) != 0x80)
                return 0;
            value = value << 6 | (data[i] & 0x3FU);
        }
        bool surrogate = value >= 0xD800 && value <= 0xDFFF;
        *code = value;
        return value < forms[f].least || surrogate || value > 0x10FFFF ? 0 : forms[f].length;
    }
    return 0;
}

/* Whether eight bytes are all ASCII and none is NUL. */
static bool plain_word(const unsigned char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    uint64_t zero = (word - 0x0101010101010101U) & ~word;
    return ((word | zero) & 0x8080808080808080U) == 0;
}

size_t mw_utf8_valid_prefix(struct mw_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        if (bytes.size - at >= 8 && plain_word(bytes.data + at)) {
            at += 8;
            continue;
        }
        uint32_t code = 0;
        size_t length = character(bytes.data + at, bytes.size - at, &code);
        if (length == 0 || code == 0)
            return at;
        at += length;
    }
    return at;
}

bool mw_utf8_valid(struct mw_bytes bytes)
{
    return mw_utf8_valid_prefix(bytes) == bytes.size;
}

size_t mw_utf8_cut(struct mw_bytes bytes, size_t limit)
{
    if (bytes.size <= limit)
        return bytes.size;
    size_t cut = limit;
    while (cut > 0 && limit - cut < 3 && (bytes.data[cut] & 0xC0) == 0x80)
        cut--;
    return (bytes.data[cut] & 0xC0) == 0x80 ? limit : cut;
}

/* Appends U+FFFD at out, returns the new end. */
static char *put_replacement(char *out)
{
    memcpy(out, replacement, 3);
    return out + 3;
}

size_t mw_utf8_character(struct mw_bytes bytes, uint32_t *code)
{
    return bytes.size > 0 ? character(bytes.data, bytes.size, code) : 0;
}

bool mw_utf8_is_hidden(uint32_t code)
{
    /* By Unicode's Default_Ignorable_Code_Point and Bidi_Control, without the variation
     * selectors, which change how the character before them looks. */
    static const struct {
        uint32_t from, to;
    } hidden[] = {
        {0x00AD, 0x00AD},   {0x034F, 0x034F},   {0x061C, 0x061C},   {0x115F, 0x1160},
        {0x17B4, 0x17B5},   {0x180E, 0x180E},   {0x200B, 0x200F},   {0x202A, 0x202E},
        {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
        {0xFFF0, 0xFFFB},   {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF},
        {0xE01F0, 0xE0FFF},
    };
    if (code < hidden[0].from)
        return false;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden && code >= hidden[i].from; i++)
        if (code <= hidden[i].to)
            return true;
    return false;
}

typedef bool refuses(uint32_t code);

static bool refuse_nul(uint32_t code)
{
    return code == 0;
}

static bool refuse_control(uint32_t code)
{
    return (code < 0x20 && code != '\t') || (code >= 0x7F && code < 0xA0) || code == 0x2028 ||
           code == 0x2029;
}

/* Joiners belong to the spelling of some languages and to emoji. */
static bool is_joiner(uint32_t code)
{
    return code == 0x200C || code == 0x200D;
}

static bool refuse_in_name(uint32_t code)
{
    return refuse_control(code) || code == '\t' || code == '/' || code == '\\' ||
           (mw_utf8_is_hidden(code) && !is_joiner(code));
}

/* Bytes the cleaned text takes, and how many are replaced. */
static size_t cleaned_size(struct mw_bytes bytes, refuses *refuse, size_t *replaced)
{
    size_t size = 0;
    for (size_t at = 0; at < bytes.size;) {
        uint32_t code = 0;
        size_t length = character(bytes.data + at, bytes.size - at, &code);
        bool bad = length == 0 || refuse(code);
        size += bad ? 3 : length;
        *replaced += bad;
        at += length ? length : 1;
    }
    return size;
}

static char *clean(struct mw_arena *arena, struct mw_bytes bytes, refuses *refuse, size_t *replaced)
{
    size_t bad_count = 0;
    size_t size = cleaned_size(bytes, refuse, &bad_count);
    char *text = mw_arena_alloc_raw(arena, size + 1);
    char *out = text;
    for (size_t at = 0; bad_count > 0 && at < bytes.size;) {
        uint32_t code = 0;
        size_t length = character(bytes.data + at, bytes.size - at, &code);
        if (length == 0 || refuse(code)) {
            out = put_replacement(out);
            at += length ? length : 1;
            continue;
        }
        memcpy(out, bytes.data + at, length);
        out += length;
        at += length;
    }
    if (bad_count == 0 && size > 0)
        memcpy(text, bytes.data, size);
    text[size] = '\0';
    if (replaced)
        *replaced += bad_count;
    return text;
}

char *mw_utf8_clean(struct mw_arena *arena, struct mw_bytes bytes, size_t *replaced)
{
    if (mw_utf8_valid(bytes))
        return mw_arena_dup_bytes(arena, bytes.data, bytes.size);
    return clean(arena, bytes, refuse_nul, replaced);
}

char *mw_utf8_clean_line(struct mw_arena *arena, struct mw_bytes bytes, size_t *replaced)
{
    return clean(arena, bytes, refuse_control, replaced);
}

size_t mw_utf8_hidden_text(uint32_t code, char out[MW_HIDDEN_TEXT])
{
    return (size_t)snprintf(out, MW_HIDDEN_TEXT, "<U+%04X>", code & 0x1FFFFFU);
}

char *mw_utf8_show_line(struct mw_arena *arena, struct mw_bytes bytes)
{
    char *line = mw_utf8_clean_line(arena, bytes, NULL);
    struct mw_bytes text = mw_bytes_of(line);
    if (mw_bytes_is_ascii(text))
        return line;
    /* The shortest that is hidden has two bytes. */
    char *shown = mw_arena_alloc_raw(arena, text.size / 2 * MW_HIDDEN_TEXT + 2), *out = shown;
    for (size_t at = 0; at < text.size;) {
        uint32_t code = 0;
        size_t length = mw_utf8_character(mw_bytes_slice(text, at, text.size), &code);
        if (mw_utf8_is_hidden(code)) {
            out += mw_utf8_hidden_text(code, out);
        } else {
            memcpy(out, text.data + at, length);
            out += length;
        }
        at += length;
    }
    *out = '\0';
    return shown;
}

/* Drops leading dots and white space around. */
static struct mw_bytes trim_name(struct mw_bytes name)
{
    while (name.size > 0 && (name.data[0] == '.' || name.data[0] == ' '))
        name = mw_bytes_slice(name, 1, name.size);
    while (name.size > 0 && (name.data[name.size - 1] == ' ' || name.data[name.size - 1] == '.'))
        name.size--;
    return name;
}

const char *mw_utf8_safe_filename(struct mw_arena *arena, const char *text, size_t limit)
{
    if (!text)
        return NULL;
    size_t replaced = 0;
    struct mw_bytes whole = mw_bytes_of(text);
    struct mw_bytes name = mw_bytes_of(clean(arena, whole, refuse_in_name, &replaced));
    name = trim_name(name);
    if (name.size > limit) {
        size_t start = name.size - limit;
        while (start < name.size && (name.data[start] & 0xC0) == 0x80)
            start++;
        name = trim_name(mw_bytes_slice(name, start, name.size));
    }
    if (name.size == 0)
        return NULL;
    if (replaced == 0 && name.size == whole.size)
        return text;
    return mw_arena_dup_bytes(arena, name.data, name.size);
}
