/*
 * time: the time of day, and how it is written: RFC 3339, in UTC. Deadlines are counted by
 * core/clock.h. Thread-safe.
 */
#ifndef MW_CORE_TIME_H
#define MW_CORE_TIME_H

#include <stdint.h>

enum { MW_TIME_SIZE = 40 };

/* Milliseconds since 1970. */
int64_t mw_time_now(void);

/* Milliseconds since 1970 as "2026-11-01T14:05:00.123Z"; "" for what no calendar has. */
void mw_time_text(int64_t ms, char out[MW_TIME_SIZE]);

/* Seconds as "2026-11-01T14:05:00Z". */
void mw_time_seconds_text(int64_t seconds, char out[MW_TIME_SIZE]);

#endif
