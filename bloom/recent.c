/* recent: a table of fingerprints and times, eight to a cache line. */
#include "bloom/recent.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

/* An entry: 32 bits of a value's hash above 32 bits of seconds since 1970; 0: none. */
enum {
    DATA_AT = 4096,
    WAYS = 8,
    LINES = MW_RECENT_MOST / WAYS,
    SIZE = DATA_AT + MW_RECENT_MOST * 8
};

static const char magic[16] = "MWRECENT\1";

typedef _Atomic uint64_t entry;

struct mw_recent {
    unsigned new_for_s;
    void *map;
    entry *entries;
    pthread_mutex_t writing;
};

const char *mw_recent_path(struct mw_arena *arena, const char *filter_path)
{
    return mw_arena_printf(arena, "%s.recent", filter_path);
}

/* --- the file ---------------------------------------------------------------------------- */

static int fill(int fd)
{
    errno = posix_fallocate(fd, 0, SIZE);
    return errno == 0 && fchmod(fd, 0640) == 0 &&
                   pwrite(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic
               ? fdatasync(fd)
               : -1;
}

static int create(const char *path, const char *draft_name, struct mw_error *error)
{
    char *draft = strdup(draft_name);
    int fd = draft ? mkostemp(draft, O_CLOEXEC) : -1;
    int result = fd >= 0 && fill(fd) == 0 && (link(draft, path) == 0 || errno == EEXIST)
                     ? 0
                     : mw_fail_errno(error, "cannot create %s", path);
    if (fd >= 0) {
        unlink(draft);
        close(fd);
    }
    free(draft);
    return result;
}

int mw_recent_create(const char *filter_path, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    const char *path = mw_recent_path(arena, filter_path);
    int result = access(path, F_OK) == 0
                     ? 0
                     : create(path, mw_arena_printf(arena, "%s.XXXXXX", path), error);
    mw_arena_free(arena);
    return result;
}

static int map_file(struct mw_recent *recent, const char *path, enum mw_filter_access access,
                    struct mw_error *error)
{
    bool writes = access == MW_FILTER_WRITE;
    char head[sizeof magic];
    struct stat facts;
    int fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return mw_fail(error, MW_ERR_MISSING, "there is no %s", path);
    if (fd < 0)
        return mw_fail_errno(error, "cannot open %s", path);
    bool sound = fstat(fd, &facts) == 0 && facts.st_size == SIZE &&
                 pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
                 memcmp(head, magic, sizeof magic) == 0;
    recent->map = sound ? mmap(NULL, SIZE, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, 0)
                        : MAP_FAILED;
    int why = errno;
    close(fd);
    errno = why;
    if (!sound)
        return mw_fail(error, MW_ERR_FORMAT,
                       "%s is no table of recent values, or damaged: remove it, and those who are "
                       "new for a while are known at once",
                       path);
    if (recent->map == MAP_FAILED)
        return mw_fail_errno(error, "cannot map %s", path);
    recent->entries = (void *)((unsigned char *)recent->map + DATA_AT);
    return 0;
}

struct mw_recent *mw_recent_open(const char *filter_path, enum mw_filter_access access,
                                 unsigned new_for_s, struct mw_error *error)
{
    if (access == MW_FILTER_WRITE && mw_recent_create(filter_path, error) != 0)
        return NULL;
    struct mw_arena *arena = mw_arena_new();
    struct mw_recent *recent = calloc(1, sizeof *recent);
    if (!recent)
        abort();
    recent->new_for_s = new_for_s;
    pthread_mutex_init(&recent->writing, NULL);
    if (map_file(recent, mw_recent_path(arena, filter_path), access, error) != 0) {
        recent->map = NULL;
        mw_recent_close(recent);
        recent = NULL;
    }
    mw_arena_free(arena);
    return recent;
}

void mw_recent_close(struct mw_recent *recent)
{
    if (!recent)
        return;
    if (recent->map)
        munmap(recent->map, SIZE);
    pthread_mutex_destroy(&recent->writing);
    free(recent);
}

/* --- values ------------------------------------------------------------------------------- */

static uint32_t time_of(uint64_t value)
{
    return (uint32_t)value;
}

static bool is_alike(uint64_t value, uint64_t hash)
{
    return value != 0 && value >> 32 == (uint32_t)hash;
}

/* A time far ahead is of a clock that was wrong, and nobody stays new for it. */
static bool is_recent(const struct mw_recent *recent, uint64_t value, int64_t now_s)
{
    int64_t age = now_s - (int64_t)time_of(value);
    return age < (int64_t)recent->new_for_s && age > -(int64_t)recent->new_for_s;
}

/* The eight entries where a value may be. */
static entry *line_of(const struct mw_recent *recent, uint64_t hash)
{
    return recent->entries + (hash >> 32) % LINES * WAYS;
}

static uint64_t load(entry *at)
{
    return le64toh(atomic_load_explicit(at, memory_order_relaxed));
}

/* The value's own entry, or the one that it is to have: the oldest. */
static entry *place_for(const struct mw_recent *recent, uint64_t hash)
{
    entry *line = line_of(recent, hash), *place = line;
    for (int i = 0; i < WAYS; i++) {
        if (is_alike(load(&line[i]), hash))
            return &line[i];
        if (time_of(load(&line[i])) < time_of(load(place)))
            place = &line[i];
    }
    return place;
}

void mw_recent_note(struct mw_recent *recent, struct mw_bytes value, int64_t now_s)
{
    uint64_t hash = XXH3_64bits(value.data, value.size);
    pthread_mutex_lock(&recent->writing);
    entry *place = place_for(recent, hash);
    uint64_t old = load(place);
    if (!is_alike(old, hash) || !is_recent(recent, old, now_s))
        atomic_store_explicit(place, htole64(hash << 32 | (uint32_t)now_s), memory_order_relaxed);
    pthread_mutex_unlock(&recent->writing);
}

bool mw_recent_has(const struct mw_recent *recent, struct mw_bytes value, int64_t now_s)
{
    uint64_t hash = XXH3_64bits(value.data, value.size);
    entry *line = line_of(recent, hash);
    for (int i = 0; i < WAYS; i++) {
        uint64_t one = load(&line[i]);
        if (is_alike(one, hash))
            return is_recent(recent, one, now_s);
    }
    return false;
}

bool mw_recent_is_new(struct mw_filter *filter, const struct mw_recent *recent,
                      struct mw_bytes value)
{
    if (!mw_filter_seen(filter, value))
        return true;
    return recent && mw_recent_has(recent, value, time(NULL));
}
