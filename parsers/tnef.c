/* tnef: files and bodies out of winmail.dat. */
#include "parsers/tnef.h"

#include <stdio.h> /* ytnef.h needs FILE and does not say so */
#include <string.h>
#include <ytnef.h>

#include "core/utf8.h"
#include "parsers/text.h"

static const unsigned char signature[] = {0x78, 0x9f, 0x3e, 0x22};

bool mw_tnef_is(const struct mw_part *part)
{
    if (part->kind != MW_PART_LEAF || part->data.size < 16)
        return false;
    return memcmp(part->data.data, signature, sizeof signature) == 0;
}

static struct mw_bytes bytes_of(const variableLength *value)
{
    if (!value || value == MAPI_UNDEFINED || !value->data || value->size <= 0)
        return (struct mw_bytes){0};
    return (struct mw_bytes){value->data, (size_t)value->size};
}

static struct mw_bytes property(MAPIProps *properties, DWORD type, DWORD id)
{
    return bytes_of(MAPIFindProperty(properties, PROP_TAG(type, id)));
}

/* Strings in TNEF carry their NUL, sometimes several. */
static struct mw_bytes without_nul(struct mw_bytes text)
{
    const unsigned char *nul = text.size ? memchr(text.data, '\0', text.size) : NULL;
    if (nul)
        text.size = (size_t)(nul - text.data);
    return text;
}

static const char *file_name(struct mw_arena *arena, Attachment *file)
{
    struct mw_bytes name = without_nul(property(&file->MAPI, PT_UNICODE, PR_ATTACH_LONG_FILENAME));
    if (name.size == 0)
        name = without_nul(property(&file->MAPI, PT_STRING8, PR_ATTACH_LONG_FILENAME));
    if (name.size == 0)
        name = without_nul(bytes_of(&file->Title));
    if (name.size == 0)
        return NULL;
    struct mw_text text;
    mw_text_decode(arena, name, NULL, &text);
    return mw_utf8_clean_line(arena, mw_bytes_of(text.text), NULL);
}

/* What the file holds: attached by value, or as an embedded object whose first
 * 16 bytes are its interface id. */
static struct mw_bytes file_data(Attachment *file)
{
    struct mw_bytes data = property(&file->MAPI, PT_OBJECT, PR_ATTACH_DATA_OBJ);
    if (data.size == 0)
        data = property(&file->MAPI, PT_BINARY, PR_ATTACH_DATA_OBJ);
    if (data.size > 16)
        return mw_bytes_slice(data, 16, data.size);
    return bytes_of(&file->FileData);
}

static struct mw_part *add_part(struct mw_parse *parse, struct mw_part *parent,
                                struct mw_bytes data)
{
    if (!mw_parse_take(parse, parent->path, data.size))
        return NULL;
    struct mw_part *part = mw_parse_part(parse, parent, MW_PART_LEAF);
    if (!part)
        return NULL;
    unsigned char *copy = mw_arena_alloc_raw(parse->report->arena, data.size + 1);
    if (data.size > 0)
        memcpy(copy, data.data, data.size);
    part->data = (struct mw_bytes){copy, data.size};
    part->encoding = "tnef";
    part->content_type = "application/octet-stream";
    part->unpacked = true;
    return part;
}

static void add_file(struct mw_parse *parse, struct mw_part *parent, Attachment *file)
{
    struct mw_bytes data = file_data(file);
    const char *name = file_name(parse->report->arena, file);
    if (data.size == 0 && !name)
        return;
    struct mw_part *part = add_part(parse, parent, data);
    if (part)
        part->filename = name;
}

static void add_body(struct mw_parse *parse, struct mw_part *parent, struct mw_bytes text,
                     const char *type, const char *charset)
{
    if (text.size == 0)
        return;
    struct mw_part *part = add_part(parse, parent, text);
    if (!part)
        return;
    part->content_type = type;
    part->charset = charset;
    part->unpacked = false;
    part->disposition = "inline";
}

static void add_bodies(struct mw_parse *parse, struct mw_part *parent, TNEFStruct *tnef)
{
    MAPIProps *properties = &tnef->MapiProperties;
    struct mw_bytes plain = without_nul(bytes_of(&tnef->body));
    if (plain.size == 0)
        plain = without_nul(property(properties, PT_STRING8, PR_BODY));
    if (plain.size == 0)
        plain = without_nul(property(properties, PT_UNICODE, PR_BODY));
    add_body(parse, parent, plain, "text/plain", NULL);
    struct mw_bytes html = without_nul(property(properties, PT_BINARY, PR_BODY_HTML));
    if (html.size == 0)
        html = without_nul(property(properties, PT_STRING8, PR_BODY_HTML));
    add_body(parse, parent, html, "text/html", NULL);
}

/* Where attributes begin: behind the signature and a key. Each is a level, an id and type, a
 * length, its data and the sum of its data's bytes (MS-OXTNEF section 2.1.3). */
enum { ATTRIBUTES = 6, ATTRIBUTE = 9, SUM = 2 };

static unsigned sum_of(const unsigned char *bytes, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum & 0xffff;
}

/*
 * libytnef stops at a sum that is wrong and at an attribute that was cut, and a mail client does
 * not. So it is given a copy in which sums are right and the last attribute ends where the bytes
 * do. *why says what was wrong; NULL when nothing was, and bytes are data itself then.
 */
static struct mw_bytes mended(struct mw_arena *arena, struct mw_bytes data, const char **why)
{
    unsigned char *copy = NULL;
    size_t at = ATTRIBUTES;
    *why = NULL;
    while (data.size - at >= ATTRIBUTE && (data.data[at] == 1 || data.data[at] == 2)) {
        size_t size = (size_t)mw_bytes_get_little(data.data + at + 5, 4);
        size_t left = data.size - at - ATTRIBUTE;
        bool cut = size > left || left - size < SUM;
        if (cut && size > left)
            size = left;
        unsigned sum = sum_of(data.data + at + ATTRIBUTE, size);
        size_t end = at + ATTRIBUTE + size;
        if (cut || sum != mw_bytes_get_little(data.data + end, SUM)) {
            *why = cut ? "it is cut short" : *why ? *why : "a checksum is wrong";
            if (!copy) {
                copy = mw_arena_alloc(arena, data.size + SUM);
                memcpy(copy, data.data, data.size);
            }
            mw_bytes_put_little(copy + at + 5, size, 4);
            mw_bytes_put_little(copy + end, sum, SUM);
        }
        at = end + SUM;
        if (cut)
            break;
    }
    if (at < data.size && !*why)
        *why = "there is something behind its end";
    return copy ? (struct mw_bytes){copy, at} : data;
}

void mw_tnef_unpack(struct mw_parse *parse, struct mw_part *part)
{
    const char *why;
    unsigned children = part->children;
    struct mw_bytes data = mended(parse->report->arena, part->data, &why);
    /* TNEFInitialize leaves the debug level as it finds it. */
    TNEFStruct tnef = {0};
    TNEFInitialize(&tnef);
    /* libytnef declares its input writable but only reads it. */
    union {
        const unsigned char *data;
        BYTE *bytes;
    } input = {.data = data.data};
    int result = TNEFParseMemory(input.bytes, (long)data.size, &tnef);
    if (result != 0 && !why)
        why = mw_arena_printf(parse->report->arena, "libytnef code %d", result);
    if (why)
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_TNEF_DAMAGED, part->path,
                          "winmail.dat could not be read as it should: %s", why);
    add_bodies(parse, part, &tnef);
    for (Attachment *file = tnef.starting_attach.next; file && !mw_parse_expired(parse);
         file = file->next)
        add_file(parse, part, file);
    TNEFFree(&tnef);
    if (part->children > children || !why)
        mw_part_opened(part, "tnef");
    if (why)
        mw_part_closed(part, "tnef", "damaged");
}
