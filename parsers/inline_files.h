/*
 * inline_files: files written into a text body, uuencoded or yEncoded, as mail
 * and news programs did before MIME, and clients still show as attachments.
 */
#ifndef MW_PARSERS_INLINE_FILES_H
#define MW_PARSERS_INLINE_FILES_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* Adds a child to the text part for each complete "begin MODE NAME ... end" or
 * "=ybegin ... =yend" block in it. */
void mw_inline_files(struct mw_parse *parse, struct mw_part *text);

#endif
