/*
 * memfile: bytes in anonymous shared memory (memfd_create(2)), written once,
 * sealed, then read through a mapping, here or in another process.
 */
#ifndef MW_CORE_MEMFILE_H
#define MW_CORE_MEMFILE_H

#include <stddef.h>

#include "core/bytes.h"
#include "core/error.h"

struct mw_memfile;

/* A new empty file; name is what /proc shows. NULL on failure. */
struct mw_memfile *mw_memfile_new(const char *name, struct mw_error *error);

/* Closes and unmaps; descriptors passed on elsewhere stay good. NULL allowed. */
void mw_memfile_free(struct mw_memfile *file);

/* Appends; MW_ERR_LIMIT and nothing written when the file would exceed max bytes. */
int mw_memfile_append(struct mw_memfile *file, struct mw_bytes bytes, size_t max,
                      struct mw_error *error);

/* Forbids any later change of size or content, by anyone (fcntl F_SEAL_*). */
int mw_memfile_seal(struct mw_memfile *file, struct mw_error *error);

/* The content, to be read only: a mapping, or for a small file a copy, which costs
 * less. The bytes are borrowed until the file is freed or appended to. */
int mw_memfile_map(struct mw_memfile *file, struct mw_bytes *bytes, struct mw_error *error);

/* The descriptor (borrowed) and the bytes written so far. */
int mw_memfile_fd(const struct mw_memfile *file);
size_t mw_memfile_size(const struct mw_memfile *file);

/*
 * Maps what another process sent. Refused (MW_ERR_FORMAT) unless the
 * descriptor is a memory file sealed against shrinking and writing, so that no
 * later truncation can make a read fault. Takes ownership of fd in every case.
 */
struct mw_memfile *mw_memfile_receive(int fd, size_t max, struct mw_error *error);

/* A memory file to append to behind its first size bytes. Takes ownership of fd in every
 * case. */
struct mw_memfile *mw_memfile_adopt(int fd, size_t size, struct mw_error *error);

/*
 * For a file of our own that another process has written to, and may still hold: finds how
 * large it is, MW_ERR_LIMIT above max, and sees to it that what is read from here on can
 * neither change nor vanish: MW_ERR_FORMAT when it can, as somebody has it mapped for
 * writing or has sealed it otherwise. A small file may still become shorter: then
 * mw_memfile_map fails with MW_ERR_FORMAT.
 */
int mw_memfile_settle(struct mw_memfile *file, size_t max, struct mw_error *error);

#endif
