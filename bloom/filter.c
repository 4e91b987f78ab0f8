/* filter: bits of a value, tested and set. */
#include "bloom/filter.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "bloom/filter_private.h"
#include "core/clock.h"

enum { AHEAD = 32, RETRY_GROWTH_MS = 1000, BLOCKS_A_PAGE = 4096 / MW_BLOOM_BLOCK_SIZE };

/* One half of the hash names a value's block, the other its bits. It is passed on as it
 * is returned, in registers: halves that change places go through memory, where a load
 * waits for both stores, and those for all queries before. */
static XXH128_hash_t hash_of(const struct mw_filter *filter, struct mw_bytes value)
{
    return XXH3_128bits_withSeed(value.data, value.size, filter->header.seed);
}

__extension__ typedef unsigned __int128 wide;

/* The high half of a product maps a hash evenly onto any number of blocks. */
static uint64_t block_of(const struct mw_filter *filter, unsigned layer, XXH128_hash_t hash)
{
    uint64_t blocks = filter->header.layer[layer].shape.blocks;
    return (uint64_t)(((wide)hash.high64 * blocks) >> 64);
}

static mw_word *block_at(const struct mw_filter *filter, unsigned layer, XXH128_hash_t hash)
{
    return filter->words[layer] + block_of(filter, layer, hash) * MW_BLOOM_WORDS;
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
        uint64_t page = block_of(filter, layers - 1, hash) / BLOCKS_A_PAGE;
        mw_word *block = block_at(filter, layers - 1, hash);
        mw_sums_lock(filter, layers - 1, page);
        set_all(block, hash.low64);
        if (filter->header.layer[layers - 1].shape.bits > 1)
            set_all(block, second(hash.low64));
        mw_sums_unlock(filter, layers - 1, page);
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
    int begun = mw_sums_begin_writing(filter, error);
    result = begun != 0 ? begun : result;
    *is_new = set_bits(filter, hash);
    if (!*is_new)
        return wait_for_others(filter, hash, error);
    atomic_store_explicit(&filter->dirty, true, memory_order_release);
    int flushed = wait_for_own(filter, error);
    return flushed == 0 ? result : flushed;
}

/* What is in a layer: bits, and the share of values never seen that are taken for seen. */
struct census {
    double bits, rate;
};

/* Whether a value not added is seen in this block: each of its words must have the bits
 * that it names, which may be any. */
static double block_rate(const mw_word *block, uint32_t bits, uint64_t *set)
{
    double rate = 1;
    for (unsigned word = 0; word < MW_BLOOM_WORDS; word++) {
        int here = __builtin_popcountll(atomic_load_explicit(&block[word], memory_order_relaxed));
        double share = here / 64.0;
        rate *= bits > 1 ? share * share : share;
        *set += (uint64_t)here;
    }
    return rate;
}

static struct census count_layer(const struct mw_filter *filter, unsigned layer)
{
    const struct mw_bloom_shape *shape = &filter->header.layer[layer].shape;
    uint64_t set = 0;
    double rate = 0;
    for (uint64_t i = 0; i < shape->blocks; i++)
        rate += block_rate(filter->words[layer] + i * MW_BLOOM_WORDS, shape->bits, &set);
    return (struct census){(double)set, rate / (double)shape->blocks};
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
        struct census census = {bits_for(shape, (double)values), 0};
        if (count)
            census = count_layer(filter, i);
        else
            census.rate = mw_bloom_expected_rate(shape, values);
        bits += (double)shape->blocks * MW_BLOOM_BLOCK_BITS;
        set += census.bits;
        estimated += count ? values_for(shape, census.bits) : (double)values;
        none *= 1 - census.rate;
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
        info->file_size += filter->map_size[i] + filter->sum_size[i];
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

static int tell_damage(struct mw_filter *filter, struct mw_error *error)
{
    uint64_t where = 0, pages = mw_sums_damaged(filter, &where);
    if (pages == 0)
        return 0;
    return mw_fail(error, MW_ERR_FORMAT,
                   "%s has lost bits in %llu page%s, one at byte %llu: values that were added may "
                   "be taken for new; restore it from a copy, or make it anew with 'mailwitness "
                   "bloom rebuild'",
                   filter->path, (unsigned long long)pages, pages == 1 ? "" : "s",
                   (unsigned long long)where);
}

int mw_filter_failure(struct mw_filter *filter, struct mw_error *error)
{
    if (atomic_load_explicit(&filter->untold_failure, memory_order_relaxed) == 0)
        return tell_damage(filter, error);
    errno = atomic_exchange(&filter->untold_failure, 0);
    return errno != 0 ? mw_filter_fail(error, filter->path, "flush") : 0;
}

/* --- merging ---------------------------------------------------------------------------- */

/* A layer to be merged. */
struct source_layer {
    struct mw_filter *filter;
    unsigned layer;
};

static const struct mw_bloom_shape *shape_of(struct source_layer one)
{
    return &one.filter->header.layer[one.layer].shape;
}

/* Small layers first, so that the largest, which goes on taking values, comes last. */
static int by_capacity(const void *a, const void *b)
{
    uint64_t x = shape_of(*(const struct source_layer *)a)->capacity,
             y = shape_of(*(const struct source_layer *)b)->capacity;
    return x < y ? -1 : x > y;
}

/* Bits that both together have set. */
static double union_bits(const struct mw_filter *into, unsigned layer, struct source_layer one)
{
    uint64_t set = 0, words = shape_of(one)->blocks * MW_BLOOM_WORDS;
    for (uint64_t i = 0; i < words; i++)
        set += (uint64_t)__builtin_popcountll(
            atomic_load_explicit(&into->words[layer][i], memory_order_relaxed) |
            atomic_load_explicit(&one.filter->words[one.layer][i], memory_order_relaxed));
    return (double)set;
}

/* Whether a layer can take another's values and still keep its rate. */
static bool has_room(const struct mw_filter *into, unsigned layer, struct source_layer one)
{
    const struct mw_bloom_shape *a = &into->header.layer[layer].shape, *b = shape_of(one);
    return a->blocks == b->blocks && a->bits == b->bits && a->capacity == b->capacity &&
           values_for(a, union_bits(into, layer, one)) <= (double)a->capacity;
}

static void join_layer(struct mw_filter *into, unsigned layer, struct source_layer one)
{
    enum { PAGE_WORDS = BLOCKS_A_PAGE * MW_BLOOM_WORDS };
    uint64_t words = shape_of(one)->blocks * MW_BLOOM_WORDS;
    for (uint64_t start = 0; start < words; start += PAGE_WORDS) {
        uint64_t end = words - start < PAGE_WORDS ? words : start + PAGE_WORDS;
        mw_sums_lock(into, layer, start / PAGE_WORDS);
        for (uint64_t i = start; i < end; i++) {
            uint64_t bits =
                atomic_load_explicit(&one.filter->words[one.layer][i], memory_order_relaxed);
            atomic_fetch_or_explicit(&into->words[layer][i], bits, memory_order_relaxed);
        }
        mw_sums_unlock(into, layer, start / PAGE_WORDS);
    }
    /* Nobody knows how many values both had: the bits tell. */
    uint64_t counted = mw_filter_count(into, layer), more = mw_filter_count(one.filter, one.layer);
    double estimate = values_for(&into->header.layer[layer].shape, count_layer(into, layer).bits);
    uint64_t both = (uint64_t)llround(estimate);
    if (counted == 0)
        both = more;
    if (both > counted)
        mw_filter_count_add(into, layer, both - counted < more ? both - counted : more);
}

static int take_layer(struct mw_filter *into, struct source_layer one, struct mw_error *error)
{
    unsigned layers = atomic_load(&into->layers), layer = 0;
    while (layer < layers && !has_room(into, layer, one))
        layer++;
    if (layer == layers) {
        pthread_mutex_lock(&into->growing);
        int appended = mw_filter_append(into, shape_of(one), error);
        pthread_mutex_unlock(&into->growing);
        if (appended != 0)
            return appended;
    }
    join_layer(into, layer, one);
    return 0;
}

static int check_alike(const struct mw_filter *first, const struct mw_filter *other,
                       struct mw_error *error)
{
    const struct mw_bloom_header *a = &first->header, *b = &other->header;
    bool same_rate = fabs(a->fp_rate - b->fp_rate) < 1e-12;
    if (a->capacity == b->capacity && same_rate && a->seed == b->seed)
        return 0;
    return mw_fail(error, MW_ERR_INPUT, "%s and %s differ in %s: they cannot be merged",
                   first->path, other->path,
                   a->capacity != b->capacity ? "capacity"
                   : same_rate                ? "seed"
                                              : "false-positive rate");
}

int mw_filter_merge(struct mw_filter *into, struct mw_filter *const *from, size_t count,
                    struct mw_error *error)
{
    struct source_layer *layers = calloc(count * MW_BLOOM_LAYERS + 1, sizeof *layers);
    size_t all = 0;
    int result = layers ? 0 : mw_fail_errno(error, "cannot merge into %s", into->path);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_alike(into, from[i], error);
        for (unsigned j = 0; j < atomic_load(&from[i]->layers); j++)
            layers[all++] = (struct source_layer){from[i], j};
    }
    if (result == 0)
        result = mw_sums_begin_writing(into, error);
    if (result == 0)
        qsort(layers, all, sizeof *layers, by_capacity);
    for (size_t i = 0; i < all && result == 0; i++)
        result = take_layer(into, layers[i], error);
    free(layers);
    atomic_store(&into->dirty, true);
    return result == 0 ? mw_filter_sync(into, error) : result;
}
