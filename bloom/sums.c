/* sums: pages summed up around flushes, and compared before they change. */
#include "bloom/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "bloom/filter_private.h"

enum { PAGE = 4096, PAGE_WORDS = PAGE / 8, HASH_BITS = 48 };

/* What became of a page since its checksum was written. */
enum state { SUMMED, CHANGED, FLUSHING, DAMAGED };

struct page {
    unsigned layer;
    uint64_t number;
    uint64_t sum; /* of what is being flushed */
};

struct pages {
    struct page *items;
    size_t count, room;
};

struct mw_sums {
    unsigned char *states[MW_BLOOM_LAYERS]; /* enum state of each page, under the page's lock */
    pthread_mutex_t locks[STRIPES];         /* one for each page and layer */
    pthread_mutex_t listing;                /* guards changed */
    struct pages changed;                   /* since the last flush began */
    struct pages flushing;                  /* of the flush under way: one thread's */
    atomic_bool writing;
    pthread_mutex_t looking; /* guards look_layer and look_page */
    atomic_int look_layer;   /* that is to be looked through; -1: none */
    uint64_t look_page;
    atomic_ullong damaged, first_damaged;
};

/* --- one page --------------------------------------------------------------------------- */

static uint64_t page_count(const struct mw_filter *filter, unsigned layer)
{
    return (filter->header.layer[layer].shape.blocks * MW_BLOOM_BLOCK_SIZE + PAGE - 1) / PAGE;
}

static unsigned bits_of(uint64_t sum)
{
    return (unsigned)(sum >> HASH_BITS);
}

static uint64_t sum_up(const struct mw_filter *filter, unsigned layer, uint64_t page)
{
    uint64_t words[PAGE_WORDS], bits = 0;
    const mw_word *at = filter->words[layer] + page * PAGE_WORDS;
    for (int i = 0; i < PAGE_WORDS; i++) {
        words[i] = atomic_load_explicit(&at[i], memory_order_relaxed);
        bits += (uint64_t)__builtin_popcountll(words[i]);
    }
    if (bits == 0)
        return 0;
    return bits << HASH_BITS |
           (XXH3_64bits(words, sizeof words) & (((uint64_t)1 << HASH_BITS) - 1));
}

static uint64_t written_sum(const struct mw_filter *filter, unsigned layer, uint64_t page)
{
    return le64toh(atomic_load_explicit(&filter->sum_words[layer][page], memory_order_acquire));
}

static void write_sum(const struct mw_filter *filter, unsigned layer, uint64_t page, uint64_t sum)
{
    atomic_store_explicit(&filter->sum_words[layer][page], htole64(sum), memory_order_release);
}

static void note_damage(struct mw_filter *filter, unsigned layer, uint64_t page)
{
    struct mw_sums *sums = filter->sums;
    sums->states[layer][page] = DAMAGED;
    atomic_store(&sums->first_damaged, filter->header.layer[layer].offset + page * PAGE);
    atomic_fetch_add(&sums->damaged, 1);
}

uint64_t mw_sums_damaged(struct mw_filter *filter, uint64_t *where)
{
    struct mw_sums *sums = filter->sums;
    if (!sums || atomic_load_explicit(&sums->damaged, memory_order_relaxed) == 0)
        return 0;
    *where = atomic_load(&sums->first_damaged);
    return atomic_exchange(&sums->damaged, 0);
}

/* --- pages that change --------------------------------------------------------------------- */

static void list_page(struct pages *pages, struct page page)
{
    if (pages->count == pages->room) {
        pages->room = pages->room > 0 ? 2 * pages->room : 64;
        pages->items = realloc(pages->items, pages->room * sizeof *pages->items);
        if (!pages->items)
            abort();
    }
    pages->items[pages->count++] = page;
}

static void note_change(struct mw_filter *filter, unsigned layer, uint64_t page)
{
    struct mw_sums *sums = filter->sums;
    sums->states[layer][page] = CHANGED;
    pthread_mutex_lock(&sums->listing);
    list_page(&sums->changed, (struct page){layer, page, 0});
    pthread_mutex_unlock(&sums->listing);
}

static pthread_mutex_t *lock_of(const struct mw_filter *filter, unsigned layer, uint64_t page)
{
    return &filter->sums->locks[(page + layer * (STRIPES / 4 + 1)) % STRIPES];
}

void mw_sums_lock(struct mw_filter *filter, unsigned layer, uint64_t page)
{
    if (!filter->sums)
        return;
    pthread_mutex_lock(lock_of(filter, layer, page));
    switch (filter->sums->states[layer][page]) {
    case SUMMED:
        if (sum_up(filter, layer, page) == written_sum(filter, layer, page))
            note_change(filter, layer, page);
        else
            note_damage(filter, layer, page);
        break;
    case FLUSHING:
        note_change(filter, layer, page);
        break;
    default:
        break;
    }
}

void mw_sums_unlock(struct mw_filter *filter, unsigned layer, uint64_t page)
{
    if (filter->sums)
        pthread_mutex_unlock(lock_of(filter, layer, page));
}

/* --- flushes ------------------------------------------------------------------------------- */

void mw_sums_before_flush(struct mw_filter *filter)
{
    struct mw_sums *sums = filter->sums;
    if (!sums)
        return;
    pthread_mutex_lock(&sums->listing);
    struct pages swapped = sums->flushing;
    sums->flushing = sums->changed;
    sums->changed = swapped;
    sums->changed.count = 0;
    pthread_mutex_unlock(&sums->listing);
    for (size_t i = 0; i < sums->flushing.count; i++) {
        struct page *one = &sums->flushing.items[i];
        pthread_mutex_t *lock = lock_of(filter, one->layer, one->number);
        pthread_mutex_lock(lock);
        sums->states[one->layer][one->number] = FLUSHING;
        one->sum = sum_up(filter, one->layer, one->number);
        pthread_mutex_unlock(lock);
    }
}

void mw_sums_after_flush(struct mw_filter *filter, bool flushed)
{
    struct mw_sums *sums = filter->sums;
    for (size_t i = 0; sums && i < sums->flushing.count; i++) {
        const struct page *one = &sums->flushing.items[i];
        pthread_mutex_t *lock = lock_of(filter, one->layer, one->number);
        pthread_mutex_lock(lock);
        bool unchanged = sums->states[one->layer][one->number] == FLUSHING;
        if (flushed)
            write_sum(filter, one->layer, one->number, one->sum);
        if (flushed && unchanged)
            sums->states[one->layer][one->number] = SUMMED;
        else if (unchanged)
            note_change(filter, one->layer, one->number);
        pthread_mutex_unlock(lock);
    }
    if (sums)
        sums->flushing.count = 0;
}

/* Even: whole; odd: being written. */
static uint64_t seals(const struct mw_filter *filter)
{
    return mw_filter_count(filter, MW_BLOOM_SEALS);
}

int mw_sums_begin_writing(struct mw_filter *filter, struct mw_error *error)
{
    struct mw_sums *sums = filter->sums;
    if (!sums || atomic_load_explicit(&sums->writing, memory_order_acquire))
        return 0;
    int result = 0;
    pthread_mutex_lock(&sums->listing);
    if (!atomic_load(&sums->writing)) {
        if (seals(filter) % 2 == 0)
            mw_filter_count_add(filter, MW_BLOOM_SEALS, 1);
        if (fdatasync(filter->fd) != 0)
            result = mw_filter_fail(error, filter->path, "flush");
        atomic_store_explicit(&sums->writing, true, memory_order_release);
    }
    pthread_mutex_unlock(&sums->listing);
    return result;
}

void mw_sums_end_writing(struct mw_filter *filter)
{
    struct mw_sums *sums = filter->sums;
    if (!sums || !atomic_load(&sums->writing) || sums->changed.count > 0)
        return;
    /* The checksums of the last flush, before the word that all of them are there. */
    if (fdatasync(filter->fd) == 0)
        mw_filter_count_add(filter, MW_BLOOM_SEALS, 1);
}

/* --- looking through ------------------------------------------------------------------------- */

bool mw_sums_look(struct mw_filter *filter, size_t pages)
{
    struct mw_sums *sums = filter->sums;
    if (!sums || atomic_load_explicit(&sums->look_layer, memory_order_relaxed) < 0)
        return false;
    pthread_mutex_lock(&sums->looking);
    int layer = atomic_load(&sums->look_layer);
    for (; layer >= 0 && pages > 0; pages--) {
        if (sums->look_page == page_count(filter, (unsigned)layer)) {
            atomic_store(&sums->look_layer, -1);
            break;
        }
        uint64_t page = sums->look_page++;
        pthread_mutex_t *lock = lock_of(filter, (unsigned)layer, page);
        pthread_mutex_lock(lock);
        if (sums->states[layer][page] == SUMMED &&
            sum_up(filter, (unsigned)layer, page) != written_sum(filter, (unsigned)layer, page))
            note_damage(filter, (unsigned)layer, page);
        pthread_mutex_unlock(lock);
    }
    bool more = atomic_load(&sums->look_layer) >= 0;
    pthread_mutex_unlock(&sums->looking);
    return more;
}

static void look_from_start(struct mw_filter *filter, unsigned layer)
{
    struct mw_sums *sums = filter->sums;
    pthread_mutex_lock(&sums->looking);
    sums->look_page = 0;
    atomic_store(&sums->look_layer, (int)layer);
    pthread_mutex_unlock(&sums->looking);
}

/* How a whole file, or one that is being written, differs from its checksums. */
static void compare(const struct mw_filter *filter, unsigned layer, bool whole,
                    struct mw_filter_sums *found)
{
    madvise(filter->map[layer], filter->map_size[layer], MADV_SEQUENTIAL);
    for (uint64_t page = 0; page < page_count(filter, layer); page++) {
        /* The checksum first: meanwhile the page can only get more bits. */
        uint64_t written = written_sum(filter, layer, page), now = sum_up(filter, layer, page);
        found->pages++;
        if (now == written)
            continue;
        if (!whole && bits_of(now) > bits_of(written)) {
            found->newer++;
            continue;
        }
        if (found->damaged++ == 0)
            found->where = filter->header.layer[layer].offset + page * PAGE;
    }
    madvise(filter->map[layer], filter->map_size[layer], MADV_RANDOM);
}

void mw_filter_verify(struct mw_filter *filter, struct mw_filter_sums *found)
{
    uint64_t before;
    do {
        before = seals(filter);
        *found = (struct mw_filter_sums){.there = true};
        mw_filter_follow(filter);
        for (unsigned i = 0; i < atomic_load(&filter->layers); i++) {
            if (!filter->sum_words[i]) {
                found->there = false;
                continue;
            }
            compare(filter, i, before % 2 == 0, found);
        }
        /* Somebody began to write: what looked damaged may be newer. */
    } while (found->damaged > 0 && before % 2 == 0 && seals(filter) != before);
}

/* --- opening --------------------------------------------------------------------------------- */

/* Pages that a killed writer left newer than their checksum are to be summed up by the next
 * flush; those with fewer bits are damaged. */
static void take_over(struct mw_filter *filter, unsigned layer)
{
    madvise(filter->map[layer], filter->map_size[layer], MADV_SEQUENTIAL);
    for (uint64_t page = 0; page < page_count(filter, layer); page++) {
        uint64_t written = written_sum(filter, layer, page), now = sum_up(filter, layer, page);
        if (bits_of(now) > bits_of(written)) {
            note_change(filter, layer, page);
            atomic_store(&filter->dirty, true);
        } else if (now != written) {
            note_damage(filter, layer, page);
        }
    }
    madvise(filter->map[layer], filter->map_size[layer], MADV_RANDOM);
}

static int make_states(struct mw_filter *filter, unsigned layer, struct mw_error *error)
{
    filter->sums->states[layer] = calloc(page_count(filter, layer), 1);
    return filter->sums->states[layer] ? 0 : mw_fail_errno(error, "cannot open %s", filter->path);
}

int mw_sums_add_layer(struct mw_filter *filter, unsigned layer, struct mw_error *error)
{
    enum { AT_ONCE = 1 << 16 };
    if (!filter->sums)
        return 0;
    if (make_states(filter, layer, error) != 0)
        return error->code;
    if (layer == 0)
        return 0;
    look_from_start(filter, layer - 1);
    while (!filter->has_flusher && mw_sums_look(filter, AT_ONCE))
        ;
    return 0;
}

/* Room for checksums behind all that is there, and in it those of what is there. */
static int upgrade(struct mw_filter *filter, struct mw_error *error)
{
    struct mw_bloom_header header = filter->header;
    uint64_t end = mw_bloom_header_end(&header);
    for (unsigned i = 0; i < header.layers; i++) {
        uint64_t size = mw_bloom_sums_size(&header.layer[i].shape);
        header.layer[i].sums = end;
        int reserved = posix_fallocate(filter->fd, (off_t)end, (off_t)size);
        if (reserved != 0) {
            if (ftruncate(filter->fd, (off_t)mw_bloom_header_end(&filter->header)) != 0)
                reserved = errno;
            errno = reserved;
            return mw_filter_fail(error, filter->path, "add checksums to");
        }
        end += size;
    }
    header.version = MW_BLOOM_VERSION;
    for (unsigned i = 0; i < header.layers; i++) {
        filter->header.layer[i].sums = header.layer[i].sums;
        if (mw_filter_map_sums(filter, i, error) != 0)
            return error->code;
        for (uint64_t page = 0; page < page_count(filter, i); page++)
            write_sum(filter, i, page, sum_up(filter, i, page));
    }
    if (fdatasync(filter->fd) != 0)
        return mw_filter_fail(error, filter->path, "add checksums to");
    filter->header = header;
    return mw_filter_write_headers(filter, "add checksums to", error);
}

int mw_sums_start(struct mw_filter *filter, struct mw_error *error)
{
    if (filter->header.version < MW_BLOOM_VERSION && upgrade(filter, error) != 0)
        return error->code;
    filter->sums = calloc(1, sizeof *filter->sums);
    if (!filter->sums)
        return mw_fail_errno(error, "cannot open %s", filter->path);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_init(&filter->sums->locks[i], NULL);
    pthread_mutex_init(&filter->sums->listing, NULL);
    pthread_mutex_init(&filter->sums->looking, NULL);
    atomic_store(&filter->sums->look_layer, -1);
    for (unsigned i = 0; i < filter->header.layers; i++) {
        if (make_states(filter, i, error) != 0)
            return error->code;
        if (seals(filter) % 2 == 1)
            take_over(filter, i);
    }
    atomic_store(&filter->sums->writing, seals(filter) % 2 == 1);
    return 0;
}

void mw_sums_free(struct mw_filter *filter)
{
    struct mw_sums *sums = filter->sums;
    if (!sums)
        return;
    for (int i = 0; i < MW_BLOOM_LAYERS; i++)
        free(sums->states[i]);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&sums->locks[i]);
    pthread_mutex_destroy(&sums->listing);
    pthread_mutex_destroy(&sums->looking);
    free(sums->changed.items);
    free(sums->flushing.items);
    free(sums);
}
