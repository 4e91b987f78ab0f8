/*
 * tap: the Test Anything Protocol for unit tests in C. Include it in the one
 * file of a test program; end main with `return tap_done();`.
 */
#ifndef MW_T_UNIT_TAP_H
#define MW_T_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned tap_count, tap_failed;

/* One test; name (printf) is a sentence stating the promise. Returns ok. */
__attribute__((format(printf, 2, 3))) static inline bool tap_ok(bool ok, const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    printf("%sok %u - ", ok ? "" : "not ", ++tap_count);
    vprintf(name, arguments);
    putchar('\n');
    va_end(arguments);
    tap_failed += !ok;
    fflush(stdout);
    return ok;
}

/* Compares two strings, either of which may be NULL; shows both on failure. */
static inline bool tap_is(const char *got, const char *wanted, const char *name)
{
    bool same = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
    tap_ok(same, "%s", name);
    if (!same)
        printf("# got:    %s\n# wanted: %s\n", got ? got : "(null)", wanted ? wanted : "(null)");
    return same;
}

/* Compares two numbers; shows both on failure. */
static inline bool tap_is_number(long long got, long long wanted, const char *name)
{
    tap_ok(got == wanted, "%s", name);
    if (got != wanted)
        printf("# got:    %lld\n# wanted: %lld\n", got, wanted);
    return got == wanted;
}

/* Prints the plan; returns main's exit status. */
static inline int tap_done(void)
{
    printf("1..%u\n", tap_count);
    return tap_failed > 0;
}

#endif
