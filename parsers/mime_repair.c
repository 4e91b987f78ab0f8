/*
 * mime_repair: header blocks as mail clients read them, where GMime reads them
 * otherwise. A block is the message's own header, or what follows a line that
 * starts with "--", up to a blank line.
 */
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/boundary.h"
#include "parsers/mime_private.h"

enum line_kind { LINE_BLANK, LINE_FIELD, LINE_FOLD, LINE_SPACE, LINE_DASHES, LINE_OTHER };

struct repair {
    struct mw_parse *parse;
    const char *place;
    struct mw_bytes source;
    struct mw_mime_lines *lines;
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
    size_t first_type; /* offset of the first Content-Type, */
    size_t best_type;  /* and of the one that opens the most */
    struct mw_mime_block seen;
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

/* Whether the line's field has exactly this name, in lower case. */
static bool is_field(struct mw_bytes line, size_t length, const char *name)
{
    return length == strlen(name) && mw_bytes_has_prefix_nocase(line, name);
}

static bool starts_content(struct mw_bytes bytes)
{
    return bytes.size > 0 && (bytes.data[0] | 0x20) == 'c' &&
           mw_bytes_has_prefix_nocase(bytes, "content-");
}

/* How much of a part a type opens: what shows more is read first. */
static int opening(const struct repair *repair, size_t at)
{
    struct mw_bytes value = mw_bytes_slice(repair->source, at + sizeof "content-type" - 1, 64);
    while (value.size > 0 && strchr(" \t:", value.data[0]))
        value = mw_bytes_slice(value, 1, value.size);
    return mw_bytes_has_prefix_nocase(value, "multipart/") ? 3
           : mw_bytes_has_prefix_nocase(value, "message/") ? 2
           : mw_bytes_has_prefix_nocase(value, "text/")    ? 0
                                                           : 1;
}

static void note_field(struct repair *repair, struct block *block, size_t at, struct mw_bytes line)
{
    if (!starts_content(line))
        return;
    struct mw_mime_block *seen = &block->seen;
    size_t length = name_length(line);
    seen->content = true;
    if (memchr(line.data, '(', length))
        seen->hidden = true;
    else if (is_field(line, length, "content-transfer-encoding"))
        seen->encodings++;
    else if (is_field(line, length, "content-disposition"))
        seen->dispositions++;
    if (!is_field(line, length, "content-type"))
        return;
    if (seen->types++ == 0)
        block->first_type = block->best_type = at;
    else if (opening(repair, at) > opening(repair, block->best_type))
        block->best_type = at;
}

/* A Content- field behind blanks or control characters: a fold, or junk, for most. */
static bool is_masked(struct mw_bytes line)
{
    size_t masks = 0;
    while (masks < line.size && line.data[masks] <= ' ' && line.data[masks] != '\n')
        masks++;
    return masks > 0 && starts_content(mw_bytes_slice(line, masks, line.size));
}

/* A carriage return that ends no line: some readers end the line there. */
static void note_bare_cr(struct repair *repair, struct block *block, struct mw_bytes line)
{
    const unsigned char *cr = line.data;
    while ((cr = memchr(cr, '\r', (size_t)(line.data + line.size - cr)))) {
        cr++;
        struct mw_bytes rest = {cr, (size_t)(line.data + line.size - cr)};
        if (rest.size == 0 || rest.data[0] == '\n')
            return;
        repair->lines->bare_cr = true;
        block->seen.hidden |= starts_content(rest);
    }
}

/* Leaves one Content-Type by changing a letter in the names of the others. */
static void mask_types(unsigned char *copy, struct mw_bytes source, size_t start, size_t end,
                       size_t best)
{
    static const char name[] = "content-type";
    for (size_t at = start; at < end; at = mw_bytes_next_line(source, at)) {
        struct mw_bytes line = mw_bytes_slice(source, at, mw_bytes_next_line(source, at) - at);
        if (at != best && starts_content(line) && is_field(line, name_length(line), name))
            copy[at + sizeof name - 2] = 'X';
    }
}

/* A field's value to compare with another's: what stands behind the colon. */
static bool same_value(const struct repair *repair, size_t one, size_t other, size_t end)
{
    struct mw_bytes values[2];
    size_t starts[2] = {one, other};
    for (int i = 0; i < 2; i++) {
        size_t next = mw_bytes_next_line(repair->source, starts[i]);
        while (next < end &&
               (repair->source.data[next] == ' ' || repair->source.data[next] == '\t'))
            next = mw_bytes_next_line(repair->source, next);
        values[i] = mw_bytes_slice(repair->source, starts[i], next - starts[i]);
    }
    return values[0].size == values[1].size &&
           strncasecmp((const char *)values[0].data, (const char *)values[1].data,
                       values[0].size) == 0;
}

/* Of several types the one that opens the most is read first; the others are readings of
 * their own, unless all say the same. */
static void choose_type(struct repair *repair, struct block *block, size_t end)
{
    bool same = true;
    for (size_t at = block->start; at < end; at = mw_bytes_next_line(repair->source, at)) {
        struct mw_bytes line = line_at(repair, at);
        if (starts_content(line) && is_field(line, name_length(line), "content-type"))
            same = same && same_value(repair, block->first_type, at, end);
    }
    if (same)
        block->seen.types = 1;
    else
        mw_report_problem(repair->parse->report, repair->parse->limits, MW_PROBLEM_HEADER_DUPLICATE,
                          repair->place, "%u Content-Type fields in one header: %s is read first",
                          block->seen.types,
                          block->best_type == block->first_type ? "the first"
                                                                : "one that opens more");
    mask_types(writable(repair), repair->source, block->start, end, block->best_type);
}

struct mw_bytes mw_mime_one_type(struct mw_arena *arena, struct mw_bytes bytes, size_t number)
{
    size_t end = 0, best = SIZE_MAX, types = 0;
    while (end < bytes.size) {
        size_t next = mw_bytes_next_line(bytes, end);
        struct mw_bytes line = mw_bytes_slice(bytes, end, next - end);
        if (classify(line) == LINE_BLANK)
            break;
        if (starts_content(line) && is_field(line, name_length(line), "content-type") &&
            types++ == number)
            best = end;
        end = next;
    }
    unsigned char *copy = mw_arena_alloc_raw(arena, bytes.size + 1);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    mask_types(copy, bytes, 0, end, best);
    return (struct mw_bytes){copy, bytes.size};
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

static void finish_block(struct repair *repair, struct block *block, size_t end)
{
    if (block->fields > 0) {
        mask_nuls(repair, block->start, end);
        if (block->seen.types > 1)
            choose_type(repair, block, end);
    }
    block->seen.start = block->start;
    block->seen.end = end;
    block->seen.body = end;
    if (end < repair->source.size && classify(line_at(repair, end)) != LINE_DASHES)
        block->seen.body = mw_bytes_next_line(repair->source, end);
    *(struct mw_mime_block *)mw_list_add(repair->parse->report->arena, &repair->lines->blocks,
                                         sizeof block->seen) = block->seen;
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

/* Reads a block; line is that of its dashes. Returns the offset behind it. */
static size_t read_block(struct repair *repair, size_t line, size_t start)
{
    bool top = line == SIZE_MAX;
    struct block block = {.start = start, .top = top, .junk = SIZE_MAX};
    block.seen.line = line;
    block.seen.junk = block.seen.space = SIZE_MAX;
    size_t at = start;
    while (at < repair->source.size) {
        size_t next = mw_bytes_next_line(repair->source, at);
        struct mw_bytes content = mw_bytes_slice(repair->source, at, next - at);
        enum line_kind kind = classify(content);
        if (kind != LINE_FIELD && is_masked(content)) {
            block.seen.content = block.seen.hidden = true;
            at = next;
            continue;
        }
        if (kind == LINE_BLANK || (kind == LINE_DASHES && !top) ||
            (kind != LINE_FIELD && block.fields == 0))
            break;
        if (kind == LINE_SPACE && block.seen.space == SIZE_MAX)
            block.seen.space = at;
        note_bare_cr(repair, &block, content);
        if (kind == LINE_SPACE && next < repair->source.size) {
            enum line_kind following = classify(line_at(repair, next));
            if (following == LINE_OTHER || following == LINE_DASHES) {
                swap_blank_line(repair, at, next);
                break;
            }
        }
        if (kind == LINE_FIELD) {
            block.fields++;
            note_field(repair, &block, at, content);
            if (block.junk != SIZE_MAX && top)
                note_junk(repair, &block);
            block.junk = SIZE_MAX;
        } else if (kind == LINE_OTHER || kind == LINE_DASHES) {
            if (block.junk == SIZE_MAX)
                block.junk = at;
            if (block.seen.junk == SIZE_MAX)
                block.seen.junk = at;
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

/* Offsets counted in the source to offsets in what has the blank lines. */
static void shift(const struct repair *repair, size_t *offset)
{
    size_t before = 0;
    if (*offset == SIZE_MAX)
        return;
    for (size_t low = 0, high = repair->breaks.count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (repair->breaks.items[middle] <= *offset)
            low = before = middle + 1;
        else
            high = middle;
    }
    *offset += before;
}

static void shift_blocks(struct repair *repair)
{
    for (size_t i = 0; i < repair->breaks.count; i++)
        *(size_t *)mw_list_add(repair->parse->report->arena, &repair->lines->breaks,
                               sizeof(size_t)) = repair->breaks.items[i] + i;
    for (size_t i = 0; i < repair->lines->blocks.count; i++) {
        struct mw_mime_block *block = &repair->lines->blocks.items[i];
        size_t *const offsets[] = {&block->line, &block->start, &block->end,
                                   &block->body, &block->junk,  &block->space};
        for (size_t j = 0; j < sizeof offsets / sizeof *offsets; j++)
            shift(repair, offsets[j]);
    }
}

/* Dashes behind a bare carriage return: where some see a boundary. */
static void note_hidden_dashes(struct repair *repair, struct mw_bytes line)
{
    const unsigned char *cr = line.size > 3 ? memchr(line.data, '\r', line.size - 3) : NULL;
    for (; cr; cr = memchr(cr + 1, '\r', (size_t)(line.data + line.size - 3 - (cr + 1)))) {
        if (cr[1] == '-' && cr[2] == '-')
            repair->lines->bare_cr = true;
        if (cr + 1 >= line.data + line.size - 3)
            return;
    }
}

void mw_mime_repair(struct mw_parse *parse, const char *place, struct mw_bytes *source,
                    struct mw_bytes *readable, struct mw_mime_lines *lines)
{
    struct repair repair = {.parse = parse, .place = place, .source = *source, .lines = lines};
    if (has_only_cr(*source)) {
        unsigned char *copy = writable(&repair);
        for (size_t i = 0; i < source->size; i++)
            if (copy[i] == '\r')
                copy[i] = '\n';
        repair.source = (struct mw_bytes){copy, source->size};
    }
    size_t at = read_block(&repair, SIZE_MAX, 0);
    while (at < repair.source.size) {
        size_t next = mw_bytes_next_line(repair.source, at);
        bool dashes = next - at > 2 && memcmp(repair.source.data + at, "--", 2) == 0;
        note_hidden_dashes(&repair, mw_bytes_slice(repair.source, at, next - at));
        at = dashes ? read_block(&repair, at, next) : next;
    }
    *readable = repair.copy ? (struct mw_bytes){repair.copy, source->size} : *source;
    if (repair.breaks.count == 0)
        return;
    shift_blocks(&repair);
    *readable = with_breaks(&repair, readable->data);
    *source = with_breaks(&repair, source->data);
}

/* Where a field of this name has its value in a line, or line.size; proper: at its start. */
static size_t value_in_line(struct mw_bytes line, const char *name, bool *proper)
{
    size_t length = strlen(name);
    bool starts = true; /* of a line, for some reader */
    for (size_t at = 0; at + length < line.size; at++) {
        struct mw_bytes rest = mw_bytes_slice(line, at, line.size);
        if (starts && mw_bytes_has_prefix_nocase(rest, name)) {
            *proper = at == 0 && name_length(line) == length;
            size_t value = at + length;
            if (line.data[value] == '(')
                while (value < line.size && line.data[value] != ':')
                    value++;
            return value + strspn((const char *)line.data + value, " \t:");
        }
        starts = line.data[at] == '\r' || (starts && line.data[at] <= ' ');
    }
    return line.size;
}

void mw_mime_block_values(struct mw_arena *arena, struct mw_bytes source,
                          const struct mw_mime_block *block, const char *name,
                          struct mw_texts *values)
{
    size_t end = block->end;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t at = block->start, next; at < end; at = next) {
            bool proper = false;
            next = mw_bytes_next_line(source, at);
            /* A C string, so that the search of its end is bounded. */
            const char *text = mw_arena_dup_bytes(arena, source.data + at, next - at);
            struct mw_bytes line = {(const unsigned char *)text, next - at};
            size_t value = value_in_line(line, name, &proper);
            if (value >= line.size || proper != (pass == 0))
                continue;
            while (next < end && (source.data[next] == ' ' || source.data[next] == '\t'))
                next = mw_bytes_next_line(source, next);
            size_t size = next - at - value;
            if (!proper && memchr(text + value, '\r', line.size - value))
                size = strcspn(text + value, "\r");
            unsigned char *copy = mw_arena_alloc(arena, size + 1);
            memcpy(copy, source.data + at + value, size);
            for (size_t i = 0; i < size; i++)
                if (copy[i] == '\0')
                    copy[i] = '\x01';
            mw_texts_add(arena, values, (const char *)copy);
        }
    }
}
