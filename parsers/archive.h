/*
 * archive: 7z, rar, tar, iso, cab and their like, and single compressed files, through
 * libarchive. Zips have a reader of their own (zip.h), which uses what is here to unpack.
 */
#ifndef MW_PARSERS_ARCHIVE_H
#define MW_PARSERS_ARCHIVE_H

#include "parsers/parse.h"
#include "parsers/part.h"

struct archive;
struct archive_entry;

/* Whether time and what may be unpacked in vain are left; recorded when not. */
bool mw_archive_may_go_on(struct mw_parse *parse, const struct mw_part *part);

/* What reading one file out of an archive came to. */
enum mw_unpacked {
    MW_UNPACKED_WHOLE,
    MW_UNPACKED_DAMAGED, /* data is all there is, and not what its checksum or size says */
    MW_UNPACKED_CUT,     /* data is what could be had, if any */
    MW_UNPACKED_REFUSED  /* by a bound, which was recorded: no data */
};

/* The bytes of the entry that archive is at, in the arena, most of them at most (SIZE_MAX: all
 * that the budget allows); when damaged, archive_error_string tells how. */
enum mw_unpacked mw_archive_read(struct mw_parse *parse, struct mw_part *part,
                                 struct archive *archive, size_t most, struct mw_bytes *data);

/* A child of part that came out of it as a file; NULL when no more parts may be made. */
struct mw_part *mw_archive_file(struct mw_parse *parse, struct mw_part *part, const char *name,
                                struct mw_bytes data);

/* A name as it stands in an archive, made text; NULL when it is empty. */
const char *mw_archive_name(struct mw_arena *arena, struct mw_bytes name);

/*
 * Opens bytes, which lie in part: a child for each file in them, within the bounds of parse.
 * kind is what they are taken for. encrypted (NULL: not known) tells of each entry whether it
 * is, as far as it goes. What could not be opened is counted in part, and recorded when it is
 * damaged; not in a compound file, where it may lie in pieces. Returns how many bytes the archive
 * takes; 0 when it is none, or did not come to its end.
 */
struct mw_encrypted_entries {
    const bool *items;
    size_t count;
};
size_t mw_archive_open(struct mw_parse *parse, struct mw_part *part, struct mw_bytes bytes,
                       const char *kind, const struct mw_encrypted_entries *encrypted);

#endif
