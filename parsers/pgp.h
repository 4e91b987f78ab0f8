/*
 * pgp: messages of OpenPGP (RFC 9580), armored or not, which nobody but their recipient opens.
 */
#ifndef MW_PARSERS_PGP_H
#define MW_PARSERS_PGP_H

#include "parsers/parse.h"
#include "parsers/part.h"

/* Marks part, a text or an attachment, when it is or holds such a message; whether it is. A key
 * or a signature is none. */
bool mw_pgp_look(struct mw_parse *parse, struct mw_part *part);

#endif
