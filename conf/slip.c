/* slip: one walk over the text, with the brackets that are open. */
#include "conf/slip.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH = 64, WORD = 60 };

struct walk {
    struct mw_arena *arena;
    const char *at;
    unsigned line;
    struct {
        char opened;
        unsigned line;
    } open[DEPTH];
    size_t depth;
    const char *name; /* of the option whose value comes, and its size */
    size_t name_size;
    unsigned long_text; /* the line on which the first text begins that goes over its end; 0 */
};

static void step(struct walk *walk)
{
    walk->line += *walk->at == '\n';
    walk->at++;
}

static bool skip_comment(struct walk *walk)
{
    bool lines = *walk->at == '#' || strncmp(walk->at, "//", 2) == 0;
    if (!lines && strncmp(walk->at, "/*", 2) != 0)
        return false;
    while (*walk->at && !(lines ? *walk->at == '\n' : strncmp(walk->at, "*/", 2) == 0))
        step(walk);
    for (int i = 0; i < 2 && !lines && *walk->at; i++)
        step(walk);
    return true;
}

static void skip_blanks(struct walk *walk)
{
    while (*walk->at && (isspace((unsigned char)*walk->at) || skip_comment(walk)))
        if (isspace((unsigned char)*walk->at))
            step(walk);
}

static void skip_text(struct walk *walk)
{
    unsigned begun = walk->line;
    for (step(walk); *walk->at && *walk->at != '"'; step(walk))
        if (*walk->at == '\\' && walk->at[1])
            step(walk);
    if (*walk->at)
        step(walk);
    if (walk->line > begun && walk->long_text == 0)
        walk->long_text = begun;
}

static size_t word_size(const char *at)
{
    size_t size = strcspn(at, " \t\r\n;,{}[]()\"#=");
    return size < WORD ? size : WORD;
}

static bool is_number(const char *word, size_t size)
{
    char text[WORD + 1], *end;
    memcpy(text, word, size);
    text[size] = '\0';
    strtod(text, &end);
    return end != text && (*end == '\0' || strcmp(end, "L") == 0 || strcmp(end, "LL") == 0);
}

static bool is_word(const char *word, size_t size, const char *wanted)
{
    return size == strlen(wanted) && strncasecmp(word, wanted, size) == 0;
}

/* A value that is neither a text, a number, true, false nor a bracket. */
static const char *wrong_value(struct walk *walk)
{
    const char *word = walk->at;
    size_t size = word_size(word);
    int name = (int)(walk->name_size < WORD ? walk->name_size : WORD), length = (int)size;
    if (size == 0)
        return strchr(";}])", *word)
                   ? mw_arena_printf(walk->arena, "%.*s has no value", name, walk->name)
                   : NULL;
    if (is_number(word, size) || is_word(word, size, "true") || is_word(word, size, "false"))
        return NULL;
    if (is_word(word, size, "yes") || is_word(word, size, "on"))
        return mw_arena_printf(walk->arena, "%.*s: write true, not %.*s", name, walk->name, length,
                               word);
    if (is_word(word, size, "no") || is_word(word, size, "off"))
        return mw_arena_printf(walk->arena, "%.*s: write false, not %.*s", name, walk->name, length,
                               word);
    return mw_arena_printf(walk->arena, "%.*s: write the value in quotes: %.*s = \"%.*s\";", name,
                           walk->name, name, walk->name, length, word);
}

static const char *open_bracket(struct walk *walk)
{
    if (walk->depth == DEPTH)
        return "too many brackets within each other";
    walk->open[walk->depth].opened = *walk->at;
    walk->open[walk->depth++].line = walk->line;
    step(walk);
    return NULL;
}

static const char *close_bracket(struct walk *walk)
{
    char closer = *walk->at, opener = closer == '}' ? '{' : closer == ']' ? '[' : '(';
    if (walk->depth == 0)
        return mw_arena_printf(walk->arena,
                               "this %c closes nothing: one %c too many, or a %c is "
                               "missing before",
                               closer, closer, opener);
    if (walk->open[walk->depth - 1].opened != opener)
        return mw_arena_printf(
            walk->arena, "this %c stands where the %c of line %u is to be closed", closer,
            walk->open[walk->depth - 1].opened, walk->open[walk->depth - 1].line);
    walk->depth--;
    step(walk);
    /* Rules of a list. */
    struct walk next = *walk;
    skip_blanks(&next);
    if (closer == '}' && *next.at == '{' && walk->depth > 0 &&
        walk->open[walk->depth - 1].opened == '(')
        return "a comma is missing behind this }";
    return NULL;
}

static const char *after_comma(struct walk *walk)
{
    unsigned line = walk->line;
    step(walk);
    struct walk next = *walk;
    skip_blanks(&next);
    if (*next.at != ']' && *next.at != ')')
        return NULL;
    walk->line = line;
    return mw_arena_printf(walk->arena, "remove the comma before the %c", *next.at);
}

static const char *after_name(struct walk *walk)
{
    unsigned line = walk->line;
    int size = (int)(walk->name_size < WORD ? walk->name_size : WORD);
    bool listed = walk->depth > 0 && walk->open[walk->depth - 1].opened != '{';
    skip_blanks(walk);
    if (*walk->at != '=' && *walk->at != ':') {
        if (is_word(walk->name, walk->name_size, "true") ||
            is_word(walk->name, walk->name_size, "false"))
            return NULL;
        walk->line = line;
        return listed ? mw_arena_printf(walk->arena, "write \"%.*s\" in quotes", size, walk->name)
                      : mw_arena_printf(walk->arena, "%.*s has no value: write %.*s = ...;", size,
                                        walk->name, size, walk->name);
    }
    step(walk);
    skip_blanks(walk);
    return wrong_value(walk);
}

static const char *one_thing(struct walk *walk)
{
    char c = *walk->at;
    if (c == '"') {
        skip_text(walk);
        return NULL;
    }
    if (strchr("{[(", c))
        return open_bracket(walk);
    if (strchr("}])", c))
        return close_bracket(walk);
    if (c == ',')
        return after_comma(walk);
    if (!isalpha((unsigned char)c) && c != '*' && c != '_') {
        step(walk);
        return NULL;
    }
    walk->name = walk->at;
    walk->name_size = strspn(walk->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_-*.");
    walk->at += walk->name_size;
    return after_name(walk);
}

const char *mw_slip_find(const char *text, struct mw_arena *arena, unsigned *line)
{
    struct walk walk = {.arena = arena, .at = text, .line = 1};
    const char *slip = NULL;
    while (!slip) {
        skip_blanks(&walk);
        if (!*walk.at)
            break;
        slip = one_thing(&walk);
    }
    *line = walk.line;
    /* A text over several lines is possible and rare: what is wrong behind one is its quote. */
    if (walk.long_text > 0 && (slip || walk.depth > 0)) {
        *line = walk.long_text;
        return "the text that begins on this line goes over its end: is a quote missing?";
    }
    if (!slip && walk.depth > 0) {
        *line = walk.open[walk.depth - 1].line;
        return mw_arena_printf(arena, "the %c on this line is never closed",
                               walk.open[walk.depth - 1].opened);
    }
    return slip;
}
