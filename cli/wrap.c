/* wrap: a header block, then the bytes as they are (binary, RFC 2045 section 6.2). */
#include "cli/wrap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Text that stays in its header line. */
static const char *one_line(struct mw_arena *arena, const char *text)
{
    char *copy = mw_arena_dup(arena, text);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    return copy;
}

/* RFC 2231: every byte that is no letter or digit as %XX. */
static const char *parameter(struct mw_arena *arena, const char *text)
{
    char *encoded = mw_arena_alloc(arena, strlen(text) * 3 + 1), *end = encoded;
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || *text == '.' || *text == '-' || *text == '_')
            *end++ = *text;
        else
            end += snprintf(end, 4, "%%%02X", (unsigned char)*text);
    }
    return encoded;
}

/* type/subtype as declared, unless a parser would open it as a structure. */
static const char *leaf_type(const char *type)
{
    static const char other[] = "application/octet-stream";
    if (!type || strncasecmp(type, "multipart/", 10) == 0 || strncasecmp(type, "message/", 8) == 0)
        return other;
    size_t good = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "!#$&-^_.+/");
    const char *slash = strchr(type, '/');
    bool sound =
        type[good] == '\0' && slash && slash != type && slash[1] && !strchr(slash + 1, '/');
    return sound ? type : other;
}

static const char *make_head(struct mw_arena *arena, const struct mw_wrap_facts *facts)
{
    const char *head = "MIME-Version: 1.0\r\n";
    if (facts->sender)
        head = mw_arena_printf(arena, "%sFrom: <%s>\r\n", head, one_line(arena, facts->sender));
    if (facts->subject)
        head = mw_arena_printf(arena, "%sSubject: %s\r\n", head, one_line(arena, facts->subject));
    head = mw_arena_printf(arena,
                           "%sContent-Type: %s\r\nContent-Transfer-Encoding: binary\r\n"
                           "Content-Disposition: attachment",
                           head, leaf_type(facts->content_type));
    if (facts->filename)
        head = mw_arena_printf(arena, "%s; filename*=UTF-8''%s", head,
                               parameter(arena, facts->filename));
    return mw_arena_printf(arena, "%s\r\n\r\n", head);
}

struct mw_memfile *mw_wrap(struct mw_bytes data, const struct mw_wrap_facts *facts,
                           struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_new("mailwitness-attachment", error);
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes head = mw_bytes_of(make_head(arena, facts));
    bool good = file && mw_memfile_append(file, head, SIZE_MAX, error) == 0 &&
                mw_memfile_append(file, data, SIZE_MAX, error) == 0 &&
                mw_memfile_seal(file, error) == 0;
    mw_arena_free(arena);
    if (good)
        return file;
    mw_memfile_free(file);
    return NULL;
}

const struct mw_attachment *mw_wrap_find(const struct mw_report *report, const char *sha256)
{
    /* The first is the whole; what was unpacked from it comes behind. */
    if (report->attachments.count == 0)
        return NULL;
    const struct mw_attachment *first = &report->attachments.items[0];
    return first->sha256 && strcmp(first->sha256, sha256) == 0 ? first : NULL;
}

struct mw_memfile *mw_wrap_holder(struct mw_bytes data, const struct mw_wrap_facts *facts,
                                  struct mw_error *error)
{
    if (!facts->content_type || strncasecmp(facts->content_type, "message/", 8) != 0)
        return mw_wrap(data, facts, error);
    struct mw_memfile *file = mw_memfile_new("mailwitness-attachment", error);
    if (file && mw_memfile_append(file, data, SIZE_MAX, error) == 0 &&
        mw_memfile_seal(file, error) == 0)
        return file;
    mw_memfile_free(file);
    return NULL;
}

const struct mw_attachment *mw_wrap_find_part(const struct mw_report *report, const char *sha256)
{
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *one = &report->attachments.items[i];
        if (one->sha256 && strcmp(one->sha256, sha256) == 0)
            return one;
    }
    return NULL;
}
