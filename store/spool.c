/* spool: writing records, flushing them for several threads at once, removing them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "store/spool_private.h"

enum { FILE_LEAST = 1 << 20, FILE_MOST = 64 << 20, VECTORS = 512 };

/* One file: the last of the list is written to. */
struct file {
    uint64_t number, bytes, live;
    int64_t begun;
    int64_t begun_ms; /* of mw_clock_ms, when we began it; 0: it was found */
    bool damaged;
};

struct mw_spool {
    struct mw_spool_options options;
    char kind[32];
    int folder, fd; /* fd of the current file; -1: none yet */
    pthread_mutex_t lock;
    pthread_cond_t flushed;
    struct file *files;
    size_t count, room;
    uint64_t next_number, bytes, entries, dropped, damaged, damaged_files, torn;
    uint64_t written, synced, failed; /* numbers of records */
    int sync_error;
    bool syncing;
    int done_fd; /* where entries are being marked */
    uint64_t done_file;
    uint64_t seed; /* of the files this process writes */
};

/* A clock that was set meanwhile says nothing of a file that we began ourselves. */
static bool is_older(const struct file *file, int64_t now, int64_t age)
{
    if (file->begun_ms > 0)
        return mw_clock_ms() - file->begun_ms > age * 1000;
    return now - file->begun > age;
}

static int fail_write(struct mw_error *error, const struct mw_spool *spool, const char *what)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return mw_fail(error, MW_ERR_LIMIT, "cannot %s the spool in %s: the disk is full", what,
                       spool->options.folder);
    return mw_fail_errno(error, "cannot %s the spool in %s", what, spool->options.folder);
}

int mw_spool_lock(const char *folder, struct mw_error *error)
{
    char path[PATH_MAX];
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return mw_fail_errno(error, "cannot make the spool's folder %s", folder);
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot write in the spool's folder %s", folder);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int result =
        errno == EWOULDBLOCK
            ? mw_fail(error, MW_ERR_BUSY,
                      "the spool in %s is in use by another process, as a running daemon", folder)
            : mw_fail_errno(error, "cannot lock the spool in %s", folder);
    close(fd);
    return result;
}

/* --- opening --------------------------------------------------------------------------------- */

static struct file *add_file(struct mw_spool *spool, uint64_t number)
{
    if (spool->count == spool->room) {
        spool->room = spool->room * 2 + 16;
        spool->files = realloc(spool->files, spool->room * sizeof *spool->files);
        if (!spool->files)
            abort();
    }
    struct file *file = &spool->files[spool->count++];
    *file =
        (struct file){.number = number, .begun = (int64_t)time(NULL), .begun_ms = mw_clock_ms()};
    return file;
}

/* What follows the last sound record: cut off when a killed writer left it unfinished,
 * kept with the file when it was whole once. */
static int mend_end(struct mw_spool *spool, struct file *file, int fd, struct mw_bytes bytes,
                    size_t end, struct mw_error *error)
{
    if (!mw_spool_is_unfinished(bytes, end)) {
        file->damaged = true;
        spool->damaged++;
        return 0;
    }
    struct mw_spool_file head = mw_spool_read_file_head(bytes);
    end = head.known && end < head.start ? head.start : end;
    spool->torn += bytes.size - end;
    file->bytes = end;
    return ftruncate(fd, (off_t)end) == 0 ? 0 : fail_write(error, spool, "mend");
}

/* Counts what is in a file. */
static int survey(struct mw_spool *spool, struct file *file, int fd, struct mw_bytes bytes,
                  struct mw_error *error)
{
    struct mw_spool_file head = mw_spool_read_file_head(bytes);
    size_t at = 0, end = 0;
    uint64_t damaged = 0, before = head.damaged, size;
    struct mw_bytes record;
    int64_t written;
    bool done;
    while (mw_spool_find(bytes, &at, &record, true, &damaged)) {
        mw_spool_read_head(bytes, at, &size, &written, &done);
        file->begun = end == 0 ? written : file->begun;
        file->live += !done;
        at += MW_SPOOL_HEAD + record.size;
        end = at;
        before = damaged;
    }
    file->damaged = before > 0;
    spool->damaged += before;
    file->bytes = bytes.size;
    bool rest = end < bytes.size && (end > 0 || bytes.size > head.start);
    return rest ? mend_end(spool, file, fd, bytes, end, error) : 0;
}

static int remove_file(struct mw_spool *spool, size_t index)
{
    char name[MW_SPOOL_NAME], kept[MW_SPOOL_NAME + 16];
    struct file file = spool->files[index];
    mw_spool_name(name, spool->kind, file.number);
    snprintf(kept, sizeof kept, "%s.damaged", name);
    int result = file.damaged ? renameat(spool->folder, name, spool->folder, kept)
                              : unlinkat(spool->folder, name, 0);
    spool->damaged_files += file.damaged && result == 0;
    spool->bytes -= file.bytes;
    spool->entries -= file.live;
    spool->count--;
    memmove(&spool->files[index], &spool->files[index + 1],
            (spool->count - index) * sizeof *spool->files);
    if (spool->done_fd >= 0 && spool->done_file == file.number) {
        close(spool->done_fd);
        spool->done_fd = -1;
    }
    return result;
}

static int open_old(struct mw_spool *spool, uint64_t number, struct mw_error *error)
{
    char name[MW_SPOOL_NAME];
    struct stat facts;
    mw_spool_name(name, spool->kind, number);
    int fd = openat(spool->folder, name, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0)
        return mw_fail_errno(error, "cannot open %s/%s", spool->options.folder, name);
    struct file *file = add_file(spool, number);
    file->begun = (int64_t)facts.st_mtime;
    file->begun_ms = 0;
    int result = 0;
    if (facts.st_size > 0) {
        size_t size = (size_t)facts.st_size;
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            result = mw_fail_errno(error, "cannot read %s/%s", spool->options.folder, name);
        else
            result = survey(spool, file, fd, (struct mw_bytes){map, size}, error);
        if (map != MAP_FAILED)
            munmap(map, size);
    }
    close(fd);
    spool->bytes += file->bytes;
    spool->entries += file->live;
    if (result == 0 && file->live == 0)
        remove_file(spool, spool->count - 1);
    return result;
}

/* Files kept as *.damaged are counted, and their numbers not used again. */
static int count_damaged(struct mw_spool *spool, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts names = {0};
    uint64_t number;
    int result = mw_spool_list_damaged(spool->options.folder, spool->kind, arena, &names, error);
    for (size_t i = 0; result == 0 && i < names.count; i++)
        if (mw_spool_damaged_number(names.items[i], spool->kind, &number) &&
            number >= spool->next_number)
            spool->next_number = number + 1;
    spool->damaged_files = names.count;
    mw_arena_free(arena);
    return result;
}

static int open_all(struct mw_spool *spool, struct mw_error *error)
{
    uint64_t *numbers;
    size_t count;
    if (count_damaged(spool, error) != 0)
        return error->code;
    if (mw_spool_list(spool->options.folder, spool->kind, &numbers, &count, error) != 0)
        return error->code;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (numbers[i] >= spool->next_number)
            spool->next_number = numbers[i] + 1;
        result = open_old(spool, numbers[i], error);
    }
    free(numbers);
    return result;
}

struct mw_spool *mw_spool_open(const struct mw_spool_options *options, struct mw_error *error)
{
    struct mw_spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        abort();
    spool->options = *options;
    spool->fd = spool->done_fd = -1;
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->flushed, NULL);
    snprintf(spool->kind, sizeof spool->kind, "%s", options->kind);
    spool->options.folder = strdup(options->folder);
    spool->folder = open(options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool seeded = getrandom(&spool->seed, sizeof spool->seed, 0) == sizeof spool->seed;
    if (!spool->options.folder || spool->folder < 0 || !seeded)
        mw_fail_errno(error, "cannot open the spool's folder %s", options->folder);
    else if (open_all(spool, error) == 0)
        return spool;
    mw_spool_close(spool);
    return NULL;
}

void mw_spool_set_bounds(struct mw_spool *spool, size_t size_max, bool drop_oldest, unsigned file_s)
{
    pthread_mutex_lock(&spool->lock);
    spool->options.size_max = size_max;
    spool->options.drop_oldest = drop_oldest;
    spool->options.file_s = file_s;
    pthread_mutex_unlock(&spool->lock);
}

void mw_spool_close(struct mw_spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0) {
        fdatasync(spool->fd);
        close(spool->fd);
    }
    if (spool->done_fd >= 0)
        close(spool->done_fd);
    if (spool->folder >= 0)
        close(spool->folder);
    pthread_cond_destroy(&spool->flushed);
    pthread_mutex_destroy(&spool->lock);
    free(spool->files);
    free((char *)(uintptr_t)spool->options.folder);
    free(spool);
}

/* --- flushing ----------------------------------------------------------------------------------
 */

/* With the lock held, as all below. One thread flushes for all that wrote before. */
static void flush_once(struct mw_spool *spool)
{
    uint64_t target = spool->written;
    int fd = spool->fd;
    spool->syncing = true;
    pthread_mutex_unlock(&spool->lock);
    int problem = fdatasync(fd) == 0 ? 0 : errno;
    pthread_mutex_lock(&spool->lock);
    spool->syncing = false;
    if (problem == 0) {
        spool->synced = target;
    } else {
        spool->failed = target;
        spool->sync_error = problem;
    }
    pthread_cond_broadcast(&spool->flushed);
}

static int wait_flushed(struct mw_spool *spool, uint64_t mine, struct mw_error *error)
{
    while (spool->synced < mine && spool->failed < mine) {
        if (spool->syncing)
            pthread_cond_wait(&spool->flushed, &spool->lock);
        else
            flush_once(spool);
    }
    if (spool->synced >= mine)
        return 0;
    errno = spool->sync_error;
    return fail_write(error, spool, "flush");
}

static int end_current(struct mw_spool *spool)
{
    if (spool->fd < 0)
        return 0;
    while (spool->syncing)
        pthread_cond_wait(&spool->flushed, &spool->lock);
    if (spool->fd < 0)
        return 0; /* another thread was faster */
    /* Others append while a flush is under way: theirs have to be flushed here too. */
    while (spool->options.sync && spool->synced < spool->written && spool->failed < spool->written)
        flush_once(spool);
    close(spool->fd);
    spool->fd = -1;
    struct file *current = &spool->files[spool->count - 1];
    return current->live == 0 ? remove_file(spool, spool->count - 1) : 0;
}

static int begin_file(struct mw_spool *spool, struct mw_error *error)
{
    char name[MW_SPOOL_NAME];
    mw_spool_name(name, spool->kind, spool->next_number);
    spool->fd =
        openat(spool->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        return fail_write(error, spool, "begin a file of");
    unsigned char head[MW_SPOOL_FILE_HEAD];
    mw_spool_file_head(head, spool->seed);
    bool written = write(spool->fd, head, sizeof head) == (ssize_t)sizeof head;
    /* The head and the name must outlive a power cut as the record does. */
    if (!written ||
        (spool->options.sync && (fdatasync(spool->fd) != 0 || fsync(spool->folder) != 0))) {
        fail_write(error, spool, "begin a file of");
        unlinkat(spool->folder, name, 0);
        close(spool->fd);
        spool->fd = -1;
        return error->code;
    }
    add_file(spool, spool->next_number++)->bytes = sizeof head;
    spool->bytes += sizeof head;
    return 0;
}

/* --- appending -----------------------------------------------------------------------------------
 */

static uint64_t file_size_max(const struct mw_spool *spool)
{
    uint64_t most = spool->options.size_max / 8;
    if (spool->options.size_max == 0 || most > FILE_MOST)
        return FILE_MOST;
    return most > FILE_LEAST ? most : FILE_LEAST;
}

static bool is_over(const struct mw_spool *spool, uint64_t size)
{
    return spool->options.size_max > 0 && spool->bytes + size > spool->options.size_max;
}

static int make_room(struct mw_spool *spool, uint64_t size, struct mw_error *error)
{
    while (is_over(spool, size) && spool->options.drop_oldest && spool->count > 0) {
        if (spool->count == 1)
            end_current(spool);
        if (spool->count == 0)
            break;
        spool->dropped += spool->files[0].live;
        remove_file(spool, 0);
    }
    if (!is_over(spool, size))
        return 0;
    return mw_fail(error, MW_ERR_LIMIT, "the spool in %s is full: %llu bytes of at most %zu",
                   spool->options.folder, (unsigned long long)spool->bytes,
                   spool->options.size_max);
}

static int ready_file(struct mw_spool *spool, uint64_t size, struct mw_error *error)
{
    if (make_room(spool, size, error) != 0)
        return error->code;
    if (spool->fd >= 0) {
        const struct file *current = &spool->files[spool->count - 1];
        bool old = spool->options.file_s > 0 &&
                   is_older(current, (int64_t)time(NULL), (int64_t)spool->options.file_s);
        if (current->live > 0 && (old || current->bytes + size > file_size_max(spool)))
            end_current(spool);
    }
    return spool->fd >= 0 ? 0 : begin_file(spool, error);
}

/* Writes it all or nothing but a rest that is cut off. */
static int write_all(int fd, struct iovec *vectors, size_t count)
{
    while (count > 0) {
        ssize_t size = writev(fd, vectors, (int)(count < VECTORS ? count : VECTORS));
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -1;
        while (count > 0 && (size_t)size >= vectors->iov_len) {
            size -= (ssize_t)vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + size;
            vectors->iov_len -= (size_t)size;
        }
    }
    return 0;
}

static int append_locked(struct mw_spool *spool, struct iovec *vectors, size_t count, uint64_t size,
                         struct mw_error *error)
{
    if (ready_file(spool, size, error) != 0)
        return error->code;
    struct file *current = &spool->files[spool->count - 1];
    if (write_all(spool->fd, vectors, count) != 0) {
        int problem = errno;
        if (ftruncate(spool->fd, (off_t)current->bytes) != 0)
            end_current(spool); /* the reader skips what could not be cut off */
        errno = problem;
        return fail_write(error, spool, "write");
    }
    current->bytes += size;
    current->live++;
    spool->bytes += size;
    spool->entries++;
    uint64_t mine = ++spool->written;
    return spool->options.sync ? wait_flushed(spool, mine, error) : 0;
}

int mw_spool_append(struct mw_spool *spool, const struct mw_bytes *pieces, size_t count,
                    struct mw_error *error)
{
    unsigned char head[MW_SPOOL_HEAD];
    struct mw_error own;
    if (!error)
        error = &own;
    struct iovec *vectors = malloc((count + 1) * sizeof *vectors);
    if (!vectors)
        return mw_fail_errno(error, "cannot write the spool in %s", spool->options.folder);
    mw_spool_head(head, pieces, count, spool->seed, (int64_t)time(NULL));
    vectors[0] = (struct iovec){head, sizeof head};
    uint64_t size = sizeof head;
    for (size_t i = 0; i < count; i++) {
        vectors[i + 1] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].size};
        size += pieces[i].size;
    }
    pthread_mutex_lock(&spool->lock);
    int result = append_locked(spool, vectors, count + 1, size, error);
    pthread_mutex_unlock(&spool->lock);
    free(vectors);
    return result;
}

/* --- removing
 * -------------------------------------------------------------------------------------- */

uint64_t mw_spool_turn(struct mw_spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    end_current(spool);
    uint64_t next = spool->next_number;
    pthread_mutex_unlock(&spool->lock);
    return next;
}

void mw_spool_forget(struct mw_spool *spool, int64_t now, int64_t age)
{
    pthread_mutex_lock(&spool->lock);
    while (spool->count > 0 && is_older(&spool->files[0], now, age) &&
           (spool->count > 1 || spool->fd < 0))
        remove_file(spool, 0);
    pthread_mutex_unlock(&spool->lock);
}

uint64_t mw_spool_give_up(struct mw_spool *spool, uint64_t below)
{
    uint64_t given_up = 0;
    pthread_mutex_lock(&spool->lock);
    for (size_t i = 0; i < spool->count && spool->files[i].number < below;) {
        bool current = spool->fd >= 0 && i + 1 == spool->count;
        struct file *file = &spool->files[i];
        if (current || file->live == 0) {
            i++;
            continue;
        }
        given_up += file->live;
        file->damaged = true;
        if (remove_file(spool, i) != 0)
            break;
    }
    spool->damaged += given_up;
    pthread_mutex_unlock(&spool->lock);
    return given_up;
}

static int mark(struct mw_spool *spool, const struct mw_spool_entry *entry, struct mw_error *error)
{
    static const unsigned char done = MW_SPOOL_DONE;
    char name[MW_SPOOL_NAME];
    if (spool->done_fd < 0 || spool->done_file != entry->file) {
        if (spool->done_fd >= 0)
            close(spool->done_fd);
        mw_spool_name(name, spool->kind, entry->file);
        spool->done_fd = openat(spool->folder, name, O_WRONLY | O_CLOEXEC);
        spool->done_file = entry->file;
    }
    off_t at = (off_t)(entry->at + MW_SPOOL_STATE_AT);
    if (spool->done_fd < 0 || pwrite(spool->done_fd, &done, 1, at) != 1)
        return fail_write(error, spool, "mark a record in");
    return 0;
}

static int done_locked(struct mw_spool *spool, const struct mw_spool_entry *entry,
                       struct mw_error *error)
{
    size_t i = 0;
    while (i < spool->count && spool->files[i].number != entry->file)
        i++;
    if (i == spool->count || spool->files[i].live == 0)
        return 0;
    spool->files[i].live--;
    spool->entries--;
    bool current = spool->fd >= 0 && i + 1 == spool->count;
    if (spool->files[i].live > 0 || current)
        return mark(spool, entry, error);
    return remove_file(spool, i) == 0 ? 0 : fail_write(error, spool, "remove a file of");
}

int mw_spool_done(struct mw_spool *spool, const struct mw_spool_entry *entry,
                  struct mw_error *error)
{
    pthread_mutex_lock(&spool->lock);
    int result = done_locked(spool, entry, error);
    pthread_mutex_unlock(&spool->lock);
    return result;
}

void mw_spool_get_state(struct mw_spool *spool, struct mw_spool_state *state)
{
    pthread_mutex_lock(&spool->lock);
    *state = (struct mw_spool_state){
        .entries = spool->entries,
        .bytes = spool->bytes,
        .dropped = spool->dropped,
        .damaged = spool->damaged,
        .damaged_files = spool->damaged_files,
        .torn = spool->torn,
        .oldest = spool->count > 0 ? spool->files[0].begun : 0,
    };
    pthread_mutex_unlock(&spool->lock);
}
