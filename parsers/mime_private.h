/*
 * What the files around mime.c share. Only these files know GMime.
 */
#ifndef MW_PARSERS_MIME_PRIVATE_H
#define MW_PARSERS_MIME_PRIVATE_H

#include <gmime/gmime.h>

#include "parsers/mime.h"

struct mw_mime {
    GMimeParserOptions *options;
};

/* --- mime_header.c: fields, decoded and made safe -------------------------------------- */

/* The fields of the given lists in the order they came, decoded; source is what their
 * offsets count in. A NULL list is skipped. */
void mw_mime_headers(struct mw_parse *parse, const char *place, struct mw_bytes source,
                     GMimeHeaderList *first, GMimeHeaderList *second, struct mw_headers *headers);

/* One raw value unfolded (RFC 5322 section 2.2.3), in UTF-8. Both functions add the bytes
 * they had to replace to *replaced (may be NULL). */
const char *mw_mime_unfold_text(struct mw_arena *arena, const char *raw, size_t *replaced);

/* One unstructured value: unfolded, encoded words decoded, valid UTF-8 in one line. */
const char *mw_mime_decode_text(struct mw_arena *arena, const char *raw, size_t *replaced);

/* The facts in a part's own headers (type, names, disposition ...). */
void mw_mime_describe(struct mw_parse *parse, struct mw_bytes source, struct mw_part *part,
                      GMimeObject *object);

/* The first field of this name, as it came; NULL when there is none. */
const char *mw_mime_raw_header(GMimeObject *object, const char *name);

/* --- mime_fields.c: addresses, subject, dates, ids, hops from the report's headers ------ */

void mw_mime_fields(struct mw_mime *mime, struct mw_parse *parse);

/* --- mime_params.c: parameters, also of broken fields ----------------------------------- */

struct mw_mime_parameter {
    const char *name;  /* lower case */
    const char *value; /* without quotes; charset and percents as they came */
    int section;       /* of RFC 2231 section 3; -1: has none */
    bool encoded;      /* RFC 2231 section 4 */
};
MW_LIST_TYPE(mw_mime_parameters, struct mw_mime_parameter);

/* All parameters of a raw field value, those that stand there twice included. */
void mw_mime_parameters(struct mw_arena *arena, const char *raw,
                        struct mw_mime_parameters *parameters);

/* Every value a reader may give a parameter, each once: of RFC 2231 first, as clients
 * prefer it (RFC 6266 section 4.3 says so of names), then those written plainly. */
void mw_mime_parameter_values(struct mw_arena *arena, const struct mw_mime_parameters *parameters,
                              const char *name, struct mw_texts *values);

/* Adds text unless it is NULL, empty or there already. */
void mw_mime_add_once(struct mw_arena *arena, struct mw_texts *texts, const char *text);

/* --- mime_encoding.c: transfer encodings that a header names ---------------------------- */

enum mw_encoding {
    MW_ENCODING_NONE,
    MW_ENCODING_BASE64,
    MW_ENCODING_QUOTED,
    MW_ENCODING_UU,
    MW_ENCODING_YENC,
    MW_ENCODING_BINHEX,
    MW_ENCODINGS
};

struct mw_encodings {
    enum mw_encoding first; /* what the first word says */
    unsigned named;         /* all that some reader takes: bits 1 << enum mw_encoding */
    bool unknown;           /* the first word is no encoding that there is */
    bool decorated;         /* by quotes, backslashes and the like: not all readers see it */
    size_t words;
};

/* "base64" */
const char *mw_encoding_name(enum mw_encoding encoding);

/* Adds what one field's raw value can be read as. */
void mw_encodings_add(struct mw_arena *arena, const char *raw, struct mw_encodings *encodings);

/* What the content itself looks like, bits as above; 0: like none. */
unsigned mw_encodings_of_content(struct mw_bytes content);

/* --- mime_decode.c, mime_base64.c -------------------------------------------------------- */

/* Where decoders of base64 may differ. */
struct mw_base64_doubt {
    size_t junk;     /* bytes that are neither digits nor padding nor blank */
    bool padding;    /* digits follow it */
    bool paragraphs; /* digits follow a blank line */
    bool lines;      /* digits follow a line that ends within a group */
};

/* Undoes a transfer encoding; doubt (may be NULL) is set for base64. Result in the arena, or
 * encoded itself when there is none. */
struct mw_bytes mw_mime_decode(struct mw_parse *parse, const char *place, struct mw_bytes encoded,
                               enum mw_encoding encoding, struct mw_base64_doubt *doubt);

/* Base64 as far as a client would decode it, in the arena. */
struct mw_bytes mw_mime_decode_base64(struct mw_arena *arena, struct mw_bytes encoded);

/* What decoders do at padding in the middle, and at what is neither digit nor blank. */
enum mw_base64_way {
    MW_BASE64_GOES_ON, /* a new group begins behind padding; junk is skipped */
    MW_BASE64_ENDS_AT_PAD,
    MW_BASE64_PAD_IS_ZERO,    /* a "=" is a digit, as "A" */
    MW_BASE64_PAD_IS_NOTHING, /* is skipped, as junk is */
    MW_BASE64_JUNK_ENDS_LINE, /* the rest of the line is skipped */
    MW_BASE64_ENDS_AT_JUNK,
    MW_BASE64_OF_URLS, /* "-" and "_" are digits (RFC 4648 section 5) */
    MW_BASE64_ENDS_AT_BLANK_LINE,
    MW_BASE64_LINE_BY_LINE, /* a group that a line leaves open is dropped */
    MW_BASE64_WAYS
};

/* Base64 in one of these ways, in the arena. Sound data is the same in all of them. */
struct mw_bytes mw_mime_base64(struct mw_arena *arena, struct mw_bytes encoded,
                               enum mw_base64_way way, struct mw_base64_doubt *doubt);

/* What decoders of quoted-printable do at an escape that is none: most leave it alone. */
struct mw_quoted_way {
    unsigned dropped; /* bytes of it that are left out, the "=" first: 1 to 3 */
    bool capitals;    /* digits in small letters make no escape (RFC 2045 section 6.7) */
};

/* Where they may differ. */
struct mw_quoted_doubt {
    bool broken; /* an escape that is none */
    bool small;  /* one in small letters */
};

/* Quoted-printable in such a way, in the arena. */
struct mw_bytes mw_mime_quoted(struct mw_arena *arena, struct mw_bytes encoded,
                               struct mw_quoted_way way, struct mw_quoted_doubt *doubt);

/* Whether the beginning of content is lines of base64 and nothing else. */
bool mw_mime_looks_base64(struct mw_bytes content);

/* --- mime_repair.c: header blocks -------------------------------------------------------- */

/* A header block: the message's own, or what follows a line that starts with "--". All
 * numbers are offsets, SIZE_MAX for what is not there. */
struct mw_mime_block {
    size_t line;  /* of the dashes; SIZE_MAX for the message's own header */
    size_t start; /* behind that line */
    size_t end;   /* behind its last field */
    size_t body;  /* behind the blank line */
    size_t junk;  /* the first line in it that is no field */
    size_t space; /* the first line in it that holds only blanks */
    unsigned types, encodings, dispositions; /* Content- fields of these names */
    bool content;                            /* has Content- fields */
    bool hidden; /* a Content- field where only some readers see one: in a fold, behind a bare
                    carriage return, with a comment in its name */
    bool known;  /* belongs to a part that was walked */
};
MW_LIST_TYPE(mw_mime_blocks, struct mw_mime_block);

struct mw_mime_lines {
    struct mw_mime_blocks blocks; /* in the order of the bytes */
    MW_LIST(size_t) breaks;       /* line ends that were put in */
    bool bare_cr;                 /* one where it changes structure: a header, a boundary */
};

/*
 * Mends what GMime would stumble over in headers. *readable becomes the bytes GMime should
 * see: *source itself or a copy in the arena in which every byte has its place, so that
 * contents are taken from *source. Where a blank line between header and body is missing,
 * both become copies that have it. lines tells what was seen on the way, in offsets of the
 * mended bytes.
 */
void mw_mime_repair(struct mw_parse *parse, const char *place, struct mw_bytes *source,
                    struct mw_bytes *readable, struct mw_mime_lines *lines);

/* bytes with their Content-Type fields but the number-th, from 0, made unreadable; only in
 * the header block at their start. In the arena. */
struct mw_bytes mw_mime_one_type(struct mw_arena *arena, struct mw_bytes bytes, size_t number);

/* The raw values of the fields of this name in a block, also of those that only some
 * readers see. */
void mw_mime_block_values(struct mw_arena *arena, struct mw_bytes source,
                          const struct mw_mime_block *block, const char *name,
                          struct mw_texts *values);

/* --- mime_source.c: drops what wraps a message: mbox lines, an SMTP session ------------- */

struct mw_bytes mw_mime_unwrap(struct mw_parse *parse, struct mw_bytes raw,
                               const struct mw_part *parent);

/* --- mime_names.c ------------------------------------------------------------------------ */

/* All names that a client may show for a part; the first is the one shown. block is the
 * part's header in source, or NULL. */
void mw_mime_names(struct mw_parse *parse, struct mw_bytes source, GMimeObject *object,
                   const struct mw_mime_block *block, struct mw_part *part);

/* --- mime.c and mime_readings.c ------------------------------------------------------------ */

/* A multipart that is being walked, and those around it. */
struct mw_mime_frame {
    const char *boundary;              /* may be NULL */
    const struct mw_mime_block *block; /* its header; may be NULL */
    const struct mw_mime_frame *up;
};

/* One message or part being walked. */
struct mw_mime_entity {
    struct mw_mime *mime;
    struct mw_parse *parse;
    struct mw_bytes source;   /* the bytes as they came */
    struct mw_bytes readable; /* as GMime saw them; same length */
    struct mw_mime_lines lines;
};

/* Parses bytes as a part with a header of its own and walks it under host; the new parts
 * are host's last. Returns the first of them, or NULL. */
struct mw_part *mw_mime_walk_bytes(struct mw_mime_entity *entity, struct mw_part *host,
                                   struct mw_bytes bytes);

/* Splits content at a boundary GMime did not know. True when that gave parts. */
bool mw_mime_split(struct mw_mime_entity *entity, struct mw_part *part, struct mw_bytes content,
                   struct mw_bytes boundary);

/* Whether a type is that of an attached message. */
bool mw_mime_is_message(const char *type);

/* A multipart that is not split, but has a transfer encoding: the parts that are in its
 * decoded content, or else that as a file, under part. False: there is no encoding. */
bool mw_mime_open_encoded(struct mw_mime_entity *entity, struct mw_part *part,
                          struct mw_mime_block *block, GMimeObject *object,
                          struct mw_bytes content);

/* Where the part with this block ends: at a boundary of those around it. */
size_t mw_mime_object_end(const struct mw_mime_entity *entity, const struct mw_mime_block *block,
                          const struct mw_mime_frame *up);

/* The blocks in content, which is part of the source, belong to parts that were walked. */
void mw_mime_know_blocks(struct mw_mime_entity *entity, struct mw_bytes content);

/* The block in which the field at this offset stands; NULL when there is none. */
struct mw_mime_block *mw_mime_block_at(struct mw_mime_entity *entity, size_t offset);

/* A leaf being read, and what was seen of it so far. */
struct mw_mime_leaf {
    struct mw_part *part;
    struct mw_mime_block *block; /* its header; NULL: has none */
    size_t start, end;           /* of its content in the source */
    const struct mw_mime_frame *frame;
    struct mw_encodings encodings;
    struct mw_base64_doubt doubt;
};

/* The other readings of a leaf. */
void mw_mime_leaf_readings(struct mw_mime_entity *entity, const struct mw_mime_leaf *leaf);

/* The other readings of a multipart. */
void mw_mime_multipart_readings(struct mw_mime_entity *entity, struct mw_part *part,
                                struct mw_mime_block *block, GMimeObject *object,
                                const struct mw_mime_frame *up);

/* What is left of the entity when all of it was walked: parts that only some readers see. */
void mw_mime_other_readings(struct mw_mime_entity *entity, struct mw_part *top);

#endif
