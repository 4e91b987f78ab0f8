/*
 * settings: what a filter is told by the configuration; plain values, all borrowed
 * from whoever loaded them.
 */
#ifndef MW_BLOOM_SETTINGS_H
#define MW_BLOOM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct mw_tracked_settings {
    const char *name;   /* as in new.NAME of a report */
    const char *source; /* what is remembered; see source.h */
    const char *file;
    uint64_t capacity; /* values; it grows beyond */
    double fp_rate;
    const char *sync; /* "always", "everysec", or seconds */
    bool strip_plus_tag;
    unsigned new_for_s; /* so long after it was learned a value is still new */
};

#endif
