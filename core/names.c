/* names: a walk of the list. */
#include "core/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

int mw_names_find(const char *const *names, const char *text)
{
    for (int i = 0; text && names[i]; i++)
        if (strcasecmp(names[i], text) == 0)
            return i;
    return -1;
}

int mw_names_choose(const char *const *names, int first, const char *text, struct mw_error *error)
{
    char all[512] = "";
    int at = mw_names_find(names + first, text);
    if (at >= 0)
        return first + at;
    for (const char *const *name = names + first; *name; name++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "", *name);
    }
    return mw_fail(error, MW_ERR_INPUT, "'%s' is none of %s", text, all);
}
