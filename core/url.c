/* url: authority, then what stands around the host in it. */
#include "core/url.h"

#include <string.h>

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
    return size > 0 ? mw_arena_dup_bytes(arena, start, size) : NULL;
}
