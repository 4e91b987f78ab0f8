/* mime_source: what can stand around a message: mbox lines, an SMTP session. */
#include <string.h>

#include "core/utf8.h"
#include "parsers/mime_private.h"

static bool starts_line(struct mw_bytes bytes, size_t at, const char *text)
{
    return mw_bytes_has_prefix_nocase(mw_bytes_slice(bytes, at, bytes.size), text);
}

/* "From " lines of mbox files, also in the quoted form broken tools leave. */
static size_t skip_from_lines(struct mw_bytes raw)
{
    size_t at = 0;
    while (at < raw.size) {
        struct mw_bytes rest = mw_bytes_slice(raw, at, raw.size);
        bool from = rest.size >= 5 && memcmp(rest.data, "From ", 5) == 0;
        bool quoted = rest.size >= 6 && memcmp(rest.data, ">From ", 6) == 0;
        if (!from && !quoted)
            break;
        at = mw_bytes_next_line(raw, at);
    }
    return at;
}

static bool is_session(struct mw_bytes raw)
{
    return starts_line(raw, 0, "EHLO ") || starts_line(raw, 0, "HELO ") ||
           starts_line(raw, 0, "MAIL FROM:") || starts_line(raw, 0, "220 ") ||
           starts_line(raw, 0, "220-");
}

/* The address between the angle brackets of a MAIL or RCPT line. */
static const char *path_address(struct mw_arena *arena, struct mw_bytes line)
{
    const unsigned char *open = memchr(line.data, '<', line.size);
    if (!open)
        return NULL;
    size_t from = (size_t)(open - line.data) + 1;
    const unsigned char *close = memchr(open, '>', line.size - from + 1);
    if (!close)
        return NULL;
    return mw_utf8_clean_line(arena, mw_bytes_slice(line, from, (size_t)(close - open) - 1), NULL);
}

/* The offset behind the DATA command, its envelope noted; 0 when there is none. */
static size_t session_data(struct mw_parse *parse, struct mw_bytes raw)
{
    struct mw_report *report = parse->report;
    for (size_t at = 0, next; at < raw.size; at = next) {
        next = mw_bytes_next_line(raw, at);
        struct mw_bytes line = mw_bytes_slice(raw, at, next - at);
        if (starts_line(line, 0, "MAIL FROM:"))
            report->envelope.from = path_address(report->arena, line);
        else if (starts_line(line, 0, "RCPT TO:")) {
            const char *to = path_address(report->arena, line);
            if (to && report->envelope.to.count < parse->limits->address_count)
                mw_texts_add(report->arena, &report->envelope.to, to);
        } else if (starts_line(line, 0, "DATA\r") || starts_line(line, 0, "DATA\n")) {
            if (starts_line(raw, next, "354"))
                next = mw_bytes_next_line(raw, next);
            return next;
        }
    }
    return 0;
}

/* Undoes dot-stuffing (RFC 5321 section 4.5.2) up to the line with one dot. */
static struct mw_bytes session_message(struct mw_parse *parse, struct mw_bytes raw)
{
    unsigned char *copy = mw_arena_alloc_raw(parse->report->arena, raw.size + 1);
    size_t size = 0;
    for (size_t at = 0, next; at < raw.size; at = next) {
        next = mw_bytes_next_line(raw, at);
        if (raw.data[at] == '.') {
            size_t rest = next - at - 1;
            if (rest == 0 || raw.data[at + 1] == '\n' || raw.data[at + 1] == '\r')
                break;
            at++;
        }
        memcpy(copy + size, raw.data + at, next - at);
        size += next - at;
    }
    return (struct mw_bytes){copy, size};
}

/* Lines of nothing, then a field: for some readers the header begins there, for others
 * there is none. */
static size_t skip_blank_lines(struct mw_bytes raw)
{
    size_t at = 0, name;
    while (at < raw.size && strchr(" \t\r\n", raw.data[at]))
        at++;
    while (at > 0 && raw.data[at - 1] != '\n')
        at--;
    for (name = at; name < raw.size && raw.data[name] > ' ' && raw.data[name] < 127; name++)
        if (raw.data[name] == ':')
            return name > at ? at : 0;
    return 0;
}

struct mw_bytes mw_mime_unwrap(struct mw_parse *parse, struct mw_bytes raw,
                               const struct mw_part *parent)
{
    size_t skip = skip_from_lines(raw);
    raw = mw_bytes_slice(raw, skip, raw.size);
    skip = skip_blank_lines(raw);
    if (skip > 0)
        mw_parse_ambiguous(parse, parent ? parent->path : NULL, MW_READING_HEADER,
                           "blank lines stand before it");
    raw = mw_bytes_slice(raw, skip, raw.size);
    if (parent || !is_session(raw))
        return raw;
    size_t data = session_data(parse, raw);
    if (data == 0)
        return raw;
    return session_message(parse, mw_bytes_slice(raw, data, raw.size));
}
