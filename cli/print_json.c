/* print_json: reports as JSON. */
#include <stdlib.h>

#include "cli/print.h"
#include "core/json_out.h"

struct json_output {
    FILE *out;
    enum mw_json_form form;
};

int mw_json_line(FILE *out, json_t *object, struct mw_error *error)
{
    char *text = mw_json_show(json_dumps(object, JSON_COMPACT));
    json_decref(object);
    bool written = fprintf(out, "%s\n", text ? text : "null") > 0;
    free(text);
    return written ? 0 : mw_fail_errno(error, "cannot write the output");
}

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    const struct json_output *json = state;
    char *text = mw_json_show(mw_report_to_json(report, json->form, error));
    if (!text)
        return error->code;
    int written = fprintf(json->out, "%s\n", text);
    free(text);
    return written < 0 ? mw_fail_errno(error, "cannot write the output") : 0;
}

static int print_end(void *state, struct mw_error *error)
{
    const struct json_output *json = state;
    return fflush(json->out) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

struct mw_printer mw_printer_json(FILE *out, enum mw_json_form form)
{
    struct json_output *state = malloc(sizeof *state);
    if (!state)
        abort();
    *state = (struct json_output){out, form};
    return (struct mw_printer){print_report, print_end, free, state};
}
