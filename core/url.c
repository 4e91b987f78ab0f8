/* url: authority, then what stands around the host in it. */
#include "core/url.h"

#include <arpa/inet.h>
#include <string.h>

/* A copy of size bytes; the one form of it when they are an IPv6 address. */
static char *form_of(struct mw_arena *arena, const char *host, size_t size)
{
    struct in6_addr binary;
    char form[INET6_ADDRSTRLEN];
    if (size > 0 && host[size - 1] == '.')
        size--;
    char *copy = mw_arena_dup_bytes(arena, host, size);
    if (inet_pton(AF_INET6, copy, &binary) == 1 && inet_ntop(AF_INET6, &binary, form, sizeof form))
        return mw_arena_dup(arena, form);
    return copy;
}

char *mw_url_host_form(struct mw_arena *arena, const char *host)
{
    size_t size = strlen(host);
    bool bracketed = size > 2 && host[0] == '[' && host[size - 1] == ']';
    return form_of(arena, host + bracketed, size - 2 * (size_t)bracketed);
}

char *mw_url_host(struct mw_arena *arena, const char *url)
{
    const char *start = strstr(url, "://");
    if (!start)
        return NULL;
    start += 3;
    size_t size = strcspn(start, "/?#\\");
    const char *user = memrchr(start, '@', size);
    if (user) {
        size -= (size_t)(user + 1 - start);
        start = user + 1;
    }
    const char *bracket = size > 0 && *start == '[' ? memchr(start, ']', size) : NULL;
    if (bracket) {
        start++;
        size = (size_t)(bracket - start);
    } else {
        const char *port = memchr(start, ':', size);
        if (port)
            size = (size_t)(port - start);
    }
    char *host = form_of(arena, start, size);
    return *host ? host : NULL;
}
