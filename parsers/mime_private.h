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

/* mime_header.c: the fields of the given lists in the order they came, decoded;
 * source is what their offsets count in. A NULL list is skipped. */
void mw_mime_headers(struct mw_parse *parse, const char *place, struct mw_bytes source,
                     GMimeHeaderList *first, GMimeHeaderList *second, struct mw_headers *headers);

/* mime_header.c: one raw value unfolded (RFC 5322 section 2.2.3), in UTF-8. Both
 * functions add the bytes they had to replace to *replaced (may be NULL). */
const char *mw_mime_unfold_text(struct mw_arena *arena, const char *raw, size_t *replaced);

/* mime_header.c: one unstructured value: unfolded, encoded words decoded, valid
 * UTF-8 in one line. */
const char *mw_mime_decode_text(struct mw_arena *arena, const char *raw, size_t *replaced);

/* mime_header.c: the facts in a part's own headers (type, names, disposition...). */
void mw_mime_describe(struct mw_parse *parse, struct mw_bytes source, struct mw_part *part,
                      GMimeObject *object);

/* mime_fields.c: addresses, subject, dates, ids, hops from the report's headers. */
void mw_mime_fields(struct mw_mime *mime, struct mw_parse *parse);

/* mime_decode.c: undoes the transfer encoding named so (NULL: none). Result in
 * the arena, or encoded itself for identity encodings. */
struct mw_bytes mw_mime_decode(struct mw_parse *parse, const char *place, struct mw_bytes encoded,
                               const char *encoding);

/* mime_decode.c: base64 as far as a client would decode it, in the arena. */
struct mw_bytes mw_mime_decode_base64(struct mw_arena *arena, struct mw_bytes encoded);

/*
 * mime_repair.c: mends what GMime would stumble over in headers. *readable becomes
 * the bytes GMime should see: *source itself or a copy in the arena in which every
 * byte has its place, so that contents are taken from *source. Where a blank line
 * between header and body is missing, both become copies that have it.
 */
void mw_mime_repair(struct mw_parse *parse, const char *place, struct mw_bytes *source,
                    struct mw_bytes *readable);

/* mime_source.c: drops what wraps a message: mbox lines, an SMTP session. */
struct mw_bytes mw_mime_unwrap(struct mw_parse *parse, struct mw_bytes raw, bool top);

#endif
