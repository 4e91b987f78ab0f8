/* report_json: reports to JSON and back, by the table in report_fields.c. */
#include "core/report_json.h"

#include <stdlib.h>
#include <string.h>

static json_t *write_struct(const struct mw_fields *table, const void *data);
static int read_struct(struct mw_arena *arena, const struct mw_fields *table, json_t *object,
                       void *data, struct mw_error *error);

static struct mw_any_list list_at(const void *member)
{
    struct mw_any_list list;
    memcpy(&list, member, sizeof list);
    return list;
}

static json_t *write_texts(const void *member)
{
    struct mw_texts texts;
    memcpy(&texts, member, sizeof texts);
    json_t *array = json_array();
    for (size_t i = 0; i < texts.count; i++)
        json_array_append_new(array, json_string_nocheck(texts.items[i]));
    return array;
}

static json_t *write_list(const struct mw_fields *inner, const void *member)
{
    struct mw_any_list list = list_at(member);
    json_t *array = json_array();
    for (size_t i = 0; i < list.count; i++)
        json_array_append_new(
            array, write_struct(inner, (const unsigned char *)list.items + i * inner->size));
    return array;
}

static json_t *write_flags(const void *member)
{
    const struct mw_flags *flags = member;
    json_t *object = json_object();
    for (size_t i = 0; i < flags->count; i++)
        json_object_set_new(object, flags->items[i].name, json_boolean(flags->items[i].value));
    return object;
}

static json_t *write_numbers(const void *member)
{
    const struct mw_numbers *numbers = member;
    json_t *object = json_object();
    for (size_t i = 0; i < numbers->count; i++)
        json_object_set_new(object, numbers->items[i].name, json_integer(numbers->items[i].value));
    return object;
}

static json_t *write_text(const void *member)
{
    const char *text = *(const char *const *)member;
    return text ? json_string_nocheck(text) : NULL;
}

static json_t *write_value(const struct mw_field *field, const void *member)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
        return write_text(member);
    case MW_FIELD_TEXTS:
        return write_texts(member);
    case MW_FIELD_INTEGER:
        return json_integer(*(const int64_t *)member);
    case MW_FIELD_ENUM:
        return json_string(field->names[*(const unsigned *)member]);
    case MW_FIELD_OBJECT:
        return write_struct(field->inner, member);
    case MW_FIELD_LIST:
        return write_list(field->inner, member);
    case MW_FIELD_JSON: {
        const char *text = *(const char *const *)member;
        return text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    }
    case MW_FIELD_FLAGS:
        return write_flags(member);
    case MW_FIELD_NUMBERS:
        return write_numbers(member);
    case MW_FIELD_HEADERS:
        return NULL;
    }
    return NULL;
}

static bool is_empty(const struct mw_field *field, const void *member, const json_t *value)
{
    switch (field->kind) {
    case MW_FIELD_TEXTS:
    case MW_FIELD_LIST:
        return json_array_size(value) == 0;
    case MW_FIELD_ENUM:
        return *(const unsigned *)member == 0;
    case MW_FIELD_OBJECT:
    case MW_FIELD_FLAGS:
    case MW_FIELD_NUMBERS:
        return json_object_size(value) == 0;
    default:
        return false;
    }
}

static json_t *write_struct(const struct mw_fields *table, const void *data)
{
    json_t *object = json_object();
    for (size_t i = 0; i < table->count; i++) {
        const struct mw_field *field = &table->fields[i];
        const unsigned char *member = (const unsigned char *)data + field->offset;
        if (field->kind == MW_FIELD_HEADERS) {
            const struct mw_headers *headers = (const void *)member;
            if (headers->count > 0 || (field->flags & MW_FIELD_ALWAYS))
                mw_headers_to_json(object, headers);
            continue;
        }
        json_t *value = write_value(field, member);
        if (value && !(field->flags & MW_FIELD_ALWAYS) && is_empty(field, member, value))
            json_decref(value);
        else if (value)
            json_object_set_new(object, field->name, value);
    }
    return object;
}

char *mw_report_to_json(const struct mw_report *report, enum mw_json_form form,
                        struct mw_error *error)
{
    json_t *object = write_struct(&mw_report_fields, report);
    size_t flags = form == MW_JSON_PRETTY ? JSON_INDENT(2) : JSON_COMPACT;
    char *text = json_dumps(object, flags);
    json_decref(object);
    if (!text)
        mw_fail(error, MW_ERR_INTERNAL, "the report of message %s cannot be written as JSON",
                report->id ? report->id : "(no id)");
    return text;
}

char *mw_engines_to_json(const struct mw_engines *engines)
{
    json_t *list = write_list(&mw_engine_fields, engines);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static int wrong(struct mw_error *error, const struct mw_field *field, const char *must)
{
    return mw_fail(error, MW_ERR_FORMAT, "%s: must be %s", field->name, must);
}

static int read_texts(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                      void *member, struct mw_error *error)
{
    if (!json_is_array(value))
        return wrong(error, field, "an array of strings");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));
        if (!text)
            return wrong(error, field, "an array of strings");
        mw_texts_add(arena, member, mw_arena_dup(arena, text));
    }
    return 0;
}

static int read_enum(const struct mw_field *field, json_t *value, void *member,
                     struct mw_error *error)
{
    const char *text = json_string_value(value);
    for (unsigned i = 0; text && field->names[i]; i++) {
        if (strcmp(text, field->names[i]) != 0)
            continue;
        memcpy(member, &i, sizeof i);
        return 0;
    }
    return wrong(error, field, "one of the names the schema lists");
}

static int read_list(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                     void *member, struct mw_error *error)
{
    if (!json_is_array(value))
        return wrong(error, field, "an array of objects");
    for (size_t i = 0; i < json_array_size(value); i++) {
        void *item = mw_list_add(arena, member, field->inner->size);
        if (read_struct(arena, field->inner, json_array_get(value, i), item, error) != 0)
            return MW_ERR_FORMAT;
    }
    return 0;
}

static int read_json(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                     void *member, struct mw_error *error)
{
    if (!json_is_object(value))
        return wrong(error, field, "an object");
    char *text = json_dumps(value, JSON_COMPACT);
    if (!text)
        return wrong(error, field, "an object");
    *(const char **)member = mw_arena_dup(arena, text);
    free(text);
    return 0;
}

static int read_flags(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                      struct mw_flags *flags, struct mw_error *error)
{
    const char *key;
    json_t *entry;
    if (!json_is_object(value))
        return wrong(error, field, "an object of booleans");
    json_object_foreach (value, key, entry) {
        if (!json_is_boolean(entry))
            return wrong(error, field, "an object of booleans");
        struct mw_flag *flag = mw_list_add(arena, flags, sizeof *flags->items);
        flag->name = mw_arena_dup(arena, key);
        flag->value = json_is_true(entry);
    }
    return 0;
}

static int read_numbers(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                        struct mw_numbers *numbers, struct mw_error *error)
{
    const char *key;
    json_t *entry;
    if (!json_is_object(value))
        return wrong(error, field, "an object of integers");
    json_object_foreach (value, key, entry) {
        if (!json_is_integer(entry))
            return wrong(error, field, "an object of integers");
        struct mw_number *number = mw_list_add(arena, numbers, sizeof *numbers->items);
        number->name = mw_arena_dup(arena, key);
        number->value = json_integer_value(entry);
    }
    return 0;
}

static int read_value(struct mw_arena *arena, const struct mw_field *field, json_t *value,
                      void *member, struct mw_error *error)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
        if (!json_is_string(value))
            return wrong(error, field, "a string");
        *(const char **)member = mw_arena_dup(arena, json_string_value(value));
        return 0;
    case MW_FIELD_TEXTS:
        return read_texts(arena, field, value, member, error);
    case MW_FIELD_INTEGER:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return wrong(error, field, "a whole number");
        *(int64_t *)member = json_integer_value(value);
        return 0;
    case MW_FIELD_ENUM:
        return read_enum(field, value, member, error);
    case MW_FIELD_OBJECT:
        return read_struct(arena, field->inner, value, member, error);
    case MW_FIELD_LIST:
        return read_list(arena, field, value, member, error);
    case MW_FIELD_JSON:
        return read_json(arena, field, value, member, error);
    case MW_FIELD_FLAGS:
        return read_flags(arena, field, value, member, error);
    case MW_FIELD_NUMBERS:
        return read_numbers(arena, field, value, member, error);
    case MW_FIELD_HEADERS:
        break;
    }
    return mw_fail(error, MW_ERR_INTERNAL, "%s: a field of no known kind", field->name);
}

/* Takes what it reads out of object, so that anything left is unknown. */
static int read_struct(struct mw_arena *arena, const struct mw_fields *table, json_t *object,
                       void *data, struct mw_error *error)
{
    if (!json_is_object(object))
        return mw_fail(error, MW_ERR_FORMAT, "%s: must be an object", table->what);
    for (size_t i = 0; i < table->count; i++) {
        const struct mw_field *field = &table->fields[i];
        void *member = (unsigned char *)data + field->offset;
        json_t *value = json_object_get(object, field->name);
        if (!value && (field->flags & MW_FIELD_ALWAYS))
            return mw_fail(error, MW_ERR_FORMAT, "%s: is missing", field->name);
        if (!value)
            continue;
        if (field->kind == MW_FIELD_HEADERS) {
            if (mw_headers_from_json(arena, object, member, error) != 0)
                return MW_ERR_FORMAT;
            continue;
        }
        if (read_value(arena, field, value, member, error) != 0)
            return MW_ERR_FORMAT;
        json_object_del(object, field->name);
    }
    const char *unknown = json_object_iter_key(json_object_iter(object));
    if (unknown)
        return mw_fail(error, MW_ERR_FORMAT, "%s: is no known field of %s", unknown, table->what);
    return 0;
}

struct mw_report *mw_report_from_json(struct mw_bytes json, struct mw_error *error)
{
    json_error_t problem;
    json_t *object =
        json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &problem);
    if (!object) {
        mw_fail(error, MW_ERR_FORMAT, "not JSON at line %d, column %d: %s", problem.line,
                problem.column, problem.text);
        return NULL;
    }
    struct mw_report *report = mw_report_new();
    int result = read_struct(report->arena, &mw_report_fields, object, report, error);
    json_decref(object);
    if (result == 0)
        return report;
    mw_report_free(report);
    return NULL;
}
