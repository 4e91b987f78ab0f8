/*
 * mime: a raw message to a tree of parts, through GMime (RFC 5322, 2045-2049,
 * 2047, 2231, 6532), as a mail client would show it.
 */
#ifndef MW_PARSERS_MIME_H
#define MW_PARSERS_MIME_H

#include "core/bytes.h"
#include "parsers/parse.h"
#include "parsers/part.h"

struct mw_mime;

/* Options and tables for GMime, which it starts on first use. One thread uses
 * a mw_mime at a time. */
struct mw_mime *mw_mime_new(void);
void mw_mime_free(struct mw_mime *mime);

/*
 * Parses the message in raw, fills the report's headers and what follows from
 * them (addresses, subject, dates, ids, hops), and returns the tree. Never
 * NULL: junk becomes one text part. Nested messages are opened as far as the
 * limits go. raw must outlive the report's arena: identity-encoded parts point
 * into it.
 */
struct mw_part *mw_mime_parse(struct mw_mime *mime, struct mw_parse *parse, struct mw_bytes raw);

/*
 * Opens a leaf that holds a message (out of an archive, say) as an attached one:
 * it becomes MW_PART_MESSAGE with the message's parts as children. The report's
 * headers stay as they are.
 */
void mw_mime_open(struct mw_mime *mime, struct mw_parse *parse, struct mw_part *part);

#endif
