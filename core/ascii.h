/*
 * ascii: letters and hexadecimal digits as protocols mean them, whatever the locale.
 */
#ifndef MW_CORE_ASCII_H
#define MW_CORE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

/* A letter in lower case; every other byte as it is. */
static inline char mw_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Changes text (NULL: none) in place and returns it. */
char *mw_ascii_lower_text(char *text);

/* The value of a hexadecimal digit, or -1. */
int mw_hex_value(char c);

/* Whether text is so many hexadecimal digits and nothing else, in either case. */
bool mw_hex_is(const char *text, size_t digits);

/* Writes size bytes as 2 * size digits in lower case and a NUL. */
void mw_hex_write(char *out, const void *data, size_t size);

#endif
