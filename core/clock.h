/*
 * clock: the monotonic clock, by which deadlines and waiting are counted. Thread-safe.
 */
#ifndef MW_CORE_CLOCK_H
#define MW_CORE_CLOCK_H

#include <stdint.h>

int64_t mw_clock_us(void); /* microseconds */
int64_t mw_clock_ms(void); /* milliseconds */

#endif
