/*
 * slip: what a person most likely did, where libconfig only says "syntax error".
 */
#ifndef MW_CONF_SLIP_H
#define MW_CONF_SLIP_H

#include "core/arena.h"

/*
 * The first common slip in the text of a configuration that libconfig does not take: a missing
 * quote, brace or comma, a comma too many, a value without its quotes. Returns what to do about
 * it, in arena, and sets *line; NULL when there is none that is known. Takes time that grows
 * with the text.
 */
const char *mw_slip_find(const char *text, struct mw_arena *arena, unsigned *line);

#endif
