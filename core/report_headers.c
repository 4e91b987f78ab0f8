/*
 * report_headers: an ordered list of header fields as JSON that is easy to look
 * things up in: "headers" by lower-case name, "header_names" for order and
 * spelling, "headers_raw" for what decoding changed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/report_json.h"

/* name in ASCII lower case, in the arena. */
static const char *lower(struct mw_arena *arena, const char *name)
{
    char *copy = mw_arena_dup(arena, name);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

/* The first value stands alone, the second makes an array of it. */
static int add_value(json_t *values, const char *key, const char *value)
{
    json_t *text = json_string_nocheck(value);
    json_t *there = json_object_get(values, key);
    if (!text)
        return -1;
    if (!there)
        return json_object_set_new(values, key, text);
    if (json_is_array(there))
        return json_array_append_new(there, text);
    json_t *both = json_array();
    json_array_append(both, there);
    json_array_append_new(both, text);
    return json_object_set_new(values, key, both);
}

int mw_headers_to_json(json_t *object, const struct mw_headers *headers)
{
    struct mw_arena *scratch = mw_arena_new();
    json_t *values = json_object(), *names = json_array(), *raws = json_array();
    int result = 0;
    for (size_t i = 0; i < headers->count && result == 0; i++) {
        const struct mw_header *header = &headers->items[i];
        result = add_value(values, lower(scratch, header->name), header->value);
        if (result == 0)
            result = json_array_append_new(names, json_string_nocheck(header->name));
        if (result == 0 && header->raw)
            result = json_array_append_new(
                raws, json_pack("{s:I, s:s}", "index", (json_int_t)i, "raw", header->raw));
    }
    json_object_set_new(object, "headers", values);
    json_object_set_new(object, "header_names", names);
    if (json_array_size(raws) > 0)
        json_object_set_new(object, "headers_raw", raws);
    else
        json_decref(raws);
    mw_arena_free(scratch);
    return result;
}

/* The next unused value of a name, counted in used (an object name -> integer). */
static const char *next_value(json_t *values, json_t *used, const char *key)
{
    json_t *entry = json_object_get(values, key);
    json_int_t n = json_integer_value(json_object_get(used, key));
    json_object_set_new(used, key, json_integer(n + 1));
    if (json_is_array(entry))
        return json_string_value(json_array_get(entry, (size_t)n));
    return n == 0 ? json_string_value(entry) : NULL;
}

/* Whether every value was used, none is left over. */
static bool all_used(json_t *values, json_t *used)
{
    const char *key;
    json_t *entry;
    json_object_foreach (values, key, entry) {
        json_int_t n = json_integer_value(json_object_get(used, key));
        json_int_t there = json_is_array(entry) ? (json_int_t)json_array_size(entry) : 1;
        if (n != there || (json_is_array(entry) && there < 2))
            return false;
    }
    return true;
}

static int read_raws(struct mw_arena *arena, json_t *raws, struct mw_headers *headers,
                     struct mw_error *error)
{
    for (size_t i = 0; i < json_array_size(raws); i++) {
        json_t *entry = json_array_get(raws, i);
        json_int_t index = json_integer_value(json_object_get(entry, "index"));
        const char *raw = json_string_value(json_object_get(entry, "raw"));
        bool known = json_is_integer(json_object_get(entry, "index")) && index >= 0 &&
                     (size_t)index < headers->count;
        if (!known || !raw || json_object_size(entry) != 2 || headers->items[index].raw)
            return mw_fail(error, MW_ERR_FORMAT, "headers_raw: entry %zu fits no header", i);
        headers->items[index].raw = mw_arena_dup(arena, raw);
    }
    return 0;
}

static int read_names(struct mw_arena *arena, json_t *values, json_t *names,
                      struct mw_headers *headers, struct mw_error *error)
{
    json_t *used = json_object();
    int result = 0;
    for (size_t i = 0; i < json_array_size(names) && result == 0; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *value = name ? next_value(values, used, lower(arena, name)) : NULL;
        if (!value) {
            result = mw_fail(error, MW_ERR_FORMAT, "header_names: entry %zu has no value", i);
            break;
        }
        struct mw_header *header = mw_list_add(arena, headers, sizeof *headers->items);
        header->name = mw_arena_dup(arena, name);
        header->value = mw_arena_dup(arena, value);
    }
    if (result == 0 && !all_used(values, used))
        result = mw_fail(error, MW_ERR_FORMAT, "headers: a value is not in header_names");
    json_decref(used);
    return result;
}

int mw_headers_from_json(struct mw_arena *arena, json_t *object, struct mw_headers *headers,
                         struct mw_error *error)
{
    json_t *values = json_object_get(object, "headers");
    json_t *names = json_object_get(object, "header_names");
    json_t *raws = json_object_get(object, "headers_raw");
    if (!json_is_object(values) || !json_is_array(names) || (raws && !json_is_array(raws)))
        return mw_fail(error, MW_ERR_FORMAT, "headers: must be an object beside header_names");
    if (read_names(arena, values, names, headers, error) != 0 ||
        (raws && read_raws(arena, raws, headers, error) != 0))
        return MW_ERR_FORMAT;
    json_object_del(object, "headers");
    json_object_del(object, "header_names");
    json_object_del(object, "headers_raw");
    return 0;
}
