/*
 * counters: what the daemon did so far. Each is atomic on its own; any thread.
 */
#ifndef MW_MILTER_COUNTERS_H
#define MW_MILTER_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/report.h"
#include "milter/failure.h"

struct mw_counters {
    atomic_uint_fast64_t connections, connections_open;
    atomic_uint_fast64_t messages, messages_open; /* begun; between MAIL and their end */
    atomic_uint_fast64_t aborted;                 /* by the client, before their end */
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t actions[MW_ACTIONS];
    atomic_uint_fast64_t verdicts[MW_VERDICTS];
    atomic_uint_fast64_t failures[MW_FAILURE_COUNT];
    atomic_uint_fast64_t reloads, reloads_failed;
};

#endif
