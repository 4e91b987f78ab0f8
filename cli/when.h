/*
 * when: points in time as people write them, on the command line.
 */
#ifndef MW_CLI_WHEN_H
#define MW_CLI_WHEN_H

#include <stdint.h>

#include "core/error.h"

/* Which end of what was written is meant: "2026-11-01" begins at midnight as a
 * --since, and lasts until midnight as an --until. */
enum mw_when_edge { MW_WHEN_START, MW_WHEN_END };

/*
 * Reads text, as it is understood at now (milliseconds since 1970) in the local
 * time zone, into *ms, the last millisecond of it with MW_WHEN_END:
 *
 *   2026-11-01, 2026-11, 2026, with a time behind a blank or T: 14:05, 14:05:30.250,
 *   with Z, +02:00 or +0200 behind that (RFC 3339)
 *   now, today, yesterday, monday ... sunday (the latest, today included), each but
 *   now with a time behind it; 14:05 alone is today's
 *   7d, 90 min, "2 hours ago", "1 week 2 days ago": from ms, s, min, h, d, w, month, year
 *   @1793000000: seconds since 1970
 *
 * MW_ERR_INPUT with what is allowed. Thread-safe.
 */
int mw_when_parse(const char *text, int64_t now, enum mw_when_edge edge, int64_t *ms,
                  struct mw_error *error);

enum { MW_WHEN_SIZE = 40 };

/* "2026-11-24 20:11:38" in the local time zone, for tables. */
void mw_when_local(int64_t ms, char out[MW_WHEN_SIZE]);

#endif
