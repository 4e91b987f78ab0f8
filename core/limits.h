/*
 * limits: every bound on what one message may cost, in one place.
 *
 * Reaching one never loses what was already found: it is recorded in the
 * report's errors as "limit.<name>" with the place, and the work goes on as
 * far as the bound allows.
 */
#ifndef MW_CORE_LIMITS_H
#define MW_CORE_LIMITS_H

#include <stddef.h>

struct mw_limits {
    size_t message_size;      /* bytes of the raw message */
    size_t header_count;      /* header fields kept, per message or part */
    size_t header_length;     /* bytes of one header field's value kept */
    size_t parts;             /* parts of all kinds, nested ones included */
    size_t readings;          /* ways to read a message or part of it, beside the first */
    size_t depth;             /* nesting of multiparts, messages, archives */
    size_t unpacked_size;     /* bytes of all decoded and unpacked parts */
    size_t unpack_ratio;      /* of them for each byte of the message */
    size_t text_length;       /* bytes of one decoded text kept in the report */
    size_t address_count;     /* mailboxes kept of one address header */
    size_t recipients;        /* recipients of the envelope kept */
    size_t findings_per_part; /* findings kept of one part */
    size_t indicators;        /* indicators kept of one kind per message */
    size_t errors;            /* errors kept per message */
    unsigned time_ms;         /* milliseconds for the whole message */
};

/* The documented defaults (see doc/limits in the manual page). */
void mw_limits_default(struct mw_limits *limits);

#endif
