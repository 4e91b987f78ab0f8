/*
 * indicator: what an analyst would look up: addresses of pages, hosts and people,
 * hashes, also in the disguised forms in which people write them (hxxp, [.]).
 */
#ifndef MW_PARSERS_INDICATOR_H
#define MW_PARSERS_INDICATOR_H

#include "core/error.h"
#include "parsers/parse.h"

/* Compiled patterns; one thread at a time. NULL with error. */
struct mw_indicator;
struct mw_indicator *mw_indicator_new(struct mw_error *error);
void mw_indicator_free(struct mw_indicator *indicator);

/*
 * Adds to the indicators of parse's report what is found in text (valid UTF-8), each once,
 * at most limits.indicators of a kind, until the message's time is up. Time grows with the
 * length of text. Domains are those with a suffix on the public list (libpsl). place names
 * the text in problems.
 */
void mw_indicator_find(struct mw_indicator *indicator, struct mw_parse *parse, const char *place,
                       const char *text);

#endif
