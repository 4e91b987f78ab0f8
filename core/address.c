/* address: the last colon parts the two. */
#include "core/address.h"

#include <stdlib.h>
#include <string.h>

bool mw_address_is_port(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size < MW_PORT_SIZE && strspn(text, "0123456789") == size &&
           atoi(text) <= 65535;
}

bool mw_address_split(const char *text, char host[MW_HOST_SIZE], char port[MW_PORT_SIZE])
{
    const char *colon = strrchr(text, ':');
    if (!colon || !mw_address_is_port(colon + 1))
        return false;
    size_t size = (size_t)(colon - text);
    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    } else if (memchr(text, ':', size)) {
        return false;
    }
    if (size == 0 || size >= MW_HOST_SIZE || memchr(text, '[', size) || memchr(text, ']', size))
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}
