/* number: the form is checked here, the value is strtod(3)'s. */
#include "core/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

bool mw_number_read(const char *text, double *value, const char **rest)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, digits), fraction = 0;
    at += whole;
    if (*at == '.') {
        fraction = strspn(at + 1, digits);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    const char *exponent = at + 1;
    exponent += (*at == 'e' || *at == 'E') && (*exponent == '-' || *exponent == '+');
    if ((*at == 'e' || *at == 'E') && strspn(exponent, digits) > 0)
        at = exponent + strspn(exponent, digits);
    *rest = at;
    /* strtod(3) takes as much, but for "0x10", whose end is elsewhere. */
    char *end;
    *value = strtod(text, &end);
    if (end != at)
        *value = 0;
    return isfinite(*value);
}
