/*
 * zip: every file that some reader of zips sees (APPNOTE.TXT). Readers differ: some go by the
 * directory at the end, some by what stands before each file, some take the first of several
 * archives and some the last.
 */
#ifndef MW_PARSERS_ZIP_H
#define MW_PARSERS_ZIP_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* A part in which zips are looked for. */
struct mw_zip;

/*
 * Reads the directories in the part's bytes and opens all that they name: a child of part for
 * each file, whatever the modes of its entry and however its name ends. Of office documents
 * (told by their content types) what is an XML file or a picture, and is what it claims to be, is
 * left out. NULL when the bytes hold neither a directory nor the beginning of a file.
 */
struct mw_zip *mw_zip_open(struct mw_parse *parse, struct mw_part *part);

/* Opens the file that begins at offset, where "PK\3\4" stands, unless a directory named it.
 * Returns the offset from where to look on, which is behind the file when it was opened. */
size_t mw_zip_file(struct mw_zip *zip, size_t offset);

#endif
