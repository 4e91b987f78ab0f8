/*
 * count_work: work counted, not timed: each basic block that our own code runs, each byte
 * that the C library's searches and copies pass over, and each step of a regular expression.
 * For programs linked with libmwcounted.a and COUNT_WORK_LDFLAGS (t/Makefile.inc). The same
 * input costs the same on every machine. What other libraries do inside is not counted.
 */
#ifndef MW_T_UNIT_COUNT_WORK_H
#define MW_T_UNIT_COUNT_WORK_H

#include <stdint.h>

/* All so far. */
extern uint64_t mw_work_counted;

#endif
