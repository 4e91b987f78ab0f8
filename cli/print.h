/*
 * print: how a command shows reports: a small interface with one file a form.
 */
#ifndef MW_CLI_PRINT_H
#define MW_CLI_PRINT_H

#include "core/error.h"
#include "core/report.h"

struct mw_printer {
    /* Each returns 0 or a negative code with error filled. */
    int (*report)(void *state, const struct mw_report *report, struct mw_error *error);
    int (*end)(void *state, struct mw_error *error);
    void (*free)(void *state);
    void *state;
};

/* JSON on standard output, one report after the other. */
struct mw_printer mw_printer_json(enum mw_json_form form);

/* An aligned table on standard output, a line a message, totals at the end;
 * columns wide; colours when colour. */
struct mw_printer mw_printer_summary(int columns, bool colour);

#endif
