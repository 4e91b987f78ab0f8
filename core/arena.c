/*
 * arena: a chain of blocks, each twice the last up to a bound. What is larger
 * than a block gets a mapping of its own, so that its pages count only once
 * they are written.
 */
#include "core/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 256 << 10, FIRST_ITEMS = 8 };

struct block {
    struct block *next;
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

/* A block for one large thing goes behind the one being filled. */
static void *alloc_large(struct mw_arena *arena, size_t size)
{
    struct block *block = new_block(size);
    block->used = size;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = NULL;
        arena->blocks = block;
    }
    return block->data;
}

void *mw_arena_alloc_raw(struct mw_arena *arena, size_t size)
{
    if (size > SIZE_MAX - 64)
        must(NULL, size);
    size = size ? (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1)
                : alignof(max_align_t);
    arena->used += size;
    if (size > arena->next_size / 4)
        return alloc_large(arena, size);
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        block = new_block(arena->next_size);
        block->next = arena->blocks;
        arena->blocks = block;
        if (arena->next_size < LARGEST_BLOCK)
            arena->next_size *= 2;
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
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
        void *items = mw_arena_alloc(arena, capacity * item_size);
        if (any.count > 0)
            memcpy(items, any.items, any.count * item_size);
        any.items = items;
        any.capacity = capacity;
    }
    void *item = (unsigned char *)any.items + any.count++ * item_size;
    memcpy(list, &any, sizeof any);
    return item;
}

void mw_texts_add(struct mw_arena *arena, struct mw_texts *texts, const char *text)
{
    *(const char **)mw_list_add(arena, texts, sizeof *texts->items) = text;
}
