/*
 * arena: a chain of blocks, each twice the last up to a bound. What is larger
 * than a block gets memory of its own, so that its pages count only once they
 * are written, and so that it can grow where it stands.
 */
#include "core/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above ALONE bytes nothing shares a block, whatever the size of blocks is by then. */
enum { FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 256 << 10, ALONE = LARGEST_BLOCK / 4 };
enum { FIRST_ITEMS = 8 };

struct block {
    struct block *next, *before;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

struct owned {
    struct owned *next;
    void (*free_function)(void *);
    void *thing;
};

struct mw_arena {
    struct block *blocks; /* the first is the one being filled */
    struct owned *owned;
    size_t next_size;
    size_t used;
};

static void *must(void *memory, size_t size)
{
    if (memory)
        return memory;
    fprintf(stderr, "mailwitness: out of memory for %zu bytes\n", size);
    abort();
}

struct mw_arena *mw_arena_new(void)
{
    struct mw_arena *arena = must(calloc(1, sizeof *arena), sizeof *arena);
    arena->next_size = FIRST_BLOCK;
    return arena;
}

void mw_arena_free(struct mw_arena *arena)
{
    if (!arena)
        return;
    for (struct owned *o = arena->owned; o; o = o->next)
        o->free_function(o->thing);
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static struct block *new_block(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct block))
        must(NULL, size);
    struct block *block = must(malloc(sizeof *block + size), size);
    block->used = 0;
    block->size = size;
    return block;
}

/* Puts a block behind another one, or first. */
static void link_block(struct mw_arena *arena, struct block *block, struct block *before)
{
    block->before = before;
    block->next = before ? before->next : arena->blocks;
    if (block->next)
        block->next->before = block;
    if (before)
        before->next = block;
    else
        arena->blocks = block;
}

/* A block for one large thing goes behind the one being filled. */
static void *alloc_large(struct mw_arena *arena, size_t size)
{
    struct block *block = new_block(size);
    block->used = size;
    link_block(arena, block, arena->blocks);
    return block->data;
}

static size_t rounded(size_t size)
{
    if (size > SIZE_MAX - 64)
        must(NULL, size);
    return size ? (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1)
                : alignof(max_align_t);
}

void *mw_arena_alloc_raw(struct mw_arena *arena, size_t size)
{
    size = rounded(size);
    arena->used += size;
    if (size > arena->next_size / 4)
        return alloc_large(arena, size);
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        block = new_block(arena->next_size);
        link_block(arena, block, NULL);
        if (arena->next_size < LARGEST_BLOCK)
            arena->next_size *= 2;
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
}

/* A large thing has its block to itself: the C library moves its pages, not its bytes. */
static void *grow_large(struct mw_arena *arena, void *memory, size_t old_size, size_t size)
{
    struct block *block = (struct block *)((unsigned char *)memory - offsetof(struct block, data));
    struct block *before = block->before, *next = block->next;
    if (size > SIZE_MAX - sizeof *block)
        must(NULL, size);
    block = must(realloc(block, sizeof *block + size), size);
    block->size = block->used = size;
    if (before)
        before->next = block;
    else
        arena->blocks = block;
    if (next)
        next->before = block;
    arena->used += size - old_size;
    return block->data;
}

void *mw_arena_resize(struct mw_arena *arena, void *memory, size_t old_size, size_t size)
{
    if (!memory)
        return mw_arena_alloc_raw(arena, size);
    size_t had = rounded(old_size), wanted = rounded(size);
    if (had > ALONE && wanted > ALONE)
        return grow_large(arena, memory, had, wanted);
    struct block *block = arena->blocks;
    bool last = block && block->used >= had && wanted <= ALONE &&
                (unsigned char *)memory == block->data + block->used - had;
    if (last && wanted <= block->size - block->used + had) {
        block->used += wanted - had;
        arena->used += wanted - had;
        return memory;
    }
    if (wanted <= had)
        return memory;
    void *moved = mw_arena_alloc_raw(arena, size);
    return memcpy(moved, memory, old_size);
}

void mw_arena_return(struct mw_arena *arena, const void *memory, size_t size)
{
    if (!memory || rounded(size) <= ALONE)
        return;
    struct block *block = (struct block *)((uintptr_t)memory - offsetof(struct block, data));
    if (block->before)
        block->before->next = block->next;
    else
        arena->blocks = block->next;
    if (block->next)
        block->next->before = block->before;
    arena->used -= block->used;
    free(block);
}

void *mw_arena_alloc(struct mw_arena *arena, size_t size)
{
    return memset(mw_arena_alloc_raw(arena, size), 0, size);
}

char *mw_arena_dup(struct mw_arena *arena, const char *text)
{
    return text ? mw_arena_dup_bytes(arena, text, strlen(text)) : NULL;
}

char *mw_arena_dup_bytes(struct mw_arena *arena, const void *data, size_t size)
{
    char *copy = mw_arena_alloc_raw(arena, size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *mw_arena_printf(struct mw_arena *arena, const char *format, ...)
{
    char small[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    char *text = size < sizeof small ? mw_arena_dup_bytes(arena, small, size)
                                     : mw_arena_alloc(arena, size + 1);
    if (size >= sizeof small)
        vsnprintf(text, size + 1, format, again);
    va_end(again);
    return text;
}

void mw_arena_own(struct mw_arena *arena, void (*free_function)(void *), void *thing)
{
    struct owned *owned = mw_arena_alloc(arena, sizeof *owned);
    owned->free_function = free_function;
    owned->thing = thing;
    owned->next = arena->owned;
    arena->owned = owned;
}

void mw_arena_count(struct mw_arena *arena, size_t bytes)
{
    arena->used += bytes;
}

size_t mw_arena_used(const struct mw_arena *arena)
{
    return arena->used;
}

/* The layout every MW_LIST shares. */
MW_LIST_TYPE(any_list, void);

void *mw_list_add(struct mw_arena *arena, void *list, size_t item_size)
{
    struct any_list any;
    memcpy(&any, list, sizeof any);
    if (any.count == any.capacity) {
        size_t capacity = any.capacity ? any.capacity * 2 : FIRST_ITEMS;
        if (capacity > SIZE_MAX / 2 / item_size)
            must(NULL, capacity);
        any.items =
            mw_arena_resize(arena, any.items, any.capacity * item_size, capacity * item_size);
        any.capacity = capacity;
    }
    void *item = (unsigned char *)any.items + any.count++ * item_size;
    memcpy(list, &any, sizeof any);
    return memset(item, 0, item_size);
}

void mw_texts_add(struct mw_arena *arena, struct mw_texts *texts, const char *text)
{
    *(const char **)mw_list_add(arena, texts, sizeof *texts->items) = text;
}
