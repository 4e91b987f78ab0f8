/* file: the filter's file mapped, grown, flushed. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bloom/filter_private.h"
#include "core/clock.h"

/* Each layer is so many times larger than the one before. */
enum { GROWTH = 2, HEAD = MW_BLOOM_LAYERS };

int mw_filter_fail(struct mw_error *error, const char *path, const char *what)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return mw_fail(error, MW_ERR_LIMIT, "cannot %s %s: the disk is full", what, path);
    return mw_fail_errno(error, "cannot %s %s", what, path);
}

static int write_header(int fd, const struct mw_bloom_header *header)
{
    unsigned char copy[MW_BLOOM_COPY_SIZE];
    mw_bloom_header_write(header, copy);
    /* The copies take turns, so that one is always whole. */
    off_t at = (off_t)(header->generation % 2) * MW_BLOOM_COPY_SIZE;
    if (pwrite(fd, copy, sizeof copy, at) != (ssize_t)sizeof copy)
        return -1;
    return fdatasync(fd);
}

static int first_header(struct mw_bloom_header *header, uint64_t capacity, double fp_rate,
                        struct mw_error *error)
{
    *header = (struct mw_bloom_header){.version = MW_BLOOM_VERSION,
                                       .generation = 2,
                                       .capacity = capacity,
                                       .fp_rate = fp_rate,
                                       .created = (uint64_t)time(NULL),
                                       .layers = 1};
    /* Filters that are to be merged must hash alike: the seed is a constant. */
    header->seed = 0x6d61696c77697473u;
    header->layer[0].offset = MW_BLOOM_DATA_AT;
    if (!(fp_rate >= 1e-8 && fp_rate <= 0.5))
        return mw_fail(error, MW_ERR_INPUT,
                       "a filter's false-positive rate must be from 1e-8 to 0.5, not %g", fp_rate);
    if (mw_bloom_shape_for(&header->layer[0].shape, capacity, mw_bloom_layer_rate(fp_rate, 0),
                           error) != 0)
        return error->code;
    header->layer[0].sums = MW_BLOOM_DATA_AT + mw_bloom_layer_size(&header->layer[0].shape);
    return 0;
}

/* Tells why no file can be made at path, and what to do. */
static int fail_create(struct mw_error *error, const char *path)
{
    int why = errno;
    char *copy = strdup(path);
    const char *folder = copy ? dirname(copy) : "";
    if (why == ENOENT)
        mw_fail(error, MW_ERR_MISSING,
                "cannot create %s: there is no folder %s; make it, owned by the user who writes "
                "the filter",
                path, folder);
    else if (why == EACCES || why == EROFS)
        mw_fail(error, MW_ERR_SYSTEM, "cannot create %s: user %u may not write to the folder %s",
                path, (unsigned)geteuid(), folder);
    else if (why == EEXIST)
        mw_fail(error, MW_ERR_BUSY, "%s exists already: remove it, or use another name", path);
    else {
        errno = why;
        mw_filter_fail(error, path, "create");
    }
    free(copy);
    return error->code;
}

/* Puts a whole new filter into fd. */
static int fill_new(int fd, struct mw_bloom_header *header)
{
    uint64_t size = mw_bloom_header_end(header);
    /* Space is reserved now: a write to a mapping that finds the disk full kills. */
    errno = posix_fallocate(fd, 0, (off_t)size);
    if (errno != 0 || fchmod(fd, 0640) != 0 || write_header(fd, header) != 0)
        return -1;
    header->generation++;
    return write_header(fd, header);
}

/* Writes the folder's entry for path to disk. */
static int sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

int mw_filter_create(const char *path, uint64_t capacity, double fp_rate, struct mw_error *error)
{
    struct mw_bloom_header header;
    char *draft = NULL;
    if (first_header(&header, capacity, fp_rate, error) != 0)
        return error->code;
    /* Made under another name: under its own it is whole, or not there. */
    if (asprintf(&draft, "%s.XXXXXX", path) < 0)
        return mw_fail_errno(error, "cannot create %s", path);
    int fd = mkostemp(draft, O_CLOEXEC);
    int result = fd >= 0 && fill_new(fd, &header) == 0 && link(draft, path) == 0 ? 0 : -1;
    if (result == 0)
        sync_folder(path);
    else
        fail_create(error, path);
    if (fd >= 0) {
        unlink(draft);
        close(fd);
    }
    free(draft);
    return result == 0 ? 0 : error->code;
}

static void *map_region(struct mw_filter *filter, uint64_t offset, uint64_t size,
                        struct mw_error *error)
{
    int protection = PROT_READ | (filter->access == MW_FILTER_WRITE ? PROT_WRITE : 0);
    void *map = mmap(NULL, (size_t)size, protection, MAP_SHARED, filter->fd, (off_t)offset);
    if (map == MAP_FAILED) {
        mw_fail_errno(error, "cannot map %s", filter->path);
        return NULL;
    }
    madvise(map, (size_t)size, MADV_RANDOM);
    return map;
}

int mw_filter_map_sums(struct mw_filter *filter, unsigned layer, struct mw_error *error)
{
    const struct mw_bloom_layer *at = &filter->header.layer[layer];
    filter->sum_size[layer] = (size_t)mw_bloom_sums_size(&at->shape);
    filter->sum_map[layer] = map_region(filter, at->sums, filter->sum_size[layer], error);
    filter->sum_words[layer] = filter->sum_map[layer];
    return filter->sum_map[layer] ? 0 : MW_ERR_SYSTEM;
}

static int map_layer(struct mw_filter *filter, unsigned layer, struct mw_error *error)
{
    const struct mw_bloom_layer *at = &filter->header.layer[layer];
    filter->map_size[layer] = (size_t)mw_bloom_layer_size(&at->shape);
    filter->map[layer] = map_region(filter, at->offset, filter->map_size[layer], error);
    filter->words[layer] = (void *)filter->map[layer];
    if (!filter->map[layer])
        return MW_ERR_SYSTEM;
    return at->sums > 0 ? mw_filter_map_sums(filter, layer, error) : 0;
}

static void unmap_layer(struct mw_filter *filter, unsigned layer)
{
    if (filter->map[layer])
        munmap(filter->map[layer], filter->map_size[layer]);
    if (filter->sum_map[layer])
        munmap(filter->sum_map[layer], filter->sum_size[layer]);
    filter->map[layer] = NULL;
    filter->sum_map[layer] = NULL;
    filter->sum_words[layer] = NULL;
}

/* Reserves room for a layer and its checksums, and appends it to header. */
static int reserve_layer(struct mw_filter *filter, struct mw_bloom_header *header,
                         const struct mw_bloom_shape *shape, struct mw_error *error)
{
    struct mw_bloom_layer *next = &header->layer[header->layers];
    uint64_t end = mw_bloom_header_end(header), size = mw_bloom_layer_size(shape);
    *next = (struct mw_bloom_layer){.offset = end, .shape = *shape};
    if (header->version > 1) {
        next->sums = end + size;
        size += mw_bloom_sums_size(shape);
    }
    int reserved = posix_fallocate(filter->fd, (off_t)end, (off_t)size);
    if (reserved != 0) {
        /* What could be reserved of it goes back. */
        if (ftruncate(filter->fd, (off_t)end) != 0)
            reserved = errno;
        errno = reserved;
        return mw_filter_fail(error, filter->path, "grow");
    }
    /* On disk before a header can be that names it: a file shorter than that is refused. */
    if (fdatasync(filter->fd) != 0)
        return mw_filter_fail(error, filter->path, "grow");
    header->layers++;
    header->generation++;
    return 0;
}

int mw_filter_append(struct mw_filter *filter, const struct mw_bloom_shape *shape,
                     struct mw_error *error)
{
    struct mw_bloom_header header = filter->header;
    if (header.layers >= MW_BLOOM_LAYERS)
        return mw_fail(error, MW_ERR_LIMIT, "%s cannot have more than %d layers: rebuild it larger",
                       filter->path, MW_BLOOM_LAYERS);
    if (reserve_layer(filter, &header, shape, error) != 0)
        return error->code;
    unsigned index = header.layers - 1;
    /* Readers take what is below layers as it is: only the new entry is written. */
    filter->header.layer[index] = header.layer[index];
    if (map_layer(filter, index, error) != 0) {
        unmap_layer(filter, index);
        return error->code;
    }
    if (write_header(filter->fd, &header) != 0) {
        mw_filter_fail(error, filter->path, "grow");
        unmap_layer(filter, index);
        return error->code;
    }
    filter->header.generation = header.generation;
    filter->header.layers = header.layers;
    if (mw_sums_add_layer(filter, index, error) != 0)
        return error->code;
    atomic_store_explicit(&filter->layers, header.layers, memory_order_release);
    return 0;
}

int mw_filter_grow(struct mw_filter *filter, struct mw_error *error)
{
    struct mw_bloom_shape shape;
    const struct mw_bloom_header *header = &filter->header;
    const struct mw_bloom_layer *last = &header->layer[header->layers - 1];
    if (mw_bloom_shape_for(&shape, last->shape.capacity * GROWTH,
                           mw_bloom_layer_rate(header->fp_rate, header->layers), error) != 0)
        return error->code;
    return mw_filter_append(filter, &shape, error);
}

int mw_filter_write_headers(struct mw_filter *filter, const char *what, struct mw_error *error)
{
    for (int copy = 0; copy < 2; copy++) {
        filter->header.generation++;
        if (write_header(filter->fd, &filter->header) != 0)
            return mw_filter_fail(error, filter->path, what);
    }
    return 0;
}

/* Maps the layers that a newer header has; with growing held. */
static void take_layers(struct mw_filter *filter)
{
    unsigned char copies[2 * MW_BLOOM_COPY_SIZE];
    struct mw_bloom_header header;
    struct mw_error error = {0};
    struct stat facts;
    bool damaged = false;
    uint64_t newest = mw_bloom_header_newest(filter->map[HEAD]);
    ssize_t got = pread(filter->fd, copies, sizeof copies, 0);
    if (got != sizeof copies || fstat(filter->fd, &facts) != 0 ||
        mw_bloom_header_read(&header, (struct mw_bytes){copies, sizeof copies},
                             (uint64_t)facts.st_size, &damaged, &error) != 0)
        return;
    for (unsigned i = filter->header.layers; i < header.layers; i++) {
        filter->header.layer[i] = header.layer[i];
        if (map_layer(filter, i, &error) != 0)
            return;
        filter->header.layers = i + 1;
        atomic_store_explicit(&filter->layers, i + 1, memory_order_release);
    }
    /* A copy may be unsound for being written just now: that is looked at again. */
    if (!damaged)
        atomic_store(&filter->followed, newest);
}

void mw_filter_follow(struct mw_filter *filter)
{
    /* A value is never in a layer before the header on disk has the layer. */
    uint64_t newest = mw_bloom_header_newest(filter->map[HEAD]);
    if (newest == atomic_load_explicit(&filter->followed, memory_order_relaxed))
        return;
    pthread_mutex_lock(&filter->growing);
    take_layers(filter);
    pthread_mutex_unlock(&filter->growing);
}

/* --- flushing -------------------------------------------------------------------- */

/* With sync_lock held: one thread flushes for all who came before it began. */
static void flush_once(struct mw_filter *filter)
{
    uint64_t number = ++filter->sync_wanted;
    filter->syncing = true;
    pthread_mutex_unlock(&filter->sync_lock);
    atomic_store_explicit(&filter->dirty, false, memory_order_release);
    mw_sums_before_flush(filter);
    int result = fdatasync(filter->fd) == 0 ? 0 : errno;
    mw_sums_after_flush(filter, result == 0);
    pthread_mutex_lock(&filter->sync_lock);
    filter->sync_error = result;
    if (result == 0) {
        /* On disk with the next flush: what it says there is never too late. */
        atomic_store(&filter->counts[MW_BLOOM_SYNCED], htole64((uint64_t)time(NULL)));
    } else {
        atomic_store(&filter->untold_failure, result);
        atomic_store(&filter->dirty, true);
    }
    filter->sync_finished = number;
    filter->syncing = false;
    pthread_cond_broadcast(&filter->sync_done);
}

int mw_filter_wait_synced(struct mw_filter *filter, struct mw_error *error)
{
    pthread_mutex_lock(&filter->sync_lock);
    /* A flush under way may have missed what was just added: the one after counts. */
    uint64_t enough = filter->sync_wanted + 1;
    while (filter->sync_finished < enough) {
        if (filter->syncing)
            pthread_cond_wait(&filter->sync_done, &filter->sync_lock);
        else
            flush_once(filter);
    }
    int result = filter->sync_error;
    pthread_mutex_unlock(&filter->sync_lock);
    errno = result;
    return result == 0 ? 0 : mw_filter_fail(error, filter->path, "flush");
}

uint64_t mw_filter_flushes(struct mw_filter *filter)
{
    pthread_mutex_lock(&filter->sync_lock);
    uint64_t flushes = filter->sync_finished;
    pthread_mutex_unlock(&filter->sync_lock);
    return flushes;
}

int mw_filter_sync(struct mw_filter *filter, struct mw_error *error)
{
    return filter->access == MW_FILTER_WRITE ? mw_filter_wait_synced(filter, error) : 0;
}

static void *run_flusher(void *argument)
{
    enum { PAGES_A_TURN = 4096 };
    struct mw_filter *filter = argument;
    pthread_mutex_lock(&filter->sync_lock);
    while (!filter->ending) {
        if (filter->sync_ms <= 0) { /* who adds flushes; until that changes */
            pthread_cond_wait(&filter->end, &filter->sync_lock);
            continue;
        }
        struct timespec until = mw_clock_time(mw_clock_us() + (int64_t)filter->sync_ms * 1000);
        pthread_cond_timedwait(&filter->end, &filter->sync_lock, &until);
        if (atomic_load(&filter->dirty) && !filter->syncing)
            flush_once(filter);
        pthread_mutex_unlock(&filter->sync_lock);
        mw_sums_look(filter, PAGES_A_TURN);
        pthread_mutex_lock(&filter->sync_lock);
    }
    pthread_mutex_unlock(&filter->sync_lock);
    return NULL;
}

/* --- opening and closing -------------------------------------------------------------- */

static int read_header(struct mw_filter *filter, struct mw_error *error)
{
    unsigned char copies[2 * MW_BLOOM_COPY_SIZE];
    struct stat facts;
    ssize_t got = pread(filter->fd, copies, sizeof copies, 0);
    if (got < 0 || fstat(filter->fd, &facts) != 0)
        return mw_fail_errno(error, "cannot read %s", filter->path);
    struct mw_error why = {0};
    struct mw_bytes bytes = {copies, (size_t)got};
    if (mw_bloom_header_read(&filter->header, bytes, (uint64_t)facts.st_size, &filter->damaged,
                             &why) != 0)
        return mw_fail(error, why.code, "%s %s", filter->path, why.text);
    atomic_store(&filter->followed, mw_bloom_header_newest(copies));
    return 0;
}

static int take_lock(const struct mw_filter *filter, struct mw_error *error)
{
    if (filter->access == MW_FILTER_READ || flock(filter->fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return mw_fail(error, MW_ERR_BUSY,
                       "%s is being written by another process: stop it first, or read only",
                       filter->path);
    return mw_fail_errno(error, "cannot lock %s", filter->path);
}

/* A full disk is no reason to do without the filter. */
static int start_sums(struct mw_filter *filter, struct mw_error *error)
{
    struct mw_error why = {0};
    if (mw_sums_start(filter, &why) == 0 || why.code == MW_ERR_LIMIT)
        return 0;
    if (error)
        *error = why;
    return why.code;
}

static int start(struct mw_filter *filter, struct mw_error *error)
{
    for (unsigned i = 0; i < filter->header.layers; i++)
        if (map_layer(filter, i, error) != 0)
            return error->code;
    filter->map_size[HEAD] = MW_BLOOM_DATA_AT;
    filter->map[HEAD] = map_region(filter, 0, MW_BLOOM_DATA_AT, error);
    if (!filter->map[HEAD])
        return MW_ERR_SYSTEM;
    filter->counts = (void *)(filter->map[HEAD] + MW_BLOOM_COUNTS_AT);
    atomic_store(&filter->layers, filter->header.layers);
    if (filter->access != MW_FILTER_WRITE)
        return 0;
    if (filter->damaged && mw_filter_write_headers(filter, "mend the header of", error) != 0)
        return error->code;
    if (start_sums(filter, error) != 0)
        return error->code;
    if (filter->sync_ms != MW_FILTER_SYNC_NEVER) {
        filter->has_flusher = pthread_create(&filter->flusher, NULL, run_flusher, filter) == 0;
        if (!filter->has_flusher)
            return mw_fail_errno(error, "cannot start a thread to flush %s", filter->path);
    }
    return 0;
}

static void prepare_locks(struct mw_filter *filter)
{
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_init(&filter->stripes[i], NULL);
    pthread_mutex_init(&filter->growing, NULL);
    pthread_mutex_init(&filter->sync_lock, NULL);
    pthread_cond_init(&filter->sync_done, NULL);
    mw_clock_condition(&filter->end);
}

static void fail_open(struct mw_error *error, const char *path)
{
    int code = errno == ENOENT ? MW_ERR_MISSING : MW_ERR_SYSTEM;
    mw_fail_errno(error, "cannot open the filter %s", path);
    if (error)
        error->code = code;
}

struct mw_filter *mw_filter_open(const char *path, enum mw_filter_access access, int sync_ms,
                                 struct mw_error *error)
{
    struct mw_filter *filter = calloc(1, sizeof *filter);
    if (!filter || !(filter->path = strdup(path))) {
        mw_fail_errno(error, "cannot open %s", path);
        free(filter);
        return NULL;
    }
    prepare_locks(filter);
    filter->access = access;
    filter->sync_ms = sync_ms;
    filter->fd =
        open(path, (access == MW_FILTER_WRITE ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (filter->fd < 0)
        fail_open(error, path);
    else if (take_lock(filter, error) == 0 && read_header(filter, error) == 0 &&
             start(filter, error) == 0)
        return filter;
    mw_filter_close(filter);
    return NULL;
}

void mw_filter_set_sync(struct mw_filter *filter, int sync_ms)
{
    pthread_mutex_lock(&filter->sync_lock);
    filter->sync_ms = sync_ms;
    pthread_cond_signal(&filter->end);
    pthread_mutex_unlock(&filter->sync_lock);
}

void mw_filter_close(struct mw_filter *filter)
{
    if (!filter)
        return;
    if (filter->has_flusher) {
        pthread_mutex_lock(&filter->sync_lock);
        filter->ending = true;
        pthread_cond_signal(&filter->end);
        pthread_mutex_unlock(&filter->sync_lock);
        pthread_join(filter->flusher, NULL);
    }
    if (filter->counts && atomic_load(&filter->dirty)) {
        pthread_mutex_lock(&filter->sync_lock);
        flush_once(filter);
        pthread_mutex_unlock(&filter->sync_lock);
    }
    mw_sums_end_writing(filter);
    mw_sums_free(filter);
    for (unsigned i = 0; i < HEAD; i++)
        unmap_layer(filter, i);
    if (filter->map[HEAD])
        munmap(filter->map[HEAD], filter->map_size[HEAD]);
    if (filter->fd >= 0)
        close(filter->fd);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&filter->stripes[i]);
    pthread_mutex_destroy(&filter->growing);
    pthread_mutex_destroy(&filter->sync_lock);
    pthread_cond_destroy(&filter->sync_done);
    pthread_cond_destroy(&filter->end);
    free(filter->path);
    free(filter);
}
