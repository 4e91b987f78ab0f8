/*
 * source: where in a report the values of a filter come from, and in which form they
 * are remembered. One table; doc/bloom-format.md describes each.
 */
#ifndef MW_BLOOM_SOURCE_H
#define MW_BLOOM_SOURCE_H

#include "bloom/normal.h"
#include "core/report.h"

struct mw_source {
    unsigned kind;      /* place in the table */
    const char *header; /* NAME of header:NAME, borrowed from the text it was read from */
};

/* Reads a source by its name; MW_ERR_INPUT names the nearest one, or all. */
int mw_source_find(struct mw_source *source, const char *name, struct mw_error *error);

/* The form in which values of the source are remembered. */
enum mw_normal mw_source_normal(const struct mw_source *source);

/* Whether values come from more than a message's header fields. */
bool mw_source_needs_body(const struct mw_source *source);

/* Appends the source's values in the report, as they stand there. What is not in the
 * report itself is allocated from arena. */
void mw_source_collect(const struct mw_source *source, const struct mw_report *report,
                       struct mw_arena *arena, struct mw_texts *values);

/* Its name: of header:NAME, "header". */
const char *mw_source_name_of(const struct mw_source *source);

/* The name in the table at index, NULL past its end: for help and tests. */
const char *mw_source_name(size_t index);

#endif
