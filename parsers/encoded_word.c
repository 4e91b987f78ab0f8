/*
 * encoded_word: our own reading of RFC 2047. GMime's keeps base64 state from one
 * adjacent word to the next and loses text when the first ends in padding.
 */
#include "parsers/encoded_word.h"

#include <string.h>
#include <strings.h>

#include "core/ascii.h"
#include "core/utf8.h"
#include "parsers/mime_private.h"
#include "parsers/text.h"

/* RFC 2047 allows 75 characters a word; real ones are a little longer. The bound
 * keeps a line full of openings from being searched to its end for each. */
enum { CHARSET_LIMIT = 60, WORD_LIMIT = 8192 };

struct word {
    struct mw_bytes charset; /* without the language of RFC 2231 section 5 */
    struct mw_bytes data;
    bool base64;
    const char *end; /* behind it */
};

/* A run of adjacent words being put together. */
struct run {
    struct mw_arena *arena;
    unsigned char *bytes; /* decoded, of one charset so far */
    size_t size, room;
    struct mw_bytes charset;
    unsigned char *base64; /* base64 digits whose last group the next word completes */
    size_t base64_size, base64_room, base64_digits;
    size_t replaced;
};

struct output {
    struct mw_arena *arena;
    char *text;
    size_t size, room;
};

static void put(struct output *out, const char *text, size_t size)
{
    if (out->size + size + 1 > out->room) {
        size_t room = (out->size + size + 1) * 2;
        out->text = mw_arena_resize(out->arena, out->text, out->room, room);
        out->room = room;
    }
    memcpy(out->text + out->size, text, size);
    out->size += size;
    out->text[out->size] = '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_hex(char c)
{
    return mw_hex_value(c) >= 0;
}

/* The first place of a two-letter mark within reach; NULL when there is none. */
static const char *find_mark(const char *text, const char *mark)
{
    return memmem(text, strnlen(text, WORD_LIMIT), mark, 2);
}

/*
 * Where a word's data ends. "?=" followed by two hex digits can be a question
 * mark that a careless writer left bare before an escape: it is taken as data
 * when another "?=" follows before the next word.
 */
static const char *data_end(const char *data, bool base64)
{
    const char *end = find_mark(data, "?=");
    while (!base64 && end && is_hex(end[2]) && is_hex(end[3])) {
        const char *later = find_mark(end + 2, "?="), *next = find_mark(end + 2, "=?");
        if (!later || (next && next < later))
            break;
        end = later;
    }
    return end;
}

/* Reads the word at text, which starts with "=?". */
static bool read_word(const char *text, struct word *word)
{
    const char *charset = text + 2;
    size_t length = strcspn(charset, "? \t=()<>@,;:\"/[]");
    if (length == 0 || length > CHARSET_LIMIT || charset[length] != '?')
        return false;
    const char *encoding = charset + length + 1;
    if (!strchr("bBqQ", encoding[0]) || encoding[0] == '\0' || encoding[1] != '?')
        return false;
    const char *data = encoding + 2;
    word->base64 = encoding[0] == 'b' || encoding[0] == 'B';
    const char *end = data_end(data, word->base64), *next = find_mark(data, "=?");
    /* No "?=" of its own: the word goes to the end, or to the next blank. */
    bool open = !end || (next && next + 1 < end && !(next > data && next[-1] == '?'));
    if (open)
        end = data + strcspn(data, " \t");
    const char *star = memchr(charset, '*', length);
    word->charset =
        (struct mw_bytes){(const unsigned char *)charset, star ? (size_t)(star - charset) : length};
    word->data = (struct mw_bytes){(const unsigned char *)data, (size_t)(end - data)};
    word->end = open ? end : end + 2;
    return true;
}

/* The "Q" encoding (RFC 2047 section 4.2); an escape that is none stays. */
static size_t decode_q(struct mw_bytes data, unsigned char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < data.size; i++) {
        unsigned char c = data.data[i];
        if (c == '=' && i + 2 < data.size && is_hex((char)data.data[i + 1]) &&
            is_hex((char)data.data[i + 2])) {
            c = (unsigned char)(mw_hex_value((char)data.data[i + 1]) * 16 +
                                mw_hex_value((char)data.data[i + 2]));
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        out[size++] = c;
    }
    return size;
}

static unsigned char *run_room(struct run *run, size_t size)
{
    if (!run->bytes || run->size + size > run->room) {
        size_t room = (run->size + size) * 2 + 1;
        run->bytes = mw_arena_resize(run->arena, run->bytes, run->room, room);
        run->room = room;
    }
    return run->bytes + run->size;
}

static void run_base64(struct run *run, struct mw_bytes data)
{
    struct mw_bytes decoded = mw_mime_decode_base64(run->arena, data);
    unsigned char *to = run_room(run, decoded.size);
    if (decoded.size > 0)
        memcpy(to, decoded.data, decoded.size);
    run->size += decoded.size;
}

static size_t digits_in(struct mw_bytes data)
{
    size_t digits = 0;
    for (size_t i = 0; i < data.size; i++)
        digits += data.data[i] != ' ' && data.data[i] != '\t';
    return digits;
}

static void run_flush_base64(struct run *run)
{
    if (run->base64_size > 0)
        run_base64(run, (struct mw_bytes){run->base64, run->base64_size});
    run->base64_size = run->base64_digits = 0;
}

/* Keeps digits until their last group is complete. */
static void run_keep_base64(struct run *run, struct mw_bytes data)
{
    size_t size = run->base64_size + data.size;
    if (size > run->base64_room) {
        run->base64 = mw_arena_resize(run->arena, run->base64, run->base64_room, size * 2);
        run->base64_room = size * 2;
    }
    if (data.size > 0)
        memcpy(run->base64 + run->base64_size, data.data, data.size);
    run->base64_size = size;
    run->base64_digits += digits_in(data);
}

static void run_add(struct run *run, const struct word *word)
{
    if (!word->base64) {
        run_flush_base64(run);
        unsigned char *to = run_room(run, word->data.size);
        run->size += decode_q(word->data, to);
        return;
    }
    run_keep_base64(run, word->data);
    /* What was kept from words before this one has no padding. */
    bool padded = word->data.size > 0 && memchr(word->data.data, '=', word->data.size);
    if (padded || run->base64_digits % 4 == 0)
        run_flush_base64(run);
}

/* Converts what was gathered in one charset and appends it to text. */
static void run_convert(struct run *run, struct output *text)
{
    run_flush_base64(run);
    const char *charset = mw_arena_dup_bytes(run->arena, run->charset.data, run->charset.size);
    struct mw_text decoded;
    mw_text_decode(run->arena, (struct mw_bytes){run->bytes, run->size}, charset, &decoded);
    put(text, decoded.text, strlen(decoded.text));
    run->replaced += decoded.replaced;
    run->size = 0;
}

static bool same_charset(struct mw_bytes a, struct mw_bytes b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

/* Decodes the adjacent words from text on; returns where they end. */
static const char *read_run(struct run *run, const char *text, struct output *decoded)
{
    struct word word;
    bool first = true;
    const char *end = text;
    while (text[0] == '=' && text[1] == '?' && read_word(text, &word)) {
        if (!first && !same_charset(run->charset, word.charset))
            run_convert(run, decoded);
        first = false;
        run->charset = word.charset;
        run_add(run, &word);
        end = text = word.end;
        while (is_blank(*text))
            text++;
    }
    if (!first)
        run_convert(run, decoded);
    return end;
}

/* What lists of addresses look like around a word. */
struct syntax {
    bool quoted;
    unsigned comments;
};

static void follow_syntax(struct syntax *syntax, char c)
{
    if (c == '"' && syntax->comments == 0)
        syntax->quoted = !syntax->quoted;
    else if (c == '(' && !syntax->quoted)
        syntax->comments++;
    else if (c == ')' && !syntax->quoted && syntax->comments > 0)
        syntax->comments--;
}

/* Decoded text in list syntax: what is special where it stands is escaped. */
static void put_quoted(struct output *out, const struct syntax *syntax, const struct output *text)
{
    bool bare = !syntax->quoted && syntax->comments == 0;
    if (bare)
        put(out, "\"", 1);
    for (size_t i = 0; i < text->size; i++) {
        const char *special = syntax->comments > 0 ? "()\\" : "\"\\";
        if (strchr(special, text->text[i]))
            put(out, "\\", 1);
        put(out, text->text + i, 1);
    }
    if (bare)
        put(out, "\"", 1);
}

const char *mw_encoded_words(struct mw_arena *arena, const char *text, bool quote, size_t *replaced)
{
    struct output out = {.arena = arena};
    struct syntax syntax = {0};
    put(&out, "", 0);
    while (*text) {
        struct run run = {.arena = arena};
        struct output decoded = {.arena = arena};
        const char *end = text;
        if (text[0] == '=' && text[1] == '?')
            end = read_run(&run, text, &decoded);
        if (end == text) {
            if (text[0] == '\\' && text[1] != '\0' && quote)
                put(&out, text++, 1);
            else
                follow_syntax(&syntax, *text);
            put(&out, text++, 1);
            continue;
        }
        if (quote)
            put_quoted(&out, &syntax, &decoded);
        else
            put(&out, decoded.text, decoded.size);
        if (replaced)
            *replaced += run.replaced;
        text = end;
    }
    return out.text;
}
