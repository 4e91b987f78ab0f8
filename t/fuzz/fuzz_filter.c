/*
 * fuzz_filter: the file of a filter, as whatever lies there: its header, opening it for
 * reading and for writing, asking, adding and growing. Beyond not crashing, it holds
 * the promises that what was added is seen, and that what could be opened for writing
 * can be opened again.
 *
 * The first byte of an input tells which copies of the header get a sound checksum
 * (nothing else would ever pass), the second the file's size in pages; then comes the
 * file.
 */
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <xxhash.h>

#include "bloom/filter.h"
#include "bloom/header.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE = 4096, MOST = 64 * PAGE, LARGEST_FILE = 8 << 20 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* A file that wants to grow by gigabytes is refused. */
    struct rlimit limit = {LARGEST_FILE, LARGEST_FILE};
    setrlimit(RLIMIT_FSIZE, &limit);
    return 0;
}

static void fail(const char *what, const struct mw_error *error)
{
    fprintf(stderr, "broken promise: %s: %s\n", what, error->text);
    abort();
}

static void mend_checksum(unsigned char *copy)
{
    uint64_t sum = htole64(XXH3_64bits(copy, MW_BLOOM_COPY_SIZE - 8));
    memcpy(copy + MW_BLOOM_COPY_SIZE - 8, &sum, sizeof sum);
}

/* A file in memory with what the input says; its descriptor. */
static int make_file(const uint8_t *data, size_t size, char *path, size_t room)
{
    static unsigned char file[MOST];
    memset(file, 0, sizeof file);
    memcpy(file, data + 2, size - 2 < MOST ? size - 2 : MOST);
    if (data[0] & 1)
        mend_checksum(file);
    if (data[0] & 2)
        mend_checksum(file + MW_BLOOM_COPY_SIZE);
    int fd = memfd_create("fuzz_filter", MFD_CLOEXEC);
    size_t length = (size_t)(data[1] % 65) * PAGE;
    if (fd < 0 || write(fd, file, length) != (ssize_t)length)
        abort();
    snprintf(path, room, "/proc/self/fd/%d", fd);
    return fd;
}

static void read_filter(const char *path, struct mw_bytes value)
{
    struct mw_error error = {0};
    struct mw_filter_info info;
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    if (!filter) {
        if (error.code == MW_OK || error.text[0] == '\0')
            fail("every refusal has a reason", &error);
        return;
    }
    bool one = mw_filter_seen(filter, value), many = !one;
    mw_filter_seen_many(filter, &value, 1, &many);
    if (one != many)
        fail("a batch answers as one query", &error);
    mw_filter_get_info(filter, &info);
    mw_filter_get_counts(filter, &info);
    mw_filter_close(filter);
}

static void write_filter(const char *path, struct mw_bytes value)
{
    struct mw_error error = {0};
    bool is_new;
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, 60000, &error);
    if (!filter)
        return;
    mw_filter_add(filter, value, &is_new, &error);
    if (!mw_filter_seen(filter, value))
        fail("what was added is seen", &error);
    mw_filter_close(filter);
    filter = mw_filter_open(path, MW_FILTER_WRITE, 60000, &error);
    if (!filter || !mw_filter_seen(filter, value))
        fail("what was written can be opened again and knows it", &error);
    mw_filter_close(filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct mw_bytes value = {data, size};
    if (size < 2)
        return 0;
    signal(SIGXFSZ, SIG_IGN); /* libFuzzer takes it over once it is initialised */
    int fd = make_file(data, size, path, sizeof path);
    read_filter(path, value);
    write_filter(path, value);
    close(fd);
    return 0;
}
