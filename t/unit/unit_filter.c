/* unit_filter: what the "ever seen" filters promise. MW_LONG=1 makes the measurements
 * longer: 20 million values added between kills. */
#include <endian.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "bloom/filter.h"
#include "bloom/header.h"
#include "t/unit/tap.h"

static char folder[] = "/tmp/unit_filter-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static struct mw_bytes value_of(uint64_t *number)
{
    return (struct mw_bytes){(unsigned char *)number, sizeof *number};
}

static bool add(struct mw_filter *filter, uint64_t number)
{
    struct mw_error error = {0};
    bool is_new = false;
    mw_filter_add(filter, value_of(&number), &is_new, &error);
    return is_new;
}

static bool seen(struct mw_filter *filter, uint64_t number)
{
    return mw_filter_seen(filter, value_of(&number));
}

static struct mw_filter *fresh(const char *name, uint64_t capacity, double rate, int sync_ms)
{
    struct mw_error error = {0};
    const char *path = path_of(name);
    unlink(path);
    if (mw_filter_create(path, capacity, rate, &error) != 0)
        printf("# %s\n", error.text);
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, sync_ms, &error);
    if (!filter)
        printf("# %s\n", error.text);
    return filter;
}

/* Opens a file made wrong; its error. */
static const char *open_wrong(const char *path, enum mw_filter_access access)
{
    static struct mw_error error;
    error = (struct mw_error){0};
    struct mw_filter *filter = mw_filter_open(path, access, 1000, &error);
    mw_filter_close(filter);
    return filter ? NULL : error.text;
}

static uint64_t wanted(uint64_t usually, uint64_t at_length)
{
    const char *text = getenv("MW_LONG");
    return text && strcmp(text, "0") != 0 ? at_length : usually;
}

static void test_rate(void)
{
    uint64_t count = wanted(300000, 5000000), missing = 0, wrong = 0;
    struct mw_filter *filter = fresh("rate", count, 0.001, 1000);
    for (uint64_t i = 0; i < count; i++)
        add(filter, i);
    for (uint64_t i = 0; i < count; i++)
        missing += !seen(filter, i);
    tap_is_number((long long)missing, 0, "no value that was added is ever missed");
    for (uint64_t i = 0; i < count * 4; i++)
        wrong += seen(filter, i + (uint64_t)1e12);
    double rate = (double)wrong / (double)(count * 4);
    printf("# measured rate at capacity: %.5f\n", rate);
    tap_ok(rate <= 0.001 * 1.1, "at capacity the measured rate is the promised one or less");
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    tap_ok(info.values <= count && info.values > count * 998 / 1000,
           "values are counted, but for those taken for seen");
    double off = (double)info.estimated / (double)count;
    tap_ok(off > 0.98 && off < 1.02, "values can be estimated from the bits");
    mw_filter_close(filter);
}

static void test_growth(void)
{
    uint64_t capacity = wanted(20000, 500000), count = capacity * 10, missing = 0, wrong = 0;
    struct mw_filter *filter = fresh("growth", capacity, 0.001, 1000);
    for (uint64_t i = 0; i < count; i++)
        add(filter, i);
    for (uint64_t i = 0; i < count; i++)
        missing += !seen(filter, i);
    for (uint64_t i = 0; i < count * 4; i++)
        wrong += seen(filter, i + (uint64_t)1e12);
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    tap_ok(info.layers > 1, "a filter past its capacity grows by layers");
    tap_is_number((long long)missing, 0, "nothing is missed across layers");
    printf("# measured rate at ten times capacity: %.5f in %u layers\n",
           (double)wrong / (double)(count * 4), info.layers);
    tap_ok((double)wrong <= (double)(count * 4) * 0.001 * 1.1,
           "at ten times its capacity the rate is still the promised one");
    mw_filter_close(filter);
    struct mw_error error = {0};
    filter = mw_filter_open(path_of("growth"), MW_FILTER_READ, 0, &error);
    missing = 0;
    for (uint64_t i = 0; filter && i < count; i++)
        missing += !seen(filter, i);
    tap_ok(filter && missing == 0, "all layers are there when it is opened again");
    mw_filter_close(filter);
}

struct crowd {
    struct mw_filter *filter;
    uint64_t count;
    atomic_uchar *news;
};

static void *add_all(void *argument)
{
    struct crowd *crowd = argument;
    for (uint64_t i = 0; i < crowd->count; i++)
        if (add(crowd->filter, i))
            atomic_fetch_add(&crowd->news[i], 1);
    return NULL;
}

static void test_exactly_once(void)
{
    enum { THREADS = 8 };
    struct crowd crowd = {.count = 1000000};
    pthread_t threads[THREADS];
    /* Small, so that it grows while they add. */
    crowd.filter = fresh("crowd", crowd.count / 8, 0.001, 1000);
    crowd.news = calloc(crowd.count, sizeof *crowd.news);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_all, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t twice = 0, never = 0;
    for (uint64_t i = 0; i < crowd.count; i++) {
        twice += crowd.news[i] > 1;
        never += crowd.news[i] == 0;
    }
    tap_is_number((long long)twice, 0, "of 8 threads no two are told that a value is new");
    tap_ok(never < crowd.count / 500, "and one is, but for false positives");
    free(crowd.news);
    mw_filter_close(crowd.filter);
}

/* --- killed and started again --------------------------------------------------------- */

enum { BLOCK = 5000, MOST_LIVES = 1000 };

/* A child opens the filter, adds block after block from first on, and tells each that
 * was acknowledged, until it is killed. */
static void add_until_killed(int tell, uint64_t first, int sync_ms)
{
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(path_of("killed"), MW_FILTER_WRITE, sync_ms, &error);
    if (!filter)
        _exit(2);
    /* A flush for each value: fewer of them. */
    uint64_t count = sync_ms == MW_FILTER_SYNC_ALWAYS ? 20 : BLOCK;
    for (uint64_t block = first;; block++) {
        for (uint64_t i = 0; i < count; i++)
            add(filter, block * BLOCK + i);
        uint64_t told[2] = {block, count};
        if (write(tell, told, sizeof told) != sizeof told)
            _exit(0);
    }
}

/* How many values of each block were acknowledged. */
struct blocks {
    uint64_t *counts, size, next, values;
};

/* One life of a writer, which ends in the middle of its work. */
static void live(struct blocks *blocks, unsigned life, unsigned long usec)
{
    int ends[2];
    uint64_t told[2];
    if (pipe(ends) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        add_until_killed(ends[1], blocks->next,
                         life % 4 == 0 ? MW_FILTER_SYNC_ALWAYS : (int)(life % 4) * 50);
    close(ends[1]);
    usleep((useconds_t)usec);
    kill(pid, SIGKILL);
    while (read(ends[0], told, sizeof told) == sizeof told && told[0] < blocks->size) {
        blocks->counts[told[0]] = told[1];
        blocks->values += told[1];
        blocks->next = told[0] + 1;
    }
    /* What was begun and not told is not asked for. */
    blocks->next++;
    close(ends[0]);
    waitpid(pid, NULL, 0);
}

static uint64_t damaged_pages(const char *path);

static uint64_t count_lost(const struct blocks *blocks)
{
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(path_of("killed"), MW_FILTER_READ, 0, &error);
    uint64_t lost = filter ? damaged_pages(path_of("killed")) : 1;
    for (uint64_t block = 0; filter && block < blocks->next && block < blocks->size; block++)
        for (uint64_t i = 0; i < blocks->counts[block]; i++)
            lost += !seen(filter, block * BLOCK + i);
    mw_filter_close(filter);
    return lost;
}

static void test_killing(void)
{
#ifdef __SANITIZE_THREAD__
    uint64_t count = 200000, lost = 0; /* it is many times slower */
#else
    uint64_t count = wanted(2000000, 20000000), lost = 0;
#endif
    /* The few values of a block that is flushed one by one take as much room. */
    struct blocks blocks = {.size = count / BLOCK + (uint64_t)100 * MOST_LIVES};
    unsigned lives = 0;
    unsigned long patience = 1;
    blocks.counts = calloc(blocks.size, sizeof *blocks.counts);
    /* Small, so that it is killed in its growing too. */
    mw_filter_close(fresh("killed", count / 8, 0.001, 1000));
    srand(7);
    for (; blocks.values < count && lives < MOST_LIVES && blocks.next < blocks.size; lives++) {
        uint64_t before = blocks.values;
        live(&blocks, lives, patience * (unsigned long)(1000 + rand() % 50000));
        /* On a busy machine it takes longer until there is anything to lose. */
        patience += blocks.values == before;
        if (lives % 8 == 0)
            lost += count_lost(&blocks);
    }
    printf("# %llu values acknowledged in %u lives\n", (unsigned long long)blocks.values, lives);
    tap_ok(blocks.values >= count && lives > 5, "a writer is killed in the middle of its work, "
                                                "again and again");
    lost += count_lost(&blocks);
    tap_is_number((long long)lost, 0, "no acknowledged value is lost with it");
    tap_ok(!open_wrong(path_of("killed"), MW_FILTER_WRITE), "and the next writer finds it sound");
    tap_is_number((long long)damaged_pages(path_of("killed")), 0, "... down to its checksums");
    free(blocks.counts);
}

/* --- two processes ---------------------------------------------------------------------- */

/* Reads numbers and asks for each: all were added before they were told. */
static void read_along(int hear, const char *path)
{
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    uint64_t last, next = 0, missed = 0;
    while (filter && read(hear, &last, sizeof last) == sizeof last)
        for (; next <= last; next++)
            missed += !seen(filter, next);
    _exit(filter && missed == 0 && next > 0 ? 0 : 1);
}

static void test_reading_along(void)
{
    enum { COUNT = 200000 };
    struct mw_filter *filter = fresh("along", COUNT / 10, 0.001, 1000);
    const char *path = path_of("along");
    int ends[2], status = 1;
    if (!filter || pipe(ends) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        read_along(ends[0], path);
    }
    close(ends[0]);
    for (uint64_t i = 0; i < COUNT; i++) {
        add(filter, i);
        if (i % 500 == 499 && write(ends[1], &i, sizeof i) != sizeof i)
            break;
    }
    close(ends[1]);
    waitpid(pid, &status, 0);
    struct mw_filter_info info;
    mw_filter_get_counts(filter, &info);
    tap_ok(info.layers > 2 && status == 0,
           "another process that reads along misses nothing, in new layers neither");
    mw_filter_close(filter);
}

static void test_other_writer(void)
{
    const char *path = path_of("along");
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, 1000, &error);
        (void)!write(ends[1], filter ? "y" : "n", 1);
        pause();
    }
    tap_ok(read(ends[0], &byte, 1) == 1 && byte == 'y', "a writer killed before leaves no lock");
    const char *text = open_wrong(path, MW_FILTER_WRITE);
    tap_ok(text && strstr(text, path) && strstr(text, "being written by another process: stop it"),
           "while another process writes, a second writer is refused and told why");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    tap_ok(!open_wrong(path, MW_FILTER_WRITE), "when that one is killed, it is free again");
    close(ends[0]);
    close(ends[1]);
}

/* --- flushing ---------------------------------------------------------------------------- */

static void *add_own(void *argument)
{
    struct crowd *crowd = argument;
    uint64_t first = (uint64_t)pthread_self() << 20;
    for (uint64_t i = 0; i < crowd->count; i++)
        add(crowd->filter, first + i);
    return NULL;
}

static void test_group_commit(void)
{
    enum { THREADS = 8, EACH = 100, ADDS = THREADS * EACH };
    struct crowd crowd = {.count = EACH};
    struct mw_filter_info info;
    pthread_t threads[THREADS];
    crowd.filter = fresh("always", 100000, 0.001, MW_FILTER_SYNC_ALWAYS);
    add(crowd.filter, 1);
    mw_filter_get_counts(crowd.filter, &info);
    tap_ok(info.flushes == 1 && info.synced > 0, "with sync always an add returns after a flush");
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_own, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mw_filter_get_counts(crowd.filter, &info);
    printf("# %llu flushes for %d adds of %d threads\n", (unsigned long long)info.flushes, ADDS + 1,
           THREADS);
    tap_ok(info.flushes < ADDS && info.flushes >= EACH, "threads that add at once share a flush");
    mw_filter_close(crowd.filter);
}

static void test_last_flush(void)
{
    struct mw_error error = {0};
    struct mw_filter_info info;
    struct mw_filter *filter = fresh("flushed", 1000, 0.001, 3600000);
    mw_filter_get_counts(filter, &info);
    int64_t before = info.synced;
    add(filter, 1);
    mw_filter_close(filter);
    filter = mw_filter_open(path_of("flushed"), MW_FILTER_READ, 0, &error);
    mw_filter_get_info(filter, &info);
    tap_ok(before == 0 && info.synced >= time(NULL) - 60 && info.synced <= time(NULL),
           "closing flushes, and the file tells when it was flushed last");
    mw_filter_close(filter);
}

/* --- a full disk -------------------------------------------------------------------------- */

/* In a mount namespace of its own: nothing of it is left. */
static int on_small_disk(const char *place)
{
    struct mw_error error = {0};
    char path[160], other[160];
    snprintf(path, sizeof path, "%s/f", place);
    snprintf(other, sizeof other, "%s/ballast", place);
    if (mw_filter_create(path, 2000000, 0.001, &error) != MW_ERR_LIMIT ||
        !strstr(error.text, "the disk is full") || access(path, F_OK) == 0)
        return 1;
    /* 100 KiB of two megabytes; the second layer finds no room. */
    if (mw_filter_create(path, 50000, 0.001, &error) != 0)
        return 2;
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, 1000, &error);
    int fd = open(other, O_RDWR | O_CREAT, 0600);
    if (!filter || posix_fallocate(fd, 0, (off_t)1800 * 1024) != 0)
        return 3;
    unsigned refused = 0, missed = 0;
    uint64_t count = 0;
    for (; count < 60000; count++) {
        bool is_new = false;
        int result = mw_filter_add(filter, value_of(&count), &is_new, &error);
        refused += result == MW_ERR_LIMIT && strstr(error.text, "the disk is full");
    }
    for (uint64_t i = 0; i < count; i++)
        missed += !seen(filter, i);
    struct mw_filter_info info;
    mw_filter_get_counts(filter, &info);
    if (refused == 0 || missed > 0 || info.layers != 1)
        return 4;
    /* Room again: the next try, a second later, finds it. */
    close(fd);
    unlink(other);
    sleep(2);
    add(filter, count);
    mw_filter_get_counts(filter, &info);
    mw_filter_close(filter);
    return info.layers == 2 && !open_wrong(path, MW_FILTER_WRITE) ? 0 : 5;
}

static void test_full_disk(void)
{
    enum { NO_MOUNT = 99 };
    int status = 0;
    char place[128];
    snprintf(place, sizeof place, "%s", path_of("small"));
    mkdir(place, 0700);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", place, "tmpfs", 0, "size=2m") != 0)
            _exit(NO_MOUNT);
        _exit(on_small_disk(place));
    }
    waitpid(pid, &status, 0);
    int step = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (step == NO_MOUNT) {
        tap_ok(true, "a full disk # SKIP a small disk can be mounted by root only");
        return;
    }
    tap_is_number(step, 0,
                  "a full disk is an error at creation; at growth the filter goes on, forgets "
                  "nothing, and grows when there is room");
}

static void test_batch(void)
{
    enum { COUNT = 10000 };
    struct mw_filter *filter = fresh("batch", COUNT, 0.01, 1000);
    static uint64_t numbers[COUNT];
    static struct mw_bytes values[COUNT];
    static bool batch[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        numbers[i] = i;
        values[i] = value_of(&numbers[i]);
        if (i % 3 == 0)
            add(filter, i);
    }
    mw_filter_seen_many(filter, values, COUNT - 5, batch);
    bool same = true;
    for (uint64_t i = 0; i < COUNT - 5; i++)
        same = same && batch[i] == seen(filter, i);
    tap_ok(same, "a batch answers as one query after the other");
    mw_filter_close(filter);
}

/* Of so many values never added, the share that is taken for seen. */
static double measured(struct mw_filter *filter, uint64_t count)
{
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < count; i++)
        wrong += seen(filter, i + (uint64_t)1e12);
    return (double)wrong / (double)count;
}

static uint64_t missing(struct mw_filter *filter, uint64_t count)
{
    uint64_t result = 0;
    for (uint64_t i = 0; i < count; i++)
        result += !seen(filter, i);
    return result;
}

/* A filter with the values from first to last. */
static struct mw_filter *filled(const char *name, uint64_t first, uint64_t last)
{
    struct mw_filter *filter = fresh(name, 10000, 0.001, 1000);
    for (uint64_t i = first; i < last; i++)
        add(filter, i);
    return filter;
}

static void test_merge(void)
{
    struct mw_error error = {0};
    struct mw_filter_info info;
    struct mw_filter *parts[3] = {filled("a", 0, 3000), filled("b", 2000, 9000), NULL};
    struct mw_filter *out = fresh("halves", 10000, 0.001, 1000);
    tap_is_number(mw_filter_merge(out, parts, 2, &error), 0, "filters of one shape merge");
    mw_filter_get_info(out, &info);
    tap_ok(missing(out, 9000) == 0 && info.layers == 1 && info.values > 8900 && info.values < 9100,
           "what fits into one layer is one, knows what either knew, and counts it once");
    mw_filter_close(out);
    mw_filter_close(parts[0]);
    mw_filter_close(parts[1]);
    parts[0] = filled("a", 0, 30000);
    parts[1] = filled("b", 30000, 60000);
    parts[2] = filled("c", 60000, 90000);
    out = fresh("full", 10000, 0.001, 1000);
    tap_is_number(mw_filter_merge(out, parts, 3, &error), 0, "so do full ones, layers and all");
    mw_filter_get_info(out, &info);
    double rate = measured(out, 1000000);
    printf("# three full filters: %.5f measured, %.5f told, %u layers\n", rate, info.expected_rate,
           info.layers);
    tap_is_number((long long)missing(out, 90000), 0, "the result knows what any knew");
    tap_ok(rate <= 3 * 0.001, "their rates add up, and no more than that");
    tap_ok(fabs(rate - info.expected_rate) < 0.1 * rate, "... and the rate that is told is true");
    for (uint64_t i = 90000; i < 200000; i++)
        add(out, i);
    tap_is_number((long long)missing(out, 200000), 0, "... it goes on taking values");
    struct mw_filter_sums sums;
    mw_filter_close(out);
    out = mw_filter_open(path_of("full"), MW_FILTER_READ, 0, &error);
    mw_filter_verify(out, &sums);
    tap_ok(sums.there && sums.damaged == 0 && sums.newer == 0, "... and its checksums are true");
    mw_filter_close(out);
    out = fresh("other", 9999, 0.001, 1000);
    tap_ok(mw_filter_merge(out, parts, 3, &error) == MW_ERR_INPUT && strstr(error.text, "capacity"),
           "filters of different shape do not, and what differs is named");
    mw_filter_close(out);
    for (int i = 0; i < 3; i++)
        mw_filter_close(parts[i]);
}

/* Whatever the size, and however far it grew. */
static void test_told_rate(void)
{
    static const uint64_t capacities[] = {1, 7, 50, 333, 2000};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        enum { ASKED = 2000000 };
        struct mw_filter *filter = fresh("told", capacities[i], 0.001, 1000);
        uint64_t count = capacities[i] * (capacities[i] < 1000 ? 1000 : 20);
        for (uint64_t j = 0; j < count; j++)
            add(filter, j);
        struct mw_filter_info info;
        mw_filter_get_info(filter, &info);
        double rate = measured(filter, ASKED), noise = 4 * sqrt(info.expected_rate / ASKED);
        tap_ok(fabs(rate - info.expected_rate) < 0.05 * info.expected_rate + noise,
               "made for %llu and grown to %llu, the rate told is the one measured: %.3g, %.3g",
               (unsigned long long)capacities[i], (unsigned long long)count, info.expected_rate,
               rate);
        mw_filter_close(filter);
    }
}

/* --- bits that are lost -------------------------------------------------------------------- */

static void flip(const char *path, off_t byte, unsigned bit)
{
    unsigned char value;
    int fd = open(path, O_RDWR);
    if (pread(fd, &value, 1, byte) != 1)
        printf("# cannot read %s\n", path);
    value ^= (unsigned char)(1u << bit);
    if (pwrite(fd, &value, 1, byte) != 1)
        printf("# cannot write %s\n", path);
    close(fd);
}

static uint64_t damaged_pages(const char *path)
{
    struct mw_error error = {0};
    struct mw_filter_sums sums = {0};
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    if (filter)
        mw_filter_verify(filter, &sums);
    mw_filter_close(filter);
    return filter && sums.there ? sums.damaged : 99;
}

static void test_flips(void)
{
    enum { FLIPS = 140, CAPACITY = 20000 };
    mw_filter_close(fresh("flips", CAPACITY, 0.001, 1000));
    const char *path = path_of("flips");
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, 1000, &error);
    for (uint64_t i = 0; i < CAPACITY; i++)
        add(filter, i);
    struct mw_filter_info info;
    mw_filter_get_counts(filter, &info);
    mw_filter_close(filter);
    tap_is_number((long long)damaged_pages(path), 0, "a filter that was closed is sound");
    unsigned forgot = 0, unfound = 0, left = 0;
    srand(3);
    for (int i = 0; i < FLIPS; i++) {
        off_t byte = MW_BLOOM_DATA_AT + rand() % (off_t)(info.file_size - MW_BLOOM_DATA_AT - 8192);
        unsigned bit = (unsigned)rand() % 8;
        flip(path, byte, bit);
        filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
        forgot += missing(filter, CAPACITY) > 0;
        mw_filter_close(filter);
        unfound += damaged_pages(path) != 1;
        flip(path, byte, bit);
        left += damaged_pages(path) != 0;
    }
    printf("# %u of %d flips forget a value\n", forgot, FLIPS);
    tap_ok(forgot > FLIPS / 4 && unfound == 0, "each bit that flips is found, whether it makes "
                                               "the filter forget something or not");
    tap_is_number(left, 0, "... and nothing once it has flipped back");
}

/* A set bit of the file's first page of data, cleared. */
static void lose_bit(const char *path)
{
    unsigned char page[4096];
    int fd = open(path, O_RDWR);
    if (pread(fd, page, sizeof page, MW_BLOOM_DATA_AT) != sizeof page)
        printf("# cannot read %s\n", path);
    close(fd);
    for (off_t i = 0; i < (off_t)sizeof page; i++)
        if (page[i] != 0) {
            flip(path, MW_BLOOM_DATA_AT + i, (unsigned)__builtin_ctz(page[i]));
            return;
        }
}

/* What a writer is told that finds a lost bit while it works. */
static void test_lost_while_open(void)
{
    struct mw_error error = {0};
    struct mw_filter *filter = fresh("lost", 2000, 0.001, MW_FILTER_SYNC_NEVER);
    const char *path = path_of("lost");
    for (uint64_t i = 0; i < 1000; i++)
        add(filter, i);
    mw_filter_sync(filter, &error);
    tap_is_number(mw_filter_failure(filter, &error), 0, "a sound filter tells no failure");
    lose_bit(path);
    for (uint64_t i = 1000; i < 2000; i++)
        add(filter, i);
    tap_ok(mw_filter_failure(filter, &error) == MW_ERR_FORMAT && strstr(error.text, path) &&
               strstr(error.text, "has lost bits in 1 page") && strstr(error.text, "bloom rebuild"),
           "a bit that is lost is found before its page changes, and told with the remedy");
    tap_is_number(mw_filter_failure(filter, &error), 0, "... once");
    mw_filter_close(filter);
    tap_is_number((long long)damaged_pages(path), 1,
                  "... the page keeps the checksum that it does not fit");
    filter = fresh("lost", 100000, 0.001, MW_FILTER_SYNC_NEVER);
    for (uint64_t i = 0; i < 99000; i++)
        add(filter, i);
    mw_filter_sync(filter, &error);
    lose_bit(path);
    for (uint64_t i = 99000; i < 110000 && mw_filter_failure(filter, &error) == 0; i++) {
        struct mw_filter_info info;
        mw_filter_get_counts(filter, &info);
        if (info.layers > 1)
            break;
        add(filter, i);
    }
    tap_ok(error.code == MW_ERR_FORMAT || mw_filter_failure(filter, &error) == MW_ERR_FORMAT,
           "so is one in a layer that is full, when the filter grows");
    mw_filter_close(filter);
}

/* A file as the version before wrote it: layers without checksums. */
static void make_version_1(const char *path)
{
    struct mw_bloom_header header;
    struct mw_error error = {0};
    unsigned char copies[2 * MW_BLOOM_COPY_SIZE];
    struct stat facts;
    bool damaged;
    int fd = open(path, O_RDWR);
    if (pread(fd, copies, sizeof copies, 0) != sizeof copies || fstat(fd, &facts) != 0 ||
        mw_bloom_header_read(&header, (struct mw_bytes){copies, sizeof copies},
                             (uint64_t)facts.st_size, &damaged, &error) != 0)
        printf("# %s\n", error.text);
    header.version = 1;
    for (unsigned i = 0; i < 2; i++) {
        header.generation++;
        mw_bloom_header_write(&header, copies + header.generation % 2 * MW_BLOOM_COPY_SIZE);
    }
    if (pwrite(fd, copies, sizeof copies, 0) != sizeof copies ||
        ftruncate(fd, (off_t)header.layer[0].sums) != 0)
        printf("# cannot write %s\n", path);
    close(fd);
}

static void test_upgrade(void)
{
    struct mw_error error = {0};
    struct mw_filter_sums sums;
    struct mw_filter *filter = fresh("old", 10000, 0.001, 1000);
    for (uint64_t i = 0; i < 9000; i++)
        add(filter, i);
    mw_filter_close(filter);
    const char *path = path_of("old");
    make_version_1(path);
    filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    mw_filter_verify(filter, &sums);
    tap_ok(filter && missing(filter, 9000) == 0 && !sums.there,
           "a file of version 1 is read as it is");
    struct mw_filter *writer = mw_filter_open(path, MW_FILTER_WRITE, 1000, &error);
    for (uint64_t i = 9000; i < 40000; i++)
        add(writer, i);
    tap_ok(missing(filter, 40000) == 0, "... also while a writer gives it checksums and adds more");
    mw_filter_close(writer);
    mw_filter_close(filter);
    tap_is_number((long long)damaged_pages(path), 0, "... which are true");
    flip(path, MW_BLOOM_DATA_AT + 77, 3);
    tap_is_number((long long)damaged_pages(path), 1, "... and find what flips from then on");
}

static void spoil(const char *path, off_t at, size_t size)
{
    int fd = open(path, O_WRONLY);
    static const unsigned char garbage[4096] = {1, 2, 3};
    if (pwrite(fd, garbage, size, at) < 0)
        printf("# cannot spoil %s\n", path);
    close(fd);
}

/* Both copies of the header as a program of another version may write them. */
static void write_version(const char *path, unsigned char version)
{
    int fd = open(path, O_RDWR);
    for (off_t copy = 0; copy < 2; copy++) {
        unsigned char bytes[MW_BLOOM_COPY_SIZE];
        if (pread(fd, bytes, sizeof bytes, copy * MW_BLOOM_COPY_SIZE) != sizeof bytes)
            printf("# cannot read %s\n", path);
        bytes[8] = version;
        uint64_t sum = htole64(XXH3_64bits(bytes, sizeof bytes - 8));
        memcpy(bytes + sizeof bytes - 8, &sum, sizeof sum);
        if (pwrite(fd, bytes, sizeof bytes, copy * MW_BLOOM_COPY_SIZE) != sizeof bytes)
            printf("# cannot write %s\n", path);
    }
    close(fd);
}

static void test_mistakes(void)
{
    struct mw_error error = {0};
    struct mw_filter *filter = fresh("wrong", 10000, 0.001, 1000);
    const char *path = path_of("wrong");
    const char *text = open_wrong(path, MW_FILTER_WRITE);
    tap_ok(text && strstr(text, "being written by another process"), "a second writer is refused");
    tap_ok(!open_wrong(path, MW_FILTER_READ), "a reader beside the writer is not");
    add(filter, 1);
    mw_filter_close(filter);
    tap_ok(mw_filter_create(path, 10, 0.1, &error) == MW_ERR_BUSY && strstr(error.text, "exists"),
           "an existing file is never overwritten");
    spoil(path, 100, 8);
    filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    tap_ok(filter && seen(filter, 1), "one damaged header copy is no loss");
    mw_filter_close(filter);
    tap_ok(!open_wrong(path, MW_FILTER_WRITE), "it is mended when opened for writing");
    spoil(path, 100, 8);
    spoil(path, 4196, 8);
    text = open_wrong(path, MW_FILTER_WRITE);
    tap_ok(text && strstr(text, "both copies"), "two damaged copies are told, and what to do");
    write_version(path, MW_BLOOM_VERSION + 1);
    text = open_wrong(path, MW_FILTER_READ);
    tap_ok(text && strstr(text, "of a version above 2"), "a version of later days is told");
    spoil(path, 0, 8);
    spoil(path, 4096, 8);
    text = open_wrong(path, MW_FILTER_READ);
    tap_ok(text && strstr(text, "is no filter"), "another kind of file is told");
    mw_filter_close(fresh("short", 100000, 0.001, 1000));
    path = path_of("short");
    tap_ok(truncate(path, 20000) == 0 && (text = open_wrong(path, MW_FILTER_READ)) &&
               strstr(text, "cut short"),
           "a file cut short is told");
    text = open_wrong(path_of("absent"), MW_FILTER_READ);
    tap_ok(text && strstr(text, "No such file"), "a missing file is told");
    tap_ok(mw_filter_create(path_of("x"), 0, 0.1, &error) == MW_ERR_INPUT, "so is no capacity");
    tap_ok(mw_filter_create(path_of("x"), 10, 0.9, &error) == MW_ERR_INPUT,
           "and a rate out of bounds");
    tap_ok(mw_filter_create("/nonexistent/x", 10, 0.1, &error) == MW_ERR_MISSING &&
               strstr(error.text, "there is no folder /nonexistent; make it"),
           "and a folder that is not there");
}

static void remove_all(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        printf("# cannot remove %s\n", folder);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    test_rate();
    test_growth();
    test_exactly_once();
    test_killing();
    test_reading_along();
    test_other_writer();
    test_group_commit();
    test_last_flush();
    test_full_disk();
    test_batch();
    test_merge();
    test_told_rate();
    test_flips();
    test_lost_while_open();
    test_upgrade();
    test_mistakes();
    remove_all();
    return tap_done();
}
