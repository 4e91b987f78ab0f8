/*
 * squeeze: zstd frames (RFC 8878) of bytes that are kept.
 *
 * One thread uses a squeezer at a time; what it returns is borrowed until its next use.
 */
#ifndef MW_STORE_SQUEEZE_H
#define MW_STORE_SQUEEZE_H

#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"

struct mw_squeezer;

struct mw_squeezer *mw_squeezer_new(void);
void mw_squeezer_free(struct mw_squeezer *squeezer);

/* Gives back memory that only a large input needed. */
void mw_squeezer_rest(struct mw_squeezer *squeezer);

/* Makes bytes smaller at zstd's level; false when they would not be smaller by a tenth. */
bool mw_squeeze(struct mw_squeezer *squeezer, int level, struct mw_bytes bytes,
                struct mw_bytes *squeezed);

/* The bytes of a frame, in arena; MW_ERR_FORMAT for anything else, and for a frame of more
 * than most bytes. */
int mw_unsqueeze(struct mw_arena *arena, struct mw_bytes frame, size_t most, struct mw_bytes *bytes,
                 struct mw_error *error);

#endif
