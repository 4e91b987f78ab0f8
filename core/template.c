/* template: looks for "${", then for "}". */
#include "core/template.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/suggest.h"

enum { NAME_MAX_SIZE = 64 };

/* Finds the next ${name} in text: its start, the text behind it, and the name. false
 * when there is none; *open then tells whether one was begun and not closed. */
static bool next_name(const char *text, const char **start, const char **behind,
                      char name[NAME_MAX_SIZE], bool *open)
{
    *start = strstr(text, "${");
    *open = *start != NULL;
    const char *end = *start ? strchr(*start, '}') : NULL;
    if (!end || (size_t)(end - *start - 2) >= NAME_MAX_SIZE)
        return false;
    size_t size = (size_t)(end - *start - 2);
    memcpy(name, *start + 2, size);
    name[size] = '\0';
    *behind = end + 1;
    return true;
}

static bool known(const char *name, const char *const *names, size_t *count)
{
    bool found = false;
    for (*count = 0; names[*count]; (*count)++)
        found = found || strcmp(names[*count], name) == 0;
    return found;
}

int mw_template_check(const char *text, const char *const *names, struct mw_error *error)
{
    const char *start, *behind;
    char name[NAME_MAX_SIZE];
    bool open;
    for (; next_name(text, &start, &behind, name, &open); text = behind) {
        size_t count;
        if (known(name, names, &count))
            continue;
        const char *near = mw_suggest(name, names, count);
        return near
                   ? mw_fail(error, MW_ERR_INPUT, "knows no ${%s}; did you mean ${%s}?", name, near)
                   : mw_fail(error, MW_ERR_INPUT, "knows no ${%s}", name);
    }
    return open ? mw_fail(error, MW_ERR_INPUT, "has a ${ without its }") : 0;
}

const char *mw_template_fill(struct mw_arena *arena, const char *text, mw_template_value *value,
                             void *user)
{
    const char *start, *behind, *out = "";
    char name[NAME_MAX_SIZE];
    bool open;
    for (; next_name(text, &start, &behind, name, &open); text = behind) {
        const char *filled = value(user, name);
        out = mw_arena_printf(arena, "%s%.*s%s", out, (int)(start - text), text,
                              filled ? filled : "-");
    }
    return mw_arena_printf(arena, "%s%s", out, text);
}
