/* error: codes and their sentences. */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

/* Keeps the text one line of valid UTF-8, also when it was cut. */
static void tidy(struct mw_error *error)
{
    struct mw_bytes text = mw_bytes_of(error->text);
    error->text[mw_utf8_valid_prefix(text)] = '\0';
    for (char *c = error->text; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
}

int mw_fail(struct mw_error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->code = code;
    tidy(error);
    return code;
}

int mw_fail_errno(struct mw_error *error, const char *format, ...)
{
    int number = errno;
    if (!error)
        return MW_ERR_SYSTEM;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length;
    char buffer[128];
    if (used < sizeof error->text)
        snprintf(error->text + used, sizeof error->text - used, ": %s",
                 strerror_r(number, buffer, sizeof buffer));
    error->code = MW_ERR_SYSTEM;
    tidy(error);
    errno = number;
    return MW_ERR_SYSTEM;
}

const char *mw_code_name(int code)
{
    static const char *const names[] = {"ok",   "system",  "input",   "format",  "limit",
                                        "busy", "missing", "timeout", "internal"};
    int index = -code;
    if (index < 0 || (size_t)index >= sizeof names / sizeof *names)
        return "unknown";
    return names[index];
}
