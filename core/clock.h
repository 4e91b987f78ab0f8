/*
 * clock: the monotonic clock, by which deadlines and waiting are counted. Thread-safe.
 */
#ifndef MW_CORE_CLOCK_H
#define MW_CORE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t mw_clock_us(void); /* microseconds */
int64_t mw_clock_ms(void); /* milliseconds */

/* Makes a condition whose waits end by this clock, and such a time of it for
 * pthread_cond_timedwait. */
void mw_clock_condition(pthread_cond_t *condition);
struct timespec mw_clock_time(int64_t us);

#endif
