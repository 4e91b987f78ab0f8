/* What filter.c (bits) and file.c (the mapping, growth, flushes) share. */
#ifndef MW_BLOOM_FILTER_PRIVATE_H
#define MW_BLOOM_FILTER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "bloom/filter.h"
#include "bloom/header.h"

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
    mw_word *counts;
    unsigned char *map[MW_BLOOM_LAYERS + 1]; /* the last: header and counts */
    size_t map_size[MW_BLOOM_LAYERS + 1];
    pthread_mutex_t stripes[STRIPES]; /* one for each hash: who adds a value first */
    pthread_mutex_t growing;
    int64_t retry_growth_ms;

    pthread_mutex_t sync_lock;
    pthread_cond_t sync_done;
    uint64_t sync_wanted, sync_finished; /* flushes begun and ended, counted */
    bool syncing;
    int sync_error; /* errno of the last flush */
    atomic_bool dirty;
    atomic_llong synced;
    pthread_t flusher;
    bool has_flusher, ending;
    pthread_cond_t end;
};

/* file.c: a new layer, published; with growing held. */
int mw_filter_grow(struct mw_filter *filter, struct mw_error *error);

/* file.c: waits until a flush that began after the call has ended. */
int mw_filter_wait_synced(struct mw_filter *filter, struct mw_error *error);

#endif
