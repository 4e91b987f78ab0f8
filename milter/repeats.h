/*
 * repeats: messages that ended a worker, or took it too long, by their SHA-256: when one
 * comes again it would do the same again. Bounded, in memory; any thread.
 */
#ifndef MW_MILTER_REPEATS_H
#define MW_MILTER_REPEATS_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/error.h"

struct mw_repeats;

/* None at first. NULL only when there is no memory. Freed by mw_repeats_free. */
struct mw_repeats *mw_repeats_new(void);
void mw_repeats_free(struct mw_repeats *repeats);

/* Remembers that raw failed with error, for so many seconds (0: not at all), the oldest
 * one making way when there are too many. Returns how often it failed so: 1, or more when it
 * was known. */
unsigned mw_repeats_note(struct mw_repeats *repeats, struct mw_bytes raw,
                         const struct mw_error *error, unsigned seconds);

/* Whether any is remembered: without one nothing needs to be read and hashed. */
bool mw_repeats_any(struct mw_repeats *repeats);

/* How often raw came, this time counted, when it is remembered, and in error what it failed
 * with; 0 when it is not. */
unsigned mw_repeats_find(struct mw_repeats *repeats, struct mw_bytes raw, struct mw_error *error);

/* Forgets all: other rules or databases may get to their end. */
void mw_repeats_forget(struct mw_repeats *repeats);

#endif
