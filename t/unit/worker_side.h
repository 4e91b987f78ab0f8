/*
 * worker_side: for code of a test that runs inside a worker: what it was given to answer.
 */
#ifndef MW_T_UNIT_WORKER_SIDE_H
#define MW_T_UNIT_WORKER_SIDE_H

#include <fcntl.h>
#include <sys/stat.h>

enum { DESCRIPTORS = 32 };

/* The file that a worker's report is to be written to. */
static inline int find_file(void)
{
    int fd = 3;
    while (fd < DESCRIPTORS &&
           (fcntl(fd, F_GET_SEALS) < 0 ||
            (fcntl(fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0))
        fd++;
    return fd;
}

/* The pipe that tells of it. */
static inline int find_pipe(void)
{
    struct stat facts;
    int fd = 3;
    while (fd < DESCRIPTORS && (fstat(fd, &facts) != 0 || !S_ISFIFO(facts.st_mode) ||
                                (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY))
        fd++;
    return fd;
}

#endif
