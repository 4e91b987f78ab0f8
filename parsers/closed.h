/*
 * closed: documents that hold files which no parser takes out yet (office, PDF, RTF, OneNote,
 * XML), or that are encrypted: told by what stands in them, so that nobody takes them for
 * scanned.
 */
#ifndef MW_PARSERS_CLOSED_H
#define MW_PARSERS_CLOSED_H

#include "parsers/part.h"

/* Marks part when it is such a document. Linear in its bytes. */
void mw_closed_look(struct mw_part *part);

#endif
