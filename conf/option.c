/* option: text to value and back, by type. */
#include "conf/option.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/names.h"
#include "core/number.h"

/* Names of units and what they multiply by, in the unit kept. */
struct unit {
    const char *name;
    double factor;
};
static const struct unit size_units[] = {{"k", 1024},     {"kb", 1024},      {"m", 1048576},
                                         {"mb", 1048576}, {"g", 1073741824}, {"gb", 1073741824},
                                         {NULL, 0}};
static const struct unit count_units[] = {{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {NULL, 0}};
static const struct unit ms_units[] = {{"ms", 1},      {"s", 1000},     {"min", 60000},
                                       {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit s_units[] = {{"s", 1},      {"min", 60},     {"h", 3600}, {"d", 86400},
                                      {"w", 604800}, {"y", 31536000}, {NULL, 0}};

static const struct {
    const struct unit *units;
    const char *what;
} kinds[] = {
    [MW_OPTION_COUNT] = {count_units, "a number"},
    [MW_OPTION_SIZE] = {size_units, "a size such as 25m"},
    [MW_OPTION_BIG] = {count_units, "a number such as 50m"},
    [MW_OPTION_TIME] = {ms_units, "a time such as 30s or 500ms"},
    [MW_OPTION_PERIOD] = {s_units, "a time such as 90d"},
    [MW_OPTION_REAL] = {NULL, "a number such as 0.001"},
};

static bool unit_factor(const struct unit *units, const char *suffix, double *factor)
{
    *factor = 1;
    if (*suffix == '\0')
        return true;
    for (; units && units->name; units++)
        if (strcasecmp(units->name, suffix) == 0) {
            *factor = units->factor;
            return true;
        }
    return false;
}

static int set_number(const struct mw_option *option, void *member, const char *text,
                      struct mw_error *error)
{
    const char *end;
    double factor, value;
    if (!mw_number_read(text, &value, &end) ||
        !unit_factor(kinds[option->type].units, end, &factor))
        return mw_fail(error, MW_ERR_INPUT, "'%s' is not %s", text, kinds[option->type].what);
    value *= factor;
    if (!(value >= option->least && value <= option->most))
        return mw_fail(error, MW_ERR_INPUT, "'%s' is out of bounds: from %.15g to %.15g", text,
                       option->least, option->most);
    if (option->type == MW_OPTION_REAL)
        *(double *)member = value;
    else if (option->type == MW_OPTION_SIZE)
        *(size_t *)member = (size_t)value;
    else if (option->type == MW_OPTION_BIG)
        *(uint64_t *)member = (uint64_t)value;
    else
        *(unsigned *)member = (unsigned)value;
    return 0;
}

static int set_bool(bool *member, const char *text, struct mw_error *error)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *member = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return mw_fail(error, MW_ERR_INPUT, "'%s' is neither true nor false", text);
}

static int set_name(const struct mw_option *option, unsigned *member, const char *text,
                    struct mw_error *error)
{
    int at = mw_names_choose(option->names, (int)option->least, text, error);
    if (at < 0)
        return at;
    *member = (unsigned)at;
    return 0;
}

int mw_option_set(const struct mw_option *option, void *object, struct mw_arena *arena,
                  const char *text, struct mw_error *error)
{
    void *member = (unsigned char *)object + option->offset;
    if (option->check && option->check(text, error) != 0)
        return MW_ERR_INPUT;
    switch (option->type) {
    case MW_OPTION_BOOL:
        return set_bool(member, text, error);
    case MW_OPTION_NAME:
        return set_name(option, member, text, error);
    case MW_OPTION_TEXT:
        *(const char **)member = mw_arena_dup(arena, text);
        return 0;
    case MW_OPTION_TEXTS:
        mw_texts_add(arena, member, mw_arena_dup(arena, text));
        return 0;
    default:
        return set_number(option, member, text, error);
    }
}

static const char *quoted(struct mw_arena *arena, const char *text)
{
    char *out = mw_arena_alloc(arena, strlen(text) * 2 + 3);
    char *to = out;
    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '\n')
            *to++ = '\\';
        *to++ = (char)(*text == '\n' ? 'n' : *text);
    }
    *to = '"';
    return out;
}

static const char *quoted_list(struct mw_arena *arena, const struct mw_texts *texts)
{
    const char *list = "";
    for (size_t i = 0; i < texts->count; i++)
        list = mw_arena_printf(arena, "%s%s%s", list, i > 0 ? ", " : "",
                               quoted(arena, texts->items[i]));
    return texts->count > 0 ? mw_arena_printf(arena, "[%s]", list) : NULL;
}

bool mw_option_is_bare(const struct mw_option *option, const char *text)
{
    if (option->type == MW_OPTION_BOOL)
        return true;
    bool named = option->type == MW_OPTION_TEXT || option->type == MW_OPTION_TEXTS ||
                 option->type == MW_OPTION_NAME;
    /* Above 2^31 a plain number needs an L that nobody thinks of. */
    return !named && text && strlen(text) < 10 && strspn(text, "0123456789.") == strlen(text);
}

static const char *plain_value(const struct mw_option *option, const void *object,
                               struct mw_arena *arena);

const char *mw_option_get(const struct mw_option *option, const void *object,
                          struct mw_arena *arena)
{
    const char *text = plain_value(option, object, arena);
    bool ready = !text || option->type == MW_OPTION_TEXT || option->type == MW_OPTION_TEXTS ||
                 mw_option_is_bare(option, text);
    return ready ? text : quoted(arena, text);
}

static const char *plain_value(const struct mw_option *option, const void *object,
                               struct mw_arena *arena)
{
    const void *member = (const unsigned char *)object + option->offset;
    const char *text;
    switch (option->type) {
    case MW_OPTION_BOOL:
        return *(const bool *)member ? "true" : "false";
    case MW_OPTION_COUNT:
        return mw_arena_printf(arena, "%u", *(const unsigned *)member);
    case MW_OPTION_SIZE:
        return mw_arena_printf(arena, "%zu", *(const size_t *)member);
    case MW_OPTION_BIG:
        return mw_arena_printf(arena, "%llu", (unsigned long long)*(const uint64_t *)member);
    case MW_OPTION_TIME:
        return mw_arena_printf(arena, "%ums", *(const unsigned *)member);
    case MW_OPTION_PERIOD:
        return mw_arena_printf(arena, "%us", *(const unsigned *)member);
    case MW_OPTION_REAL:
        return mw_arena_printf(arena, "%.15g", *(const double *)member);
    case MW_OPTION_TEXT:
        text = *(const char *const *)member;
        return text ? quoted(arena, text) : NULL;
    case MW_OPTION_TEXTS:
        return quoted_list(arena, member);
    case MW_OPTION_NAME:
        return option->names[*(const unsigned *)member];
    }
    return NULL;
}
