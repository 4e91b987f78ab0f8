/*
 * bench_filter: queries a second on a full filter, beside a classic one and, where it
 * is installed, libbloom.
 *
 *     bench_filter [VALUES [FOLDER]]
 *
 * All lie in memory on pages of 4 KB: the filter as its file is mapped, the others from
 * malloc. They are asked for the same keys, in turns; of each the median counts. One
 * thread is measured in processor time, threads by the clock: that needs a quiet machine.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "bloom/filter.h"
#include "config.h"
#include "t/bench/timing.h"
#ifdef HAVE_BLOOM_H
#include <bloom.h>
#endif

enum { QUERIES = 1 << 20, KEY = 16, RUNS = 9, BATCH = 1024 };

struct key {
    unsigned char bytes[KEY];
};

/* What is asked for: values that were added, others, and these in turns. */
enum { PRESENT, ABSENT, MIXED, SETS };
static const char *const set_names[SETS] = {"present", "absent", "mixed"};
static struct key *sets[SETS];

static struct mw_filter *filter, *reading;

static struct mw_bytes make_key(struct key *to, uint64_t number)
{
    uint64_t parts[2] = {number * 0x9E3779B97F4A7C15u, number};
    memcpy(to->bytes, parts, KEY);
    return (struct mw_bytes){to->bytes, KEY};
}

/* A classic filter: ten bits anywhere. */
static struct {
    uint64_t *words, bits;
} classic;

static bool classic_seen(const unsigned char *value, bool add)
{
    XXH128_hash_t hash = XXH3_128bits(value, KEY);
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t bit = (hash.low64 + i * hash.high64) % classic.bits;
        uint64_t mask = (uint64_t)1 << (bit & 63);
        if (add)
            classic.words[bit >> 6] |= mask;
        else if (!(classic.words[bit >> 6] & mask))
            return false;
    }
    return true;
}

static size_t one_by_one(const struct key *keys)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += mw_filter_seen(filter, (struct mw_bytes){keys[i].bytes, KEY});
    return found;
}

/* As another process asks, which looks for new layers each time. */
static size_t by_a_reader(const struct key *keys)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += mw_filter_seen(reading, (struct mw_bytes){keys[i].bytes, KEY});
    return found;
}

static size_t in_batches(const struct key *keys)
{
    struct mw_bytes values[BATCH];
    bool seen[BATCH];
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i += BATCH) {
        for (size_t j = 0; j < BATCH; j++)
            values[j] = (struct mw_bytes){keys[i + j].bytes, KEY};
        mw_filter_seen_many(filter, values, BATCH, seen);
        for (size_t j = 0; j < BATCH; j++)
            found += seen[j];
    }
    return found;
}

static void *other_thread(void *argument)
{
    const struct key **keys = argument;
    one_by_one(*keys);
    return NULL;
}

static size_t two_threads(const struct key *keys)
{
    pthread_t other;
    pthread_create(&other, NULL, other_thread, &keys);
    size_t found = one_by_one(keys);
    pthread_join(other, NULL);
    return found;
}

static size_t of_classic(const struct key *keys)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += classic_seen(keys[i].bytes, false);
    return found;
}

#ifdef HAVE_BLOOM_H
static struct bloom libbloom;

static size_t of_libbloom(const struct key *keys)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += bloom_check(&libbloom, keys[i].bytes, KEY) > 0;
    return found;
}
#endif

/* A query by a single thread is measured by what that computes, whatever else the
 * machine does; threads against each other, by the clock. */
static const struct contender {
    const char *name;
    size_t (*query)(const struct key *keys);
    int threads;
    clockid_t clock;
} contenders[] = {
    {"one at a time", one_by_one, 1, CLOCK_THREAD_CPUTIME_ID},
    {"one at a time, reader", by_a_reader, 1, CLOCK_THREAD_CPUTIME_ID},
    {"in batches", in_batches, 1, CLOCK_THREAD_CPUTIME_ID},
    {"classic, k = 10", of_classic, 1, CLOCK_THREAD_CPUTIME_ID},
    {"one thread, by clock", one_by_one, 1, CLOCK_MONOTONIC},
    {"two threads, by clock", two_threads, 2, CLOCK_MONOTONIC},
#ifdef HAVE_BLOOM_H
    {"libbloom", of_libbloom, 1, CLOCK_THREAD_CPUTIME_ID},
#endif
};
enum {
    ONE,
    READER,
    MANY,
    CLASSIC,
    ALONE,
    TWO,
    LIBBLOOM,
    CONTENDERS = sizeof contenders / sizeof *contenders
};

/* Million queries a second, for each contender and set of keys. */
static void measure(double rates[CONTENDERS][SETS])
{
    static double runs[CONTENDERS][SETS][RUNS];
    size_t found[CONTENDERS][SETS];
    for (int run = 0; run < RUNS; run++)
        for (int i = 0; i < CONTENDERS; i++)
            for (int set = 0; set < SETS; set++) {
                clockid_t clock = contenders[i].clock;
                double start = now(clock);
                found[i][set] = contenders[i].query(sets[set]);
                runs[i][set][run] = QUERIES * contenders[i].threads / (now(clock) - start) / 1e6;
            }
    printf("%-24s", "M queries/s (found)");
    for (int set = 0; set < SETS; set++)
        printf("%20s", set_names[set]);
    putchar('\n');
    for (int i = 0; i < CONTENDERS; i++) {
        printf("%-24s", contenders[i].name);
        for (int set = 0; set < SETS; set++) {
            rates[i][set] = median(runs[i][set], RUNS);
            printf("%9.1f (%8zu)", rates[i][set], found[i][set]);
        }
        putchar('\n');
    }
}

static void ratio(const char *name, double rates[CONTENDERS][SETS], int one, int other)
{
    printf("%-40s", name);
    for (int set = 0; set < SETS; set++)
        printf("  %s %.2fx", set_names[set], rates[one][set] / rates[other][set]);
    putchar('\n');
}

static void fill(uint64_t values)
{
    struct mw_error error = {0};
    double start = now(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < values; i++) {
        struct key value;
        bool is_new;
        mw_filter_add(filter, make_key(&value, i), &is_new, &error);
    }
    printf("%llu values added, %.1f M a second\n", (unsigned long long)values,
           (double)values / (now(CLOCK_MONOTONIC) - start) / 1e6);
    for (uint64_t i = 0; i < values; i++) {
        struct key value;
        make_key(&value, i);
        classic_seen(value.bytes, true);
#ifdef HAVE_BLOOM_H
        bloom_add(&libbloom, value.bytes, KEY);
#endif
    }
    for (int set = 0; set < SETS; set++)
        for (uint64_t i = 0; i < QUERIES; i++) {
            bool present = set == PRESENT || (set == MIXED && i % 2);
            make_key(&sets[set][i], present ? i * 2654435761u % values : i + ((uint64_t)1 << 40));
        }
}

/* As many fresh queries as values were added. */
static void count_wrong(uint64_t values)
{
    static struct key fresh[BATCH];
    struct mw_bytes batch[BATCH];
    bool seen[BATCH];
    uint64_t wrong = 0, asked = 0;
    for (; asked < values; asked += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++)
            batch[i] = make_key(&fresh[i], asked + i + ((uint64_t)2 << 40));
        mw_filter_seen_many(filter, batch, BATCH, seen);
        for (size_t i = 0; i < BATCH; i++)
            wrong += seen[i];
    }
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    double classic_optimum = log(1 / 0.001) / (log(2) * log(2));
    double bits = (double)info.file_size * 8 / (double)values;
    printf("false positives: %.5f %% of %llu fresh queries; %.2f bits a value, %.2fx the classic "
           "optimum\n",
           100.0 * (double)wrong / (double)asked, (unsigned long long)asked, bits,
           bits / classic_optimum);
}

/* --- adding with sync = always ------------------------------------------------------- */

enum { ADDS = 400, MOST_THREADS = 8 };

struct adder {
    struct mw_filter *filter;
    uint64_t first;
};

static void *add_synced(void *argument)
{
    const struct adder *adder = argument;
    struct mw_error error = {0};
    for (uint64_t i = 0; i < ADDS; i++) {
        struct key value;
        bool is_new;
        mw_filter_add(adder->filter, make_key(&value, adder->first + i), &is_new, &error);
    }
    return NULL;
}

static void measure_always(const char *path)
{
    struct mw_error error = {0};
    unlink(path);
    if (mw_filter_create(path, 1000000, 0.001, &error) != 0)
        return;
    struct mw_filter *always = mw_filter_open(path, MW_FILTER_WRITE, MW_FILTER_SYNC_ALWAYS, &error);
    for (int threads = 1; always && threads <= MOST_THREADS; threads *= 8) {
        pthread_t ids[MOST_THREADS];
        struct adder adders[MOST_THREADS];
        struct mw_filter_info before, after;
        mw_filter_get_counts(always, &before);
        double start = now(CLOCK_MONOTONIC);
        for (int i = 0; i < threads; i++) {
            adders[i] = (struct adder){always, (uint64_t)(threads * 10 + i) << 32};
            pthread_create(&ids[i], NULL, add_synced, &adders[i]);
        }
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
        double seconds = now(CLOCK_MONOTONIC) - start;
        mw_filter_get_counts(always, &after);
        printf("sync = always, %d thread%s: %.0f adds/s, %.2f flushes an add\n", threads,
               threads > 1 ? "s" : "", ADDS * threads / seconds,
               (double)(after.flushes - before.flushes) / (ADDS * threads));
    }
    mw_filter_close(always);
    unlink(path);
}

/* --------------------------------------------------------------------------------------- */

static int prepare(const char *path, uint64_t values)
{
    struct mw_error error = {0};
    unlink(path);
    if (mw_filter_create(path, values, 0.001, &error) != 0 ||
        !(filter = mw_filter_open(path, MW_FILTER_WRITE, 60000, &error)) ||
        !(reading = mw_filter_open(path, MW_FILTER_READ, 0, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    classic.bits = (uint64_t)(14.38 * (double)values);
    classic.words = calloc(classic.bits / 64 + 1, 8);
    for (int set = 0; set < SETS; set++)
        if (!(sets[set] = malloc(QUERIES * sizeof(struct key))))
            return -1;
#ifdef HAVE_BLOOM_H
    if (bloom_init(&libbloom, (int)values, 0.001) != 0)
        return -1;
#endif
    return classic.words ? 0 : -1;
}

int main(int argc, char **argv)
{
    uint64_t values = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
    if (values == 0) {
        fputs("usage: bench_filter [VALUES [FOLDER]]\n", stderr);
        return 2;
    }
    char path[256];
    double rates[CONTENDERS][SETS];
    /* The same pages for all, also where malloc would get huge ones. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    snprintf(path, sizeof path, "%s/bench_filter.filter", argc > 2 ? argv[2] : "/tmp");
    if (prepare(path, values) != 0)
        return 2;
    fill(values);
    printf("the filter is mapped from %s, the others are in memory of malloc; pages of 4 KB\n",
           path);
    measure(rates);
    ratio("two threads, of one", rates, TWO, ALONE);
    ratio("in batches, of classic", rates, MANY, CLASSIC);
#ifdef HAVE_BLOOM_H
    ratio("one at a time, of libbloom", rates, ONE, LIBBLOOM);
    ratio("one at a time as a reader, of libbloom", rates, READER, LIBBLOOM);
    ratio("in batches, of libbloom", rates, MANY, LIBBLOOM);
    bloom_free(&libbloom);
#endif
    count_wrong(values);
    mw_filter_close(reading);
    mw_filter_close(filter);
    measure_always(path);
    for (int set = 0; set < SETS; set++)
        free(sets[set]);
    free(classic.words);
    return 0;
}
