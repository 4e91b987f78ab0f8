/*
 * export_csv: reports as comma-separated values (RFC 4180), for spreadsheets.
 *
 * A line a message; fields with several values have them separated by "; ". UTF-8,
 * lines end in CRLF. A cell that a spreadsheet would take for a formula (it begins
 * with = + - @, their full-width forms, tab or carriage return) gets an apostrophe
 * in front: what a sender writes must not run on an analyst's desk.
 */
#ifndef MW_CLI_EXPORT_CSV_H
#define MW_CLI_EXPORT_CSV_H

#include <stdio.h>

#include "core/report.h"

/* Each returns 0 or MW_ERR_SYSTEM. */
int mw_csv_heading(FILE *out, struct mw_error *error);
int mw_csv_report(FILE *out, const struct mw_report *report, struct mw_error *error);

/* One cell, quoted and defused where it must be; the separator is the caller's. */
void mw_csv_cell(FILE *out, const char *text);

#endif
