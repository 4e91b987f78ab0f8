/*
 * heap_count: preloaded, counts what a process holds of the heap: bytes and blocks, as two
 * longs in the file that HEAP_COUNT names. Only the process that makes the file counts, and
 * none that it forks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct held {
    atomic_long bytes, blocks;
};

static struct held before, *_Atomic held = &before;

/* glibc's own, under the names that it gives to those who replace them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void count(void *block, int sign)
{
    struct held *to = held;
    if (!block || !to)
        return;
    atomic_fetch_add(&to->bytes, sign * (long)malloc_usable_size(block));
    atomic_fetch_add(&to->blocks, sign);
}

static void *counted(void *block)
{
    count(block, 1);
    return block;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
    return counted(__libc_calloc(number, size));
}

void *realloc(void *block, size_t size)
{
    struct held *to = held;
    long old = block && to ? (long)malloc_usable_size(block) : 0;
    void *now = __libc_realloc(block, size);
    if (to && (now || size == 0)) {
        atomic_fetch_add(&to->bytes, (now ? (long)malloc_usable_size(now) : 0) - old);
        atomic_fetch_add(&to->blocks, (now != NULL) - (block != NULL));
    }
    return now;
}

void free(void *block)
{
    int error = errno;
    count(block, -1);
    __libc_free(block);
    errno = error;
}

void *memalign(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    return (*block = memalign(alignment, size)) ? 0 : ENOMEM;
}

static void forget(void)
{
    held = NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HEAP_COUNT");
    int file = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    struct held *shared =
        file >= 0 && ftruncate(file, sizeof *shared) == 0
            ? mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
            : MAP_FAILED;
    if (file >= 0)
        close(file);
    held = NULL;
    if (shared == MAP_FAILED)
        return;
    atomic_store(&shared->bytes, before.bytes);
    atomic_store(&shared->blocks, before.blocks);
    held = shared;
    pthread_atfork(NULL, NULL, forget);
}
