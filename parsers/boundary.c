/* boundary: sorted lists, as hostile mail can make any hash table slow. */
#include "parsers/boundary.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of each kind, beyond which a message is none; bytes of one that is looked at. */
enum { MOST = 100000, LONGEST = 1000 };

MW_LIST_TYPE(names, struct mw_bytes);

struct mw_boundaries {
    struct names names;
    bool unsure;
};

static int compare_bytes(struct mw_bytes a, struct mw_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_names(const void *a, const void *b)
{
    return compare_bytes(*(const struct mw_bytes *)a, *(const struct mw_bytes *)b);
}

static struct mw_bytes without_blanks(struct mw_bytes line)
{
    while (line.size > 0 && strchr(" \t\r\n", line.data[line.size - 1]))
        line.size--;
    return line;
}

/* Whether the parameter's name in front of the "=" at equals is "boundary"; *plain: and
 * nothing of RFC 2231 with it. */
static bool names_boundary(struct mw_bytes bytes, size_t equals, bool *plain)
{
    static const char name[] = "boundary";
    size_t end = equals;
    *plain = true;
    while (end > 0 && equals - end < LONGEST && strchr(" \t\r\n", bytes.data[end - 1]))
        end--;
    while (end > 0 && equals - end < LONGEST && strchr("*0123456789", bytes.data[end - 1])) {
        *plain = false;
        end--;
    }
    return end >= sizeof name - 1 && strncasecmp((const char *)bytes.data + end - (sizeof name - 1),
                                                 name, sizeof name - 1) == 0;
}

/* The value from at on: to its closing quote, or what stops a word. */
static struct mw_bytes value_at(struct mw_bytes bytes, size_t at, bool *plain)
{
    struct mw_bytes rest = mw_bytes_slice(bytes, at, LONGEST);
    size_t start = 0;
    while (start < rest.size && strchr(" \t\r\n", rest.data[start]))
        start++;
    bool quoted = start < rest.size && rest.data[start] == '"';
    start += quoted;
    size_t end = start;
    while (end < rest.size && (quoted ? rest.data[end] != '"'
                                      : rest.data[end] && !strchr(" \t\r\n;,\"", rest.data[end])))
        end++;
    struct mw_bytes value = mw_bytes_slice(rest, start, end - start);
    if (value.size > 0 && (memchr(value.data, quoted ? '\\' : '(', value.size) ||
                           memchr(value.data, '\n', value.size) || value.size + 10 > LONGEST))
        *plain = false;
    return without_blanks(value);
}

const struct mw_boundaries *mw_boundaries_named(struct mw_parse *parse, struct mw_bytes bytes)
{
    struct mw_arena *arena = parse->report->arena;
    struct mw_boundaries *found = mw_arena_alloc(arena, sizeof *found);
    for (size_t at = 0; at < bytes.size; at++) {
        const unsigned char *equals = memchr(bytes.data + at, '=', bytes.size - at);
        if (!equals)
            break;
        at = (size_t)(equals - bytes.data);
        bool plain;
        if (!names_boundary(bytes, at, &plain))
            continue;
        if (found->names.count >= MOST || mw_parse_expired(parse)) {
            found->unsure = true;
            break;
        }
        *(struct mw_bytes *)mw_list_add(arena, &found->names, sizeof(struct mw_bytes)) =
            value_at(bytes, at + 1, &plain);
        found->unsure = found->unsure || !plain;
    }
    if (found->names.count > 1)
        qsort(found->names.items, found->names.count, sizeof *found->names.items, compare_names);
    return found;
}

size_t mw_boundaries_count(const struct mw_boundaries *boundaries)
{
    return boundaries->names.count;
}

bool mw_boundaries_unsure(const struct mw_boundaries *boundaries)
{
    return boundaries->unsure;
}

bool mw_boundaries_has(const struct mw_boundaries *boundaries, struct mw_bytes line)
{
    struct mw_bytes name = without_blanks(mw_bytes_slice(line, 2, line.size));
    return name.size > 0 && boundaries->names.count > 0 &&
           bsearch(&name, boundaries->names.items, boundaries->names.count, sizeof name,
                   compare_names);
}

/* A line that can be a delimiter, or with its last two dashes away, the last one. */
struct candidate {
    struct mw_bytes name;
    size_t order;
    bool closing;
};
MW_LIST_TYPE(candidates, struct candidate);

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    int order = compare_bytes(one->name, other->name);
    return order != 0 ? order : (one->order > other->order) - (one->order < other->order);
}

/* "--", then what RFC 2046 allows; nothing that would have to be escaped in a header. */
static void add_candidate(struct mw_arena *arena, struct candidates *all, struct mw_bytes line,
                          size_t order)
{
    line = without_blanks(line);
    if (line.size < 3 || line.size > 72 || memcmp(line.data, "--", 2) != 0)
        return;
    struct mw_bytes name = mw_bytes_slice(line, 2, line.size);
    if (memchr(name.data, '"', name.size) || memchr(name.data, '\\', name.size) ||
        name.data[0] == ' ')
        return;
    struct candidate *one = mw_list_add(arena, all, sizeof *one);
    *one = (struct candidate){name, order, false};
    if (name.size <= 2 || memcmp(name.data + name.size - 2, "--", 2) != 0)
        return;
    one = mw_list_add(arena, all, sizeof *one);
    *one = (struct candidate){mw_bytes_slice(name, 0, name.size - 2), order, true};
}

struct mw_bytes mw_boundary_guess(struct mw_parse *parse, struct mw_bytes content)
{
    struct candidates all = {0};
    struct mw_bytes guess = {0};
    size_t first = SIZE_MAX;
    for (size_t at = 0, next; at < content.size && all.count < MOST; at = next) {
        next = mw_bytes_next_line(content, at);
        if (content.data[at] == '-')
            add_candidate(parse->report->arena, &all, mw_bytes_slice(content, at, next - at), at);
    }
    if (all.count > 1)
        qsort(all.items, all.count, sizeof *all.items, compare_candidates);
    for (size_t i = 0; i + 1 < all.count; i++) {
        const struct candidate *one = &all.items[i], *next = one + 1;
        if (one->closing || one->order >= first || next->order == one->order ||
            compare_bytes(one->name, next->name) != 0)
            continue;
        first = one->order;
        guess = one->name;
    }
    return guess;
}
