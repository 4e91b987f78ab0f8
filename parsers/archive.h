/*
 * archive: zip, 7z, rar, tar, iso, cab and their like, and single compressed files,
 * through libarchive.
 */
#ifndef MW_PARSERS_ARCHIVE_H
#define MW_PARSERS_ARCHIVE_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* Whether the part's bytes begin as an archive does that is worth opening. */
bool mw_archive_is(const struct mw_part *part);

/*
 * Adds a child for each file in the part, within the bounds of parse. Of office
 * documents (which are zips) only what can run or hide something: macros, embedded
 * objects and files. What is encrypted is marked so; what cannot be read is
 * recorded.
 */
void mw_archive_unpack(struct mw_parse *parse, struct mw_part *part);

#endif
