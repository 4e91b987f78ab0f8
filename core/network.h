/*
 * network: blocks of IP addresses, as 10.0.0.0/8 and 2001:db8::/32 (RFC 4632, RFC 4291).
 */
#ifndef MW_CORE_NETWORK_H
#define MW_CORE_NETWORK_H

#include <stdbool.h>

#include "core/error.h"

struct mw_network {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;             /* of the 128 that count */
};

/* Reads an address, or a network in CIDR form. Bits set behind the prefix are a
 * mistake in what a person wrote: MW_ERR_INPUT, with the network that was meant. */
int mw_network_parse(struct mw_network *network, const char *text, struct mw_error *error);

/* Whether address (as text, "IPv6:" in front allowed, ::ffff:a.b.c.d is IPv4) lies in
 * the network; a network of IPv6 has no address of IPv4, not even ::/0. NULL and what is no IP
 * address, such as a unix socket's name, do not. */
bool mw_network_has(const struct mw_network *network, const char *address);

#endif
