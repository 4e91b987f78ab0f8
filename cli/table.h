/*
 * table: rows printed as they come: aligned for people on a terminal, else with tabs between
 * cells, for programs.
 */
#ifndef MW_CLI_TABLE_H
#define MW_CLI_TABLE_H

#include <stdio.h>

#include "core/error.h"
#include "core/report.h"

enum { MW_TABLE_COLUMNS = 12 };

struct mw_column {
    const char *heading;
    int width;  /* in columns of the terminal, at least */
    int share;  /* of the room that is left over; 0: none */
    bool right; /* aligned to the right: numbers */
};

struct mw_table;

/*
 * A table of count columns on out (borrowed, as the headings are). On a terminal
 * cells are cut to fit it; elsewhere they are whole, with a tab between two.
 */
struct mw_table *mw_table_new(FILE *out, const struct mw_column *columns, size_t count);
void mw_table_free(struct mw_table *table);

/* Prints a row, the headings before the first. NULL cells show "-". A verdict
 * colours the first cell; pass -1 for none. MW_ERR_SYSTEM when it cannot be written. */
int mw_table_row(struct mw_table *table, const char *const *cells, int verdict,
                 struct mw_error *error);

#endif
