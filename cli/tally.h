/*
 * tally: how often each text came.
 */
#ifndef MW_CLI_TALLY_H
#define MW_CLI_TALLY_H

#include <jansson.h>
#include <stdint.h>

struct mw_tally;

struct mw_tally *mw_tally_new(void);
void mw_tally_free(struct mw_tally *tally);

/* Counts text once more; NULL and "" do not count. */
void mw_tally_add(struct mw_tally *tally, const char *text);

/* The most frequent ones, at most `most`, as an array of {"value", "count"}, the first the
 * most frequent; a new reference. */
json_t *mw_tally_top(const struct mw_tally *tally, size_t most);

#endif
