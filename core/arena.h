/*
 * arena: memory that is freed all at once.
 *
 * One message has one arena; all that its report owns lies in it. Allocation
 * never returns NULL: a process that cannot get memory ends with a line on
 * stderr (as GLib does), and where hostile mail is read that process is a
 * worker whose death costs one scan.
 * Not thread-safe: one thread uses an arena at a time.
 */
#ifndef MW_CORE_ARENA_H
#define MW_CORE_ARENA_H

#include <stddef.h>

#include "core/bytes.h"

struct mw_arena;

/* A new, empty arena; the caller frees it. */
struct mw_arena *mw_arena_new(void);

/* Frees the arena and everything allocated from it. NULL is allowed. */
void mw_arena_free(struct mw_arena *arena);

/* size zeroed bytes, aligned for any type; lives as long as the arena. */
void *mw_arena_alloc(struct mw_arena *arena, size_t size);

/* Like mw_arena_alloc but not zeroed: for buffers about to be filled. */
void *mw_arena_alloc_raw(struct mw_arena *arena, size_t size);

/*
 * Makes memory of old_size bytes, which this arena handed out raw or zeroed (NULL: none),
 * size bytes large and returns where it is now; what was in it stays, what is new is not
 * zeroed. The last thing handed out and anything above 64 KB grow and shrink in place, so
 * that what grows step by step leaves no copies behind.
 */
void *mw_arena_resize(struct mw_arena *arena, void *memory, size_t old_size, size_t size);

/*
 * Frees memory of size bytes or more (NULL: none), which this arena handed out and nobody uses
 * any more, when it is above 64 KB; what is smaller stays until the arena goes. For what was
 * made of a message on the way to something else.
 */
void mw_arena_return(struct mw_arena *arena, const void *memory, size_t size);

/* A NUL-terminated copy of text (NULL gives NULL). */
char *mw_arena_dup(struct mw_arena *arena, const char *text);

/* A NUL-terminated copy of size bytes; bytes are taken as they are. */
char *mw_arena_dup_bytes(struct mw_arena *arena, const void *data, size_t size);

/* printf into the arena. */
char *mw_arena_printf(struct mw_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Runs free_function(thing) when the arena is freed, latest first: how an
 * arena owns what a library allocated.
 */
void mw_arena_own(struct mw_arena *arena, void (*free_function)(void *), void *thing);

/* Counts bytes that something owned by the arena holds elsewhere. */
void mw_arena_count(struct mw_arena *arena, size_t bytes);

/* Bytes handed out or counted so far, for limits and tests. */
size_t mw_arena_used(const struct mw_arena *arena);

/*
 * Typed growing arrays in an arena:
 *
 *     MW_LIST(struct thing) things = {0};
 *     struct thing *t = mw_list_add(arena, &things, sizeof *things.items);
 *     for (size_t i = 0; i < things.count; i++) use(&things.items[i]);
 */
#define MW_LIST(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* The same as a named type, where a list is passed around. */
#define MW_LIST_TYPE(name, type)                                                                   \
    struct name {                                                                                  \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* Appends one zeroed item of item_size bytes to a MW_LIST and returns it;
 * pointers to earlier items become stale. */
void *mw_list_add(struct mw_arena *arena, void *list, size_t item_size);

/* A list of strings. */
MW_LIST_TYPE(mw_texts, const char *);

/* Appends text (borrowed: it must live as long as the list). */
void mw_texts_add(struct mw_arena *arena, struct mw_texts *texts, const char *text);

#endif
