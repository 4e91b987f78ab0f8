/*
 * worker_side: for code of a test that runs inside a worker: what it has open.
 */
#ifndef MW_T_UNIT_WORKER_SIDE_H
#define MW_T_UNIT_WORKER_SIDE_H

#include <sys/stat.h>

enum { DESCRIPTORS = 32 };

/* Its end of the job channel. */
static inline int find_jobs(void)
{
    struct stat facts;
    int fd = 3;
    while (fd < DESCRIPTORS && (fstat(fd, &facts) != 0 || !S_ISSOCK(facts.st_mode)))
        fd++;
    return fd;
}

#endif
