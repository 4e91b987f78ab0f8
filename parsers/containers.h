/*
 * containers: what kinds of parts hold others, and who opens them. A kind that nobody opens is
 * known all the same, so that it can be told.
 */
#ifndef MW_PARSERS_CONTAINERS_H
#define MW_PARSERS_CONTAINERS_H

#include "parsers/parse.h"
#include "parsers/part.h"

/*
 * Opens what lies in a leaf: archives, at any offset, compressed files, signed mail, files in
 * calendars; and tells of other kinds that they are closed. Children are added behind part; what
 * became of it stands in part (mw_part_state). Linear in the part's bytes, beside what is
 * unpacked.
 */
void mw_containers_open(struct mw_parse *parse, struct mw_part *part);

/* Whether a part that came from mw_containers_open is a message by what it was taken from. */
bool mw_containers_is_message(const struct mw_part *part);

/* The kind of container that a type detected by libmagic is, where mw_containers_open knows none
 * by its own; NULL: none. */
const char *mw_containers_by_type(const char *file_type);

#endif
