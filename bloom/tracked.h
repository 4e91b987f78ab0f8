/*
 * tracked: the filters of a configuration, and what a message shows them.
 */
#ifndef MW_BLOOM_TRACKED_H
#define MW_BLOOM_TRACKED_H

#include "bloom/filter.h"
#include "bloom/settings.h"
#include "core/report.h"

struct mw_tracked;

/*
 * Reads settings->sync: milliseconds, or MW_FILTER_SYNC_ALWAYS. MW_ERR_INPUT tells
 * what is allowed.
 */
int mw_tracked_sync(const char *text, int *sync_ms, struct mw_error *error);

/*
 * Opens every filter for writing, making files that are not there (their folder must
 * be). NULL with error naming file and remedy: a wrong setting, two filters with one
 * file or name, a file that is locked, damaged or made for another capacity or rate
 * than the settings say, a folder that is missing. settings are copied. No filters at
 * all (count 0) is fine.
 */
struct mw_tracked *mw_tracked_open(const struct mw_tracked_settings *settings, size_t count,
                                   struct mw_error *error);

/*
 * Prepares filters that are to take the place of others: files that before has open are
 * shared, the rest is opened as by mw_tracked_open, so that nothing is left to fail. Messages go
 * on with before. Then either mw_tracked_replace, which closes before, while no message is at
 * either; or mw_tracked_abandon, after which all is as it was, files that were made included.
 * One thread at a time prepares, replaces, abandons or closes.
 */
struct mw_tracked *mw_tracked_prepare(struct mw_tracked *before,
                                      const struct mw_tracked_settings *settings, size_t count,
                                      struct mw_error *error);
void mw_tracked_replace(struct mw_tracked *tracked, struct mw_tracked *before);
void mw_tracked_abandon(struct mw_tracked *tracked); /* NULL allowed */

/* Flushes and closes. NULL allowed. */
void mw_tracked_close(struct mw_tracked *tracked);

/* The values of a message that filters are about, in their normal form: bringing them into
 * it is most of the work, and is done once. */
struct mw_recalled;

/*
 * Asks every filter about the message's values, each normalised as its source is:
 * report->new_values gets NAME: true when any of them was never seen before, or first so
 * lately that settings.new_for_s has not passed, NAME: false otherwise, nothing when there
 * was none. Nothing is remembered. Any thread, each with a report of its own. What is
 * returned, for mw_tracked_learn, lies in the report's arena.
 */
const struct mw_recalled *mw_tracked_recall(const struct mw_tracked *tracked,
                                            struct mw_report *report);

/*
 * Remembers the message's values in every filter, when memory learns from such a message
 * (core/learn.h, which also bounds how many a filter learns of one). recalled is of this
 * report, perhaps of the filters of before a reload, or NULL. Any thread. On an error (a
 * filter that cannot grow or flush: the last of them is told) all values have been remembered
 * in memory all the same: the message goes on.
 */
int mw_tracked_learn(struct mw_tracked *tracked, const struct mw_report *report,
                     const struct mw_recalled *recalled, struct mw_error *error);

/*
 * Whether the filter called name has seen value, which is normalised as its source
 * is; nothing is remembered. Any thread. MW_ERR_MISSING names the nearest filter.
 */
int mw_tracked_seen(const struct mw_tracked *tracked, const char *name, const char *value,
                    bool *seen, struct mw_error *error);

/* How a filter stands; cheap, read from its counters. */
struct mw_tracked_state {
    const char *name, *source, *file; /* borrowed from tracked */
    struct mw_filter_info info;
};

size_t mw_tracked_count(const struct mw_tracked *tracked);
void mw_tracked_get_state(const struct mw_tracked *tracked, size_t index,
                          struct mw_tracked_state *state);

#endif
