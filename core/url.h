/*
 * url: the one part of a URL that is looked up: its host.
 */
#ifndef MW_CORE_URL_H
#define MW_CORE_URL_H

#include "core/arena.h"

/*
 * The host of a URL (RFC 3986 section 3.2.2), in the arena, as written: without
 * user, port, and the brackets of an IPv6 address. NULL when there is none.
 */
char *mw_url_host(struct mw_arena *arena, const char *url);

#endif
