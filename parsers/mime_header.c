/* mime_header: header fields as GMime found them, decoded and made safe. */
#include <string.h>
#include <strings.h>

#include "core/ascii.h"
#include "core/utf8.h"
#include "parsers/encoded_word.h"
#include "parsers/mime_private.h"
#include "parsers/text.h"

/* Unfolds (RFC 5322 section 2.2.3) and trims, in the arena. */
static struct mw_bytes unfold(struct mw_arena *arena, const char *raw)
{
    size_t size = strlen(raw), length = 0;
    unsigned char *out = mw_arena_alloc_raw(arena, size + 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)raw[i];
        if (c == '\n' || (c == '\r' && (raw[i + 1] == '\n' || raw[i + 1] == '\0')))
            continue;
        out[length++] = c;
    }
    while (length > 0 && (out[length - 1] == ' ' || out[length - 1] == '\t'))
        length--;
    size_t start = 0;
    while (start < length && (out[start] == ' ' || out[start] == '\t'))
        start++;
    return (struct mw_bytes){out + start, length - start};
}

/* Raw 8-bit bytes in a header (RFC 6532, or worse) to UTF-8. */
static struct mw_bytes to_utf8(struct mw_arena *arena, struct mw_bytes value, size_t *replaced)
{
    if (mw_bytes_is_ascii(value) || mw_utf8_valid(value))
        return value;
    struct mw_text text;
    mw_text_decode(arena, value, NULL, &text);
    *replaced += text.replaced;
    return mw_bytes_of(text.text);
}

/* Raw 8-bit bytes within encoded words, which are of the word's charset and not of what is
 * around it, written as the "Q" encoding has them. */
static struct mw_bytes quote_in_words(struct mw_arena *arena, struct mw_bytes value)
{
    static const char digits[] = "0123456789ABCDEF";
    if (mw_bytes_find(value, 0, mw_bytes_of("=?")) == value.size)
        return value;
    unsigned char *out = mw_arena_alloc_raw(arena, value.size * 3 + 1);
    size_t size = 0;
    int marks = 0; /* question marks of the word so far; 0: not in one */
    bool quoted = false;
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = value.data[i], next = i + 1 < value.size ? value.data[i + 1] : '\0';
        if (c == '=' && next == '?' && marks != 3)
            marks = 0;
        if (c == '?' && (marks > 0 || (i > 0 && value.data[i - 1] == '=')))
            marks = marks == 3 ? 0 : marks + 1;
        if (marks == 2 && c == '?')
            quoted = (next | 0x20) == 'q';
        if (marks == 3 && quoted && c >= 0x80) {
            out[size++] = '=';
            out[size++] = (unsigned char)digits[c >> 4];
            out[size++] = (unsigned char)digits[c & 15];
        } else {
            out[size++] = c;
        }
    }
    return (struct mw_bytes){out, size};
}

const char *mw_mime_unfold_text(struct mw_arena *arena, const char *raw, size_t *replaced)
{
    size_t bad = 0;
    struct mw_bytes value = unfold(arena, raw);
    if (!mw_bytes_is_ascii(value))
        value = to_utf8(arena, quote_in_words(arena, value), replaced ? replaced : &bad);
    return mw_arena_dup_bytes(arena, value.data, value.size);
}

const char *mw_mime_decode_text(struct mw_arena *arena, const char *raw, size_t *replaced)
{
    const char *text = mw_mime_unfold_text(arena, raw, replaced);
    if (strstr(text, "=?"))
        text = mw_encoded_words(arena, text, false, replaced);
    return mw_utf8_clean_line(arena, mw_bytes_of(text), replaced);
}

/* A value longer than the limit is cut between characters and reported. */
static const char *bounded(struct mw_parse *parse, const char *place, const char *name,
                           const char *raw)
{
    size_t limit = parse->limits->header_length, size = strlen(raw);
    if (size <= limit)
        return raw;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_HEADER_LENGTH, place,
                      "%s is %zu bytes long: the first %zu are kept", name, size, limit);
    struct mw_bytes bytes = mw_bytes_of(raw);
    return mw_arena_dup_bytes(parse->report->arena, raw, mw_utf8_cut(bytes, limit));
}

/* The name as it stands in the source: the readable copy may have another. */
static const char *field_name(struct mw_arena *arena, struct mw_bytes source, GMimeHeader *field)
{
    const char *name = g_mime_header_get_name(field);
    gint64 offset = g_mime_header_get_offset(field);
    struct mw_bytes written = mw_bytes_of(name);
    if (offset >= 0 && (size_t)offset + written.size <= source.size)
        written = mw_bytes_slice(source, (size_t)offset, written.size);
    return mw_utf8_clean_line(arena, written, NULL);
}

static void add_header(struct mw_parse *parse, const char *place, struct mw_bytes source,
                       GMimeHeader *field, struct mw_headers *headers)
{
    struct mw_arena *arena = parse->report->arena;
    const char *name = field_name(arena, source, field);
    const char *raw = g_mime_header_get_raw_value(field);
    raw = bounded(parse, place, name, raw ? raw : "");
    size_t replaced = 0;
    struct mw_header *header = mw_list_add(arena, headers, sizeof *headers->items);
    header->name = name;
    header->value = mw_mime_decode_text(arena, raw, &replaced);
    struct mw_bytes unfolded = unfold(arena, raw);
    if (unfolded.size != strlen(header->value) ||
        memcmp(unfolded.data, header->value, unfolded.size) != 0)
        header->raw = mw_utf8_clean(arena, mw_bytes_of(raw), NULL);
    if (replaced > 0)
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_HEADER_UNDECODABLE,
                          place ? place : name, "%zu bytes of %s could not be decoded", replaced,
                          name);
}

static GMimeHeader *field_at(GMimeHeaderList *list, int index)
{
    if (!list || index >= g_mime_header_list_get_count(list))
        return NULL;
    return g_mime_header_list_get_header_at(list, index);
}

void mw_mime_headers(struct mw_parse *parse, const char *place, struct mw_bytes source,
                     GMimeHeaderList *first, GMimeHeaderList *second, struct mw_headers *headers)
{
    /* GMime keeps a message's Content- fields with its body: merge by offset. */
    int i = 0, j = 0;
    for (;;) {
        GMimeHeader *a = field_at(first, i), *b = field_at(second, j);
        if (!a && !b)
            return;
        if (headers->count >= parse->limits->header_count) {
            mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_HEADER_COUNT, place,
                              "more than %zu header fields: the rest is left out",
                              parse->limits->header_count);
            return;
        }
        bool take_first = a && (!b || g_mime_header_get_offset(a) <= g_mime_header_get_offset(b));
        add_header(parse, place, source, take_first ? a : b, headers);
        if (take_first)
            i++;
        else
            j++;
    }
}

static const char *lower_dup(struct mw_arena *arena, const char *text)
{
    return text ? mw_ascii_lower_text(mw_utf8_clean_line(arena, mw_bytes_of(text), NULL)) : NULL;
}

/*
 * The value of a parameter as written, when it holds an encoded word: GMime
 * decodes those itself, with faults. RFC 2047 forbids them here; mail is full of
 * them all the same. raw is a whole field value, folds included.
 */
static const char *encoded_parameter(struct mw_arena *arena, const char *raw, const char *name)
{
    const char *at = raw ? strchr(raw, ';') : NULL;
    size_t length = strlen(name);
    while (at) {
        at++;
        at += strspn(at, " \t\r\n");
        const char *equals = at + strcspn(at, "=;");
        size_t given = (size_t)(equals - at);
        while (given > 0 && strchr(" \t\r\n", at[given - 1]))
            given--;
        const char *value = *equals == '=' ? equals + 1 : equals;
        value += strspn(value, " \t\r\n");
        bool quoted = *value == '"';
        const char *end = quoted ? strchr(value + 1, '"') : value + strcspn(value, ";");
        if (!end)
            end = value + strlen(value);
        if (given == length && strncasecmp(at, name, length) == 0) {
            value += quoted;
            const char *text = mw_arena_dup_bytes(arena, value, (size_t)(end - value));
            return strstr(text, "=?") ? text : NULL;
        }
        at = strchr(end, ';');
    }
    return NULL;
}

const char *mw_mime_raw_header(GMimeObject *object, const char *name)
{
    GMimeHeader *header =
        g_mime_header_list_get_header(g_mime_object_get_header_list(object), name);
    return header ? g_mime_header_get_raw_value(header) : NULL;
}

/* A parameter's value: RFC 2231, and RFC 2047 where it does not belong. */
static const char *parameter(struct mw_arena *arena, const char *raw, const char *name,
                             const char *value)
{
    if (!value)
        return NULL;
    const char *encoded = encoded_parameter(arena, raw, name);
    if (encoded)
        value = mw_mime_decode_text(arena, encoded, NULL);
    size_t bad = 0;
    const char *text = mw_utf8_clean_line(arena, to_utf8(arena, mw_bytes_of(value), &bad), NULL);
    return *text ? text : NULL;
}

/* The names as GMime reads them, those of the disposition first. */
static void add_names(struct mw_arena *arena, GMimeObject *object, struct mw_texts *names)
{
    static const char *const of_disposition[] = {"filename", "name"};
    static const char *const of_type[] = {"name", "filename"};
    GMimeContentDisposition *disposition = g_mime_object_get_content_disposition(object);
    GMimeContentType *type = g_mime_object_get_content_type(object);
    const char *raw = mw_mime_raw_header(object, "Content-Disposition");
    for (int i = 0; disposition && i < 2; i++)
        mw_mime_add_once(
            arena, names,
            parameter(arena, raw, of_disposition[i],
                      g_mime_content_disposition_get_parameter(disposition, of_disposition[i])));
    raw = mw_mime_raw_header(object, "Content-Type");
    for (int i = 0; type && i < 2; i++)
        mw_mime_add_once(
            arena, names,
            parameter(arena, raw, of_type[i], g_mime_content_type_get_parameter(type, of_type[i])));
}

static const char *content_id(struct mw_arena *arena, GMimeObject *object)
{
    const char *id = g_mime_object_get_content_id(object);
    if (!id)
        return NULL;
    char *text = mw_arena_dup(arena, mw_mime_decode_text(arena, id, NULL));
    size_t size = strlen(text);
    if (size > 1 && text[0] == '<' && text[size - 1] == '>') {
        text[size - 1] = '\0';
        text++;
    }
    return *text ? text : NULL;
}

/* The transfer encoding's first word that stands in no comment. */
static const char *encoding(struct mw_arena *arena, GMimeObject *object)
{
    const char *raw = mw_mime_raw_header(object, "Content-Transfer-Encoding");
    if (!raw)
        return NULL;
    char *text = mw_arena_dup(arena, lower_dup(arena, raw));
    static const char token[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    for (int comments = 0; *text && (comments > 0 || !strchr(token, *text)); text++)
        comments += *text == '(' ? 1 : *text == ')' && comments > 0 ? -1 : 0;
    text[strspn(text, token)] = '\0';
    return *text ? text : NULL;
}

void mw_mime_describe(struct mw_parse *parse, struct mw_bytes source, struct mw_part *part,
                      GMimeObject *object)
{
    struct mw_arena *arena = parse->report->arena;
    GMimeContentType *type = g_mime_object_get_content_type(object);
    GMimeContentDisposition *disposition = g_mime_object_get_content_disposition(object);
    char *name = type ? g_mime_content_type_get_mime_type(type) : NULL;
    part->content_type = name ? lower_dup(arena, name) : "text/plain";
    g_free(name);
    if (type)
        part->charset = lower_dup(arena, g_mime_content_type_get_parameter(type, "charset"));
    if (disposition)
        part->disposition =
            lower_dup(arena, g_mime_content_disposition_get_disposition(disposition));
    add_names(arena, object, &part->names);
    part->filename = part->names.count > 0 ? part->names.items[0] : NULL;
    part->content_id = content_id(arena, object);
    part->encoding = encoding(arena, object);
    const char *description = mw_mime_raw_header(object, "Content-Description");
    if (description)
        part->description = mw_mime_decode_text(arena, description, NULL);
    mw_mime_headers(parse, part->path, source, g_mime_object_get_header_list(object), NULL,
                    &part->headers);
}
