/*
 * tnef: winmail.dat (MS-OXTNEF) through libytnef.
 */
#ifndef MW_PARSERS_TNEF_H
#define MW_PARSERS_TNEF_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* Whether the part is TNEF by its type, name or first bytes. */
bool mw_tnef_is(const struct mw_part *part);

/*
 * Adds a child for each file in the part, and one for the plain and HTML body
 * in it (marked is_body by their disposition "inline" and text type). What
 * cannot be read is recorded.
 */
void mw_tnef_unpack(struct mw_parse *parse, struct mw_part *part);

#endif
