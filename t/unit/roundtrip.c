/* roundtrip: reads reports as JSON lines, writes each as it was understood: what
 * comes out must be what went in (t/210-fixtures.t compares). As the commands print them. */
#include <stdio.h>
#include <stdlib.h>

#include "core/json_out.h"
#include "core/report.h"

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) {
        struct mw_error error = {0};
        struct mw_report *report =
            mw_report_from_json((struct mw_bytes){(unsigned char *)line, (size_t)size}, &error);
        char *text = report ? mw_json_show(mw_report_to_json(report, MW_JSON_LINE, &error)) : NULL;
        printf("%s\n", text ? text : error.text);
        free(text);
        mw_report_free(report);
    }
    free(line);
    return 0;
}
