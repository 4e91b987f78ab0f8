/* header_text: words as they are, or as encoded words, folded between. */
#include "milter/header_text.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

enum {
    LINE = 76,
    ENCODED_MAX = 75, /* RFC 2047 section 2 */
    PLAIN_MAX = 60,   /* a longer word cannot be folded and is encoded */
    ESCAPED = 12      /* one character of four bytes as =XX=XX=XX=XX */
};
static const char OPEN[] = "=?UTF-8?Q?", CLOSE[] = "?=";

/* A value being written. */
struct writing {
    char *out;
    size_t size, column;
};

static void put(struct writing *writing, const char *text, size_t size)
{
    memcpy(writing->out + writing->size, text, size);
    writing->size += size;
    writing->column += size;
    writing->out[writing->size] = '\0';
}

/* A blank between words, which is a line break when the next does not fit. */
static void put_blank(struct writing *writing, size_t next)
{
    if (writing->size == 0)
        return;
    bool fits = writing->column + 1 + next <= LINE;
    put(writing, fits ? " " : "\n ", fits ? 1 : 2);
    if (!fits)
        writing->column = 1;
}

static bool is_plain(const char *word, size_t size)
{
    if (size > PLAIN_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (word[i] < '!' || word[i] > '~' ||
            (word[i] == '=' && i + 1 < size && word[i + 1] == '?'))
            return false;
    return true;
}

/* One character in the Q encoding (RFC 2047 section 4.2, the letters of 5 (3)). */
static size_t escape(const char *character, size_t size, char out[ESCAPED + 1])
{
    unsigned char first = (unsigned char)character[0];
    bool letter = (first >= '0' && first <= '9') || (first >= 'A' && first <= 'Z') ||
                  (first >= 'a' && first <= 'z') || (first && strchr("-!*+/", first));
    if (letter || first == ' ') {
        out[0] = first == ' ' ? '_' : (char)first;
        return 1;
    }
    size_t used = 0;
    for (size_t i = 0; i < size; i++)
        used += (size_t)snprintf(out + used, ESCAPED + 1 - used, "=%02X",
                                 (unsigned)(unsigned char)character[i]);
    return used;
}

static size_t character_size(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* text as encoded words; readers put adjacent ones together again. */
static void put_encoded(struct writing *writing, const char *text, size_t size)
{
    char word[ENCODED_MAX + 1];
    for (size_t done = 0; done < size;) {
        size_t room = LINE - sizeof CLOSE, used = sizeof OPEN - 1;
        /* What is left of the line, if that is worth beginning. */
        if (writing->column + 1 + used + 3 * (size_t)ESCAPED < room)
            room -= writing->column + 1;
        else
            room--;
        memcpy(word, OPEN, used);
        while (done < size) {
            char escaped[ESCAPED + 1];
            size_t one = character_size(text + done), length = escape(text + done, one, escaped);
            if (used + length > room)
                break;
            memcpy(word + used, escaped, length);
            used += length;
            done += one;
        }
        memcpy(word + used, CLOSE, sizeof CLOSE);
        used += sizeof CLOSE - 1;
        put_blank(writing, used);
        put(writing, word, used);
    }
}

/* Where the word that starts at text ends; encoded ones take along the encoded ones
 * behind them, because a blank between two such is not shown. */
static size_t run_size(const char *text, bool plain)
{
    size_t size = strcspn(text, " ");
    while (!plain && text[size] == ' ') {
        size_t next = strcspn(text + size + 1, " ");
        if (next == 0 || is_plain(text + size + 1, next))
            break;
        size += 1 + next;
    }
    return size;
}

/* Valid UTF-8 on one line, blanks made single and bounded; trailing kept on demand. */
static char *tidy(struct mw_arena *arena, const char *text, size_t limit, bool keep_last)
{
    struct mw_bytes bytes = mw_bytes_of(text);
    bool cut = bytes.size > limit;
    if (cut)
        bytes.size = mw_utf8_cut(bytes, limit);
    char *clean = mw_utf8_show_line(arena, bytes);
    /* Marks for what was not clean are longer than it. */
    cut = cut || strlen(clean) > limit;
    if (strlen(clean) > limit)
        clean[mw_utf8_cut(mw_bytes_of(clean), limit)] = '\0';
    char *out = mw_arena_alloc(arena, strlen(clean) + sizeof "...");
    size_t size = 0;
    for (; *clean; clean++) {
        bool blank = *clean == ' ' || *clean == '\t';
        if (!blank)
            out[size++] = *clean;
        else if (size > 0 && out[size - 1] != ' ')
            out[size++] = ' ';
    }
    if (size > 0 && out[size - 1] == ' ' && !keep_last)
        size--;
    memcpy(out + size, cut ? "..." : "", cut ? sizeof "..." : 1);
    return out;
}

static const char *write_text(struct mw_arena *arena, const char *text, size_t column)
{
    /* Every byte as =XX, and around every few of them a word's frame and a blank. */
    struct writing writing = {.out = mw_arena_alloc(arena, strlen(text) * 8 + 256),
                              .column = column};
    while (*text) {
        size_t first = strcspn(text, " ");
        bool plain = is_plain(text, first);
        size_t size = run_size(text, plain);
        bool last_blank = text[size] == ' ' && text[size + 1] == '\0';
        if (plain) {
            put_blank(&writing, size);
            put(&writing, text, size);
        } else {
            put_encoded(&writing, text, size + last_blank);
        }
        if (plain && last_blank)
            put(&writing, " ", 1);
        text += size + (text[size] == ' ');
    }
    return writing.out;
}

const char *mw_header_text(struct mw_arena *arena, const char *text, size_t column, size_t limit)
{
    return write_text(arena, tidy(arena, text, limit, false), column);
}

const char *mw_header_prefix(struct mw_arena *arena, const char *text, size_t column, size_t limit)
{
    return write_text(arena, tidy(arena, text, limit, true), column);
}
