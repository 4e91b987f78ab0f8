/*
 * terminal: what is safe and fits on a terminal.
 */
#ifndef MW_CLI_TERMINAL_H
#define MW_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/report.h"

/* Columns of the terminal behind out; COLUMNS or 100 where there is none. */
int mw_terminal_columns(FILE *out);

/* Whether out takes colours: a terminal, and NO_COLOR is unset or empty. */
bool mw_terminal_colour(FILE *out);

enum mw_cell {
    MW_CELL_LEFT,  /* cut with an ellipsis, or filled up with blanks behind it */
    MW_CELL_RIGHT, /* cut, or filled up before it */
    MW_CELL_WHOLE  /* never cut; filled up behind it */
};

/* Prints text (UTF-8) in width columns. What does not print is shown as "?", and what would not
 * show is spelled out ("<U+202E>"). */
void mw_terminal_cell(FILE *out, const char *text, int width, enum mw_cell form);

/* Prints text of several lines, each behind indent; all that a terminal might obey
 * (escapes, carriage returns, other controls) is shown as "?". Ends with a newline. */
void mw_terminal_text(FILE *out, const char *text, const char *indent);

enum { MW_SIZE_TEXT = 16 };

/* "17B", "1.2K", "3.4M". */
void mw_terminal_size(int64_t size, char out[MW_SIZE_TEXT]);

/* The escape sequence of a verdict's colour, and the one that ends it. */
const char *mw_terminal_verdict(enum mw_verdict verdict);
/* That of a finding: of the verdict that follows; "" when none does. */
const char *mw_terminal_severity(enum mw_severity severity);
#define MW_TERMINAL_PLAIN "\033[0m"

#endif
