/* ascii: loops over bytes. */
#include "core/ascii.h"

char *mw_ascii_lower_text(char *text)
{
    for (char *c = text; c && *c; c++)
        *c = mw_ascii_lower(*c);
    return text;
}

int mw_hex_value(char c)
{
    c = mw_ascii_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mw_hex_is(const char *text, size_t digits)
{
    size_t size = 0;
    while (size < digits && mw_hex_value(text[size]) >= 0)
        size++;
    return size == digits && text[size] == '\0';
}

void mw_hex_write(char *out, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}
