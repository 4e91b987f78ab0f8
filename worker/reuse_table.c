/*
 * reuse_table: memfd_create(2) and a sequence number for each place (a seqlock), odd while
 * its value is written. Everything shared is read and written by atomic words: releases
 * and acquires keep their order, without fences.
 */
#include "worker/reuse_table.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD = sizeof(uint64_t), KEY_WORDS = MW_REUSE_KEY / WORD, WAYS = 8 };

/* Linux 5.1; its header cannot be included beside fcntl.h. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
static const int seals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct slot {
    _Atomic uint64_t sequence, expires_us, size;
    _Atomic uint64_t key[KEY_WORDS];
    _Atomic uint64_t spare[2];
    _Atomic uint64_t value[MW_REUSE_VALUE_MOST / WORD];
};
_Static_assert(sizeof(struct slot) == MW_REUSE_SLOT, "a place is a page");

struct mw_reuse_table {
    int fd; /* -1: a reader's, closed once it is mapped */
    struct slot *slots;
    size_t sets;
};

static size_t size_of(const struct mw_reuse_table *table)
{
    return table->sets * WAYS * sizeof(struct slot);
}

/* Takes fd. */
static struct mw_reuse_table *wrap(int fd, size_t sets, struct mw_error *error)
{
    struct mw_reuse_table *table = calloc(1, sizeof *table);
    if (!table) {
        mw_fail_errno(error, "cannot keep verdicts for reuse");
        close(fd);
        return NULL;
    }
    table->fd = fd;
    table->sets = sets;
    return table;
}

static int map(struct mw_reuse_table *table, int protection, struct mw_error *error)
{
    void *all = mmap(NULL, size_of(table), protection, MAP_SHARED, table->fd, 0);
    if (all == MAP_FAILED)
        return mw_fail_errno(error, "cannot map %zu bytes of verdicts for reuse", size_of(table));
    table->slots = all;
    return 0;
}

/* Our mapping may be written to; nobody gets another one like it, forked or not. */
static int make(struct mw_reuse_table *table, struct mw_error *error)
{
    if (ftruncate(table->fd, (off_t)size_of(table)) != 0)
        return mw_fail_errno(error, "cannot make %zu bytes of verdicts for reuse", size_of(table));
    if (map(table, PROT_READ | PROT_WRITE, error) != 0)
        return error->code;
    if (madvise(table->slots, size_of(table), MADV_DONTFORK) != 0 ||
        fcntl(table->fd, F_ADD_SEALS, seals) != 0)
        return mw_fail_errno(error, "this kernel cannot keep others from writing to memory");
    return 0;
}

struct mw_reuse_table *mw_reuse_table_new(unsigned places, struct mw_error *error)
{
    int fd = memfd_create("mailwitness-verdicts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        mw_fail_errno(error, "cannot make memory for verdicts to reuse");
        return NULL;
    }
    struct mw_reuse_table *table = wrap(fd, places < 1 ? 1 : (places + WAYS - 1) / WAYS, error);
    if (table && make(table, error) == 0)
        return table;
    mw_reuse_table_free(table);
    return NULL;
}

int mw_reuse_table_fd(const struct mw_reuse_table *table)
{
    return table->fd;
}

struct mw_reuse_table *mw_reuse_table_open(int fd, struct mw_error *error)
{
    struct stat facts = {0};
    const size_t set = WAYS * sizeof(struct slot);
    int have = fcntl(fd, F_GET_SEALS);
    bool good = have >= 0 && (have & seals) == seals && fstat(fd, &facts) == 0 &&
                facts.st_size > 0 && (size_t)facts.st_size % set == 0;
    if (!good) {
        mw_fail(error, MW_ERR_FORMAT, "what was sent is no table of verdicts");
        close(fd);
        return NULL;
    }
    struct mw_reuse_table *table = wrap(fd, (size_t)facts.st_size / set, error);
    if (table && map(table, PROT_READ, error) == 0) {
        close(table->fd);
        table->fd = -1;
        return table;
    }
    mw_reuse_table_free(table);
    return NULL;
}

void mw_reuse_table_free(struct mw_reuse_table *table)
{
    if (!table)
        return;
    if (table->slots)
        munmap(table->slots, size_of(table));
    if (table->fd >= 0)
        close(table->fd);
    free(table);
}

/* --- one place ----------------------------------------------------------------------- */

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static void set_bytes(_Atomic uint64_t *words, struct mw_bytes bytes)
{
    for (size_t at = 0; at < bytes.size; at += WORD) {
        uint64_t word = 0;
        memcpy(&word, bytes.data + at, bytes.size - at < WORD ? bytes.size - at : WORD);
        set(words++, word);
    }
}

static void get_bytes(const _Atomic uint64_t *words, unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += WORD) {
        uint64_t word = get(words++);
        memcpy(bytes + at, &word, size - at < WORD ? size - at : WORD);
    }
}

static bool has_key(const struct slot *slot, const unsigned char *key)
{
    unsigned char its[MW_REUSE_KEY];
    get_bytes(slot->key, its, sizeof its);
    return memcmp(its, key, sizeof its) == 0;
}

static struct slot *set_of(const struct mw_reuse_table *table, const unsigned char *key)
{
    return table->slots + mw_bytes_get_little(key, WORD) % table->sets * WAYS;
}

/* Where a value goes. */
static struct slot *choose(const struct mw_reuse_table *table, const unsigned char *key)
{
    struct slot *all = set_of(table, key), *oldest = all;
    for (size_t i = 0; i < WAYS; i++) {
        if (has_key(&all[i], key))
            return &all[i];
        if (get(&all[i].expires_us) < get(&oldest->expires_us))
            oldest = &all[i];
    }
    return oldest;
}

int mw_reuse_table_put(struct mw_reuse_table *table, const unsigned char *key,
                       struct mw_bytes value, int64_t expires_us, struct mw_error *error)
{
    if (value.size > MW_REUSE_VALUE_MOST || value.size == 0)
        return mw_fail(error, MW_ERR_LIMIT, "%zu bytes are no value of a table of verdicts",
                       value.size);
    struct slot *slot = choose(table, key);
    uint64_t sequence = get(&slot->sequence);
    set(&slot->sequence, sequence + 1);
    set_bytes(slot->key, (struct mw_bytes){key, MW_REUSE_KEY});
    set(&slot->expires_us, (uint64_t)expires_us);
    set(&slot->size, value.size);
    set_bytes(slot->value, value);
    set(&slot->sequence, sequence + 2);
    return 0;
}

size_t mw_reuse_table_get(const struct mw_reuse_table *table, const unsigned char *key,
                          int64_t now_us, unsigned char *value)
{
    const struct slot *all = set_of(table, key);
    for (size_t i = 0; i < WAYS; i++) {
        const struct slot *slot = &all[i];
        uint64_t sequence = get(&slot->sequence), size = get(&slot->size);
        bool there = sequence % 2 == 0 && size > 0 && size <= MW_REUSE_VALUE_MOST &&
                     has_key(slot, key) && get(&slot->expires_us) > (uint64_t)now_us;
        if (!there)
            continue;
        get_bytes(slot->value, value, (size_t)size);
        return get(&slot->sequence) == sequence ? (size_t)size : 0;
    }
    return 0;
}
