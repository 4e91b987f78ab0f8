/*
 * recent: which values a filter learned not long ago, so that a stranger stays new for a
 * while. A small file beside the filter's, FILE.recent, of one size whatever comes: where it
 * is full the oldest are dropped, and are known a little early.
 *
 * Like the filter it is written by one process and read by any number, without locks, and
 * survives a killed writer. A power cut may lose what is newest.
 */
#ifndef MW_BLOOM_RECENT_H
#define MW_BLOOM_RECENT_H

#include "bloom/filter.h"
#include "core/arena.h"

struct mw_recent;

/* Values it has room for: 1 MiB. */
enum { MW_RECENT_MOST = 131072 };

/* The name of the file beside filter_path, in arena. */
const char *mw_recent_path(struct mw_arena *arena, const char *filter_path);

/* Makes the file, its space reserved; 0 as well when it is there. */
int mw_recent_create(const char *filter_path, struct mw_error *error);

/*
 * Opens it; who writes makes it when it is not there, and has the filter open for writing.
 * A value stays recent for new_for_s seconds. NULL with error naming file and remedy;
 * MW_ERR_MISSING: a reader finds none.
 */
struct mw_recent *mw_recent_open(const char *filter_path, enum mw_filter_access access,
                                 unsigned new_for_s, struct mw_error *error);

/* NULL allowed. */
void mw_recent_close(struct mw_recent *recent);

/* Notes that value was learned at now_s (seconds since 1970), unless it is recent. Any
 * thread. */
void mw_recent_note(struct mw_recent *recent, struct mw_bytes value, int64_t now_s);

/* Whether value was learned less than new_for_s before now_s. Any thread. */
bool mw_recent_has(const struct mw_recent *recent, struct mw_bytes value, int64_t now_s);

/* Whether value is new at this moment: not in the filter, or recent. recent may be NULL. */
bool mw_recent_is_new(struct mw_filter *filter, const struct mw_recent *recent,
                      struct mw_bytes value);

#endif
