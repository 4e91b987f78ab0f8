/*
 * mime_params: the parameters of a MIME field (RFC 2045 section 5.1, RFC 2231), all of them,
 * also where the syntax is broken: GMime tells only which it would use.
 */
#include <string.h>
#include <strings.h>

#include "core/ascii.h"
#include "parsers/mime_private.h"
#include "parsers/text.h"

/* As many as are looked at of one field, and sections of one parameter. */
enum { PARAMETERS = 200, SECTIONS = 100 };

static const char *skip_comment(const char *at)
{
    int depth = 0;
    for (; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at + 1;
    }
    return at;
}

static const char *skip_blanks(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (*at != '(')
            return at;
        at = skip_comment(at);
    }
}

/* The end of a value that starts at at: a semicolon outside quotes, or all there is. */
static const char *value_end(const char *at)
{
    for (bool quoted = false; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == ';' && !quoted)
            return at;
    }
    return at;
}

/* A value without its quotes; where the closing one is missing, up to the next semicolon. */
static const char *unquoted(struct mw_arena *arena, const char *at, const char **end)
{
    *end = value_end(at);
    if (*at != '"') {
        const char *last = *end;
        if (strchr(at, '(') && strchr(at, '(') < last)
            last = strchr(at, '(');
        while (last > at && strchr(" \t\r\n", last[-1]))
            last--;
        return mw_arena_dup_bytes(arena, at, (size_t)(last - at));
    }
    char *value = mw_arena_alloc(arena, (size_t)(*end - at) + 1), *to = value;
    const char *from = at + 1;
    for (; from < *end && *from != '"'; from++) {
        if (*from == '\\' && from + 1 < *end)
            from++;
        *to++ = *from;
    }
    if (from == *end && strchr(at + 1, ';')) {
        *end = at + strcspn(at, ";");
        return mw_arena_dup_bytes(arena, at + 1, (size_t)(*end - at) - 1);
    }
    while (to > value && strchr("\r\n", to[-1]))
        *--to = '\0';
    return value;
}

/* "filename*1*" to its name, its section and whether its value is encoded. */
static void read_name(struct mw_arena *arena, const char *at, const char *end,
                      struct mw_mime_parameter *parameter)
{
    char *name = mw_arena_alloc(arena, (size_t)(end - at) + 1);
    size_t length = 0;
    while (at < end) {
        if (*at == '(') {
            at = skip_comment(at);
            continue;
        }
        if (!strchr(" \t\r\n\\\"'", *at))
            name[length++] = mw_ascii_lower(*at);
        at++;
    }
    parameter->section = -1;
    if (length > 0 && name[length - 1] == '*') {
        parameter->encoded = true;
        name[--length] = '\0';
    }
    char *star = strchr(name, '*');
    if (star) {
        parameter->section = 0;
        for (const char *c = star + 1; *c >= '0' && *c <= '9' && parameter->section < SECTIONS; c++)
            parameter->section = parameter->section * 10 + (*c - '0');
        *star = '\0';
    }
    parameter->name = name;
}

/* The end of a parameter's name: its "=", or NULL when there is none before the next ";". */
static const char *name_end(const char *at)
{
    while (*at && *at != ';') {
        if (*at == '=')
            return at;
        at = *at == '(' ? skip_comment(at) : at + 1;
    }
    return NULL;
}

/* A value as readers take it that know neither quotes nor backslashes, and for which a
 * semicolon ends nothing when no other parameter follows. */
static const char *bare(struct mw_arena *arena, const char *at)
{
    const char *end = at + strcspn(at, ";");
    if (*end && !name_end(end + 1))
        end += strlen(end);
    char *value = mw_arena_alloc(arena, (size_t)(end - at) + 1), *to = value;
    for (; at < end; at++)
        if (!strchr("\"\\\r\n", *at))
            *to++ = *at;
    while (to > value && strchr(" \t;", to[-1]))
        *--to = '\0';
    return value;
}

static void add_parameter(struct mw_arena *arena, struct mw_mime_parameters *parameters,
                          const struct mw_mime_parameter *parameter)
{
    *(struct mw_mime_parameter *)mw_list_add(arena, parameters, sizeof *parameters->items) =
        *parameter;
}

void mw_mime_parameters(struct mw_arena *arena, const char *raw,
                        struct mw_mime_parameters *parameters)
{
    const char *at = raw ? raw + strcspn(raw, ";") : "";
    while (*at == ';' && parameters->count < PARAMETERS) {
        at = skip_blanks(at + 1);
        const char *equals = name_end(at);
        struct mw_mime_parameter parameter = {0};
        if (!equals) {
            at = value_end(at);
            continue;
        }
        read_name(arena, at, equals, &parameter);
        const char *start = skip_blanks(equals + 1);
        parameter.value = unquoted(arena, start, &at);
        add_parameter(arena, parameters, &parameter);
        if (parameter.section >= 0 || parameter.encoded)
            continue;
        const char *other = bare(arena, start);
        if (strcmp(other, parameter.value) != 0) {
            parameter.value = other;
            add_parameter(arena, parameters, &parameter);
        }
    }
}

static void append(struct mw_arena *arena, struct mw_bytes *all, const char *text, bool encoded)
{
    size_t size = strlen(text);
    unsigned char *bytes = mw_arena_alloc_raw(arena, all->size + size + 1);
    if (all->size > 0)
        memcpy(bytes, all->data, all->size);
    size_t length = all->size;
    for (size_t i = 0; i < size; i++) {
        if (encoded && text[i] == '%' && mw_hex_value(text[i + 1]) >= 0 &&
            mw_hex_value(text[i + 2]) >= 0) {
            bytes[length++] =
                (unsigned char)(mw_hex_value(text[i + 1]) * 16 + mw_hex_value(text[i + 2]));
            i += 2;
        } else {
            bytes[length++] = (unsigned char)text[i];
        }
    }
    *all = (struct mw_bytes){bytes, length};
}

static const char *in_charset(struct mw_arena *arena, struct mw_bytes bytes, const char *charset)
{
    struct mw_text text;
    mw_text_decode(arena, bytes, *charset ? charset : NULL, &text);
    return text.text;
}

/* charset'language'value: returns the value, *charset as it stands there, or "". */
static const char *without_charset(struct mw_arena *arena, const char *value, const char **charset)
{
    const char *first = strchr(value, '\''), *second = first ? strchr(first + 1, '\'') : NULL;
    *charset = "";
    if (!second)
        return value;
    *charset = mw_arena_dup_bytes(arena, value, (size_t)(first - value));
    return second + 1;
}

/* How readers put sections together. */
enum order {
    CONSECUTIVE, /* from 0 on, up to the first that is missing (RFC 2231 section 3) */
    SORTED,      /* all that are there */
    AS_GIVEN     /* whatever their numbers */
};

/* The section that comes next; the first of several with one number. */
static const struct mw_mime_parameter *next_section(const struct mw_mime_parameters *parameters,
                                                    const char *name, enum order order, size_t *at,
                                                    int *number)
{
    for (; order == AS_GIVEN && *at < parameters->count; ++*at) {
        const struct mw_mime_parameter *one = &parameters->items[*at];
        if (one->section >= 0 && strcmp(one->name, name) == 0)
            return &parameters->items[(*at)++];
    }
    for (; order != AS_GIVEN && *number <= SECTIONS; ++*number) {
        for (size_t i = 0; i < parameters->count; i++)
            if (parameters->items[i].section == *number &&
                strcmp(parameters->items[i].name, name) == 0) {
                ++*number;
                return &parameters->items[i];
            }
        if (order == CONSECUTIVE)
            return NULL;
    }
    return NULL;
}

/* name*0, name*1 ... put together. */
static const char *continued(struct mw_arena *arena, const struct mw_mime_parameters *parameters,
                             const char *name, enum order order)
{
    const char *charset = "";
    struct mw_bytes all = {0};
    const struct mw_mime_parameter *found;
    size_t at = 0;
    int number = 0;
    for (int i = 0; i <= SECTIONS && (found = next_section(parameters, name, order, &at, &number));
         i++) {
        const char *value = found->value;
        if (i == 0 && found->encoded)
            value = without_charset(arena, value, &charset);
        append(arena, &all, value, found->encoded);
    }
    return all.size > 0 ? in_charset(arena, all, charset) : NULL;
}

/* A plain value: encoded words do not belong there, but are found there. */
static const char *plain(struct mw_arena *arena, const char *value)
{
    return mw_mime_decode_text(arena, value, NULL);
}

void mw_mime_parameter_values(struct mw_arena *arena, const struct mw_mime_parameters *parameters,
                              const char *name, struct mw_texts *values)
{
    bool sections = false;
    for (size_t i = 0; i < parameters->count; i++) {
        const struct mw_mime_parameter *one = &parameters->items[i];
        if (one->section >= 0 || !one->encoded || strcmp(one->name, name) != 0)
            continue;
        const char *charset;
        struct mw_bytes bytes = {0};
        append(arena, &bytes, without_charset(arena, one->value, &charset), true);
        mw_mime_add_once(arena, values, in_charset(arena, bytes, charset));
    }
    for (size_t i = 0; i < parameters->count; i++)
        sections |=
            parameters->items[i].section >= 0 && strcmp(parameters->items[i].name, name) == 0;
    if (sections) {
        const char *whole = continued(arena, parameters, name, CONSECUTIVE);
        const char *sorted = continued(arena, parameters, name, SORTED);
        mw_mime_add_once(arena, values, whole);
        mw_mime_add_once(arena, values, sorted);
        /* When none is missing, their order means nothing to anybody. */
        if (!whole || strcmp(whole, sorted) != 0)
            mw_mime_add_once(arena, values, continued(arena, parameters, name, AS_GIVEN));
    }
    for (size_t i = 0; i < parameters->count; i++)
        if (parameters->items[i].section < 0 && !parameters->items[i].encoded &&
            strcmp(parameters->items[i].name, name) == 0)
            mw_mime_add_once(arena, values, plain(arena, parameters->items[i].value));
}

void mw_mime_add_once(struct mw_arena *arena, struct mw_texts *texts, const char *text)
{
    if (!text || !*text)
        return;
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0)
            return;
    mw_texts_add(arena, texts, text);
}
