/* print_json: reports as JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/print.h"

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    const enum mw_json_form *form = state;
    char *text = mw_report_to_json(report, *form, error);
    if (!text)
        return error->code;
    int written = puts(text);
    free(text);
    return written < 0 ? mw_fail_errno(error, "cannot write the output") : 0;
}

static int print_end(void *state, struct mw_error *error)
{
    (void)state;
    return fflush(stdout) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

struct mw_printer mw_printer_json(enum mw_json_form form)
{
    enum mw_json_form *state = malloc(sizeof *state);
    if (!state)
        abort();
    *state = form;
    return (struct mw_printer){print_report, print_end, free, state};
}
