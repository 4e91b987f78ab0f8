/*
 * mime_readings: what other mail clients find in the same bytes. The first reading is that of
 * mime.c. Here the bytes are looked at for what it has left: header blocks that belong to no
 * part, fields and encodings that were not the first, contents that begin or end elsewhere.
 * Each is opened as well; what that yields is kept when it is something new.
 *
 * Nothing here costs anything when a message is sound: what mime_repair.c counted on its way
 * through the headers decides whether there is anything to look at.
 */
#include <string.h>
#include <strings.h>

#include "parsers/mime_private.h"

/* Readings of one leaf that are told apart, contents it may have, types in one header. */
enum { YIELDS = 24, RANGES = 8, TYPES = 8, BOUNDARIES = 8 };

/* --- blocks ---------------------------------------------------------------------------- */

/* The number of the first block whose dashes stand at or behind offset. */
static size_t first_block(const struct mw_mime_entity *entity, size_t offset)
{
    const struct mw_mime_blocks *blocks = &entity->lines.blocks;
    size_t low = blocks->count > 0 && blocks->items[0].line == SIZE_MAX ? 1 : 0;
    for (size_t high = blocks->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (blocks->items[middle].line < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mw_mime_block *mw_mime_block_at(struct mw_mime_entity *entity, size_t offset)
{
    struct mw_mime_blocks *blocks = &entity->lines.blocks;
    size_t next = first_block(entity, offset + 1);
    struct mw_mime_block *block =
        next > 0 && next <= blocks->count ? &blocks->items[next - 1] : NULL;
    return block && offset >= block->start && offset <= block->end ? block : NULL;
}

void mw_mime_know_blocks(struct mw_mime_entity *entity, struct mw_bytes content)
{
    struct mw_mime_blocks *blocks = &entity->lines.blocks;
    size_t start = (size_t)(content.data - entity->source.data);
    for (size_t i = first_block(entity, start);
         i < blocks->count && blocks->items[i].line < start + content.size; i++)
        blocks->items[i].known = true;
}

/* What stands behind the dashes of a block's line. */
static struct mw_bytes mark_of(const struct mw_mime_entity *entity,
                               const struct mw_mime_block *block)
{
    struct mw_bytes mark =
        mw_bytes_slice(entity->source, block->line + 2, block->start - block->line - 2);
    while (mark.size > 0 && mark.data[mark.size - 1] <= ' ')
        mark.size--;
    return mark;
}

static bool starts_with(struct mw_bytes bytes, struct mw_bytes start)
{
    return start.size > 0 && bytes.size >= start.size &&
           memcmp(bytes.data, start.data, start.size) == 0;
}

/* The boundary up to its first blank: as much of it as every reader compares. */
static struct mw_bytes first_word(const char *boundary)
{
    size_t size = boundary ? strcspn(boundary, " \t\r\n\v\f;\"") : 0;
    return mw_bytes_slice(mw_bytes_of(boundary), 0, size);
}

/* The boundary around a leaf that the mark begins with: readers that compare no further
 * part it there. Empty when there is none. */
static struct mw_bytes boundary_in(struct mw_bytes mark, const struct mw_mime_frame *frame)
{
    for (; frame; frame = frame->up) {
        struct mw_bytes word = first_word(frame->boundary);
        if (starts_with(mark, word))
            return word;
    }
    return (struct mw_bytes){0};
}

/* Where the line that begins at offset has the end of the line before it. */
static size_t before_line(struct mw_bytes source, size_t offset, size_t least)
{
    if (offset > least && source.data[offset - 1] == '\n')
        offset--;
    if (offset > least && source.data[offset - 1] == '\r')
        offset--;
    return offset;
}

/* Where what begins at a block ends: at the next line with the same mark, at most at end. */
static size_t block_end(const struct mw_mime_entity *entity, const struct mw_mime_block *block,
                        struct mw_bytes mark, size_t end)
{
    const struct mw_mime_blocks *blocks = &entity->lines.blocks;
    for (size_t i = first_block(entity, block->line) + 1;
         i < blocks->count && blocks->items[i].line < end; i++)
        if (starts_with(mark_of(entity, &blocks->items[i]), mark))
            return before_line(entity->source, blocks->items[i].line, block->start);
    return end;
}

size_t mw_mime_object_end(const struct mw_mime_entity *entity, const struct mw_mime_block *block,
                          const struct mw_mime_frame *up)
{
    const struct mw_mime_blocks *blocks = &entity->lines.blocks;
    for (size_t i = first_block(entity, block->body); up && i < blocks->count; i++) {
        struct mw_bytes mark = mark_of(entity, &blocks->items[i]);
        for (const struct mw_mime_frame *frame = up; frame; frame = frame->up) {
            struct mw_bytes boundary = mw_bytes_of(frame->boundary);
            bool closes = mark.size == boundary.size + 2;
            if (starts_with(mark, boundary) && (mark.size == boundary.size || closes))
                return before_line(entity->source, blocks->items[i].line, block->start);
        }
    }
    return entity->source.size;
}

/* Whether a header may name the mark as a boundary. */
static bool header_has(const struct mw_mime_entity *entity, const struct mw_mime_block *block,
                       struct mw_bytes mark)
{
    struct mw_bytes header =
        mw_bytes_slice(entity->source, block->start, block->end - block->start);
    if (mark.size > 2 && memcmp(mark.data + mark.size - 2, "--", 2) == 0)
        mark.size -= 2;
    for (size_t at = 0; mark.size > 0 && at < header.size; at++) {
        at = mw_bytes_find(header, at, mark);
        if (at > 0 && at < header.size && strchr("=\"' ", header.data[at - 1]))
            return true;
    }
    return false;
}

/* Whether a leaf's own header says anything of boundaries, or one around it of this one. */
static bool headers_name(const struct mw_mime_entity *entity, const struct mw_mime_leaf *leaf,
                         struct mw_bytes mark)
{
    if (leaf->block) {
        const struct mw_mime_block *block = leaf->block;
        const char *text =
            mw_arena_dup_bytes(entity->parse->report->arena, entity->source.data + block->start,
                               block->end - block->start);
        if (strcasestr(text, "boundary") || strcasestr(text, "multipart") ||
            header_has(entity, block, mark))
            return true;
    }
    for (const struct mw_mime_frame *frame = leaf->frame; frame; frame = frame->up)
        if (frame->block && header_has(entity, frame->block, mark))
            return true;
    return false;
}

/* The source from start to end as it came: without line ends that were put in. */
static struct mw_bytes as_it_came(const struct mw_mime_entity *entity, size_t start, size_t end)
{
    struct mw_bytes bytes = mw_bytes_slice(entity->source, start, end > start ? end - start : 0);
    const size_t *breaks = entity->lines.breaks.items;
    unsigned char *copy = NULL;
    size_t from = start, size = 0;
    for (size_t i = 0; i < entity->lines.breaks.count && breaks[i] < end; i++) {
        if (breaks[i] < start)
            continue;
        if (!copy)
            copy = mw_arena_alloc_raw(entity->parse->report->arena, bytes.size + 1);
        memcpy(copy + size, entity->source.data + from, breaks[i] - from);
        size += breaks[i] - from;
        from = breaks[i] + 1;
    }
    if (!copy)
        return bytes;
    memcpy(copy + size, entity->source.data + from, end - from);
    return (struct mw_bytes){copy, size + end - from};
}

/* --- what is new ------------------------------------------------------------------------- */

/* A sum of a part's bytes that their sender cannot foresee: parts that differ only at their
 * ends must not cost more to tell apart than others. 0 stands for none yet. */
static uint64_t sum_of(const struct mw_parse *parse, struct mw_part *part)
{
    if (part->sum != 0)
        return part->sum;
    uint64_t sum = parse->secret, word;
    size_t at = 0;
    for (; at + sizeof word <= part->data.size; at += sizeof word) {
        memcpy(&word, part->data.data + at, sizeof word);
        sum = (sum ^ word) * 0x9E3779B97F4A7C15U;
        sum ^= sum >> 29;
    }
    for (; at < part->data.size; at++)
        sum = (sum ^ part->data.data[at]) * 0x9E3779B97F4A7C15U;
    part->sum = sum != 0 ? sum : 1;
    return part->sum;
}

static bool same_bytes(struct mw_bytes one, struct mw_bytes other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

static bool same_text(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

/* Whether scanners would see the same of both. */
static bool same_part(const struct mw_parse *parse, struct mw_part *one, struct mw_part *other)
{
    if (other->kind == MW_PART_MULTIPART || one->data.size != other->data.size ||
        sum_of(parse, one) != sum_of(parse, other) || !same_bytes(one->data, other->data) ||
        mw_part_is_text(one) != mw_part_is_text(other))
        return false;
    return !mw_part_is_text(one) || (same_text(one->content_type, other->content_type) &&
                                     same_text(one->charset, other->charset));
}

static bool is_below(const struct mw_part *part, const struct mw_part *top)
{
    while (part && part != top)
        part = part->parent;
    return part != NULL;
}

/* The part outside of the tree at top that is the same; it gets the names, too. */
static bool is_known(const struct mw_parse *parse, struct mw_part *part, const struct mw_part *top)
{
    struct mw_part *root = part->parent;
    while (root->parent)
        root = root->parent;
    for (struct mw_part *other = root; other; other = mw_part_next(other, root)) {
        if (!same_part(parse, part, other) || is_below(other, top))
            continue;
        if (part->filename && !other->filename)
            continue;
        for (size_t i = 0; i < part->names.count; i++)
            mw_mime_add_once(parse->report->arena, &other->names, part->names.items[i]);
        return true;
    }
    return false;
}

/* Drops from the tree at top, a child of another part, what is known; true when nothing is
 * left. */
static bool prune(const struct mw_parse *parse, struct mw_part *top)
{
    bool left = false;
    for (struct mw_part *part = top, *next; part; part = next) {
        next = mw_part_next(part, top);
        if (part->kind == MW_PART_MULTIPART)
            continue;
        if (part->data.size > 0 && !is_known(parse, part, top)) {
            left = true;
            continue;
        }
        /* Go on behind what is below it. */
        const struct mw_part *up = part;
        while (up != top && !up->next)
            up = up->parent;
        next = up == top ? NULL : up->next;
        if (part != top)
            mw_part_drop(part);
    }
    if (!left)
        mw_part_drop(top);
    return !left;
}

/* Marks what host got behind last as another reading, unless it is known; whether anything
 * is left of it. */
static bool keep_new(struct mw_mime_entity *entity, struct mw_part *host, struct mw_part *last,
                     enum mw_reading reading)
{
    bool found = false;
    struct mw_part *part = last ? last->next : host->first_child;
    while (part) {
        struct mw_part *next = part->next;
        part->reading = mw_reading_name(reading);
        if (!prune(entity->parse, part))
            found = true;
        part = next;
    }
    return found;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Opens bytes that begin with a header as another reading, which was counted, under host;
 * whether that gave something new. */
static bool open_bytes(struct mw_mime_entity *entity, struct mw_part *host, struct mw_bytes bytes,
                       enum mw_reading reading)
{
    struct mw_part *last = host->last_child;
    if (bytes.size == 0 || mw_parse_expired(entity->parse))
        return false;
    mw_mime_walk_bytes(entity, host, bytes);
    return keep_new(entity, host, last, reading);
}

static bool open_split(struct mw_mime_entity *entity, struct mw_part *host, struct mw_bytes content,
                       struct mw_bytes boundary, enum mw_reading reading)
{
    struct mw_part *last = host->last_child;
    if (mw_parse_expired(entity->parse) || !mw_parse_reading(entity->parse, host->path))
        return false;
    return mw_mime_split(entity, host, content, boundary) && keep_new(entity, host, last, reading);
}

/* The object with this block once for each of its types. */
static void open_types(struct mw_mime_entity *entity, struct mw_part *part,
                       const struct mw_mime_block *block, size_t end)
{
    struct mw_bytes bytes = as_it_came(entity, block->start, end);
    bool found = false;
    for (size_t i = 0; i < block->types && i < TYPES; i++)
        found |= mw_parse_reading(entity->parse, part->path) &&
                 open_bytes(entity, part, mw_mime_one_type(entity->parse->report->arena, bytes, i),
                            MW_READING_TYPE);
    if (block->types > TYPES)
        mw_report_problem(entity->parse->report, entity->parse->limits, MW_PROBLEM_LIMIT_READINGS,
                          part->path, "%u Content-Type fields: %d are read", block->types, TYPES);
    if (found)
        mw_parse_ambiguous(entity->parse, part->path, MW_READING_TYPE,
                           "its header has several types");
}

/* --- leaves ------------------------------------------------------------------------------ */

struct range {
    size_t start, end;
    enum mw_reading reading; /* why it is one */
};

/* A leaf's readings under way. */
struct leaf {
    struct mw_mime_entity *entity;
    const struct mw_mime_leaf *facts;
    struct range ranges[RANGES]; /* what may be its content; the first is the first reading's */
    size_t range_count;
    struct mw_bytes yields[YIELDS];
    size_t yield_count;
};

static bool is_text_type(const struct mw_part *part)
{
    return strncmp(part->content_type, "text/", 5) == 0;
}

static void add_range(struct leaf *leaf, size_t start, size_t end, enum mw_reading reading)
{
    for (size_t i = 0; i < leaf->range_count; i++)
        if (leaf->ranges[i].start == start && leaf->ranges[i].end == end)
            return;
    if (start < end && leaf->range_count < RANGES)
        leaf->ranges[leaf->range_count++] = (struct range){start, end, reading};
}

static void add_yield(struct leaf *leaf, struct mw_bytes yield, enum mw_reading reading,
                      enum mw_encoding encoding)
{
    struct mw_parse *parse = leaf->entity->parse;
    const struct mw_part *first = leaf->facts->part;
    if (yield.size == 0)
        return;
    for (size_t i = 0; i < leaf->yield_count; i++)
        if (same_bytes(leaf->yields[i], yield))
            return;
    if (leaf->yield_count == YIELDS) {
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_READINGS, first->path,
                          "there are more than %d ways to read it: the rest was not opened",
                          YIELDS);
        return;
    }
    leaf->yields[leaf->yield_count++] = yield;
    if (leaf->yield_count == 1 || !mw_parse_reading(parse, first->path))
        return;
    struct mw_part *part = mw_parse_part(parse, leaf->facts->part, MW_PART_LEAF);
    if (!part)
        return;
    part->content_type = first->content_type;
    part->charset = first->charset;
    part->filename = first->filename;
    part->names = first->names;
    part->disposition = first->disposition;
    part->encoding = mw_encoding_name(encoding);
    part->reading = mw_reading_name(reading);
    part->data = yield;
    if (mw_mime_is_message(part->content_type))
        mw_mime_open(leaf->entity->mime, parse, part);
    if (reading == MW_READING_OTHER)
        return;
    if (!is_text_type(first) || reading == MW_READING_ENCODING || reading == MW_READING_BOUNDARY)
        mw_parse_ambiguous(parse, first->path, reading,
                           reading == MW_READING_ENCODING ? mw_encoding_name(encoding) : NULL);
}

/* Base64 in every way that differs for this content. */
static void add_base64_ways(struct leaf *leaf, struct mw_bytes content, enum mw_reading reading)
{
    struct mw_parse *parse = leaf->entity->parse;
    struct mw_base64_doubt doubt;
    struct mw_bytes yield =
        mw_mime_decode(parse, leaf->facts->part->path, content, MW_ENCODING_BASE64, &doubt);
    add_yield(leaf, yield, reading, MW_ENCODING_BASE64);
    for (int way = MW_BASE64_GOES_ON + 1; way < MW_BASE64_WAYS; way++) {
        bool differs = way == MW_BASE64_LINE_BY_LINE         ? doubt.lines
                       : way == MW_BASE64_ENDS_AT_BLANK_LINE ? doubt.paragraphs
                       : way >= MW_BASE64_JUNK_ENDS_LINE     ? doubt.junk > 0
                                                             : doubt.padding;
        struct mw_base64_doubt unused;
        if (!differs || !mw_parse_take(parse, leaf->facts->part->path, content.size))
            continue;
        yield = mw_mime_base64(parse->report->arena, content, (enum mw_base64_way)way, &unused);
        /* Lines of odd lengths alone are no contradiction: some programs write them. */
        add_yield(leaf, yield, way == MW_BASE64_LINE_BY_LINE ? MW_READING_OTHER : MW_READING_DIGITS,
                  MW_ENCODING_BASE64);
    }
}

/* Quoted-printable in every way that differs for this content. */
static void add_quoted_ways(struct leaf *leaf, struct mw_bytes content)
{
    struct mw_parse *parse = leaf->entity->parse;
    struct mw_quoted_doubt doubt = {.broken = true};
    for (unsigned i = 0; i < 6; i++) {
        struct mw_quoted_way way = {.dropped = 1 + i % 3, .capitals = i >= 3};
        struct mw_quoted_doubt now;
        if (!(way.capitals ? doubt.small : doubt.broken) ||
            !mw_parse_take(parse, leaf->facts->part->path, content.size))
            continue;
        struct mw_bytes yield = mw_mime_quoted(parse->report->arena, content, way, &now);
        if (!way.capitals)
            doubt = now;
        /* Small letters alone are no contradiction: many programs write them. */
        if (now.broken)
            add_yield(leaf, yield, doubt.broken ? MW_READING_DIGITS : MW_READING_OTHER,
                      MW_ENCODING_QUOTED);
    }
}

static void add_readings(struct leaf *leaf, unsigned encodings)
{
    const struct mw_mime_leaf *facts = leaf->facts;
    for (size_t i = 0; i < leaf->range_count; i++) {
        const struct range *range = &leaf->ranges[i];
        struct mw_bytes content =
            mw_bytes_slice(leaf->entity->source, range->start, range->end - range->start);
        for (int pass = 0; pass < 2; pass++)
            for (int e = MW_ENCODING_NONE; e < MW_ENCODINGS; e++) {
                enum mw_encoding encoding = (enum mw_encoding)e;
                /* What is read first comes first. */
                if (!(encodings & 1U << e) || (encoding == facts->encodings.first) != (pass == 0))
                    continue;
                enum mw_reading reading = pass > 0 ? MW_READING_ENCODING : range->reading;
                if (encoding == MW_ENCODING_BASE64) {
                    add_base64_ways(leaf, content, reading);
                    continue;
                }
                add_yield(
                    leaf,
                    mw_mime_decode(leaf->entity->parse, facts->part->path, content, encoding, NULL),
                    reading, encoding);
                if (encoding == MW_ENCODING_QUOTED && !mw_part_is_text(facts->part))
                    add_quoted_ways(leaf, content);
            }
    }
}

/* Parts within the leaf that a reader sees who compares boundaries otherwise; and messages
 * that are quoted in it. */
static void open_inner(struct leaf *leaf)
{
    struct mw_mime_entity *entity = leaf->entity;
    const struct mw_mime_leaf *facts = leaf->facts;
    struct mw_mime_blocks *blocks = &entity->lines.blocks;
    size_t behind = 0;
    for (size_t i = first_block(entity, facts->start);
         i < blocks->count && blocks->items[i].line < facts->end; i++) {
        struct mw_mime_block *block = &blocks->items[i];
        block->known = true;
        if (facts->part->kind == MW_PART_MESSAGE)
            continue;
        struct mw_bytes mark = mark_of(entity, block), word = boundary_in(mark, facts->frame);
        if (word.size > 0 && leaf->range_count == 1)
            add_range(leaf, facts->start, before_line(entity->source, block->line, facts->start),
                      MW_READING_BOUNDARY);
        if ((word.size == 0 && !block->content) || block->line < behind)
            continue;
        if (!mw_parse_reading(entity->parse, facts->part->path)) {
            mw_mime_know_blocks(
                entity, mw_bytes_slice(entity->source, facts->start, facts->end - facts->start));
            return;
        }
        bool told = word.size > 0 || headers_name(entity, facts, mark);
        enum mw_reading reading = told ? MW_READING_BOUNDARY : MW_READING_OTHER;
        behind = block_end(entity, block, word.size > 0 ? word : mark, facts->end);
        struct mw_bytes bytes = as_it_came(entity, block->start, behind);
        if (open_bytes(entity, facts->part, bytes, reading) && told)
            mw_parse_ambiguous(entity->parse, facts->part->path, reading, NULL);
    }
}

/* A content that begins with fields: behind a blank line too many they are the header. */
static void open_late_header(struct leaf *leaf)
{
    const struct mw_mime_leaf *facts = leaf->facts;
    struct mw_bytes source = leaf->entity->source;
    size_t at = facts->start;
    while (at < facts->end && strchr(" \t\r\n", source.data[at]) && source.data[at])
        at++;
    struct mw_bytes rest = as_it_came(leaf->entity, at, facts->end);
    if (rest.size == 0 || (rest.data[0] | 0x20) != 'c' ||
        !mw_bytes_has_prefix_nocase(rest, "content-") || facts->part->kind == MW_PART_MESSAGE ||
        !mw_parse_reading(leaf->entity->parse, facts->part->path))
        return;
    bool own = facts->block != NULL;
    if (open_bytes(leaf->entity, facts->part, rest, own ? MW_READING_OTHER : MW_READING_HEADER) &&
        !own)
        mw_parse_ambiguous(leaf->entity->parse, facts->part->path, MW_READING_HEADER,
                           "a blank line stands before it");
}

/* Where else the header may end. */
static void add_other_starts(struct leaf *leaf)
{
    const struct mw_mime_block *block = leaf->facts->block;
    struct mw_bytes source = leaf->entity->source;
    size_t end = leaf->facts->end;
    if (!block)
        return;
    if (block->junk != SIZE_MAX) {
        add_range(leaf, block->junk, end, MW_READING_HEADER);
        add_range(leaf, mw_bytes_next_line(source, block->junk), end, MW_READING_HEADER);
        add_range(leaf, block->body, end, MW_READING_HEADER);
    }
    if (block->space != SIZE_MAX) {
        add_range(leaf, mw_bytes_next_line(source, block->space), end, MW_READING_HEADER);
        add_range(leaf, block->body, end, MW_READING_HEADER);
    }
}

/* Uuencode and yEnc in a part go on behind the end of the first block. */
static void add_later_blocks(struct leaf *leaf, struct mw_bytes content)
{
    struct mw_bytes begin = mw_bytes_of("\nbegin "), end = mw_bytes_of("\nend");
    size_t at = mw_bytes_find(content, 0, end);
    for (int i = 0; i < 4 && at < content.size; i++) {
        size_t next = mw_bytes_find(content, at, begin);
        if (next >= content.size)
            return;
        add_range(leaf, leaf->facts->start + next + 1, leaf->facts->end, MW_READING_ENCODING);
        at = mw_bytes_find(content, next, end);
    }
}

/* The encodings that its header, and where that says nothing sure its content, are read to
 * name. */
static unsigned encodings_of(struct leaf *leaf, struct mw_bytes content)
{
    const struct mw_mime_leaf *facts = leaf->facts;
    struct mw_parse *parse = leaf->entity->parse;
    struct mw_encodings all = facts->encodings;
    const struct mw_mime_block *block = facts->block;
    struct mw_texts values = {0};
    if (block && (block->encodings > 1 || block->hidden || block->junk != SIZE_MAX))
        mw_mime_block_values(parse->report->arena, leaf->entity->source, block,
                             "content-transfer-encoding", &values);
    for (size_t i = 0; i < values.count && i < 16; i++)
        mw_encodings_add(parse->report->arena, values.items[i], &all);
    unsigned named = all.named | 1U << facts->encodings.first;
    unsigned guessed = 0;
    bool failed = facts->encodings.first != MW_ENCODING_NONE &&
                  (facts->part->data.size == 0 || facts->doubt.junk > content.size / 8);
    bool rare = facts->encodings.first > MW_ENCODING_QUOTED;
    if (all.unknown || failed || rare)
        guessed = mw_encodings_of_content(content);
    /* An empty file is no failure. */
    if (facts->part->data.size == 0 && guessed & 1U << facts->encodings.first)
        failed = false;
    bool binary = facts->encodings.first == MW_ENCODING_QUOTED && !is_text_type(facts->part) &&
                  memchr(content.data, '\0', content.size);
    if (all.decorated || failed || binary)
        named |= 1U << MW_ENCODING_NONE;
    /* Uuencode without a beginning can be made of anything. */
    if (!all.unknown && !failed)
        return rare && guessed == 1U << MW_ENCODING_BASE64 ? named | guessed : named;
    if (guessed == 0 && (named & ~(1U << MW_ENCODING_NONE)) == 0 && !is_text_type(facts->part))
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_MIME_ENCODING, facts->part->path,
                          "its transfer encoding is unknown: %s",
                          facts->part->encoding ? facts->part->encoding : "not a word");
    return named | guessed;
}

void mw_mime_leaf_readings(struct mw_mime_entity *entity, const struct mw_mime_leaf *facts)
{
    struct leaf leaf = {.entity = entity, .facts = facts};
    const struct mw_mime_block *block = facts->block;
    struct mw_bytes content =
        mw_bytes_slice(entity->source, facts->start, facts->end - facts->start);
    add_range(&leaf, facts->start, facts->end, MW_READING_ENCODING);
    open_inner(&leaf);
    open_late_header(&leaf);
    if (block && block->types > 1)
        open_types(entity, facts->part, block, facts->end);
    bool odd = block && (block->encodings > 1 || block->hidden || block->junk != SIZE_MAX ||
                         block->space != SIZE_MAX);
    const struct mw_encodings *encodings = &facts->encodings;
    bool spelled = encodings->words > 1 || encodings->unknown || encodings->decorated;
    bool doubt = facts->doubt.junk > 0 || facts->doubt.padding || facts->doubt.paragraphs ||
                 facts->doubt.lines || leaf.range_count > 1;
    bool rare = encodings->first > MW_ENCODING_QUOTED ||
                (encodings->first == MW_ENCODING_QUOTED && !mw_part_is_text(facts->part));
    if (content.size == 0 || !(odd || spelled || doubt || rare))
        return;
    leaf.yields[leaf.yield_count++] = facts->part->data;
    unsigned read_as = encodings_of(&leaf, content);
    if (!is_text_type(facts->part) || read_as != 1U << MW_ENCODING_NONE)
        add_other_starts(&leaf);
    if (encodings->first == MW_ENCODING_UU)
        add_later_blocks(&leaf, content);
    if (leaf.range_count > 1 || doubt || encodings->first == MW_ENCODING_QUOTED ||
        read_as != 1U << encodings->first)
        add_readings(&leaf, read_as);
}

/* --- multiparts ---------------------------------------------------------------------------- */

bool mw_mime_open_encoded(struct mw_mime_entity *entity, struct mw_part *part,
                          struct mw_mime_block *block, GMimeObject *object, struct mw_bytes content)
{
    struct mw_parse *parse = entity->parse;
    const char *raw = mw_mime_raw_header(object, "Content-Transfer-Encoding");
    const char *boundary = g_mime_object_get_content_type_parameter(object, "boundary");
    size_t start = (size_t)(content.data - entity->source.data);
    struct mw_mime_leaf leaf = {.block = block, .start = start, .end = start + content.size};
    if (raw)
        mw_encodings_add(parse->report->arena, raw, &leaf.encodings);
    if (leaf.encodings.named <= 1U << MW_ENCODING_NONE && !leaf.encodings.unknown &&
        !(block && block->hidden))
        return false;
    struct mw_bytes decoded =
        mw_mime_decode(parse, part->path, content, leaf.encodings.first, &leaf.doubt);
    struct mw_part *last = part->last_child;
    if (leaf.encodings.first == MW_ENCODING_NONE ||
        !mw_mime_split(entity, part, decoded, mw_bytes_of(boundary))) {
        leaf.part = mw_parse_part(parse, part, MW_PART_LEAF);
        if (!leaf.part)
            return true;
        leaf.part->content_type = "application/octet-stream";
        leaf.part->encoding = part->encoding;
        leaf.part->names = part->names;
        leaf.part->filename = part->filename;
        leaf.part->disposition = part->disposition;
        leaf.part->data = decoded;
        mw_mime_leaf_readings(entity, &leaf);
    }
    if (keep_new(entity, part, last, MW_READING_ENCODING))
        mw_parse_ambiguous(parse, part->path, MW_READING_ENCODING,
                           "a multipart has none, but this one is encoded");
    return true;
}

/* A multipart that could be split, but names an encoding: undone, it may be another. */
static void open_decoded(struct mw_mime_entity *entity, struct mw_part *part, GMimeObject *object,
                         struct mw_bytes content, const char *boundary)
{
    struct mw_parse *parse = entity->parse;
    struct mw_encodings encodings = {0};
    mw_encodings_add(parse->report->arena, mw_mime_raw_header(object, "Content-Transfer-Encoding"),
                     &encodings);
    if (encodings.first == MW_ENCODING_NONE || !boundary)
        return;
    struct mw_bytes decoded = mw_mime_decode(parse, part->path, content, encodings.first, NULL);
    if (mw_bytes_find(decoded, 0, mw_bytes_of(boundary)) < decoded.size &&
        open_split(entity, part, decoded, mw_bytes_of(boundary), MW_READING_ENCODING))
        mw_parse_ambiguous(parse, part->path, MW_READING_ENCODING,
                           "a multipart has none, but this one is encoded");
}

/* Boundaries that the header names beside the one that was used. */
static void open_boundaries(struct mw_mime_entity *entity, struct mw_part *part,
                            const struct mw_mime_block *block, struct mw_bytes content,
                            const char *used)
{
    struct mw_arena *arena = entity->parse->report->arena;
    struct mw_texts raws = {0}, boundaries = {0};
    mw_mime_block_values(arena, entity->source, block, "content-type", &raws);
    mw_mime_block_values(arena, entity->source, block, "content-disposition", &raws);
    for (size_t i = 0; i < raws.count && i < BOUNDARIES; i++) {
        struct mw_mime_parameters parameters = {0};
        mw_mime_parameters(arena, raws.items[i], &parameters);
        mw_mime_parameter_values(arena, &parameters, "boundary", &boundaries);
    }
    for (size_t i = 0; i < boundaries.count && i < BOUNDARIES; i++) {
        const char *boundary = boundaries.items[i];
        struct mw_bytes line = mw_bytes_of(mw_arena_printf(arena, "--%s", boundary));
        if (used && strcmp(boundary, used) == 0)
            continue;
        if (mw_bytes_find(content, 0, line) < content.size &&
            open_split(entity, part, content, mw_bytes_of(boundary), MW_READING_BOUNDARY))
            mw_parse_ambiguous(entity->parse, part->path, MW_READING_BOUNDARY,
                               "its header names several boundaries");
    }
}

static bool names_boundaries(GMimeObject *object)
{
    const char *type = mw_mime_raw_header(object, "Content-Type");
    const char *disposition = mw_mime_raw_header(object, "Content-Disposition");
    const char *first = type ? strcasestr(type, "boundary") : NULL;
    return (first && (strcasestr(first + 1, "boundary") || strchr(type, '*') ||
                      strchr(type, '\\') || strchr(type, '('))) ||
           (disposition && strcasestr(disposition, "boundary"));
}

/* Text around the parts is shown by few, but those look for files in it. */
static void open_around(struct mw_mime_entity *entity, struct mw_part *part, const char *text)
{
    if (!text || (!strstr(text, "begin ") && !strstr(text, "=ybegin ")))
        return;
    struct mw_part *hidden = mw_parse_part(entity->parse, part, MW_PART_LEAF);
    if (!hidden)
        return;
    hidden->content_type = "text/plain";
    hidden->reading = mw_reading_name(MW_READING_BOUNDARY);
    hidden->data = mw_bytes_of(mw_arena_dup(entity->parse->report->arena, text));
}

void mw_mime_multipart_readings(struct mw_mime_entity *entity, struct mw_part *part,
                                struct mw_mime_block *block, GMimeObject *object,
                                const struct mw_mime_frame *up)
{
    GMimeMultipart *multipart = GMIME_MULTIPART(object);
    const char *used = g_mime_object_get_content_type_parameter(object, "boundary");
    bool split = g_mime_multipart_get_count(multipart) > 0;
    if (split)
        open_around(entity, part, g_mime_multipart_get_prologue(multipart));
    open_around(entity, part, g_mime_multipart_get_epilogue(multipart));
    bool encoded = split && block && block->encodings > 0;
    bool boundaries =
        block && (block->hidden || block->dispositions > 1 || names_boundaries(object));
    if (!encoded && !boundaries && !(block && block->types > 1))
        return;
    size_t end = mw_mime_object_end(entity, block, up);
    struct mw_bytes content =
        mw_bytes_slice(entity->source, block->body, end > block->body ? end - block->body : 0);
    if (encoded && mw_mime_raw_header(object, "Content-Transfer-Encoding"))
        open_decoded(entity, part, object, content, used);
    if (boundaries)
        open_boundaries(entity, part, block, content, used);
    if (block->types > 1)
        open_types(entity, part, block, end);
}

/* --- what is left ------------------------------------------------------------------------- */

/* The source with each carriage return that ends no line made to end one. Several before a
 * line feed are one line end. */
static struct mw_bytes with_line_ends(struct mw_arena *arena, struct mw_bytes source)
{
    unsigned char *copy = mw_arena_alloc_raw(arena, source.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < source.size; i++) {
        size_t run = i;
        while (run < source.size && source.data[run] == '\r')
            run++;
        if (run > i && run < source.size && source.data[run] == '\n')
            i = run;
        copy[size++] = source.data[i] == '\r' ? '\n' : source.data[i];
    }
    return (struct mw_bytes){copy, size};
}

void mw_mime_other_readings(struct mw_mime_entity *entity, struct mw_part *top)
{
    struct mw_mime_blocks *blocks = &entity->lines.blocks;
    struct mw_parse *parse = entity->parse;
    if (parse->bounded)
        return; /* What is left was left out, and that is told. */
    for (size_t i = 0, behind = 0; i < blocks->count; i++) {
        struct mw_mime_block *block = &blocks->items[i];
        if (block->known || !block->content || block->line == SIZE_MAX || block->line < behind)
            continue;
        if (!mw_parse_reading(parse, top->path))
            break;
        behind = block_end(entity, block, mark_of(entity, block), entity->source.size);
        struct mw_bytes bytes = as_it_came(entity, block->start, behind);
        if (open_bytes(entity, top, bytes, MW_READING_BOUNDARY))
            mw_parse_ambiguous(parse, top->path, MW_READING_BOUNDARY,
                               "a part stands outside of all parts that its boundaries make");
    }
    if (!entity->lines.bare_cr || !mw_parse_reading(parse, top->path))
        return;
    struct mw_bytes bytes =
        with_line_ends(parse->report->arena, as_it_came(entity, 0, entity->source.size));
    if (open_bytes(entity, top, bytes, MW_READING_LINE))
        mw_parse_ambiguous(parse, top->path, MW_READING_LINE, NULL);
}
