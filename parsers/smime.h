/*
 * smime: what S/MIME (RFC 8551) and files signed as CMS (RFC 5652) hold, through OpenSSL. Whose
 * signature it is, and whether it is right, is nobody's concern here.
 */
#ifndef MW_PARSERS_SMIME_H
#define MW_PARSERS_SMIME_H

#include "parsers/parse.h"
#include "parsers/part.h"

/*
 * Opens signed data that has its content with it: a child of part, which is a message when it
 * begins as one. What is encrypted or compressed is told to be closed. Whether part is such a
 * thing; a signature alone and certificates are not.
 */
bool mw_smime_open(struct mw_parse *parse, struct mw_part *part);

#endif
