/*
 * url: the one part of a URL that is looked up: its host.
 */
#ifndef MW_CORE_URL_H
#define MW_CORE_URL_H

#include "core/arena.h"

/*
 * The host of a URL (RFC 3986 section 3.2.2), in the arena: without user, port and the dot
 * of the root at its end, in the one form of mw_url_host_form. A backslash ends it, as it
 * does in browsers. NULL when there is none.
 */
char *mw_url_host(struct mw_arena *arena, const char *url);

/*
 * A host in the form that is compared, in the arena: an IPv6 address without brackets and as
 * RFC 5952 has it; any other without the dot of the root, otherwise as written.
 */
char *mw_url_host_form(struct mw_arena *arena, const char *host);

#endif
