/* share: a walk of /proc/self/maps. */
#include "worker/share.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { LARGE_PAGE = 2 << 20, LEAST = 8 << 20, MOST_MAPS = 4096 };

/* Private, writable memory of no file. */
static int is_own_memory(const char *line, uintptr_t *start, uintptr_t *end)
{
    unsigned long from, to, inode;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &from, &to, rights, &inode) != 4)
        return 0;
    *start = (from + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    *end = to / LARGE_PAGE * LARGE_PAGE;
    return strcmp(rights, "rw-p") == 0 && inode == 0 && !strstr(line, "[stack]") && from < to &&
           to - from >= LEAST && *start < *end;
}

void mw_share_memory(void)
{
    struct range {
        uintptr_t start, end;
    } ranges[64];
    size_t count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    /* First all are read: the mappings change under who reads them. */
    for (int i = 0; maps && i < MOST_MAPS && count < 64 && fgets(line, sizeof line, maps); i++)
        if (is_own_memory(line, &ranges[count].start, &ranges[count].end))
            count++;
    if (maps)
        fclose(maps);
    for (size_t i = 0; i < count; i++)
        madvise((void *)ranges[i].start, // NOLINT(performance-no-int-to-ptr)
                ranges[i].end - ranges[i].start, MADV_COLLAPSE);
}
