/*
 * received: one trace field (RFC 5321 section 4.4), as strictly as real ones
 * allow.
 */
#ifndef MW_PARSERS_RECEIVED_H
#define MW_PARSERS_RECEIVED_H

#include "core/arena.h"
#include "core/report.h"

/*
 * Fills hop from an unfolded Received value; what is not there stays NULL. The
 * date is left as written. The address is the first valid IPv4 or IPv6 address
 * in the "from" clause, brackets and "IPv6:" removed.
 */
void mw_received_parse(struct mw_arena *arena, const char *value, struct mw_hop *hop);

#endif
