/*
 * bench_filter: queries a second on a full filter, beside a classic one and, where it
 * is installed, libbloom.
 *
 *     bench_filter [VALUES] [FOLDER]
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
#ifdef HAVE_BLOOM_H
#include <bloom.h>
#endif

enum { QUERIES = 4000000, KEY = 16, RUNS = 3 };

static unsigned char (*keys)[KEY];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_key(unsigned char *key, uint64_t number)
{
    uint64_t parts[2] = {number * 0x9E3779B97F4A7C15u, number};
    memcpy(key, parts, KEY);
}

/* A classic filter: ten bits anywhere. */
struct classic {
    uint64_t *words, bits;
};

static bool classic_seen(const struct classic *classic, const unsigned char *key, bool add)
{
    XXH128_hash_t hash = XXH3_128bits(key, KEY);
    bool all = true;
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t bit = (hash.low64 + i * hash.high64) % classic->bits;
        uint64_t mask = (uint64_t)1 << (bit & 63);
        bool set = classic->words[bit >> 6] & mask;
        if (add)
            classic->words[bit >> 6] |= mask;
        else if (!set)
            return false;
        all = all && set;
    }
    return all;
}

static struct mw_filter *filter;
static struct classic classic;
#ifdef HAVE_BLOOM_H
static struct bloom libbloom;
#endif

static size_t one_by_one(void)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += mw_filter_seen(filter, (struct mw_bytes){keys[i], KEY});
    return found;
}

static size_t in_batches(void)
{
    enum { BATCH = 1024 };
    struct mw_bytes values[BATCH];
    bool seen[BATCH];
    size_t found = 0;
    for (size_t i = 0; i + BATCH <= QUERIES; i += BATCH) {
        for (size_t j = 0; j < BATCH; j++)
            values[j] = (struct mw_bytes){keys[i + j], KEY};
        mw_filter_seen_many(filter, values, BATCH, seen);
        for (size_t j = 0; j < BATCH; j++)
            found += seen[j];
    }
    return found;
}

static void *reader(void *argument)
{
    (void)argument;
    one_by_one();
    return NULL;
}

static size_t two_threads(void)
{
    pthread_t other;
    pthread_create(&other, NULL, reader, NULL);
    one_by_one();
    pthread_join(other, NULL);
    return 0;
}

static size_t of_classic(void)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += classic_seen(&classic, keys[i], false);
    return found;
}

#ifdef HAVE_BLOOM_H
static size_t of_libbloom(void)
{
    size_t found = 0;
    for (size_t i = 0; i < QUERIES; i++)
        found += bloom_check(&libbloom, keys[i], KEY) > 0;
    return found;
}
#endif

static double best_rate(const char *name, size_t (*query)(void), double times)
{
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = now();
        size_t found = query();
        double rate = QUERIES * times / (now() - start) / 1e6;
        best = rate > best ? rate : best;
        if (i == 0 && found > 0)
            printf("%-24s %zu of %d seen\n", name, found, QUERIES);
    }
    printf("%-24s %6.1f M queries/s\n", name, best);
    return best;
}

int main(int argc, char **argv)
{
    uint64_t values = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
    if (values == 0) {
        fputs("usage: bench_filter [VALUES [FOLDER]]\n", stderr);
        return 2;
    }
    char path[256];
    struct mw_error error = {0};
    /* All filters on pages of one size: a mapped file has no huge ones, malloc would. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    snprintf(path, sizeof path, "%s/bench_filter.filter", argc > 2 ? argv[2] : "/tmp");
    unlink(path);
    keys = malloc((size_t)QUERIES * KEY);
    if (!keys || mw_filter_create(path, values, 0.001, &error) != 0 ||
        !(filter = mw_filter_open(path, MW_FILTER_WRITE, 60000, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    classic.bits = (uint64_t)(14.38 * (double)values);
    classic.words = calloc(classic.bits / 64 + 1, 8);
#ifdef HAVE_BLOOM_H
    if (bloom_init(&libbloom, (int)values, 0.001) != 0)
        return 2;
#endif
    double start = now();
    for (uint64_t i = 0; i < values; i++) {
        unsigned char key[KEY];
        bool is_new;
        make_key(key, i);
        mw_filter_add(filter, (struct mw_bytes){key, KEY}, &is_new, &error);
    }
    printf("%llu values added, %.1f M a second\n", (unsigned long long)values,
           (double)values / (now() - start) / 1e6);
    for (uint64_t i = 0; i < values; i++) {
        unsigned char key[KEY];
        make_key(key, i);
        classic_seen(&classic, key, true);
#ifdef HAVE_BLOOM_H
        bloom_add(&libbloom, key, KEY);
#endif
    }
    /* Half of the queries are for values that were added. */
    for (uint64_t i = 0; i < QUERIES; i++)
        make_key(keys[i], i % 2 ? i * 2654435761u % values : i + ((uint64_t)1 << 40));
    double one = best_rate("one at a time", one_by_one, 1);
    double many = best_rate("in batches", in_batches, 1);
    double two = best_rate("two threads", two_threads, 2);
    double old = best_rate("classic, k = 10", of_classic, 1);
    printf("in batches %.2fx of classic; two threads %.2fx of one\n", many / old, two / one);
#ifdef HAVE_BLOOM_H
    double lib = best_rate("libbloom", of_libbloom, 1);
    printf("of libbloom: one at a time %.2fx, in batches %.2fx\n", one / lib, many / lib);
#endif
    uint64_t wrong = 0, fresh = values < 20000000 ? values : 20000000;
    for (uint64_t i = 0; i < fresh; i++) {
        unsigned char key[KEY];
        make_key(key, i + ((uint64_t)2 << 40));
        wrong += mw_filter_seen(filter, (struct mw_bytes){key, KEY});
    }
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    printf("false positives: %.5f %% of %llu fresh queries; %.2f bits a value\n",
           100.0 * (double)wrong / (double)fresh, (unsigned long long)fresh,
           (double)info.file_size * 8 / (double)values);
    mw_filter_close(filter);
    unlink(path);
    free(classic.words);
    free(keys);
    return 0;
}
