/*
 * calendar: files inside invitations and address cards (RFC 5545 section 3.8.1.1, RFC 6350).
 */
#ifndef MW_PARSERS_CALENDAR_H
#define MW_PARSERS_CALENDAR_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* Adds a child for each value in base64; whether there was one. Links are no files. */
bool mw_calendar_open(struct mw_parse *parse, struct mw_part *part);

#endif
