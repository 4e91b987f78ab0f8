/* report_json: reports to JSON and back, by the table in report_fields.c. */
#include "core/report_json.h"

#include <stdlib.h>
#include <string.h>

static void write_struct(struct mw_json_out *out, const struct mw_fields *table, const void *data);
static int read_struct(struct mw_arena *arena, const struct mw_fields *table, json_t *object,
                       void *data, struct mw_error *error);

static struct mw_any_list list_at(const void *member)
{
    struct mw_any_list list;
    memcpy(&list, member, sizeof list);
    return list;
}

static void write_texts(struct mw_json_out *out, const void *member)
{
    struct mw_texts texts;
    memcpy(&texts, member, sizeof texts);
    mw_json_out_char(out, '[');
    for (size_t i = 0; i < texts.count; i++) {
        mw_json_out_comma(out);
        mw_json_out_string(out, texts.items[i]);
    }
    mw_json_out_char(out, ']');
}

static void write_list(struct mw_json_out *out, const struct mw_fields *inner, const void *member)
{
    struct mw_any_list list = list_at(member);
    mw_json_out_char(out, '[');
    for (size_t i = 0; i < list.count; i++) {
        mw_json_out_comma(out);
        write_struct(out, inner, (const unsigned char *)list.items + i * inner->size);
    }
    mw_json_out_char(out, ']');
}

static void write_flags(struct mw_json_out *out, const struct mw_flags *flags)
{
    mw_json_out_char(out, '{');
    for (size_t i = 0; i < flags->count; i++) {
        mw_json_out_key(out, flags->items[i].name);
        mw_json_out_raw(out, flags->items[i].value ? "true" : "false");
    }
    mw_json_out_char(out, '}');
}

static void write_numbers(struct mw_json_out *out, const struct mw_numbers *numbers)
{
    mw_json_out_char(out, '{');
    for (size_t i = 0; i < numbers->count; i++) {
        mw_json_out_key(out, numbers->items[i].name);
        mw_json_out_integer(out, numbers->items[i].value);
    }
    mw_json_out_char(out, '}');
}

/* JSON from elsewhere (a scanner) in the one form that reading it back gives. */
static void write_json(struct mw_json_out *out, const char *text)
{
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    char *dumped = value ? json_dumps(value, JSON_COMPACT) : NULL;
    if (dumped)
        mw_json_out_raw(out, dumped);
    else
        out->wrong = true;
    free(dumped);
    json_decref(value);
}

static void write_value(struct mw_json_out *out, const struct mw_field *field, const void *member)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
        mw_json_out_string(out, *(const char *const *)member);
        break;
    case MW_FIELD_TEXTS:
        write_texts(out, member);
        break;
    case MW_FIELD_INTEGER:
        mw_json_out_integer(out, *(const int64_t *)member);
        break;
    case MW_FIELD_ENUM:
        mw_json_out_string(out, field->names[*(const unsigned *)member]);
        break;
    case MW_FIELD_OBJECT:
        write_struct(out, field->inner, member);
        break;
    case MW_FIELD_LIST:
        write_list(out, field->inner, member);
        break;
    case MW_FIELD_JSON:
        write_json(out, *(const char *const *)member);
        break;
    case MW_FIELD_FLAGS:
        write_flags(out, member);
        break;
    case MW_FIELD_NUMBERS:
        write_numbers(out, member);
        break;
    case MW_FIELD_HEADERS:
        mw_headers_to_json(out, member);
        break;
    }
}

/* Whether there is nothing to write; an object's members have to be looked at. */
static bool is_empty(const struct mw_field *field, const void *member)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
    case MW_FIELD_JSON:
        return !*(const char *const *)member;
    case MW_FIELD_TEXTS:
    case MW_FIELD_LIST:
    case MW_FIELD_FLAGS:
    case MW_FIELD_NUMBERS:
    case MW_FIELD_HEADERS:
        return list_at(member).count == 0;
    case MW_FIELD_INTEGER:
        return *(const int64_t *)member == 0;
    case MW_FIELD_ENUM:
        return *(const unsigned *)member == 0;
    default:
        return false;
    }
}

static void write_field(struct mw_json_out *out, const struct mw_field *field, const void *member)
{
    size_t before = out->size;
    bool always = (field->flags & MW_FIELD_ALWAYS) != 0;
    bool text = field->kind == MW_FIELD_TEXT || field->kind == MW_FIELD_JSON;
    if (is_empty(field, member) && (!always || text))
        return;
    if (field->kind != MW_FIELD_HEADERS)
        mw_json_out_key(out, field->name);
    write_value(out, field, member);
    if (field->kind == MW_FIELD_OBJECT && !always && out->text[out->size - 2] == '{')
        mw_json_out_back(out, before);
}

static void write_struct(struct mw_json_out *out, const struct mw_fields *table, const void *data)
{
    mw_json_out_char(out, '{');
    for (size_t i = 0; i < table->count; i++)
        write_field(out, &table->fields[i], (const unsigned char *)data + table->fields[i].offset);
    mw_json_out_char(out, '}');
}

/* text, which it frees, with an indentation for people. */
static char *indent(char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    free(text);
    text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    return text;
}

char *mw_report_to_json(const struct mw_report *report, enum mw_json_form form,
                        struct mw_error *error)
{
    struct mw_json_out out = {0};
    write_struct(&out, &mw_report_fields, report);
    mw_json_out_finish(&out);
    if (out.wrong) {
        free(out.text);
        out.text = NULL;
    } else if (form == MW_JSON_PRETTY) {
        out.text = indent(out.text);
    }
    if (!out.text)
        mw_fail(error, MW_ERR_INTERNAL, "the report of message %s cannot be written as JSON",
                report->id ? report->id : "(no id)");
    return out.text;
}

static char *list_to_json(const struct mw_fields *inner, const void *list)
{
    struct mw_json_out out = {0};
    write_list(&out, inner, list);
    mw_json_out_finish(&out);
    if (!out.wrong)
        return out.text;
    free(out.text);
    return NULL;
}

char *mw_engines_to_json(const struct mw_engines *engines)
{
    return list_to_json(&mw_engine_fields, engines);
}

char *mw_findings_to_json(const struct mw_findings *findings)
{
    return list_to_json(&mw_finding_fields, findings);
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

static json_t *load_json(struct mw_bytes json, struct mw_error *error)
{
    json_error_t problem;
    json_t *value =
        json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &problem);
    if (!value)
        mw_fail(error, MW_ERR_FORMAT, "not JSON at line %d, column %d: %s", problem.line,
                problem.column, problem.text);
    return value;
}

int mw_findings_from_json(struct mw_arena *arena, struct mw_bytes json,
                          struct mw_findings *findings, struct mw_error *error)
{
    const struct mw_field field = {.name = "findings", .inner = &mw_finding_fields};
    struct mw_error own = {0};
    json_t *list = load_json(json, error ? error : &own);
    if (!list)
        return MW_ERR_FORMAT;
    int result = read_list(arena, &field, list, findings, error ? error : &own);
    json_decref(list);
    return result;
}

struct mw_report *mw_report_from_json(struct mw_bytes json, struct mw_error *error)
{
    json_t *object = load_json(json, error);
    if (!object)
        return NULL;
    struct mw_report *report = mw_report_new();
    int result = read_struct(report->arena, &mw_report_fields, object, report, error);
    json_decref(object);
    if (result == 0)
        return report;
    mw_report_free(report);
    return NULL;
}
