/* open_files: how many descriptors this process has open, to see that none is left over. */
#ifndef MW_T_UNIT_OPEN_FILES_H
#define MW_T_UNIT_OPEN_FILES_H

#include <dirent.h>

static inline int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

#endif
