/* limits: the defaults. */
#include "core/limits.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

void mw_limits_default(struct mw_limits *limits)
{
    *limits = (struct mw_limits){
        .message_size = (size_t)256 * MIB,
        .header_count = 10000,
        .header_length = (size_t)64 * KIB,
        .parts = 2000,
        .readings = 256,
        .depth = 32,
        .unpacked_size = (size_t)128 * MIB,
        .unpack_ratio = 200,
        .text_length = (size_t)1 * MIB,
        .address_count = 2000,
        .recipients = 2000,
        .findings_per_part = 256,
        .indicators = 2000,
        .errors = 200,
        .time_ms = 30000,
    };
}
