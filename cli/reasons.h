/*
 * reasons: why messages were not scanned whole, counted, and what would change that.
 */
#ifndef MW_CLI_REASONS_H
#define MW_CLI_REASONS_H

#include <stdio.h>

#include "core/report.h"

enum { MW_REASONS = 16, MW_REASON_SIZE = 160 };

/* Start with zeroes. */
struct mw_reasons {
    size_t messages; /* whose verdict is unscanned */
    size_t count, more;
    struct {
        char text[MW_REASON_SIZE]; /* without the place */
        size_t messages;
    } items[MW_REASONS];
};

/* Counts the report's reasons, each once, when its verdict is unscanned. */
void mw_reasons_note(struct mw_reasons *reasons, const struct mw_report *report);

/* For people: a line a reason with what can be done; nothing when all was scanned. */
void mw_reasons_print(const struct mw_reasons *reasons, FILE *out);

#endif
