/*
 * name_index: which header fields of a list share a name, compared without case.
 */
#ifndef MW_CORE_NAME_INDEX_H
#define MW_CORE_NAME_INDEX_H

#include "core/arena.h"

struct mw_name_place {
    size_t rank; /* 0 for the first field of its name, 1 for the second ... */
    size_t next; /* index of the next field of its name, or the number of all */
    size_t many; /* fields of its name */
};

/* A place for each of count names, in the arena; its time grows as count does. */
struct mw_name_place *mw_name_index(struct mw_arena *arena, const char *const *names, size_t count);

#endif
