/*
 * source: all files of a configuration, read once: the one that was named and those it
 * takes in by @include, in pieces in the order in which they are read. It can be handed to
 * another process as bytes and be parsed there again, so that both have the same.
 *
 * We read the files, as libconfig ends the process over a folder and waits for a FIFO; what
 * it is given has no @include any more.
 */
#ifndef MW_CONF_SOURCE_H
#define MW_CONF_SOURCE_H

#include "core/arena.h"
#include "core/error.h"

struct mw_config_source;

/* Of all files together, and of an @include within an @include. */
enum { MW_SOURCE_SIZE = 16 << 20, MW_SOURCE_FILES = 256, MW_SOURCE_DEPTH = 10 };

/*
 * Reads path and what it takes in; a name that is not absolute is looked for beside the
 * file that names it. Into arena; NULL with error, which begins with file and line, or with
 * the path when that itself cannot be read: no regular file, above the bounds, with a NUL,
 * a string or comment without end.
 */
struct mw_config_source *mw_config_source_read(const char *path, struct mw_arena *arena,
                                               struct mw_error *error);

/* As bytes in arena, and back: MW_ERR_FORMAT for what mw_config_source_pack cannot have
 * made. The source borrows from packed. */
struct mw_bytes mw_config_source_pack(const struct mw_config_source *source,
                                      struct mw_arena *arena);
struct mw_config_source *mw_config_source_unpack(struct mw_bytes packed, struct mw_arena *arena,
                                                 struct mw_error *error);

/* The whole text, without any @include, in arena. */
const char *mw_config_source_text(const struct mw_config_source *source, struct mw_arena *arena);

/* The file that a line of that text (from 1) stands in, and its line there. */
const char *mw_config_source_place(const struct mw_config_source *source, unsigned line,
                                   unsigned *in_file);

#endif
