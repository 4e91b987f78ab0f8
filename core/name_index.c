/* name_index: an open hash table from a name to the fields that bear it. */
#include "core/name_index.h"

#include <stdint.h>
#include <strings.h>

#include "core/ascii.h"

/* FNV-1a (RFC 9923 describes it) over ASCII lower case. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)mw_ascii_lower(*name)) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

struct slot {
    size_t first, last; /* fields counted from 1; 0: the slot is free */
};

static struct slot *find(struct slot *slots, size_t mask, const char *const *names,
                         const char *name)
{
    size_t at = (size_t)hash_name(name) & mask;
    while (slots[at].first > 0 && strcasecmp(names[slots[at].first - 1], name) != 0)
        at = (at + 1) & mask;
    return &slots[at];
}

struct mw_name_place *mw_name_index(struct mw_arena *arena, const char *const *names, size_t count)
{
    struct mw_name_place *places = mw_arena_alloc(arena, (count + 1) * sizeof *places);
    size_t size = 16;
    while (size < count * 2)
        size *= 2;
    struct slot *slots = mw_arena_alloc(arena, size * sizeof *slots);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = find(slots, size - 1, names, names[i]);
        places[i].next = count;
        if (slot->first == 0) {
            slot->first = i + 1;
        } else {
            places[i].rank = places[slot->last - 1].rank + 1;
            places[slot->last - 1].next = i;
        }
        places[slot->first - 1].many++;
        slot->last = i + 1;
    }
    for (size_t first = 0; first < count; first++)
        for (size_t i = first; places[first].rank == 0 && i < count; i = places[i].next)
            places[i].many = places[first].many;
    return places;
}
