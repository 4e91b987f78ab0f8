/*
 * print: how a command shows reports: a small interface with one file a form.
 */
#ifndef MW_CLI_PRINT_H
#define MW_CLI_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "core/error.h"
#include "core/report.h"

struct mw_printer {
    /* Each returns 0 or a negative code with error filled. */
    int (*report)(void *state, const struct mw_report *report, struct mw_error *error);
    int (*end)(void *state, struct mw_error *error);
    void (*free)(void *state);
    void *state;
};

/* JSON, one report after the other, to out (borrowed). */
struct mw_printer mw_printer_json(FILE *out, enum mw_json_form form);

/* An aligned table to out (borrowed), a line a message, totals at the end. */
struct mw_printer mw_printer_summary(FILE *out);

/* Each report laid out, to out (borrowed); parts: of card.h. */
struct mw_printer mw_printer_text(FILE *out, unsigned parts);

/* Lines of CSV to out (borrowed), as export_csv.h tells. */
struct mw_printer mw_printer_csv(FILE *out);

/* Elastic Common Schema, one document a line, as export_ecs.h tells. */
struct mw_printer mw_printer_ecs(FILE *out);

/* Prints a JSON object in one line and gives it up; what would not show is escaped.
 * MW_ERR_SYSTEM when it cannot be written. */
int mw_json_line(FILE *out, json_t *object, struct mw_error *error);

#endif
