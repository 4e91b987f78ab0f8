/*
 * report_headers: an ordered list of header fields as JSON that is easy to look
 * things up in: "headers" by lower-case name, "header_names" for order and
 * spelling, "headers_raw" for what decoding changed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/name_index.h"
#include "core/report_json.h"

/* The values of the field at index first and of those of the same name behind it: one
 * stands alone, several in an array. */
static void write_values(struct mw_json_out *out, const struct mw_headers *headers,
                         const struct mw_name_place *places, size_t first)
{
    bool several = places[first].many > 1;
    if (several)
        mw_json_out_char(out, '[');
    for (size_t i = first; i < headers->count; i = places[i].next) {
        if (i > first)
            mw_json_out_char(out, ',');
        mw_json_out_string(out, headers->items[i].value);
    }
    if (several)
        mw_json_out_char(out, ']');
}

static void write_raws(struct mw_json_out *out, const struct mw_headers *headers)
{
    size_t before = out->size;
    bool any = false;
    mw_json_out_key(out, "headers_raw");
    mw_json_out_char(out, '[');
    for (size_t i = 0; i < headers->count; i++) {
        if (!headers->items[i].raw)
            continue;
        any = true;
        mw_json_out_comma(out);
        mw_json_out_char(out, '{');
        mw_json_out_key(out, "index");
        mw_json_out_integer(out, (int64_t)i);
        mw_json_out_key(out, "raw");
        mw_json_out_string(out, headers->items[i].raw);
        mw_json_out_char(out, '}');
    }
    mw_json_out_char(out, ']');
    if (!any)
        mw_json_out_back(out, before);
}

void mw_headers_to_json(struct mw_json_out *out, const struct mw_headers *headers)
{
    struct mw_arena *scratch = mw_arena_new();
    const char **names = mw_arena_alloc(scratch, (headers->count + 1) * sizeof *names);
    for (size_t i = 0; i < headers->count; i++)
        names[i] = headers->items[i].name;
    const struct mw_name_place *places = mw_name_index(scratch, names, headers->count);
    mw_json_out_key(out, "headers");
    mw_json_out_char(out, '{');
    for (size_t i = 0; i < headers->count; i++) {
        if (places[i].rank > 0)
            continue;
        mw_json_out_key(out, mw_ascii_lower_text(mw_arena_dup(scratch, names[i])));
        write_values(out, headers, places, i);
    }
    mw_json_out_char(out, '}');
    mw_json_out_key(out, "header_names");
    mw_json_out_char(out, '[');
    for (size_t i = 0; i < headers->count; i++) {
        mw_json_out_comma(out);
        mw_json_out_string(out, names[i]);
    }
    mw_json_out_char(out, ']');
    write_raws(out, headers);
    mw_arena_free(scratch);
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

/* The value of the field at place, which must be the only one or in an array of as
 * many as there are. */
static const char *value_of(json_t *entry, const struct mw_name_place *place)
{
    if (!json_is_array(entry))
        return place->many == 1 ? json_string_value(entry) : NULL;
    if (place->many < 2 || json_array_size(entry) != place->many)
        return NULL;
    return json_string_value(json_array_get(entry, place->rank));
}

static const char **list_names(struct mw_arena *arena, json_t *names)
{
    size_t count = json_array_size(names);
    const char **list = mw_arena_alloc(arena, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = mw_arena_dup(arena, json_string_value(json_array_get(names, i)));
        if (!list[i])
            return NULL;
    }
    return list;
}

static int read_names(struct mw_arena *arena, json_t *values, json_t *names,
                      struct mw_headers *headers, struct mw_error *error)
{
    size_t count = json_array_size(names), different = 0;
    const char **list = list_names(arena, names);
    if (!list)
        return mw_fail(error, MW_ERR_FORMAT, "header_names: must be an array of strings");
    const struct mw_name_place *places = mw_name_index(arena, list, count);
    for (size_t i = 0; i < count; i++) {
        different += places[i].rank == 0;
        json_t *entry = json_object_get(values, mw_ascii_lower_text(mw_arena_dup(arena, list[i])));
        const char *value = value_of(entry, &places[i]);
        if (!value)
            return mw_fail(error, MW_ERR_FORMAT, "header_names: entry %zu has no value", i);
        struct mw_header *header = mw_list_add(arena, headers, sizeof *headers->items);
        header->name = list[i];
        header->value = mw_arena_dup(arena, value);
    }
    if (json_object_size(values) != different)
        return mw_fail(error, MW_ERR_FORMAT, "headers: a value is not in header_names");
    return 0;
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
