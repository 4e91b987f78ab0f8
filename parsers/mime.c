/*
 * mime: walks what GMime parsed and opens what it leaves closed.
 *
 * GMime reads structure from the message as it lies in memory; each leaf's
 * stream tells where its bytes are, and they are decoded from there, once.
 * message/rfc822 is registered as a leaf type, so that attached messages,
 * under a transfer encoding or not, come to us as bytes and are parsed again,
 * one limit-checked level at a time.
 */
#include "parsers/mime.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/boundary.h"
#include "parsers/bounds.h"
#include "parsers/mime_private.h"

static void walk_object(struct mw_mime_entity *entity, GMimeObject *object, struct mw_part *parent,
                        const struct mw_mime_frame *frame, struct mw_part **top);

static void start_gmime(void)
{
    static const char *const messages[] = {"rfc822", "rfc2822", "global", "news", "*"};
    g_mime_init();
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        g_mime_object_register_type("message", messages[i], GMIME_TYPE_PART);
}

struct mw_mime *mw_mime_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_gmime);
    struct mw_mime *mime = g_new0(struct mw_mime, 1);
    mime->options = g_mime_parser_options_new();
    static const char *charsets[] = {"utf-8", "windows-1252", NULL};
    g_mime_parser_options_set_fallback_charsets(mime->options, charsets);
    g_mime_parser_options_set_allow_addresses_without_domain(mime->options, TRUE);
    return mime;
}

void mw_mime_free(struct mw_mime *mime)
{
    if (!mime)
        return;
    g_mime_parser_options_free(mime->options);
    g_free(mime);
}

/*
 * A parser over bytes without copying them. The array is a borrowed view:
 * GMime only reads from it, and it must live as long as the parser.
 */
static GMimeParser *new_parser(struct mw_bytes bytes, GByteArray *view)
{
    union {
        const unsigned char *data;
        guint8 *bytes;
    } borrowed = {.data = bytes.data};
    view->data = borrowed.bytes;
    view->len = (guint)bytes.size;
    GMimeStream *stream = g_mime_stream_mem_new();
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), view);
    stream->bound_end = (gint64)bytes.size;
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_object_unref(stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    g_mime_parser_set_format(parser, GMIME_FORMAT_MESSAGE);
    return parser;
}

/* Where a part's encoded bytes lie in its source. */
static void part_content(const struct mw_mime_entity *entity, GMimePart *object, size_t *start,
                         size_t *end)
{
    GMimeDataWrapper *content = g_mime_part_get_content(object);
    GMimeStream *stream = content ? g_mime_data_wrapper_get_stream(content) : NULL;
    struct mw_bytes source = entity->source;
    *start = *end = 0;
    if (!stream || stream->bound_start < 0)
        return;
    *start = (size_t)stream->bound_start;
    *end = stream->bound_end < stream->bound_start ? source.size : (size_t)stream->bound_end;
    /* A closing boundary without a line end leaves half of the CRLF before it. */
    if (*end > *start && *end < source.size && source.data[*end] == '\n' &&
        source.data[*end - 1] == '\r')
        --*end;
}

bool mw_mime_is_message(const char *type)
{
    static const char *const types[] = {"message/rfc822", "message/rfc2822", "message/global",
                                        "message/news"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* The block that an object's header stands in; what is in no multipart has the first. */
static struct mw_mime_block *block_of(struct mw_mime_entity *entity, GMimeObject *object,
                                      const struct mw_mime_frame *up)
{
    GMimeHeaderList *headers = g_mime_object_get_header_list(object);
    GMimeHeader *first = headers && g_mime_header_list_get_count(headers) > 0
                             ? g_mime_header_list_get_header_at(headers, 0)
                             : NULL;
    gint64 offset = first ? g_mime_header_get_offset(first) : -1;
    if (offset < 0 && !up)
        offset = 0;
    struct mw_mime_block *block = offset < 0 ? NULL : mw_mime_block_at(entity, (size_t)offset);
    if (block)
        block->known = true;
    return block;
}

static struct mw_part *add_leaf(struct mw_mime_entity *entity, GMimeObject *object,
                                struct mw_part *parent, const struct mw_mime_frame *frame)
{
    struct mw_parse *parse = entity->parse;
    struct mw_part *part = mw_parse_part(parse, parent, MW_PART_LEAF);
    if (!part)
        return NULL;
    struct mw_mime_leaf leaf = {
        .part = part, .block = block_of(entity, object, frame), .frame = frame};
    part_content(entity, GMIME_PART(object), &leaf.start, &leaf.end);
    mw_mime_describe(parse, entity->source, part, object);
    mw_mime_names(parse, entity->source, object, leaf.block, part);
    const char *encoding = mw_mime_raw_header(object, "Content-Transfer-Encoding");
    if (encoding)
        mw_encodings_add(parse->report->arena, encoding, &leaf.encodings);
    struct mw_bytes content = mw_bytes_slice(entity->source, leaf.start, leaf.end - leaf.start);
    part->data = mw_mime_decode(parse, part->path, content, leaf.encodings.first, &leaf.doubt);
    if (mw_mime_is_message(part->content_type))
        mw_mime_open(entity->mime, parse, part);
    mw_mime_leaf_readings(entity, &leaf);
    return part;
}

static GMimeHeader *type_header(GMimeObject *object)
{
    return g_mime_header_list_get_header(g_mime_object_get_header_list(object), "Content-Type");
}

/* What lies between a multipart's header and its end, when GMime found no part in it. */
static struct mw_bytes unsplit_content(const struct mw_mime_entity *entity, GMimeObject *object,
                                       const struct mw_mime_block *block,
                                       const struct mw_mime_frame *up)
{
    GMimeHeader *header = type_header(object);
    if (!block || !header || g_mime_header_get_offset(header) < 0)
        return (struct mw_bytes){0};
    struct mw_bytes source = entity->readable;
    size_t at = (size_t)g_mime_header_get_offset(header);
    size_t end = mw_mime_object_end(entity, block, up);
    while (at < source.size) {
        size_t next = mw_bytes_next_line(source, at);
        bool blank = source.data[at] == '\n' || (next - at == 2 && source.data[at] == '\r');
        at = next;
        if (blank)
            break;
    }
    return mw_bytes_slice(entity->source, at, end > at ? end - at : 0);
}

/* Content with a header in front that names the boundary, for GMime to split. */
static struct mw_bytes with_boundary(struct mw_arena *arena, struct mw_bytes boundary,
                                     struct mw_bytes content)
{
    static const char start[] = "Content-Type: multipart/mixed; boundary=\"", end[] = "\"\n\n";
    size_t size = sizeof start - 1 + boundary.size + sizeof end - 1 + content.size;
    unsigned char *copy = mw_arena_alloc_raw(arena, size), *to = copy;
    memcpy(to, start, sizeof start - 1);
    to += sizeof start - 1;
    memcpy(to, boundary.data, boundary.size);
    to += boundary.size;
    memcpy(to, end, sizeof end - 1);
    to += sizeof end - 1;
    memcpy(to, content.data, content.size);
    return (struct mw_bytes){copy, size};
}

/* The boundary that a Content-Type names although its syntax is broken, as in
 * "multipart/mixed boundary=x". */
static struct mw_bytes named_boundary(GMimeObject *object)
{
    GMimeHeader *header = type_header(object);
    const char *raw = header ? g_mime_header_get_raw_value(header) : NULL;
    const char *at = raw ? strcasestr(raw, "boundary") : NULL;
    if (!at)
        return (struct mw_bytes){0};
    at += strlen("boundary");
    at += strspn(at, " \t\r\n");
    if (*at != '=')
        return (struct mw_bytes){0};
    at += 1 + strspn(at + 1, " \t\r\n");
    bool quoted = *at == '"' || *at == '\'';
    const char *stops = quoted ? (*at == '"' ? "\"\r\n" : "'\r\n") : " \t\r\n;,\"";
    at += quoted;
    return (struct mw_bytes){(const unsigned char *)at, strcspn(at, stops)};
}

static void add_children(struct mw_mime_entity *entity, GMimeMultipart *multipart,
                         struct mw_part *part, const struct mw_mime_frame *frame)
{
    int count = g_mime_multipart_get_count(multipart);
    struct mw_part *unused = part;
    for (int i = 0; i < count && !mw_parse_expired(entity->parse); i++) {
        if (entity->parse->parts > entity->parse->limits->parts)
            return;
        walk_object(entity, g_mime_multipart_get_part(multipart, i), part, frame, &unused);
    }
}

/* What GMime makes of bytes that begin with a header; NULL: nothing. */
static GMimeObject *construct(struct mw_mime_entity *entity, const char *place)
{
    mw_bounds_apply(entity->parse, place, &entity->readable);
    if (entity->readable.size < entity->source.size)
        entity->parse->bounded = true;
    GByteArray *view = mw_arena_alloc(entity->parse->report->arena, sizeof *view);
    GMimeParser *parser = new_parser(entity->readable, view);
    GMimeObject *object = g_mime_parser_construct_part(parser, entity->mime->options);
    g_object_unref(parser);
    return object;
}

bool mw_mime_split(struct mw_mime_entity *entity, struct mw_part *part, struct mw_bytes content,
                   struct mw_bytes boundary)
{
    struct mw_parse *parse = entity->parse;
    if (content.size == 0 || boundary.size == 0 || boundary.size > 200 ||
        !mw_parse_take(parse, part->path, content.size))
        return false;
    struct mw_mime_entity again = {.mime = entity->mime, .parse = parse};
    again.source = with_boundary(parse->report->arena, boundary, content);
    mw_mime_repair(parse, part->path, &again.source, &again.readable, &again.lines);
    GMimeObject *object = construct(&again, part->path);
    struct mw_part *last = part->last_child;
    bool found = object && GMIME_IS_MULTIPART(object) &&
                 g_mime_multipart_get_count(GMIME_MULTIPART(object)) > 0;
    if (found) {
        struct mw_mime_frame frame = {
            .boundary = g_mime_object_get_content_type_parameter(object, "boundary"),
            .block = block_of(&again, object, NULL)};
        add_children(&again, GMIME_MULTIPART(object), part, &frame);
        mw_mime_other_readings(&again, part);
    }
    if (object)
        g_object_unref(object);
    return found && part->last_child != last;
}

struct mw_part *mw_mime_walk_bytes(struct mw_mime_entity *entity, struct mw_part *host,
                                   struct mw_bytes bytes)
{
    struct mw_parse *parse = entity->parse;
    struct mw_mime_entity again = {.mime = entity->mime, .parse = parse, .source = bytes};
    struct mw_part *top = NULL;
    if (!mw_parse_take(parse, host->path, bytes.size))
        return NULL;
    mw_mime_repair(parse, host->path, &again.source, &again.readable, &again.lines);
    GMimeObject *object = construct(&again, host->path);
    if (!object)
        return NULL;
    walk_object(&again, object, host, NULL, &top);
    if (top)
        mw_mime_other_readings(&again, top);
    g_object_unref(object);
    return top;
}

/* Whether there is nothing in a multipart but its end. */
static bool is_empty_multipart(struct mw_bytes content, const char *boundary)
{
    size_t at = 0, end = content.size, size = boundary ? strlen(boundary) : 0;
    while (at < end && g_ascii_isspace(content.data[at]))
        at++;
    while (end > at && g_ascii_isspace(content.data[end - 1]))
        end--;
    struct mw_bytes rest = mw_bytes_slice(content, at, end - at);
    return rest.size == 0 ||
           (size > 0 && rest.size == size + 4 && memcmp(rest.data, "--", 2) == 0 &&
            memcmp(rest.data + 2, boundary, size) == 0 &&
            memcmp(rest.data + 2 + size, "--", 2) == 0);
}

/* A multipart that GMime could not split: by the boundary meant, else by the one that is
 * there. What is left is one text, or, under a transfer encoding, one file. */
static void open_unsplit(struct mw_mime_entity *entity, GMimeObject *object, struct mw_part *part,
                         struct mw_mime_block *block, const struct mw_mime_frame *up)
{
    struct mw_parse *parse = entity->parse;
    struct mw_bytes content = unsplit_content(entity, object, block, up);
    const char *boundary = g_mime_object_get_content_type_parameter(object, "boundary");
    if (is_empty_multipart(content, boundary))
        return;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_MIME_BOUNDARY, part->path,
                      boundary ? "the boundary of this multipart does not occur in it"
                               : "this multipart names no boundary");
    if (!boundary && mw_mime_split(entity, part, content, named_boundary(object))) {
        mw_mime_know_blocks(entity, content);
        return;
    }
    if (mw_mime_split(entity, part, content, mw_boundary_guess(parse, content))) {
        mw_mime_know_blocks(entity, content);
        mw_parse_ambiguous(parse, part->path, MW_READING_BOUNDARY,
                           boundary ? "another boundary is used than is named" : "none is named");
        return;
    }
    if (mw_mime_open_encoded(entity, part, block, object, content))
        return;
    struct mw_part *text = mw_parse_part(parse, part, MW_PART_LEAF);
    if (!text)
        return;
    text->content_type = "text/plain";
    text->data = content;
}

static void walk_multipart(struct mw_mime_entity *entity, GMimeObject *object, struct mw_part *part,
                           const struct mw_mime_frame *up)
{
    struct mw_mime_block *block = block_of(entity, object, up);
    struct mw_mime_frame frame = {.boundary =
                                      g_mime_object_get_content_type_parameter(object, "boundary"),
                                  .block = block,
                                  .up = up};
    mw_mime_describe(entity->parse, entity->source, part, object);
    if (g_mime_multipart_get_count(GMIME_MULTIPART(object)) > 0)
        add_children(entity, GMIME_MULTIPART(object), part, &frame);
    else
        open_unsplit(entity, object, part, block, up);
    mw_mime_multipart_readings(entity, part, block, object, up);
}

static void walk_object(struct mw_mime_entity *entity, GMimeObject *object, struct mw_part *parent,
                        const struct mw_mime_frame *frame, struct mw_part **top)
{
    struct mw_part *part = NULL;
    if (GMIME_IS_PART(object)) {
        part = add_leaf(entity, object, parent, frame);
    } else if (GMIME_IS_MULTIPART(object)) {
        part = mw_parse_part(entity->parse, parent, MW_PART_MULTIPART);
        if (part)
            walk_multipart(entity, object, part, frame);
    }
    if (!*top)
        *top = part;
}

/* No header at all: what a client shows of it is its text. */
static struct mw_part *headerless(struct mw_mime_entity *entity, struct mw_part *parent)
{
    struct mw_parse *parse = entity->parse;
    if (entity->source.size > 0)
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_MIME_NO_HEADER,
                          parent ? parent->path : NULL,
                          "does not start with a header field: taken as text");
    struct mw_part *part = mw_parse_part(parse, parent, MW_PART_LEAF);
    if (!part)
        return NULL;
    part->content_type = "text/plain";
    part->data = entity->source;
    return part;
}

/* Parses one message under parent; for the top one the report gets its headers. */
static struct mw_part *parse_entity(struct mw_mime *mime, struct mw_parse *parse,
                                    struct mw_bytes raw, struct mw_part *parent)
{
    struct mw_mime_entity entity = {
        .mime = mime, .parse = parse, .source = mw_mime_unwrap(parse, raw, parent)};
    const char *place = parent ? parent->path : NULL;
    mw_mime_repair(parse, place, &entity.source, &entity.readable, &entity.lines);
    mw_bounds_apply(parse, place, &entity.readable);
    if (entity.readable.size < entity.source.size)
        parse->bounded = true;
    GByteArray view;
    GMimeParser *parser = new_parser(entity.readable, &view);
    GMimeMessage *message = g_mime_parser_construct_message(parser, mime->options);
    GMimeObject *body = message ? g_mime_message_get_mime_part(message) : NULL;
    struct mw_part *top = NULL;
    if (!parent && message) {
        mw_mime_headers(parse, NULL, entity.source,
                        g_mime_object_get_header_list(GMIME_OBJECT(message)),
                        body ? g_mime_object_get_header_list(body) : NULL, &parse->report->headers);
        mw_mime_fields(mime, parse);
    }
    if (body)
        walk_object(&entity, body, parent, NULL, &top);
    else
        top = headerless(&entity, parent);
    if (top)
        mw_mime_other_readings(&entity, top);
    if (message)
        g_object_unref(message);
    g_object_unref(parser);
    return top;
}

void mw_mime_open(struct mw_mime *mime, struct mw_parse *parse, struct mw_part *part)
{
    part->kind = MW_PART_MESSAGE;
    /* Opened, it shows its bytes again: a message nested thirty times costs thirty. */
    if (part->data.size > 0 && !mw_parse_expired(parse) &&
        mw_parse_take(parse, part->path, part->data.size))
        parse_entity(mime, parse, part->data, part);
}

struct mw_part *mw_mime_parse(struct mw_mime *mime, struct mw_parse *parse, struct mw_bytes raw)
{
    return parse_entity(mime, parse, raw, NULL);
}
