/*
 * bounds: one walk over the lines of header blocks and over lines that start with "--".
 * Nothing is copied or recorded while a message is within bounds.
 */
#include "parsers/bounds.h"

#include <string.h>
#include <strings.h>

#include "parsers/boundary.h"

enum {
    MOST_PARAMETERS = 500,       /* of a field: GMime's reading of them is quadratic */
    MOST_COLONS = 500,           /* in addresses: each can open a group, a level of GMime's stack */
    MOST_ADDRESS = 50,           /* fields of addresses in a header: GMime reads all for each */
    FREE_FIELDS = 10,            /* of each header; the others count for all headers together */
    MOST_CONTENT = 100,          /* Content- fields that are kept beyond the bound on fields */
    FEW_LINES = 1000,            /* that start with "--", with which nothing can go wrong */
    MOST_COMPARISONS = 100000000 /* of such a line with a boundary; below a second */
};

struct bounds {
    struct mw_parse *parse;
    const char *place;
    struct mw_bytes bytes;                  /* as they are now */
    unsigned char *copy;                    /* made when a first change is needed */
    const struct mw_boundaries *boundaries; /* NULL: not asked for yet */
    size_t fields;                          /* of all headers so far, without the free ones */
};

static unsigned char *bounds_writable(struct bounds *bounds)
{
    if (!bounds->copy) {
        bounds->copy = mw_arena_alloc_raw(bounds->parse->report->arena, bounds->bytes.size);
        memcpy(bounds->copy, bounds->bytes.data, bounds->bytes.size);
        bounds->bytes.data = bounds->copy;
    }
    return bounds->copy;
}

/* Blanks in the place of all but line ends. */
static void blank(struct bounds *bounds, size_t from, size_t to)
{
    unsigned char *copy = bounds_writable(bounds);
    for (size_t i = from; i < to; i++)
        if (copy[i] != '\n' && copy[i] != '\r')
            copy[i] = ' ';
}

static const struct mw_boundaries *boundaries_of(struct bounds *bounds)
{
    if (!bounds->boundaries)
        bounds->boundaries = mw_boundaries_named(bounds->parse, bounds->bytes);
    return bounds->boundaries;
}

static bool is_delimiter(struct bounds *bounds, size_t line)
{
    size_t size = mw_bytes_next_line(bounds->bytes, line) - line;
    const struct mw_boundaries *named = boundaries_of(bounds);
    return mw_boundaries_unsure(named) ||
           mw_boundaries_has(named, mw_bytes_slice(bounds->bytes, line, size));
}

/* A header under way. */
struct header {
    size_t delimiter; /* the line before it; SIZE_MAX: the message's own */
    size_t fields, content, address;
    bool told;
    bool unsure, is_header; /* whether it is one has to be found out when it matters */
};

/* Whether the lines are a header: those behind any line that starts with "--" look so. */
static bool matters(struct bounds *bounds, struct header *header)
{
    if (header->unsure) {
        header->unsure = false;
        header->is_header = is_delimiter(bounds, header->delimiter);
    }
    return header->is_header;
}

static bool is_address_field(struct mw_bytes field)
{
    static const char *const names[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"};
    if (mw_bytes_has_prefix_nocase(field, "Resent-"))
        field = mw_bytes_slice(field, strlen("Resent-"), field.size);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i]);
        if (field.size > size && mw_bytes_has_prefix_nocase(field, names[i]) &&
            strchr(": \t", field.data[size]))
            return true;
    }
    return false;
}

/* Where the most'th mark in the field is, or its end. */
static size_t behind_marks(struct mw_bytes field, unsigned char mark, size_t most)
{
    size_t at = 0;
    for (size_t count = 0; at < field.size; at++) {
        const unsigned char *found = memchr(field.data + at, mark, field.size - at);
        if (!found)
            return field.size;
        at = (size_t)(found - field.data);
        if (count++ == most)
            return at;
    }
    return field.size;
}

static void note_content(struct bounds *bounds, struct mw_bytes field)
{
    size_t name = 0;
    while (name < field.size && name < 60 && field.data[name] > ' ' && field.data[name] < 127 &&
           field.data[name] != ':')
        name++;
    mw_report_problem(bounds->parse->report, bounds->parse->limits, MW_PROBLEM_LIMIT_CONTENT_FIELD,
                      bounds->place,
                      "%.*s is too long or has too many parameters: its end was not read",
                      (int)name, (const char *)field.data);
}

static void note_fields(struct bounds *bounds, struct header *header)
{
    header->told = true;
    mw_report_problem(bounds->parse->report, bounds->parse->limits, MW_PROBLEM_LIMIT_HEADER_COUNT,
                      bounds->place, "more than %zu fields in all headers: the rest is left out",
                      bounds->parse->limits->header_count);
}

/* How much of a field GMime is to see. */
static size_t kept_of(struct bounds *bounds, struct mw_bytes field, bool content, bool address)
{
    size_t limit = bounds->parse->limits->header_length, kept = field.size;
    if (kept > limit + 1024)
        kept = limit + 1024; /* its name, and enough to see that the value is longer */
    struct mw_bytes seen = mw_bytes_slice(field, 0, kept);
    if (content && kept > MOST_PARAMETERS)
        kept = behind_marks(seen, ';', MOST_PARAMETERS);
    if (address && kept > MOST_COLONS)
        kept = behind_marks(seen, ':', MOST_COLONS);
    return kept;
}

static void bound_field(struct bounds *bounds, struct header *header, size_t start, size_t end)
{
    struct mw_bytes field = mw_bytes_slice(bounds->bytes, start, end - start);
    size_t most = bounds->parse->limits->header_count;
    bool content = mw_bytes_has_prefix_nocase(field, "Content-"), address = is_address_field(field);
    header->fields++;
    header->address += address;
    bounds->fields += header->fields > FREE_FIELDS && matters(bounds, header);
    bool surplus = header->fields > most + 1 || bounds->fields > most + 1;
    surplus = surplus && !(content && header->content++ < MOST_CONTENT);
    if (header->address > MOST_ADDRESS && address)
        surplus = true;
    size_t kept = surplus ? 0 : kept_of(bounds, field, content, address);
    if (kept == field.size || !matters(bounds, header))
        return;
    if (content)
        note_content(bounds, field);
    else if (surplus && !address && header->fields <= most + 1 && !header->told)
        note_fields(bounds, header);
    else if (address && surplus && header->address == MOST_ADDRESS + 1)
        mw_report_problem(bounds->parse->report, bounds->parse->limits,
                          MW_PROBLEM_LIMIT_ADDRESS_COUNT, bounds->place,
                          "more than %d fields of addresses: the rest is left out", MOST_ADDRESS);
    else if (address && !surplus && field.size <= bounds->parse->limits->header_length)
        mw_report_problem(bounds->parse->report, bounds->parse->limits,
                          MW_PROBLEM_LIMIT_ADDRESS_COUNT, bounds->place,
                          "more than %d groups of addresses in one field: the rest is left out",
                          MOST_COLONS);
    blank(bounds, start + kept, end);
}

/* Looks at the fields from at on; returns the offset of the line that ends them. */
static size_t bound_header(struct bounds *bounds, size_t at, struct header *header)
{
    size_t field = SIZE_MAX;
    while (at < bounds->bytes.size) {
        const unsigned char *line = bounds->bytes.data + at;
        size_t next = mw_bytes_next_line(bounds->bytes, at);
        bool fold = *line == ' ' || *line == '\t';
        bool blank_line = *line == '\n' || (*line == '\r' && next - at <= 2);
        if (!fold && field != SIZE_MAX)
            bound_field(bounds, header, field, at);
        if (blank_line || (*line == '-' && header->delimiter != SIZE_MAX))
            return at;
        if (!fold)
            field = at;
        at = next;
    }
    if (field != SIZE_MAX)
        bound_field(bounds, header, field, at);
    return at;
}

/* The next line from at on that starts with "--", or the end. By line ends: memmem takes
 * several instructions for each byte. */
static size_t next_dashes(struct mw_bytes bytes, size_t at)
{
    if (at > 0)
        at = mw_bytes_next_line(bytes, at);
    while (bytes.size - at > 1 && memcmp(bytes.data + at, "--", 2) != 0)
        at = mw_bytes_next_line(bytes, at);
    return bytes.size - at > 1 ? at : bytes.size;
}

/* Each header: the first lines, and those behind each line that can be a delimiter. Returns
 * how many of those there are. */
static size_t bound_headers(struct bounds *bounds)
{
    struct header own = {.delimiter = SIZE_MAX, .is_header = true};
    size_t at = bound_header(bounds, 0, &own), lines = 0;
    at -= at > 0;
    while ((at = next_dashes(bounds->bytes, at)) < bounds->bytes.size) {
        struct header header = {.delimiter = at, .unsure = true};
        size_t behind = mw_bytes_next_line(bounds->bytes, at);
        lines++;
        at = bound_header(bounds, behind, &header) - 1;
        if (mw_parse_expired(bounds->parse))
            break;
    }
    return lines;
}

/* Cuts off what lies behind more delimiters than there may be parts. Each part has one, and
 * each multipart another. */
static void bound_parts(struct bounds *bounds, size_t lines)
{
    const struct mw_parse *parse = bounds->parse;
    size_t left = parse->limits->parts > parse->parts ? parse->limits->parts - parse->parts : 0;
    size_t most = 2 * left + 2, others = 0, count = mw_boundaries_count(boundaries_of(bounds));
    size_t most_others = count > 0 ? MOST_COMPARISONS / (count < 1024 ? count : 1024) : lines;
    for (size_t at = 0, delimiters = 0; at < bounds->bytes.size; at++) {
        at = next_dashes(bounds->bytes, at);
        if (at >= bounds->bytes.size)
            return;
        if (is_delimiter(bounds, at) ? ++delimiters <= most : ++others <= most_others)
            continue;
        bounds->bytes.size = at;
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_PARTS, bounds->place,
                          "more than %zu parts: the rest was not opened", parse->limits->parts);
        return;
    }
}

void mw_bounds_apply(struct mw_parse *parse, const char *place, struct mw_bytes *readable)
{
    struct bounds bounds = {.parse = parse, .place = place, .bytes = *readable};
    size_t lines = bound_headers(&bounds);
    if (lines > FEW_LINES)
        bound_parts(&bounds, lines);
    *readable = bounds.bytes;
}
