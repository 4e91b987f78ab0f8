/* What filter.c (bits) and file.c (the mapping, growth, flushes) share. */
#ifndef MW_BLOOM_FILTER_PRIVATE_H
#define MW_BLOOM_FILTER_PRIVATE_H

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bloom/filter.h"
#include "bloom/header.h"
#include "bloom/sums.h"

enum { STRIPES = 256 };

typedef _Atomic uint64_t mw_word;

struct mw_filter {
    char *path;
    int fd;
    enum mw_filter_access access;
    int sync_ms;
    bool damaged;
    struct mw_bloom_header header; /* changed only under growing */
    atomic_uint layers;            /* published: those below it can be used */
    mw_word *words[MW_BLOOM_LAYERS];
    mw_word *sum_words[MW_BLOOM_LAYERS]; /* checksums of their pages; NULL: the file has none */
    void *sum_map[MW_BLOOM_LAYERS];
    size_t sum_size[MW_BLOOM_LAYERS];
    struct mw_sums *sums; /* writing: what is done about them */
    mw_word *counts;      /* in the file, as MW_BLOOM_COUNTS_AT has it: little-endian */
    unsigned char *map[MW_BLOOM_LAYERS + 1]; /* the last: header and counts */
    size_t map_size[MW_BLOOM_LAYERS + 1];
    pthread_mutex_t stripes[STRIPES]; /* one for each hash: who adds a value first */
    pthread_mutex_t growing;
    int64_t retry_growth_ms;
    atomic_ullong followed; /* reading: the newest generation that was looked at */

    pthread_mutex_t sync_lock;
    pthread_cond_t sync_done;
    uint64_t sync_wanted, sync_finished; /* flushes begun and ended, counted */
    bool syncing;
    int sync_error;            /* errno of the last flush */
    atomic_int untold_failure; /* the same, until somebody was told */
    atomic_bool dirty;
    atomic_uint waiting; /* sync always: threads that added and wait for the flush */
    pthread_t flusher;
    bool has_flusher, ending;
    pthread_cond_t end;
};

/* A number in the file's own order of bytes. */
static inline uint64_t mw_filter_count(const struct mw_filter *filter, unsigned index)
{
    return le64toh(atomic_load_explicit(&filter->counts[index], memory_order_relaxed));
}

static inline void mw_filter_count_add(struct mw_filter *filter, unsigned index, uint64_t more)
{
    uint64_t old = atomic_load_explicit(&filter->counts[index], memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&filter->counts[index], &old,
                                                  htole64(le64toh(old) + more),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* file.c: an error from errno: MW_ERR_LIMIT for a full disk, else MW_ERR_SYSTEM. */
int mw_filter_fail(struct mw_error *error, const char *path, const char *what);

/* file.c: for readers: takes in layers that the writer added since. */
void mw_filter_follow(struct mw_filter *filter);

/* file.c: a new layer, published; with growing held. */
int mw_filter_grow(struct mw_filter *filter, struct mw_error *error);

/* file.c: maps the checksums of a layer. */
int mw_filter_map_sums(struct mw_filter *filter, unsigned layer, struct mw_error *error);

/* file.c: writes both copies of the header, each a generation newer. */
int mw_filter_write_headers(struct mw_filter *filter, const char *what, struct mw_error *error);

/* file.c: adds an empty layer of this shape, published; with growing held. */
int mw_filter_append(struct mw_filter *filter, const struct mw_bloom_shape *shape,
                     struct mw_error *error);

/* file.c: flushes so far. */
uint64_t mw_filter_flushes(struct mw_filter *filter);

/* file.c: waits until a flush that began after the call has ended. */
int mw_filter_wait_synced(struct mw_filter *filter, struct mw_error *error);

#endif
