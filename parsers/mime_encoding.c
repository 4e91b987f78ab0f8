/*
 * mime_encoding: which transfer encodings (RFC 2045 section 6) a part's header can be read
 * to name. Clients differ in which of several fields and words they take, and in how much
 * of a word must fit.
 */
#include <string.h>
#include <strings.h>

#include "core/ascii.h"
#include "parsers/mime_private.h"

enum { WORD = 80 };

static const struct {
    const char *name;
    enum mw_encoding encoding;
} names[] = {
    {"7bit", MW_ENCODING_NONE},
    {"8bit", MW_ENCODING_NONE},
    {"binary", MW_ENCODING_NONE},
    {"base64", MW_ENCODING_BASE64},
    {"x-gzip64", MW_ENCODING_BASE64},
    {"quoted-printable", MW_ENCODING_QUOTED},
    {"x-uuencode", MW_ENCODING_UU},
    {"uuencode", MW_ENCODING_UU},
    {"x-uue", MW_ENCODING_UU},
    {"uue", MW_ENCODING_UU},
    {"x-uu", MW_ENCODING_UU},
    {"x-yenc", MW_ENCODING_YENC},
    {"x-yencode", MW_ENCODING_YENC},
    {"yenc", MW_ENCODING_YENC},
    {"mac-binhex40", MW_ENCODING_BINHEX},
    {"x-binhex40", MW_ENCODING_BINHEX},
    {"binhex", MW_ENCODING_BINHEX},
    {"x-binhex", MW_ENCODING_BINHEX},
    {"binhex40", MW_ENCODING_BINHEX},
};
enum { NAMES = sizeof names / sizeof *names };

/* What careless programs write and everybody takes for no encoding. */
static const char *const careless[] = {"7-bit",   "8-bit",    "7bits",   "8bits",    "none",
                                       "plain",   "text",     "raw",     "us-ascii", "ascii",
                                       "utf-8",   "utf8",     "7",       "8",        "iso-8859",
                                       "iso8859", "windows-", "unicode", "charset="};

const char *mw_encoding_name(enum mw_encoding encoding)
{
    static const char *const shown[MW_ENCODINGS] = {"none",       "base64", "quoted-printable",
                                                    "x-uuencode", "x-yenc", "mac-binhex40"};
    return shown[encoding];
}

/* Letters and digits alone. */
static void squeezed(const char *text, char out[WORD])
{
    size_t size = 0;
    for (; *text && size < WORD - 1; text++)
        if ((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9'))
            out[size++] = *text;
    out[size] = '\0';
}

/* An encoding whose name is in the word, or begins with it: some decoders ask no more. */
static enum mw_encoding resembles(const char *word)
{
    char given[WORD], known[WORD];
    squeezed(word, given);
    for (size_t i = 0; i < NAMES; i++) {
        squeezed(names[i].name, known);
        if (names[i].encoding != MW_ENCODING_NONE &&
            (strstr(given, known) ||
             (strlen(given) >= 3 && strncmp(known, given, strlen(given)) == 0)))
            return names[i].encoding;
    }
    return MW_ENCODING_NONE;
}

static bool is_careless(const char *word)
{
    for (size_t i = 0; i < sizeof careless / sizeof *careless; i++)
        if (strncmp(word, careless[i], strlen(careless[i])) == 0)
            return true;
    return false;
}

static void add_word(const char *word, struct mw_encodings *encodings)
{
    enum mw_encoding encoding = MW_ENCODING_NONE;
    bool exact = false;
    for (size_t i = 0; i < NAMES && !exact; i++) {
        exact = strcmp(word, names[i].name) == 0;
        if (exact)
            encoding = names[i].encoding;
    }
    if (encodings->words++ == 0) {
        encodings->first = encoding;
        encodings->unknown = !exact && !is_careless(word);
    }
    if (!exact)
        encoding = resembles(word);
    if (exact || encoding != MW_ENCODING_NONE)
        encodings->named |= 1U << encoding;
}

/* The words of a value, without comments, quotes, backslashes and control characters. */
static void add_value(const char *value, struct mw_encodings *encodings)
{
    char word[WORD];
    size_t size = 0;
    for (int comments = 0; encodings->words < 16; value++) {
        bool ends = *value == '\0' || strchr(" \t\r\n;,:", *value) != NULL;
        if (*value == '(')
            comments++;
        if (comments == 0 &&
            (strchr("\"'\\", *value) ? *value != '\0' : *value > 0 && *value < '\t'))
            encodings->decorated = true;
        if (comments == 0 && !ends && (unsigned char)*value > ' ' && !strchr("\"'\\<>", *value) &&
            size < WORD - 1)
            word[size++] = mw_ascii_lower(*value);
        if ((ends || *value == '(') && size > 0) {
            word[size] = '\0';
            add_word(word, encodings);
            size = 0;
        }
        if (*value == ')' && comments > 0)
            comments--;
        if (*value == '\0')
            return;
    }
}

/* One word as it should be: nearly every field there is. */
static bool add_plain(const char *raw, struct mw_encodings *encodings)
{
    size_t start = strspn(raw, " \t");
    for (size_t i = 0; i < NAMES; i++) {
        size_t length = strlen(names[i].name);
        if (strncasecmp(raw + start, names[i].name, length) != 0 ||
            raw[start + length + strspn(raw + start + length, "\r\n")] != '\0')
            continue;
        if (encodings->words++ == 0)
            encodings->first = names[i].encoding;
        encodings->named |= 1U << names[i].encoding;
        return true;
    }
    return false;
}

void mw_encodings_add(struct mw_arena *arena, const char *raw, struct mw_encodings *encodings)
{
    if (add_plain(raw, encodings))
        return;
    size_t before = encodings->words;
    add_value(raw, encodings);
    encodings->decorated |= strstr(raw, "=?") != NULL;
    if (strstr(raw, "=?"))
        add_value(mw_mime_decode_text(arena, raw, NULL), encodings);
    if (encodings->words == before && raw[strspn(raw, " \t\r\n")] != '\0')
        encodings->unknown |= before == 0;
}

static bool looks_quoted(struct mw_bytes content)
{
    size_t escapes = 0;
    for (size_t i = 0; i + 2 < content.size && i < 65536; i++)
        if (content.data[i] == '=') {
            unsigned char a = content.data[i + 1], b = content.data[i + 2];
            escapes += a == '\r' || a == '\n' ||
                       (strchr("0123456789ABCDEF", a) && strchr("0123456789ABCDEF", b) && a && b);
        }
    return escapes >= 2;
}

static bool has_line(struct mw_bytes content, const char *start)
{
    for (size_t at = 0, lines = 0; at < content.size && lines < 50; lines++) {
        if (mw_bytes_has_prefix_nocase(mw_bytes_slice(content, at, content.size), start))
            return true;
        at = mw_bytes_next_line(content, at);
    }
    return false;
}

unsigned mw_encodings_of_content(struct mw_bytes content)
{
    unsigned found = 0;
    if (has_line(content, "begin "))
        found |= 1U << MW_ENCODING_UU;
    if (has_line(content, "=ybegin "))
        found |= 1U << MW_ENCODING_YENC;
    if (has_line(content, "(This file must be converted with BinHex"))
        found |= 1U << MW_ENCODING_BINHEX;
    if (found == 0 && mw_mime_looks_base64(content))
        found |= 1U << MW_ENCODING_BASE64;
    if (found == 0 && looks_quoted(content))
        found |= 1U << MW_ENCODING_QUOTED;
    return found;
}
