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
    size_t message;             /* bytes of the message, from which the ratio counts */
    size_t refused;             /* unpacked in vain, as they were too many */
    size_t parts;               /* made so far */
    size_t unpacked;            /* decoded and unpacked bytes so far */
    int64_t deadline_us;        /* on the monotonic clock; 0 for none */
    bool expired;               /* the deadline passed and was reported */
    bool bounded;               /* a part was not made because of a bound */
    uint64_t secret;            /* that no sender knows, for sums */
    size_t readings;            /* beside the first, made so far */
    enum mw_severity ambiguous; /* how bad it is that a message can be read in several ways */
};

/* In what mail clients differ, and so what makes one more reading of a part. */
enum mw_reading {
    MW_READING_ENCODING, /* transfer encoding: which, and of what */
    MW_READING_DIGITS,   /* junk and padding in base64, escapes that are none */
    MW_READING_TYPE,     /* Content-Type: which, and of what */
    MW_READING_BOUNDARY, /* which lines part a multipart */
    MW_READING_HEADER,   /* where a header begins and ends */
    MW_READING_LINE,     /* carriage returns that end a line */
    MW_READING_NAME,     /* the file's name */
    MW_READING_OTHER,    /* none that is told: a message quoted in a text, odd lines; opened all the
                           same */
    MW_READINGS
};

/* Its name, as it stands in reports. */
const char *mw_reading_name(enum mw_reading reading);

/* Starts the clock for a message of so many bytes and empties the counters. */
void mw_parse_start(struct mw_parse *parse, struct mw_report *report,
                    const struct mw_limits *limits, size_t message);

/*
 * A new part under parent within the bounds on count and depth, or NULL after
 * recording which bound was reached.
 */
struct mw_part *mw_parse_part(struct mw_parse *parse, struct mw_part *parent,
                              enum mw_part_kind kind);

/*
 * Whether size more bytes may be decoded or unpacked at place; false after recording
 * the bound. What all of the message unpacks to counts, against limits.unpacked_size
 * and, above MW_PARSE_UNPACK_FREE bytes, against limits.unpack_ratio. Asked before the
 * bytes are made, or a block at a time while they are.
 */
enum { MW_PARSE_UNPACK_FREE = 16 << 20 };
bool mw_parse_take(struct mw_parse *parse, const char *place, size_t size);

/* Gives taken bytes back that were not kept. What was unpacked in vain has a bound as
 * well, or else each of many files could cost all there is. */
void mw_parse_give(struct mw_parse *parse, size_t size);

/*
 * Bytes that scanners which unpack by themselves may unpack of the whole message, beside the
 * parts as they are. By its size twice what we may, as they look into an archive once for
 * each that holds it.
 */
size_t mw_parse_scan_most(const struct mw_parse *parse);

/* Whether so much was unpacked in vain that no more is. */
bool mw_parse_is_spent(const struct mw_parse *parse);

/* Whether one more reading may be opened at place; false after recording the bound. */
bool mw_parse_reading(struct mw_parse *parse, const char *place);

/*
 * Adds the finding mime.ambiguous: readers differ over the part at place, in this. detail,
 * what they differ in, may be NULL. Once for each place and kind.
 */
void mw_parse_ambiguous(struct mw_parse *parse, const char *place, enum mw_reading reading,
                        const char *detail);

/* Whether the message's time is up; recorded the first time. Asked in each loop over
 * what came from outside. */
bool mw_parse_expired(struct mw_parse *parse);

#endif
