/*
 * mime_repair: header blocks as mail clients read them, where GMime reads them
 * otherwise. A block is the message's own header, or what follows a line that
 * starts with "--", up to a blank line.
 */
#include <string.h>

#include "core/utf8.h"
#include "parsers/boundary.h"
#include "parsers/mime_private.h"

enum line_kind { LINE_BLANK, LINE_FIELD, LINE_FOLD, LINE_SPACE, LINE_DASHES, LINE_OTHER };

struct repair {
    struct mw_parse *parse;
    const char *place;
    struct mw_bytes source;
    unsigned char *copy;                    /* made when a first change is needed */
    MW_LIST(size_t) breaks;                 /* offsets that a blank line is missing before */
    const struct mw_boundaries *boundaries; /* that the source names; NULL: not asked for yet */
};

/* One header block under way. */
struct block {
    size_t start;
    bool top;          /* the message's own header, not a part's */
    size_t fields;     /* seen so far */
    size_t junk;       /* offset of the first line that is no header; SIZE_MAX */
    size_t types;      /* Content-Type fields */
    size_t first_type; /* offset of the first, */
    size_t best_type;  /* and of the one that opens the most */
    bool types_differ; /* from the first */
};

static unsigned char *writable(struct repair *repair)
{
    if (!repair->copy) {
        repair->copy = mw_arena_alloc_raw(repair->parse->report->arena, repair->source.size);
        memcpy(repair->copy, repair->source.data, repair->source.size);
    }
    return repair->copy;
}

/* Length of the field name that line starts with; 0 when it starts with none. */
static size_t name_length(struct mw_bytes line)
{
    size_t name = 0;
    while (name < line.size && line.data[name] > ' ' && line.data[name] < 127 &&
           line.data[name] != ':')
        name++;
    size_t colon = name;
    while (colon < line.size && (line.data[colon] == ' ' || line.data[colon] == '\t'))
        colon++;
    return colon < line.size && line.data[colon] == ':' ? name : 0;
}

static enum line_kind classify(struct mw_bytes line)
{
    size_t blanks = 0;
    while (blanks < line.size && (line.data[blanks] == ' ' || line.data[blanks] == '\t'))
        blanks++;
    bool ends = blanks == line.size || line.data[blanks] == '\n' ||
                (line.data[blanks] == '\r' && blanks + 2 == line.size);
    if (ends)
        return blanks == 0 ? LINE_BLANK : LINE_SPACE;
    if (blanks > 0)
        return LINE_FOLD;
    if (name_length(line) > 0)
        return LINE_FIELD;
    return line.size > 2 && memcmp(line.data, "--", 2) == 0 ? LINE_DASHES : LINE_OTHER;
}

static struct mw_bytes line_at(const struct repair *repair, size_t at)
{
    return mw_bytes_slice(repair->source, at, mw_bytes_next_line(repair->source, at) - at);
}

/* Whether a type opens into parts: of two types, the one that shows more. */
static bool opens(struct mw_bytes value)
{
    while (value.size > 0 && strchr(" \t:", value.data[0]))
        value = mw_bytes_slice(value, 1, value.size);
    return mw_bytes_has_prefix_nocase(value, "multipart/") ||
           mw_bytes_has_prefix_nocase(value, "message/");
}

/* A field without the blanks at its end: its line and those that continue it. */
static struct mw_bytes whole_field(const struct repair *repair, size_t at)
{
    size_t end = mw_bytes_next_line(repair->source, at);
    while (end < repair->source.size && classify(line_at(repair, end)) == LINE_FOLD)
        end = mw_bytes_next_line(repair->source, end);
    while (end > at && strchr(" \t\r\n", repair->source.data[end - 1]))
        end--;
    return mw_bytes_slice(repair->source, at, end - at);
}

static void note_type(struct repair *repair, struct block *block, size_t at)
{
    static const char name[] = "content-type";
    struct mw_bytes line = line_at(repair, at);
    if (name_length(line) != sizeof name - 1 || !mw_bytes_has_prefix_nocase(line, name))
        return;
    struct mw_bytes value = mw_bytes_slice(line, sizeof name - 1, line.size);
    if (block->types++ == 0)
        block->first_type = block->best_type = at;
    else if (opens(value) &&
             !opens(mw_bytes_slice(repair->source, block->best_type + sizeof name - 1, 64)))
        block->best_type = at;
    if (block->types == 1 || block->types_differ)
        return;
    struct mw_bytes first = whole_field(repair, block->first_type), other = whole_field(repair, at);
    block->types_differ = first.size != other.size ||
                          memcmp(first.data + sizeof name - 1, other.data + sizeof name - 1,
                                 first.size - sizeof name + 1) != 0;
}

/* Leaves one Content-Type by changing a letter in the names of the others. Where all say
 * the same, nothing is ambiguous. */
static void choose_type(struct repair *repair, const struct block *block, size_t end)
{
    if (block->types_differ)
        mw_report_problem(
            repair->parse->report, repair->parse->limits, MW_PROBLEM_HEADER_DUPLICATE,
            repair->place, "%zu Content-Type fields in one header: %s is used", block->types,
            block->best_type == block->first_type ? "the first" : "one that has parts");
    unsigned char *copy = writable(repair);
    struct block seen = {0};
    for (size_t at = block->start; at < end; at = mw_bytes_next_line(repair->source, at)) {
        size_t before = seen.types;
        note_type(repair, &seen, at);
        if (seen.types > before && at != block->best_type)
            copy[at + sizeof "content-type" - 2] = 'X';
    }
}

/* GMime keeps header values as C strings: a NUL would hide the rest of a file
 * name. A control character takes its place and is shown as U+FFFD. */
static void mask_nuls(struct repair *repair, size_t start, size_t end)
{
    const unsigned char *data = repair->source.data;
    for (size_t at = start; at < end; at++) {
        const unsigned char *nul = memchr(data + at, '\0', end - at);
        if (!nul)
            return;
        at = (size_t)(nul - data);
        writable(repair)[at] = '\x01';
    }
}

/* Whether the line before a part's header is a boundary that some header names. */
static bool follows_boundary(struct repair *repair, size_t start)
{
    size_t line = start - 1;
    while (line > 0 && repair->source.data[line - 1] != '\n')
        line--;
    if (!repair->boundaries)
        repair->boundaries = mw_boundaries_named(repair->parse, repair->source);
    return mw_boundaries_has(repair->boundaries,
                             mw_bytes_slice(repair->source, line, start - line));
}

/* A header that runs into its body: marks where the blank line is missing. */
static void break_header(struct repair *repair, const struct block *block)
{
    if (!block->top && !follows_boundary(repair, block->start))
        return;
    size_t *at = mw_list_add(repair->parse->report->arena, &repair->breaks, sizeof *at);
    *at = block->junk;
    mw_report_problem(repair->parse->report, repair->parse->limits, MW_PROBLEM_HEADER_NO_BLANK_LINE,
                      repair->place,
                      "a header runs into its body: taken as body from its first "
                      "line that is no header field");
}

static void note_junk(struct repair *repair, const struct block *block)
{
    struct mw_arena *arena = repair->parse->report->arena;
    const char *text = mw_utf8_clean_line(arena, line_at(repair, block->junk), NULL);
    mw_report_problem(repair->parse->report, repair->parse->limits, MW_PROBLEM_HEADER_JUNK,
                      repair->place, "a line in the header is no header field: %.200s", text);
}

static void finish_block(struct repair *repair, const struct block *block, size_t end)
{
    if (block->fields == 0)
        return;
    mask_nuls(repair, block->start, end);
    if (block->types > 1)
        choose_type(repair, block, end);
}

/* Turns a line of blanks into an empty one of the same length: the line end
 * before it changes places with the blanks. */
static void swap_blank_line(struct repair *repair, size_t at, size_t next)
{
    unsigned char *copy = writable(repair);
    size_t end = at > 1 && copy[at - 2] == '\r' ? 2 : 1, blanks = next - at;
    while (blanks > 0 && (copy[at + blanks - 1] == '\n' || copy[at + blanks - 1] == '\r'))
        blanks--;
    memset(copy + at - end, ' ', blanks);
    memcpy(copy + at - end + blanks, &"\r\n"[2 - end], end);
}

/* Reads a block; returns the offset behind it. */
static size_t read_block(struct repair *repair, size_t start, bool top)
{
    struct block block = {.start = start, .top = top, .junk = SIZE_MAX};
    size_t at = start;
    while (at < repair->source.size) {
        size_t next = mw_bytes_next_line(repair->source, at);
        enum line_kind kind = classify(line_at(repair, at));
        if (kind == LINE_BLANK || (kind == LINE_DASHES && !top) ||
            (kind != LINE_FIELD && block.fields == 0))
            break;
        if (kind == LINE_SPACE && next < repair->source.size) {
            enum line_kind following = classify(line_at(repair, next));
            if (following == LINE_OTHER || following == LINE_DASHES) {
                swap_blank_line(repair, at, next);
                break;
            }
        }
        if (kind == LINE_FIELD) {
            block.fields++;
            note_type(repair, &block, at);
            if (block.junk != SIZE_MAX && top)
                note_junk(repair, &block);
            block.junk = SIZE_MAX;
        } else if (block.junk == SIZE_MAX && (kind == LINE_OTHER || kind == LINE_DASHES)) {
            block.junk = at;
        }
        at = next;
    }
    if (block.junk != SIZE_MAX)
        break_header(repair, &block);
    finish_block(repair, &block, at);
    return at;
}

/* bytes with the missing blank lines put in, in the arena. */
static struct mw_bytes with_breaks(const struct repair *repair, const unsigned char *bytes)
{
    size_t size = repair->source.size, from = 0;
    unsigned char *copy =
        mw_arena_alloc_raw(repair->parse->report->arena, size + repair->breaks.count);
    unsigned char *to = copy;
    for (size_t i = 0; i <= repair->breaks.count; i++) {
        size_t end = i < repair->breaks.count ? repair->breaks.items[i] : size;
        memcpy(to, bytes + from, end - from);
        to += end - from;
        from = end;
        if (i < repair->breaks.count)
            *to++ = '\n';
    }
    return (struct mw_bytes){copy, size + repair->breaks.count};
}

/* Old Macintosh line ends: carriage returns and not one line feed. */
static bool has_only_cr(struct mw_bytes raw)
{
    return raw.size > 0 && !memchr(raw.data, '\n', raw.size) && memchr(raw.data, '\r', raw.size);
}

void mw_mime_repair(struct mw_parse *parse, const char *place, struct mw_bytes *source,
                    struct mw_bytes *readable)
{
    struct repair repair = {.parse = parse, .place = place, .source = *source};
    if (has_only_cr(*source)) {
        unsigned char *copy = writable(&repair);
        for (size_t i = 0; i < source->size; i++)
            if (copy[i] == '\r')
                copy[i] = '\n';
        repair.source = (struct mw_bytes){copy, source->size};
    }
    size_t at = read_block(&repair, 0, true);
    while (at < repair.source.size) {
        size_t next = mw_bytes_next_line(repair.source, at);
        bool dashes = next - at > 2 && memcmp(repair.source.data + at, "--", 2) == 0;
        at = dashes ? read_block(&repair, next, false) : next;
    }
    *readable = repair.copy ? (struct mw_bytes){repair.copy, source->size} : *source;
    if (repair.breaks.count == 0)
        return;
    *readable = with_breaks(&repair, readable->data);
    *source = with_breaks(&repair, source->data);
}
