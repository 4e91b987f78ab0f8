/*
 * rows: messages and attachments as lines of a table, or of JSON.
 */
#ifndef MW_CLI_ROWS_H
#define MW_CLI_ROWS_H

#include "cli/reach.h"
#include "cli/table.h"

struct mw_rows;

/* Rows on standard output. */
struct mw_rows *mw_rows_messages(struct mw_reach *reach);
struct mw_rows *mw_rows_attachments(struct mw_reach *reach);
void mw_rows_free(struct mw_rows *rows);

/* Prints the hits, their facts fetched in one flight. Of a message that is no longer kept
 * its id and time are shown. */
int mw_rows_print(struct mw_rows *rows, const struct mw_hits *hits, struct mw_error *error);

/* The messages an attachment was in, the newest first, at most `most`; *all how many there
 * are. */
int mw_rows_receivers(struct mw_reach *reach, struct mw_arena *arena, const char *sha256,
                      size_t most, struct mw_hits *hits, int64_t *all, struct mw_error *error);

/* Messages as an array of their facts and ids, a new reference; NULL with error. */
json_t *mw_rows_to_json(struct mw_reach *reach, const struct mw_hits *hits, struct mw_error *error);

#endif
