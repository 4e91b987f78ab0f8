/* filter: bits of a value, tested and set. */
#include "bloom/filter.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "bloom/filter_private.h"
#include "core/clock.h"

enum { AHEAD = 32, RETRY_GROWTH_MS = 1000 };

/* One half of the hash names a value's block, the other its bits. It is passed on as it
 * is returned, in registers: halves that change places go through memory, where a load
 * waits for both stores, and those for all queries before. */
static XXH128_hash_t hash_of(const struct mw_filter *filter, struct mw_bytes value)
{
    return XXH3_128bits_withSeed(value.data, value.size, filter->header.seed);
}

__extension__ typedef unsigned __int128 wide;

/* The high half of a product maps a hash evenly onto any number of blocks. */
static mw_word *block_at(const struct mw_filter *filter, unsigned layer, XXH128_hash_t hash)
{
    uint64_t blocks = filter->header.layer[layer].shape.blocks;
    uint64_t block = (uint64_t)(((wide)hash.high64 * blocks) >> 64);
    return filter->words[layer] + block * MW_BLOOM_WORDS;
}

/* Where a second bit in each word is: the hash is stirred again. */
static uint64_t second(uint64_t bits)
{
    return (bits * 0x9E3779B97F4A7C15u) >> 16;
}

/* Six bits of the hash name one bit of a word. */
static unsigned bit_in(uint64_t bits, unsigned word)
{
    return bits >> (6 * word) & 63;
}

/* Whether the bits named are set, one in each word. Not inlined: short as it is, several
 * queries fit into what a processor works on at once; the loop over layers would keep
 * all places ready for both bits, on the stack. */
__attribute__((noinline)) static bool all_set(mw_word *block, uint64_t bits)
{
    uint64_t all = 1;
#pragma GCC unroll 8
    for (unsigned word = 0; word < MW_BLOOM_WORDS; word++) {
        uint64_t value = atomic_load_explicit(&block[word], memory_order_relaxed);
        all &= le64toh(value) >> bit_in(bits, word);
    }
    return all & 1;
}

/* Without a branch on what is found: the processor then waits for the memory of
 * several queries at once. */
static bool in_layers(const struct mw_filter *filter, XXH128_hash_t hash, unsigned layers)
{
    bool found = false;
    for (unsigned i = 0; i < layers; i++) {
        mw_word *block = block_at(filter, i, hash);
        bool here = all_set(block, hash.low64);
        if (filter->header.layer[i].shape.bits > 1)
            here &= all_set(block, second(hash.low64));
        found |= here;
    }
    return found;
}

/* Layers are looked for before, not after a miss: a branch on what was found would keep
 * the processor from fetching for the next query. */
bool mw_filter_seen(struct mw_filter *filter, struct mw_bytes value)
{
    if (filter->access == MW_FILTER_READ)
        mw_filter_follow(filter);
    unsigned layers = atomic_load_explicit(&filter->layers, memory_order_acquire);
    return in_layers(filter, hash_of(filter, value), layers);
}

void mw_filter_seen_many(struct mw_filter *filter, const struct mw_bytes *values, size_t count,
                         bool *seen)
{
    if (filter->access == MW_FILTER_READ)
        mw_filter_follow(filter);
    unsigned layers = atomic_load_explicit(&filter->layers, memory_order_acquire);
    XXH128_hash_t hashes[AHEAD];
    for (size_t start = 0; start < count; start += AHEAD) {
        size_t batch = count - start < AHEAD ? count - start : AHEAD;
        for (size_t i = 0; i < batch; i++) {
            hashes[i] = hash_of(filter, values[start + i]);
            for (unsigned layer = 0; layer < layers; layer++)
                __builtin_prefetch(block_at(filter, layer, hashes[i]));
        }
        for (size_t i = 0; i < batch; i++)
            seen[start + i] = in_layers(filter, hashes[i], layers);
    }
}

/* Grows when the newest layer has reached its capacity; not again for a while
 * after that failed. */
static int grow_if_full(struct mw_filter *filter, struct mw_error *error)
{
    unsigned last = atomic_load(&filter->layers) - 1;
    if (mw_filter_count(filter, last) < filter->header.layer[last].shape.capacity)
        return 0;
    int result = 0;
    pthread_mutex_lock(&filter->growing);
    last = atomic_load(&filter->layers) - 1;
    bool full = mw_filter_count(filter, last) >= filter->header.layer[last].shape.capacity;
    if (full && mw_clock_ms() >= filter->retry_growth_ms) {
        result = mw_filter_grow(filter, error);
        filter->retry_growth_ms = result == 0 ? 0 : mw_clock_ms() + RETRY_GROWTH_MS;
    }
    pthread_mutex_unlock(&filter->growing);
    return result;
}

static void set_all(mw_word *block, uint64_t bits)
{
    for (unsigned word = 0; word < MW_BLOOM_WORDS; word++)
        atomic_fetch_or_explicit(&block[word], htole64((uint64_t)1 << bit_in(bits, word)),
                                 memory_order_relaxed);
}

/* Sets the bits in the newest layer unless some layer has them all. */
static bool set_bits(struct mw_filter *filter, XXH128_hash_t hash)
{
    pthread_mutex_t *stripe = &filter->stripes[hash.low64 >> 56];
    pthread_mutex_lock(stripe);
    /* Layers are counted under the stripe's lock: whoever added the value before,
     * in however new a layer, held it too. */
    unsigned layers = atomic_load_explicit(&filter->layers, memory_order_acquire);
    bool is_new = !in_layers(filter, hash, layers);
    if (is_new) {
        if (filter->sync_ms == MW_FILTER_SYNC_ALWAYS)
            atomic_fetch_add(&filter->waiting, 1);
        mw_word *block = block_at(filter, layers - 1, hash);
        set_all(block, hash.low64);
        if (filter->header.layer[layers - 1].shape.bits > 1)
            set_all(block, second(hash.low64));
        mw_filter_count_add(filter, layers - 1, 1);
    }
    pthread_mutex_unlock(stripe);
    return is_new;
}

/* A value that is there, perhaps of a thread that waits for its flush still: who is told
 * so may rely on it as much as that thread. */
static int wait_for_others(struct mw_filter *filter, XXH128_hash_t hash, struct mw_error *error)
{
    pthread_mutex_t *stripe = &filter->stripes[hash.low64 >> 56];
    if (filter->sync_ms != MW_FILTER_SYNC_ALWAYS)
        return 0;
    /* Whoever set its bits had counted itself among those who wait before it let go of this. */
    pthread_mutex_lock(stripe);
    pthread_mutex_unlock(stripe);
    if (atomic_load(&filter->waiting) == 0 && !atomic_load(&filter->dirty))
        return 0;
    return mw_filter_wait_synced(filter, error);
}

static int wait_for_own(struct mw_filter *filter, struct mw_error *error)
{
    if (filter->sync_ms != MW_FILTER_SYNC_ALWAYS)
        return 0;
    int result = mw_filter_wait_synced(filter, error);
    atomic_fetch_sub(&filter->waiting, 1);
    return result;
}

int mw_filter_add(struct mw_filter *filter, struct mw_bytes value, bool *is_new,
                  struct mw_error *error)
{
    if (filter->access != MW_FILTER_WRITE)
        return mw_fail(error, MW_ERR_INPUT, "%s is open for reading only", filter->path);
    XXH128_hash_t hash = hash_of(filter, value);
    unsigned layers = atomic_load_explicit(&filter->layers, memory_order_acquire);
    *is_new = false;
    if (in_layers(filter, hash, layers))
        return wait_for_others(filter, hash, error);
    int result = grow_if_full(filter, error);
    *is_new = set_bits(filter, hash);
    if (!*is_new)
        return wait_for_others(filter, hash, error);
    atomic_store_explicit(&filter->dirty, true, memory_order_release);
    int flushed = wait_for_own(filter, error);
    return flushed == 0 ? result : flushed;
}

static uint64_t count_bits(const struct mw_filter *filter, unsigned layer)
{
    uint64_t set = 0, words = filter->header.layer[layer].shape.blocks * MW_BLOOM_WORDS;
    for (uint64_t i = 0; i < words; i++)
        set += (uint64_t)__builtin_popcountll(
            atomic_load_explicit(&filter->words[layer][i], memory_order_relaxed));
    return set;
}

/* Bits set, when values were added to a shape. */
static double bits_for(const struct mw_bloom_shape *shape, double values)
{
    double all = (double)shape->blocks * MW_BLOOM_BLOCK_BITS;
    return -all * expm1(-values * MW_BLOOM_WORDS * shape->bits / all);
}

/* And back. */
static double values_for(const struct mw_bloom_shape *shape, double bits)
{
    double all = (double)shape->blocks * MW_BLOOM_BLOCK_BITS;
    return bits < all ? -all / (MW_BLOOM_WORDS * shape->bits) * log1p(-bits / all)
                      : (double)shape->capacity * 100;
}

/* Counters carry no checksum: what stands there in a damaged file may be anything. */
static uint64_t whole(double values)
{
    const double most = 1e18;
    return values < most ? (uint64_t)values : (uint64_t)most;
}

static int64_t plausible_time(uint64_t seconds)
{
    const uint64_t most = (uint64_t)1 << 40;
    return seconds < most ? (int64_t)seconds : 0;
}

static void describe(struct mw_filter *filter, struct mw_filter_info *info, bool count)
{
    double bits = 0, set = 0, none = 1, estimated = 0;
    info->layers = atomic_load(&filter->layers);
    info->values = 0;
    for (unsigned i = 0; i < info->layers; i++) {
        const struct mw_bloom_shape *shape = &filter->header.layer[i].shape;
        uint64_t values = mw_filter_count(filter, i);
        double full = count ? (double)count_bits(filter, i) : bits_for(shape, (double)values);
        double here = count ? values_for(shape, full) : (double)values;
        bits += (double)shape->blocks * MW_BLOOM_BLOCK_BITS;
        set += full;
        estimated += here;
        none *= 1 - mw_bloom_expected_rate(shape, whole(here));
        info->values += values;
    }
    info->estimated = whole(estimated + 0.5);
    info->fill = set / bits;
    info->expected_rate = 1 - none;
    info->promised_rate = filter->header.fp_rate;
    info->capacity = filter->header.capacity;
    info->seed = filter->header.seed;
    info->created = (uint64_t)plausible_time(filter->header.created);
    info->synced = plausible_time(mw_filter_count(filter, MW_BLOOM_SYNCED));
    info->damaged = filter->damaged;
    info->flushes = mw_filter_flushes(filter);
    info->file_size = MW_BLOOM_DATA_AT;
    for (unsigned i = 0; i < info->layers; i++)
        info->file_size += filter->map_size[i];
}

void mw_filter_get_info(struct mw_filter *filter, struct mw_filter_info *info)
{
    describe(filter, info, true);
}

void mw_filter_get_counts(struct mw_filter *filter, struct mw_filter_info *info)
{
    describe(filter, info, false);
}

int mw_filter_check(const struct mw_filter *filter, uint64_t capacity, double fp_rate,
                    struct mw_error *error)
{
    const struct mw_bloom_header *header = &filter->header;
    if (header->capacity == capacity && fabs(header->fp_rate - fp_rate) < 1e-12)
        return 0;
    return mw_fail(error, MW_ERR_INPUT,
                   "%s was made for %llu values at a rate of %g, not for %llu at %g: say that in "
                   "the configuration (it grows by itself), or move the file away and make "
                   "another with 'mailwitness bloom rebuild'",
                   filter->path, (unsigned long long)header->capacity, header->fp_rate,
                   (unsigned long long)capacity, fp_rate);
}

int mw_filter_failure(struct mw_filter *filter, struct mw_error *error)
{
    if (atomic_load_explicit(&filter->untold_failure, memory_order_relaxed) == 0)
        return 0;
    errno = atomic_exchange(&filter->untold_failure, 0);
    return errno != 0 ? mw_filter_fail(error, filter->path, "flush") : 0;
}

static int merge_layer(struct mw_filter *into, struct mw_filter *from, unsigned layer,
                       struct mw_error *error)
{
    if (into->header.layer[layer].shape.blocks != from->header.layer[layer].shape.blocks)
        return mw_fail(error, MW_ERR_INPUT, "layer %u of %s and %s are of different size", layer,
                       into->path, from->path);
    uint64_t words = into->header.layer[layer].shape.blocks * MW_BLOOM_WORDS;
    for (uint64_t i = 0; i < words; i++) {
        uint64_t bits = atomic_load_explicit(&from->words[layer][i], memory_order_relaxed);
        if (bits != 0)
            atomic_fetch_or_explicit(&into->words[layer][i], bits, memory_order_relaxed);
    }
    /* Nobody knows how many values both had: the bits tell. */
    double estimate = values_for(&into->header.layer[layer].shape, (double)count_bits(into, layer));
    uint64_t counted = mw_filter_count(into, layer), more = mw_filter_count(from, layer);
    uint64_t both = (uint64_t)llround(estimate);
    if (both > counted)
        mw_filter_count_add(into, layer, both - counted < more ? both - counted : more);
    return 0;
}

int mw_filter_merge(struct mw_filter *into, struct mw_filter *from, struct mw_error *error)
{
    const struct mw_bloom_header *a = &into->header, *b = &from->header;
    bool same_rate = fabs(a->fp_rate - b->fp_rate) < 1e-12;
    if (a->capacity != b->capacity || !same_rate || a->seed != b->seed)
        return mw_fail(error, MW_ERR_INPUT, "%s and %s differ in %s: they cannot be merged",
                       into->path, from->path,
                       a->capacity != b->capacity ? "capacity"
                       : same_rate                ? "seed"
                                                  : "false-positive rate");
    for (unsigned i = 0; i < atomic_load(&from->layers); i++) {
        if (i >= atomic_load(&into->layers)) {
            pthread_mutex_lock(&into->growing);
            int grown = mw_filter_grow(into, error);
            pthread_mutex_unlock(&into->growing);
            if (grown != 0)
                return grown;
        }
        if (merge_layer(into, from, i, error) != 0)
            return error->code;
    }
    return mw_filter_sync(into, error);
}
