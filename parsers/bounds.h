/*
 * bounds: what a library would do without asking what it costs is bounded before it is
 * called: parts, header fields, their length and parameters, groups of addresses.
 */
#ifndef MW_PARSERS_BOUNDS_H
#define MW_PARSERS_BOUNDS_H

#include "parsers/parse.h"

/*
 * Changes *readable, what GMime is to see of a message or part that begins with its
 * header, to a copy in the arena when it holds more than the limits allow; each byte keeps
 * its place. Fields beyond the limits are blanked, and so is what a field has beyond them;
 * parts beyond them are cut off. What was bounded is a problem at place. Time grows with
 * the number of bytes.
 */
void mw_bounds_apply(struct mw_parse *parse, const char *place, struct mw_bytes *readable);

#endif
