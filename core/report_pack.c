/* report_pack: a walk of the table in report_fields.c, both ways. */
#include "core/report_pack.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/report_fields.h"
#include "core/report_json.h"
#include "core/utf8.h"

/* --- writing ------------------------------------------------------------------------ */

struct out {
    unsigned char *data;
    size_t size, room;
};

static void put(struct out *out, const void *data, size_t size)
{
    if (out->size + size > out->room) {
        out->room = (out->size + size) * 2;
        unsigned char *larger = realloc(out->data, out->room);
        if (!larger)
            abort();
        out->data = larger;
    }
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put_count(struct out *out, size_t count)
{
    uint64_t number = count;
    put(out, &number, sizeof number);
}

/* Its length with the NUL, 0 for NULL; then both. */
static void put_text(struct out *out, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    put_count(out, size);
    put(out, text, size);
}

static void put_struct(struct out *out, const struct mw_fields *table, const void *data);

static void put_texts(struct out *out, const struct mw_texts *texts)
{
    put_count(out, texts->count);
    for (size_t i = 0; i < texts->count; i++)
        put_text(out, texts->items[i]);
}

static void put_list(struct out *out, const struct mw_fields *inner, const void *member)
{
    struct mw_any_list list;
    memcpy(&list, member, sizeof list);
    put_count(out, list.count);
    for (size_t i = 0; i < list.count; i++)
        put_struct(out, inner, (const unsigned char *)list.items + i * inner->size);
}

static void put_flags(struct out *out, const struct mw_flags *flags)
{
    put_count(out, flags->count);
    for (size_t i = 0; i < flags->count; i++) {
        put_text(out, flags->items[i].name);
        put_count(out, flags->items[i].value);
    }
}

static void put_numbers(struct out *out, const struct mw_numbers *numbers)
{
    put_count(out, numbers->count);
    for (size_t i = 0; i < numbers->count; i++) {
        put_text(out, numbers->items[i].name);
        put(out, &numbers->items[i].value, sizeof numbers->items[i].value);
    }
}

static void put_headers(struct out *out, const struct mw_headers *headers)
{
    put_count(out, headers->count);
    for (size_t i = 0; i < headers->count; i++) {
        put_text(out, headers->items[i].name);
        put_text(out, headers->items[i].value);
        put_text(out, headers->items[i].raw);
    }
}

static void put_field(struct out *out, const struct mw_field *field, const void *member)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
    case MW_FIELD_JSON:
        put_text(out, *(const char *const *)member);
        break;
    case MW_FIELD_TEXTS:
        put_texts(out, member);
        break;
    case MW_FIELD_INTEGER:
        put(out, member, sizeof(int64_t));
        break;
    case MW_FIELD_ENUM:
        put_count(out, *(const unsigned *)member);
        break;
    case MW_FIELD_OBJECT:
        put_struct(out, field->inner, member);
        break;
    case MW_FIELD_LIST:
        put_list(out, field->inner, member);
        break;
    case MW_FIELD_FLAGS:
        put_flags(out, member);
        break;
    case MW_FIELD_NUMBERS:
        put_numbers(out, member);
        break;
    case MW_FIELD_HEADERS:
        put_headers(out, member);
        break;
    }
}

static void put_struct(struct out *out, const struct mw_fields *table, const void *data)
{
    for (size_t i = 0; i < table->count; i++)
        put_field(out, &table->fields[i], (const unsigned char *)data + table->fields[i].offset);
}

struct mw_bytes mw_report_pack(const struct mw_report *report)
{
    struct out out = {0};
    put_struct(&out, &mw_report_fields, report);
    return (struct mw_bytes){out.data, out.size};
}

/* --- reading ------------------------------------------------------------------------ */

struct in {
    struct mw_arena *arena;
    struct mw_bytes rest;
    const char *wrong; /* the field that is not as it must be, or NULL */
};

static bool get(struct in *in, void *to, size_t size)
{
    if (in->wrong || in->rest.size < size)
        return false;
    memcpy(to, in->rest.data, size);
    in->rest = mw_bytes_slice(in->rest, size, in->rest.size);
    return true;
}

/* A count of things of at least size bytes each. */
static bool get_count(struct in *in, size_t size, size_t *count)
{
    uint64_t number = 0;
    if (!get(in, &number, sizeof number) || number > in->rest.size / size)
        return false;
    *count = (size_t)number;
    return true;
}

static bool get_text(struct in *in, const char **text)
{
    size_t size;
    *text = NULL;
    if (!get_count(in, 1, &size))
        return false;
    if (size == 0)
        return true;
    struct mw_bytes bytes = mw_bytes_slice(in->rest, 0, size - 1);
    if (in->rest.data[size - 1] != '\0' || !mw_utf8_valid(bytes))
        return false;
    *text = (const char *)in->rest.data;
    in->rest = mw_bytes_slice(in->rest, size, in->rest.size);
    return true;
}

/* A text that must be there. */
static bool get_word(struct in *in, const char **text)
{
    return get_text(in, text) && *text;
}

static bool get_struct(struct in *in, const struct mw_fields *table, void *data);

static bool get_texts(struct in *in, struct mw_texts *texts)
{
    size_t count;
    const char *text;
    if (!get_count(in, sizeof(uint64_t), &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!get_word(in, &text))
            return false;
        mw_texts_add(in->arena, texts, text);
    }
    return true;
}

static bool get_list(struct in *in, const struct mw_fields *inner, void *member)
{
    size_t count;
    if (!get_count(in, inner->count * sizeof(uint64_t), &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!get_struct(in, inner, mw_list_add(in->arena, member, inner->size)))
            return false;
    return true;
}

static bool get_flags(struct in *in, struct mw_flags *flags)
{
    size_t count;
    uint64_t value;
    if (!get_count(in, 2 * sizeof(uint64_t), &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct mw_flag *flag = mw_list_add(in->arena, flags, sizeof *flag);
        if (!get_word(in, &flag->name) || !get(in, &value, sizeof value) || value > 1)
            return false;
        flag->value = value == 1;
    }
    return true;
}

static bool get_numbers(struct in *in, struct mw_numbers *numbers)
{
    size_t count;
    if (!get_count(in, 2 * sizeof(uint64_t), &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct mw_number *number = mw_list_add(in->arena, numbers, sizeof *number);
        if (!get_word(in, &number->name) || !get(in, &number->value, sizeof number->value))
            return false;
    }
    return true;
}

static bool get_headers(struct in *in, struct mw_headers *headers)
{
    size_t count;
    if (!get_count(in, 3 * sizeof(uint64_t), &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct mw_header *header = mw_list_add(in->arena, headers, sizeof *header);
        if (!get_word(in, &header->name) || !get_word(in, &header->value) ||
            !get_text(in, &header->raw))
            return false;
    }
    return true;
}

static bool get_enum(struct in *in, const struct mw_field *field, unsigned *member)
{
    uint64_t value, known = 0;
    while (field->names[known])
        known++;
    if (!get(in, &value, sizeof value) || value >= known)
        return false;
    *member = (unsigned)value;
    return true;
}

static bool get_json(struct in *in, const char **member)
{
    if (!get_text(in, member))
        return false;
    if (!*member)
        return true;
    json_t *object = json_loads(*member, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(object);
    json_decref(object);
    return good;
}

static bool get_field(struct in *in, const struct mw_field *field, void *member)
{
    switch (field->kind) {
    case MW_FIELD_TEXT:
        return get_text(in, member);
    case MW_FIELD_JSON:
        return get_json(in, member);
    case MW_FIELD_TEXTS:
        return get_texts(in, member);
    case MW_FIELD_INTEGER:
        return get(in, member, sizeof(int64_t)) && *(const int64_t *)member >= 0;
    case MW_FIELD_ENUM:
        return get_enum(in, field, member);
    case MW_FIELD_OBJECT:
        return get_struct(in, field->inner, member);
    case MW_FIELD_LIST:
        return get_list(in, field->inner, member);
    case MW_FIELD_FLAGS:
        return get_flags(in, member);
    case MW_FIELD_NUMBERS:
        return get_numbers(in, member);
    case MW_FIELD_HEADERS:
        return get_headers(in, member);
    }
    return false;
}

static bool get_struct(struct in *in, const struct mw_fields *table, void *data)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct mw_field *field = &table->fields[i];
        if (get_field(in, field, (unsigned char *)data + field->offset))
            continue;
        if (!in->wrong)
            in->wrong = field->name;
        return false;
    }
    return true;
}

/* Both sides are one program: another name is a lie, and would mean nothing to the reader. */
static bool knows_problems(const struct mw_report *report)
{
    for (size_t i = 0; i < report->errors.count; i++)
        if (mw_problem_find(report->errors.items[i].name) == MW_PROBLEM_COUNT)
            return false;
    return true;
}

struct mw_report *mw_report_unpack(struct mw_bytes packed, struct mw_error *error)
{
    struct mw_report *report = mw_report_new();
    struct in in = {.arena = report->arena, .rest = packed};
    if (!get_struct(&in, &mw_report_fields, report))
        mw_fail(error, MW_ERR_FORMAT, "%s: is not as it must be in a report", in.wrong);
    else if (!knows_problems(report))
        mw_fail(error, MW_ERR_FORMAT, "errors: name: is no problem that this program knows");
    else if (in.rest.size > 0)
        mw_fail(error, MW_ERR_FORMAT, "a report with %zu bytes too many", in.rest.size);
    else
        return report;
    mw_report_free(report);
    return NULL;
}
