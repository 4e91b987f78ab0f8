/*
 * resolve: getaddrinfo(3) with a deadline, which it has not of its own: a name server that is
 * silent holds it for half a minute and more.
 */
#ifndef MW_CORE_RESOLVE_H
#define MW_CORE_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "core/error.h"

/*
 * As getaddrinfo(host, port, hints, found), but comes back at the deadline (mw_clock_ms) with
 * MW_ERR_TIMEOUT; MW_ERR_SYSTEM with what the resolver says. The caller frees *found
 * (freeaddrinfo). host may be NULL, as for getaddrinfo; port is a number. Numbers are taken at
 * once; names are asked for in a thread without signals, which goes on by itself when nobody waits
 * any more, and ends when the resolver gives up. Thread-safe.
 */
int mw_resolve(const char *host, const char *port, const struct addrinfo *hints, int64_t deadline,
               struct addrinfo **found, struct mw_error *error);

#endif
