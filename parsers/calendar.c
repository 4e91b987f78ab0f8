/* calendar: content lines, unfolded as they come. */
#include "parsers/calendar.h"

#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/mime_private.h"

static bool is_calendar(const struct mw_part *part)
{
    static const char *const types[] = {"text/calendar", "text/vcard", "text/x-vcard",
                                        "text/directory", "text/x-vcalendar"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(part->content_type, types[i]) == 0)
            return true;
    return mw_bytes_has_prefix_nocase(part->data, "BEGIN:VCALENDAR") ||
           mw_bytes_has_prefix_nocase(part->data, "BEGIN:VCARD");
}

/* Behind the content line at from: lines that begin with a blank go on with it, and so, in what
 * old programs write, does base64 up to a blank line. */
static size_t line_end(struct mw_bytes text, size_t from)
{
    size_t at = mw_bytes_next_line(text, from);
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t'))
        at = mw_bytes_next_line(text, at);
    return at;
}

/* The value's offset in a line: behind the first colon that is not quoted. */
static size_t value_at(struct mw_bytes line)
{
    bool quoted = false;
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '"')
            quoted = !quoted;
        else if (line.data[i] == ':' && !quoted)
            return i + 1;
    }
    return line.size;
}

/* Whether the line's parameters, unfolded, have this one. */
static bool has(const char *parameters, const char *what)
{
    return strcasestr(parameters, what) != NULL;
}

static char *unfolded(struct mw_arena *arena, struct mw_bytes text)
{
    char *copy = mw_arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r\n", text.data[i]) && text.data[i])
            copy[size++] = (char)text.data[i];
    return copy;
}

/* FILENAME= and X-FILENAME= are what programs write. */
static const char *file_name(struct mw_arena *arena, const char *parameters)
{
    const char *at = strcasestr(parameters, "FILENAME=");
    if (!at)
        return NULL;
    at += strlen("FILENAME=");
    bool quoted = *at == '"';
    at += quoted;
    struct mw_bytes name = {(const unsigned char *)at, strcspn(at, quoted ? "\"" : ";:")};
    return name.size > 0 ? mw_utf8_clean_line(arena, name, NULL) : NULL;
}

static void add_file(struct mw_parse *parse, struct mw_part *part, struct mw_bytes value,
                     const char *name)
{
    struct mw_part *file = NULL;
    if (mw_parse_take(parse, part->path, value.size / 4 * 3))
        file = mw_parse_part(parse, part, MW_PART_LEAF);
    if (!file) {
        mw_part_closed(part, "calendar", "over a limit");
        return;
    }
    file->data = mw_mime_decode_base64(parse->report->arena, value);
    file->filename = name;
    file->content_type = "application/octet-stream";
    file->encoding = "calendar";
    file->unpacked = true;
    mw_part_opened(part, "calendar");
}

bool mw_calendar_open(struct mw_parse *parse, struct mw_part *part)
{
    enum { PARAMETERS_MOST = 4096 };
    struct mw_arena *arena = parse->report->arena;
    struct mw_bytes text = part->data;
    if (!is_calendar(part))
        return false;
    for (size_t at = 0, end; at < text.size && !mw_parse_expired(parse); at = end) {
        end = line_end(text, at);
        struct mw_bytes line = mw_bytes_slice(text, at, end - at);
        size_t value = value_at(line);
        if (value >= line.size || value > PARAMETERS_MOST)
            continue;
        const char *parameters = unfolded(arena, mw_bytes_slice(line, 0, value));
        if (has(parameters, "ENCODING=BASE64") || has(parameters, "ENCODING=B:") ||
            has(parameters, "ENCODING=B;") || has(parameters, ";BASE64"))
            add_file(parse, part, mw_bytes_slice(line, value, SIZE_MAX),
                     file_name(arena, parameters));
        if (parse->parts > parse->limits->parts)
            break;
    }
    return part->container != NULL;
}
