/* values: getline(3). */
#include "cli/values.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mw_values_read(const char *path, int (*take)(void *user, const char *value), void *user,
                   struct mw_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    int result = 0;
    if (!file)
        return mw_fail_errno(error, "cannot read %s", path);
    for (ssize_t size; result == 0 && (size = getline(&line, &room, file)) > 0;) {
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            line[--size] = '\0';
        if (size > 0)
            result = take(user, line);
    }
    if (result == 0 && ferror(file))
        result = mw_fail_errno(error, "cannot read %s", path);
    free(line);
    if (!standard)
        fclose(file);
    return result;
}
