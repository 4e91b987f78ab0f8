/*
 * unit_power_cut: what a filter has left when the power goes. fdatasync(2) is watched: of
 * the file only what was there when a flush that ended had begun is sure to be on disk;
 * of what was written since, any page may be or not.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "core/clock.h"
#include "t/unit/tap.h"

enum { PAGE = 4096, THREADS = 4, MOST = 100000, HOUR_MS = 3600000 };

static char folder[] = "/tmp/unit_power_cut-XXXXXX";
static char path[64], after[64];

struct image {
    unsigned char *bytes;
    size_t size;
    unsigned number; /* of the flush, as they begin */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct image disk; /* under lock */
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;
static unsigned begun; /* under taking */

/* One after the other: whichever has the higher number lacks nothing of the lower. */
static struct image take_image(int fd)
{
    struct stat facts;
    struct image image = {0};
    pthread_mutex_lock(&taking);
    image.number = ++begun;
    if (fstat(fd, &facts) == 0 && (image.bytes = malloc((size_t)facts.st_size))) {
        ssize_t got = pread(fd, image.bytes, (size_t)facts.st_size, 0);
        image.size = got > 0 ? (size_t)got : 0;
    }
    pthread_mutex_unlock(&taking);
    return image;
}

/* Takes the place of the C library's. */
int fdatasync(int fd)
{
    struct image image = take_image(fd);
    int result = (int)syscall(SYS_fdatasync, fd);
    pthread_mutex_lock(&lock);
    bool newer = result == 0 && image.number >= disk.number;
    unsigned char *old = newer ? disk.bytes : image.bytes;
    if (newer)
        disk = image;
    pthread_mutex_unlock(&lock);
    free(old);
    return result;
}

static bool write_file(const struct image *image)
{
    FILE *file = fopen(after, "w");
    bool written = file && fwrite(image->bytes, 1, image->size, file) == image->size;
    return (!file || fclose(file) == 0) && written;
}

/* The file as a power cut may leave it; with stray pages, some that were not flushed
 * are on disk all the same. */
static bool cut_power(bool stray)
{
    int fd = open(path, O_RDONLY);
    struct image now = take_image(fd);
    close(fd);
    pthread_mutex_lock(&lock);
    for (size_t at = 0; stray && at < disk.size && at < now.size; at += PAGE)
        if (rand() % 2)
            memcpy(disk.bytes + at, now.bytes + at, PAGE);
    bool written = write_file(&disk);
    pthread_mutex_unlock(&lock);
    free(now.bytes);
    return written;
}

static struct mw_bytes value_of(uint64_t *number)
{
    return (struct mw_bytes){(unsigned char *)number, sizeof *number};
}

static void add(struct mw_filter *filter, uint64_t number)
{
    struct mw_error error = {0};
    bool is_new;
    mw_filter_add(filter, value_of(&number), &is_new, &error);
}

static struct mw_filter *fresh(uint64_t capacity, int sync_ms)
{
    struct mw_error error = {0};
    unlink(path);
    mw_filter_create(path, capacity, 1e-6, &error);
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, sync_ms, &error);
    if (!filter)
        printf("# %s\n", error.text);
    return filter;
}

/* The filter in what is left. */
static struct mw_filter *left(void)
{
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(after, MW_FILTER_READ, 0, &error);
    if (!filter)
        printf("# %s\n", error.text);
    return filter;
}

static bool is_left(uint64_t number)
{
    struct mw_filter *filter = cut_power(false) ? left() : NULL;
    bool seen = filter && mw_filter_seen(filter, value_of(&number));
    mw_filter_close(filter);
    return seen;
}

/* --- sync = always ---------------------------------------------------------------------- */

struct adder {
    struct mw_filter *filter;
    uint64_t first;
    atomic_ullong acknowledged;
    atomic_bool *ending;
};

static void *add_on(void *argument)
{
    struct adder *adder = argument;
    for (uint64_t i = 0; i < MOST && !atomic_load(adder->ending); i++) {
        add(adder->filter, adder->first + i);
        atomic_store(&adder->acknowledged, i + 1);
    }
    return NULL;
}

/* Cuts the power while threads add; what they were told is on disk must be left. */
static uint64_t lost_in_cut(struct adder *adders, bool stray, uint64_t *asked, uint64_t *damaged)
{
    struct mw_filter_sums sums;
    uint64_t counts[THREADS], lost = 0;
    for (int i = 0; i < THREADS; i++)
        counts[i] = atomic_load(&adders[i].acknowledged);
    struct mw_filter *filter = cut_power(stray) ? left() : NULL;
    if (!filter)
        return 1;
    mw_filter_verify(filter, &sums);
    *damaged += sums.damaged + !sums.there;
    for (int i = 0; i < THREADS; i++)
        for (uint64_t j = 0; j < counts[i]; j++) {
            uint64_t number = adders[i].first + j;
            lost += !mw_filter_seen(filter, value_of(&number));
            ++*asked;
        }
    mw_filter_close(filter);
    return lost;
}

static void test_always(void)
{
    enum { CUTS = 60 };
    struct adder adders[THREADS];
    pthread_t threads[THREADS];
    atomic_bool ending = false;
    uint64_t lost = 0, asked = 0, damaged = 0;
    /* Small, so that it grows meanwhile. */
    struct mw_filter *filter = fresh(50, MW_FILTER_SYNC_ALWAYS);
    for (int i = 0; i < THREADS; i++) {
        /* Two and two add the same: who is told "seen" must be able to rely on it, too. */
        adders[i] = (struct adder){.filter = filter, .first = (uint64_t)(i / 2) << 32};
        adders[i].ending = &ending;
        pthread_create(&threads[i], NULL, add_on, &adders[i]);
    }
    for (int cut = 0; cut < CUTS && lost == 0; cut++) {
        usleep((useconds_t)(rand() % 20000));
        lost += lost_in_cut(adders, cut % 2, &asked, &damaged);
    }
    atomic_store(&ending, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct mw_filter_info info;
    mw_filter_get_counts(filter, &info);
    printf("# %llu values looked for after %d cuts, %u layers\n", (unsigned long long)asked, CUTS,
           info.layers);
    tap_ok(asked > CUTS && info.layers > 1, "the power is cut again and again while threads add");
    tap_is_number((long long)lost, 0, "with sync always nothing that was acknowledged is lost");
    tap_is_number((long long)damaged, 0, "... and no checksum calls what the cut left damaged");
    mw_filter_close(filter);
}

/* --- seconds ------------------------------------------------------------------------------ */

static void test_window(void)
{
    enum { VALUES = 20, MOST_MS = 20000 };
    int64_t longest = 0;
    struct mw_filter *filter = fresh(1000, 50);
    for (uint64_t i = 0; i < VALUES && longest < MOST_MS; i++) {
        int64_t start = mw_clock_ms(), waited = 0;
        add(filter, i);
        while (!is_left(i) && (waited = mw_clock_ms() - start) < MOST_MS)
            usleep(1000);
        longest = waited > longest ? waited : longest;
    }
    printf("# with a window of 50 ms at most %lld ms\n", (long long)longest);
    tap_ok(longest < MOST_MS, "with a window, a value is on disk soon, though nobody waits for it");
    mw_filter_close(filter);
    filter = fresh(1000, HOUR_MS);
    add(filter, 1);
    tap_ok(!is_left(1), "before its window has passed it may be lost");
    struct mw_error error = {0};
    mw_filter_sync(filter, &error);
    tap_ok(is_left(1), "unless it is flushed");
    add(filter, 2);
    mw_filter_close(filter);
    tap_ok(is_left(1) && is_left(2), "as closing does");
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    snprintf(path, sizeof path, "%s/f", folder);
    snprintf(after, sizeof after, "%s/after", folder);
    srand(7);
    test_always();
    test_window();
    unlink(path);
    unlink(after);
    rmdir(folder);
    free(disk.bytes);
    return tap_done();
}
