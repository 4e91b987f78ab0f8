/*
 * file: reading and writing of files that a configuration names. What is read is a regular
 * file of a bounded size, so that a FIFO or a device holds nobody up; what is written never
 * goes by a link. Thread-safe.
 */
#ifndef MW_CORE_FILE_H
#define MW_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/error.h"

/*
 * Opens a regular file for reading, without ever waiting: a descriptor, which the caller
 * closes, or negative. The error begins with the path: MW_ERR_MISSING when nothing is
 * there, MW_ERR_INPUT when it is a folder, a FIFO or whatever else, MW_ERR_SYSTEM.
 */
int mw_file_open(const char *path, struct mw_error *error);

/* The same to know only whether it could be: 0, or why not. */
int mw_file_check(const char *path, struct mw_error *error);

/* Reads a whole regular file into arena, a NUL behind it. MW_ERR_LIMIT above max bytes; else
 * errors as above. */
int mw_file_read(const char *path, size_t max, struct mw_arena *arena, struct mw_bytes *bytes,
                 struct mw_error *error);

/*
 * Writes a file as a whole: made under a name of its own beside path, with this mode, then
 * put in its place. What is there may only be a regular file, which is replaced and never
 * written through; a link is refused (MW_ERR_BUSY).
 */
int mw_file_replace(const char *path, struct mw_bytes bytes, mode_t mode, struct mw_error *error);

/* Writes all of bytes to a descriptor: 0, or -1 with errno. */
int mw_file_write_all(int fd, struct mw_bytes rest);

/*
 * Gives path to user and group ((uid_t)-1, (gid_t)-1: as it is) when it is of this type
 * (S_IFSOCK, S_IFREG) and no link: MW_ERR_BUSY when something else has taken its place.
 */
int mw_file_give(const char *path, mode_t type, uid_t user, gid_t group, struct mw_error *error);

/*
 * Whether strangers can put their own files in the place of ours in this folder: it belongs
 * to somebody else than root and the process's user, or anybody may write to it who likes.
 * MW_ERR_INPUT says so and what to do; MW_ERR_SYSTEM when it cannot be looked at.
 */
int mw_file_check_folder(const char *folder, uid_t user, struct mw_error *error);

/* Whether users of other groups may read the file; false when it is not there. */
bool mw_file_is_open_to_all(const char *path);

#endif
