/* part: the tree of a message. */
#include "parsers/part.h"

#include <string.h>

/* A multipart directly inside a message has the message's own path, as in
 * IMAP (RFC 3501 section 6.4.5): its children are the message's. */
static const char *new_path(struct mw_arena *arena, const struct mw_part *parent,
                            enum mw_part_kind kind)
{
    if (!parent)
        return kind == MW_PART_MULTIPART ? "" : "1";
    if (kind == MW_PART_MULTIPART && parent->kind == MW_PART_MESSAGE)
        return parent->path;
    if (parent->path[0] == '\0')
        return mw_arena_printf(arena, "%u", parent->children + 1);
    return mw_arena_printf(arena, "%s.%u", parent->path, parent->children + 1);
}

struct mw_part *mw_part_new(struct mw_arena *arena, struct mw_part *parent, enum mw_part_kind kind)
{
    struct mw_part *part = mw_arena_alloc(arena, sizeof *part);
    part->kind = kind;
    part->path = new_path(arena, parent, kind);
    part->parent = parent;
    if (!parent)
        return part;
    part->depth = parent->depth + 1;
    parent->children++;
    if (parent->last_child)
        parent->last_child->next = part;
    else
        parent->first_child = part;
    parent->last_child = part;
    return part;
}

void mw_part_drop(struct mw_part *part)
{
    struct mw_part *parent = part->parent, *before = NULL;
    for (struct mw_part *child = parent->first_child; child != part; child = child->next)
        before = child;
    if (before)
        before->next = part->next;
    else
        parent->first_child = part->next;
    if (parent->last_child == part)
        parent->last_child = before;
}

void mw_part_opened(struct mw_part *part, const char *kind)
{
    if (!part->container)
        part->container = kind;
    part->inside++;
}

void mw_part_closed(struct mw_part *part, const char *kind, const char *why)
{
    if (!part->container)
        part->container = kind;
    if (!part->why)
        part->why = why;
    part->closed++;
}

enum mw_opened mw_part_state(const struct mw_part *part)
{
    if (part->closed > 0)
        return part->inside > 0 ? MW_OPENED_PARTLY : MW_OPENED_NO;
    return part->container ? MW_OPENED_YES : MW_OPENED_NOTHING;
}

struct mw_part *mw_part_next(const struct mw_part *part, const struct mw_part *root)
{
    if (part->first_child)
        return part->first_child;
    while (part != root && !part->next)
        part = part->parent;
    return part == root ? NULL : part->next;
}

static bool is_text_type(const struct mw_part *part)
{
    return strcmp(part->content_type, "text/plain") == 0 ||
           strcmp(part->content_type, "text/html") == 0;
}

bool mw_part_is_attachment(const struct mw_part *part)
{
    if (part->kind == MW_PART_MULTIPART)
        return false;
    if (part->unpacked || part->kind == MW_PART_MESSAGE || part->filename)
        return true;
    if (part->disposition && strcmp(part->disposition, "attachment") == 0)
        return true;
    return !is_text_type(part);
}

bool mw_part_is_text(const struct mw_part *part)
{
    return part->kind == MW_PART_LEAF && is_text_type(part) && !mw_part_is_attachment(part);
}
