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

#endif
