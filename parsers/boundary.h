/*
 * boundary: what separates the parts of a multipart (RFC 2046 section 5.1.1), found in
 * raw bytes in time that grows with their number, whatever they are.
 */
#ifndef MW_PARSERS_BOUNDARY_H
#define MW_PARSERS_BOUNDARY_H

#include "parsers/parse.h"

/* All boundaries that parameters in some bytes name. */
struct mw_boundaries;

/* Reads them; the result lies in the arena of parse, its texts in bytes. */
const struct mw_boundaries *mw_boundaries_named(struct mw_parse *parse, struct mw_bytes bytes);

size_t mw_boundaries_count(const struct mw_boundaries *boundaries);

/* Whether line, which starts with "--", is a delimiter of one of them: followed by blanks
 * at most. */
bool mw_boundaries_has(const struct mw_boundaries *boundaries, struct mw_bytes line);

/* Whether some boundary is named in a way that is not read here (in pieces, encoded, with
 * escapes): then any line may be one. */
bool mw_boundaries_unsure(const struct mw_boundaries *boundaries);

/* The first line of content that can be a delimiter and comes again, or ends the multipart,
 * further down: its boundary, as a slice of content; empty when there is none. */
struct mw_bytes mw_boundary_guess(struct mw_parse *parse, struct mw_bytes content);

#endif
