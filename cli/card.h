/*
 * card: one report, or one attachment of it, laid out for a person to read.
 */
#ifndef MW_CLI_CARD_H
#define MW_CLI_CARD_H

#include <stdio.h>

#include "core/report.h"

enum {
    MW_CARD_HEADERS = 1, /* every header field */
    MW_CARD_BODY = 2,    /* the whole text; without it its first lines */
    MW_CARD_HTML = 4     /* the source of the HTML body */
};

/* Writes the report to out. What it holds cannot command the terminal.
 * MW_ERR_SYSTEM when it cannot be written. */
int mw_card_print(FILE *out, const struct mw_report *report, unsigned parts,
                  struct mw_error *error);

/* "  name         value": one line of a card; nothing for NULL or "". */
void mw_card_line(FILE *out, const char *name, const char *value);

/* A heading, bold on a terminal, with an empty line before it. */
void mw_card_heading(FILE *out, const char *text);

#endif
