/*
 * archive_source: what libarchive is given to read. It undoes compression and keeps what it
 * finds in headers without asking anybody; here each block that it undoes is counted first.
 */
#ifndef MW_PARSERS_ARCHIVE_SOURCE_H
#define MW_PARSERS_ARCHIVE_SOURCE_H

#include <archive.h>

#include "parsers/parse.h"

/* Bytes of an archive that may belong to no file in it: headers, names, lists. */
enum { MW_ARCHIVE_HEADERS_MOST = 16 << 20 };

struct mw_archive_source {
    struct mw_parse *parse;
    const struct mw_part *part;
    struct archive *filters; /* undoes compression; NULL when there is none */
    size_t before;           /* kept or refused of the message when this one began */
    size_t passed;           /* bytes that came out of the filters */
    bool stopped;            /* by a bound, which was recorded */
};

/*
 * Opens bytes, which lie in part, for reader, which knows formats but no filters. Returns
 * libarchive's code, with the reason in reader. source must stay where it is until reader is freed,
 * and is closed after that whatever this returned.
 */
int mw_archive_source_open(struct mw_archive_source *source, struct mw_parse *parse,
                           const struct mw_part *part, struct mw_bytes bytes,
                           struct archive *reader);

/* Whether the bytes are compressed as a whole. */
bool mw_archive_source_is_compressed(const struct mw_archive_source *source);

/* How many of the bytes were read, by the filters or, where there are none, by reader. */
size_t mw_archive_source_taken(const struct mw_archive_source *source, struct archive *reader);

/* What was undone in vain counts for the message. */
void mw_archive_source_close(struct mw_archive_source *source);

#endif
