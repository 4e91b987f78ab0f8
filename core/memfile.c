/* memfile: memfd_create(2), file seals, and one read-only mapping. */
#include "core/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Up to here reading a copy costs less than a mapping with its page faults. */
enum { COPY_MOST = 64 * 1024 };

struct mw_memfile {
    int fd;
    size_t size;
    void *map;
    size_t mapped;
    bool copied; /* map is memory of our own */
};

static struct mw_memfile *wrap(int fd, struct mw_error *error)
{
    struct mw_memfile *file = calloc(1, sizeof *file);
    if (!file) {
        mw_fail_errno(error, "cannot keep a memory file");
        close(fd);
        return NULL;
    }
    file->fd = fd;
    return file;
}

struct mw_memfile *mw_memfile_new(const char *name, struct mw_error *error)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        mw_fail_errno(error, "cannot create the memory file %s", name);
        return NULL;
    }
    return wrap(fd, error);
}

static void unmap(struct mw_memfile *file)
{
    if (file->copied)
        free(file->map);
    else if (file->map)
        munmap(file->map, file->mapped);
    file->copied = false;
    file->map = NULL;
    file->mapped = 0;
}

void mw_memfile_free(struct mw_memfile *file)
{
    if (!file)
        return;
    unmap(file);
    close(file->fd);
    free(file);
}

int mw_memfile_append(struct mw_memfile *file, struct mw_bytes bytes, size_t max,
                      struct mw_error *error)
{
    if (bytes.size > max || file->size > max - bytes.size)
        return mw_fail(error, MW_ERR_LIMIT, "more than the %zu bytes allowed", max);
    unmap(file);
    size_t done = 0;
    while (done < bytes.size) {
        ssize_t n =
            pwrite(file->fd, bytes.data + done, bytes.size - done, (off_t)(file->size + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mw_fail_errno(error, "cannot write to a memory file");
        done += (size_t)n;
    }
    file->size += bytes.size;
    return 0;
}

int mw_memfile_seal(struct mw_memfile *file, struct mw_error *error)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (fcntl(file->fd, F_ADD_SEALS, seals) != 0)
        return mw_fail_errno(error, "cannot seal a memory file");
    return 0;
}

static int copy_small(struct mw_memfile *file, struct mw_error *error)
{
    void *copy = malloc(file->size);
    ssize_t got = copy ? pread(file->fd, copy, file->size, 0) : -1;
    if (got != (ssize_t)file->size) {
        free(copy);
        return got < 0 ? mw_fail_errno(error, "cannot read a memory file of %zu bytes", file->size)
                       : mw_fail(error, MW_ERR_FORMAT, "a memory file of %zu bytes became shorter",
                                 file->size);
    }
    file->map = copy;
    file->mapped = file->size;
    file->copied = true;
    return 0;
}

int mw_memfile_map(struct mw_memfile *file, struct mw_bytes *bytes, struct mw_error *error)
{
    if (!file->map && file->size > 0 && file->size <= COPY_MOST && copy_small(file, error) != 0)
        return error->code;
    if (!file->map && file->size > 0) {
        void *map = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, file->fd, 0);
        if (map == MAP_FAILED)
            return mw_fail_errno(error, "cannot map a memory file of %zu bytes", file->size);
        file->map = map;
        file->mapped = file->size;
    }
    *bytes = (struct mw_bytes){file->map, file->size};
    return 0;
}

int mw_memfile_fd(const struct mw_memfile *file)
{
    return file->fd;
}

size_t mw_memfile_size(const struct mw_memfile *file)
{
    return file->size;
}

struct mw_memfile *mw_memfile_receive(int fd, size_t max, struct mw_error *error)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_WRITE)) {
        mw_fail(error, MW_ERR_FORMAT, "what was sent is not a sealed memory file");
        close(fd);
        return NULL;
    }
    if (fstat(fd, &status) != 0 || (size_t)status.st_size > max) {
        mw_fail(error, MW_ERR_LIMIT, "the memory file sent is larger than %zu bytes", max);
        close(fd);
        return NULL;
    }
    struct mw_memfile *file = wrap(fd, error);
    if (file)
        file->size = (size_t)status.st_size;
    return file;
}

struct mw_memfile *mw_memfile_adopt(int fd, size_t size, struct mw_error *error)
{
    struct mw_memfile *file = wrap(fd, error);
    if (file)
        file->size = size;
    return file;
}

static int find_size(struct mw_memfile *file, struct mw_error *error)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return mw_fail_errno(error, "cannot ask for the size of a memory file");
    file->size = (size_t)status.st_size;
    return 0;
}

int mw_memfile_settle(struct mw_memfile *file, size_t max, struct mw_error *error)
{
    unmap(file);
    if (find_size(file, error) != 0)
        return error->code;
    /* A small one is read into memory of our own. A large one will be mapped: its size counts
     * when nobody can change it any more. */
    if (file->size > COPY_MOST) {
        if (mw_memfile_seal(file, error) != 0)
            return mw_fail(error, MW_ERR_FORMAT, "a memory file is still being written to");
        if (find_size(file, error) != 0)
            return error->code;
    }
    if (file->size > max)
        return mw_fail(error, MW_ERR_LIMIT, "the memory file is larger than %zu bytes", max);
    return 0;
}
