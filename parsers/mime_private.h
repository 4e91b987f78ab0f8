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

/* mime_header.c: the fields of the given lists in the order they came, decoded.
 * A NULL list is skipped. */
void mw_mime_headers(struct mw_mime *mime, struct mw_parse *parse, const char *place,
                     GMimeHeaderList *first, GMimeHeaderList *second, struct mw_headers *headers);

/* mime_header.c: one unstructured value: unfolded, RFC 2047 words decoded, valid
 * UTF-8 in one line. *changed tells whether bytes had to be replaced. */
const char *mw_mime_decode_text(struct mw_mime *mime, struct mw_arena *arena, const char *raw,
                                size_t *replaced);

/* mime_header.c: the facts in a part's own headers (type, names, disposition...). */
void mw_mime_describe(struct mw_mime *mime, struct mw_parse *parse, struct mw_part *part,
                      GMimeObject *object);

/* mime_fields.c: addresses, subject, dates, ids, hops from the report's headers. */
void mw_mime_fields(struct mw_mime *mime, struct mw_parse *parse);

/* mime_decode.c: undoes the transfer encoding named so (NULL: none). Result in
 * the arena, or encoded itself for identity encodings. */
struct mw_bytes mw_mime_decode(struct mw_parse *parse, const char *place, struct mw_bytes encoded,
                               const char *encoding);

/* mime_source.c: the bytes as GMime should see them, the same length as raw: raw
 * itself, or a repaired copy in the arena. */
struct mw_bytes mw_mime_readable(struct mw_parse *parse, struct mw_bytes raw);

/* mime_source.c: drops what wraps a message: mbox lines, an SMTP session. */
struct mw_bytes mw_mime_unwrap(struct mw_parse *parse, struct mw_bytes raw, bool top);

#endif
