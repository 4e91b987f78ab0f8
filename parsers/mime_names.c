/*
 * mime_names: the names a client may show for a part. One is enough for nearly every part;
 * where a name stands in several forms, fields or places, clients differ in which they take.
 */
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/mime_private.h"

/* As many names as are kept of one part. */
enum { NAMES = 32 };

static void add_values(struct mw_arena *arena, const char *raw, const char *name,
                       struct mw_texts *names)
{
    struct mw_mime_parameters parameters = {0};
    struct mw_texts values = {0};
    mw_mime_parameters(arena, raw, &parameters);
    mw_mime_parameter_values(arena, &parameters, name, &values);
    for (size_t i = 0; i < values.count && names->count < NAMES; i++)
        mw_mime_add_once(arena, names,
                         mw_utf8_clean_line(arena, mw_bytes_of(values.items[i]), NULL));
}

/* More than plain parameters: extended forms, comments, escapes, an open quote, something
 * behind a semicolon that is none. */
static bool is_odd(const char *raw)
{
    size_t quotes = 0, names = 0;
    for (const char *at = raw; at && *at; at++) {
        if (*at == '*' || *at == '\\' || *at == '(' ||
            (*at > 0 && *at < ' ' && !strchr("\t\r\n", *at)))
            return true;
        quotes += *at == '"';
        names += (*at == 'n' || *at == 'N') && strncasecmp(at, "name", 4) == 0;
    }
    const char *last = raw ? strrchr(raw, ';') : NULL;
    bool loose = last && last[1 + strspn(last + 1, " \t\r\n")] && !strchr(last, '=');
    return quotes % 2 != 0 || names > 1 || loose;
}

/* Each value of these fields, those of the disposition before those of the type. */
static void add_all(struct mw_arena *arena, struct mw_bytes source, GMimeObject *object,
                    const struct mw_mime_block *block, struct mw_texts *names)
{
    static const struct {
        const char *field, *names[2];
    } places[] = {{"Content-Disposition", {"filename", "name"}},
                  {"Content-Type", {"name", "filename"}}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct mw_texts raws = {0};
        if (block)
            mw_mime_block_values(arena, source, block, places[i].field, &raws);
        else if (mw_mime_raw_header(object, places[i].field))
            mw_texts_add(arena, &raws, mw_mime_raw_header(object, places[i].field));
        for (size_t j = 0; j < raws.count && j < NAMES; j++)
            for (int k = 0; k < 2; k++)
                add_values(arena, raws.items[j], places[i].names[k], names);
    }
}

/* What can stand behind the last dot of a name. */
static bool has_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t length = dot ? strlen(dot + 1) : 0;
    return dot && dot > name && length >= 2 && length <= 5 &&
           strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
               length;
}

/* Outlook shows the description, others the end of the location, of a part without a name. */
static void add_stand_ins(struct mw_arena *arena, GMimeObject *object, struct mw_texts *names)
{
    const char *location = mw_mime_raw_header(object, "Content-Location");
    const char *description = mw_mime_raw_header(object, "Content-Description");
    if (description) {
        const char *text = mw_mime_decode_text(arena, description, NULL);
        if (has_extension(text))
            mw_mime_add_once(arena, names, text);
    }
    if (location) {
        const char *text = mw_mime_decode_text(arena, location, NULL);
        char *end = mw_arena_dup_bytes(arena, text, strcspn(text, "?#"));
        const char *slash = strrchr(end, '/');
        if (has_extension(slash ? slash + 1 : end))
            mw_mime_add_once(arena, names, slash ? slash + 1 : end);
    }
}

/* Names from C strings end at a NUL, which stands here as U+FFFD; others leave it out. */
static void add_without_nul(struct mw_arena *arena, struct mw_texts *names)
{
    static const char mark[] = "\xEF\xBF\xBD";
    for (size_t i = 0, count = names->count; i < count && names->count < NAMES; i++) {
        const char *at = strstr(names->items[i], mark);
        if (!at)
            continue;
        size_t before = (size_t)(at - names->items[i]);
        mw_mime_add_once(arena, names, mw_arena_dup_bytes(arena, names->items[i], before));
        mw_mime_add_once(
            arena, names,
            mw_arena_printf(arena, "%.*s%s", (int)before, names->items[i], at + sizeof mark - 1));
    }
}

/* Letters and digits behind the last dot. */
static struct mw_bytes extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    struct mw_bytes extension = mw_bytes_of(dot ? dot + 1 : "");
    size_t size = 0;
    while (size < extension.size && g_ascii_isalnum(extension.data[size]))
        size++;
    return mw_bytes_slice(extension, 0, size);
}

/* Names whose ends differ: a client that shows one opens another kind of file. */
static bool differ(const struct mw_texts *names, size_t given)
{
    for (size_t i = 1; i < given; i++) {
        struct mw_bytes one = extension_of(names->items[0]), other = extension_of(names->items[i]);
        if (one.size != other.size ||
            (one.size > 0 &&
             strncasecmp((const char *)one.data, (const char *)other.data, one.size) != 0))
            return true;
    }
    return false;
}

void mw_mime_names(struct mw_parse *parse, struct mw_bytes source, GMimeObject *object,
                   const struct mw_mime_block *block, struct mw_part *part)
{
    struct mw_arena *arena = parse->report->arena;
    struct mw_texts names = {0};
    bool odd = block && (block->hidden || block->dispositions > 1 || block->types > 1);
    bool disposed = !block || block->dispositions > 0;
    if (odd || (disposed && is_odd(mw_mime_raw_header(object, "Content-Disposition"))) ||
        is_odd(mw_mime_raw_header(object, "Content-Type")))
        add_all(arena, source, object, block, &names);
    for (size_t i = 0; i < part->names.count; i++)
        mw_mime_add_once(arena, &names, part->names.items[i]);
    size_t given = names.count;
    if (!mw_part_is_text(part)) {
        add_stand_ins(arena, object, &names);
        add_without_nul(arena, &names);
    }
    part->names = names;
    part->filename = names.count > 0 ? names.items[0] : NULL;
    if (differ(&names, given))
        mw_parse_ambiguous(parse, part->path, MW_READING_NAME, NULL);
}
