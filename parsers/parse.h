/*
 * parse: what every parser carries while it opens one message: where to write,
 * how far it may go, how much of that is used up.
 */
#ifndef MW_PARSERS_PARSE_H
#define MW_PARSERS_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/report.h"
#include "parsers/part.h"

struct mw_parse {
    struct mw_report *report; /* borrowed: problems go here, memory comes from its arena */
    const struct mw_limits *limits;
    size_t parts;        /* made so far */
    size_t unpacked;     /* decoded and unpacked bytes so far */
    int64_t deadline_us; /* on the monotonic clock; 0 for none */
    bool expired;        /* the deadline passed and was reported */
};

/* Starts the clock and empties the counters. */
void mw_parse_start(struct mw_parse *parse, struct mw_report *report,
                    const struct mw_limits *limits);

/*
 * A new part under parent within the bounds on count and depth, or NULL after
 * recording which bound was reached.
 */
struct mw_part *mw_parse_part(struct mw_parse *parse, struct mw_part *parent,
                              enum mw_part_kind kind);

/*
 * Whether size more bytes may be unpacked at place; false after recording the
 * bound. packed is what they came from, for the bound on the ratio (0: no
 * ratio applies).
 */
bool mw_parse_take(struct mw_parse *parse, const char *place, size_t size, size_t packed);

/* Whether the message's time is up; recorded the first time. */
bool mw_parse_expired(struct mw_parse *parse);

#endif
