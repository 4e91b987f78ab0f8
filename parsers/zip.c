/* zip: entries of directories and of local headers; libarchive unpacks one at a time. */
#include "parsers/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/archive.h"

enum {
    LOCAL = 30,       /* bytes of a local header, before its name */
    CENTRAL = 46,     /* of an entry of a directory */
    END = 22,         /* of the record at a directory's end */
    DIRECTORIES = 64, /* looked at, at most; files are found without them as well */
    PEEK = 4096,      /* bytes that tell whether something is what it claims */
};

/* What a header, of either kind, says about a file. */
struct entry {
    size_t local; /* offset of the local header */
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size;
    struct mw_bytes name;
    bool directory;   /* it is in a directory */
    unsigned version; /* that is needed to unpack it */
};
MW_LIST_TYPE(entries, struct entry);

struct range {
    size_t start, end;
};

struct mw_zip {
    struct mw_parse *parse;
    struct mw_part *part;
    struct mw_bytes bytes;
    struct entries named;         /* by directories, in the order of their local headers */
    MW_LIST(struct range) opened; /* in the order of the bytes */
    size_t next;                  /* the first of these that is not behind us */
    size_t tries;                 /* of unpacking a file */
    bool document;
    bool mixed; /* it lies in a compound file, perhaps in pieces */
    bool told;  /* damage is: it is a zip, not something that has one inside */
};

static unsigned get2(const unsigned char *at)
{
    return (unsigned)mw_bytes_get_little(at, 2);
}

static uint32_t get4(const unsigned char *at)
{
    return (uint32_t)mw_bytes_get_little(at, 4);
}

static bool stands_at(struct mw_bytes bytes, size_t at, const char *what, size_t size)
{
    return bytes.size > 0 && at <= bytes.size && size <= bytes.size - at &&
           memcmp(bytes.data + at, what, size) == 0;
}

/* What an extra field has in 64 bits: the sizes and the offset that say 0xffffffff. */
static void read_large(struct mw_bytes extra, struct entry *entry, uint64_t *offset)
{
    for (size_t at = 0; extra.size - at >= 4;) {
        unsigned id = get2(extra.data + at), size = get2(extra.data + at + 2);
        at += 4;
        if (size > extra.size - at)
            return;
        size_t here = at, end = at + size;
        uint64_t *const values[] = {&entry->size, &entry->packed, offset};
        for (size_t i = 0; id == 1 && i < 3; i++)
            if (values[i] && *values[i] == 0xffffffffu && end - here >= 8) {
                *values[i] = mw_bytes_get_little(extra.data + here, 8);
                here += 8;
            }
        at = end;
    }
}

/* A local header, when it is one that a reader would take. */
static bool read_local(struct mw_bytes bytes, size_t at, struct entry *entry, size_t *data)
{
    if (!stands_at(bytes, at, "PK\3\4", 4) || bytes.size - at < LOCAL)
        return false;
    const unsigned char *head = bytes.data + at;
    size_t name = get2(head + 26), extra = get2(head + 28), left = bytes.size - at - LOCAL;
    if (name > left || extra > left - name)
        return false;
    *entry = (struct entry){.local = at,
                            .version = get2(head + 4),
                            .flags = get2(head + 6),
                            .method = get2(head + 8),
                            .crc = get4(head + 14),
                            .packed = get4(head + 18),
                            .size = get4(head + 22),
                            .name = {head + LOCAL, name}};
    read_large((struct mw_bytes){head + LOCAL + name, extra}, entry, NULL);
    *data = at + LOCAL + name + extra;
    return true;
}

/* Local headers are looked for in bytes of all kinds, where chance may put their first four:
 * not so names, versions and methods that no zip has. */
static bool is_plausible(const struct entry *entry)
{
    static const unsigned char methods[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                            12, 14, 18, 19, 93, 94, 95, 96, 97, 98, 99};
    if (entry->name.size == 0 || entry->name.size > 4096 || (entry->version & 0xff) > 63 ||
        entry->flags & 0xc000 || entry->method > 99 ||
        !memchr(methods, (int)entry->method, sizeof methods))
        return false;
    for (size_t i = 0; i < entry->name.size; i++)
        if (entry->name.data[i] < ' ')
            return false;
    return true;
}

/* An entry of a directory whose offsets count from base; the size it takes, 0 for none. */
static size_t read_central(struct mw_bytes bytes, size_t at, uint64_t base, struct entry *entry)
{
    if (!stands_at(bytes, at, "PK\1\2", 4) || bytes.size - at < CENTRAL)
        return 0;
    const unsigned char *head = bytes.data + at;
    size_t name = get2(head + 28), extra = get2(head + 30), comment = get2(head + 32);
    size_t left = bytes.size - at - CENTRAL;
    if (name > left || extra > left - name || comment > left - name - extra)
        return 0;
    uint64_t offset = get4(head + 42);
    *entry = (struct entry){.flags = get2(head + 8),
                            .method = get2(head + 10),
                            .crc = get4(head + 16),
                            .packed = get4(head + 20),
                            .size = get4(head + 24),
                            .name = {head + CENTRAL, name},
                            .directory = true};
    read_large((struct mw_bytes){head + CENTRAL + name, extra}, entry, &offset);
    offset += base;
    entry->local = offset < bytes.size ? (size_t)offset : bytes.size;
    return CENTRAL + name + extra + comment;
}

static bool may_try(struct mw_zip *zip)
{
    const struct mw_limits *limits = zip->parse->limits;
    if (!mw_archive_may_go_on(zip->parse, zip->part))
        return false;
    if (zip->tries++ <= limits->parts)
        return true;
    zip->parse->bounded = true;
    if (zip->tries == limits->parts + 2)
        mw_report_problem(zip->parse->report, limits, MW_PROBLEM_LIMIT_PARTS, zip->part->path,
                          "a zip with more than %zu files: the rest was not opened", limits->parts);
    mw_part_closed(zip->part, "zip", "over a limit");
    return false;
}

static void read_directory(struct mw_zip *zip, size_t start, uint64_t base)
{
    struct entry entry;
    size_t size;
    /* Twice what may be opened, and what is beyond is found by its local header. */
    size_t most = 2 * zip->parse->limits->parts + 1;
    for (size_t at = start;
         zip->named.count < most && (size = read_central(zip->bytes, at, base, &entry)) > 0;
         at += size)
        *(struct entry *)mw_list_add(zip->parse->report->arena, &zip->named, sizeof entry) = entry;
}

/* Where the directory before an end record starts, and from where it counts, as readers work
 * it out: by its size, and by its offset. */
static void read_end(struct mw_zip *zip, size_t end, size_t *known, size_t *count)
{
    const unsigned char *record = zip->bytes.data + end;
    uint64_t size = get4(record + 12), offset = get4(record + 16);
    size_t behind = end;
    if (end >= 76 && stands_at(zip->bytes, end - 20, "PK\6\7", 4) &&
        stands_at(zip->bytes, end - 76, "PK\6\6", 4)) {
        behind = end - 76;
        size = mw_bytes_get_little(zip->bytes.data + behind + 40, 8);
        offset = mw_bytes_get_little(zip->bytes.data + behind + 48, 8);
    }
    const struct {
        uint64_t start, base;
    } ways[] = {{size <= behind ? behind - size : UINT64_MAX,
                 size <= behind && behind - size >= offset ? behind - size - offset : 0},
                {offset, 0}};
    for (size_t i = 0; i < 2; i++) {
        bool repeated = false;
        for (size_t k = 0; k < *count; k++)
            repeated = repeated || known[k] == ways[i].start;
        if (ways[i].start >= zip->bytes.size || repeated || *count >= DIRECTORIES)
            continue;
        known[(*count)++] = (size_t)ways[i].start;
        read_directory(zip, (size_t)ways[i].start, ways[i].base);
    }
}

static int compare(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;
    return a->local < b->local ? -1 : a->local > b->local;
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return a->local == b->local && a->method == b->method && a->packed == b->packed &&
           a->size == b->size && a->crc == b->crc && (a->flags & 1) == (b->flags & 1) &&
           a->name.size == b->name.size && memcmp(a->name.data, b->name.data, a->name.size) == 0;
}

static void drop_repeated(struct entries *list)
{
    size_t kept = 0;
    qsort(list->items, list->count, sizeof *list->items, compare);
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || !is_same(&list->items[kept - 1], &list->items[i]))
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static void read_directories(struct mw_zip *zip)
{
    size_t known[DIRECTORIES], count = 0;
    const struct mw_bytes needle = {(const unsigned char *)"PK\5\6", 4};
    for (size_t at = 0; count < DIRECTORIES; at++) {
        at = mw_bytes_find(zip->bytes, at, needle);
        if (zip->bytes.size - at < END)
            break;
        read_end(zip, at, known, &count);
    }
    if (zip->named.count > 1)
        drop_repeated(&zip->named);
}

/* --- unpacking one file ------------------------------------------------------------------- */

/* What libarchive reads: a header of our own, then the file's bytes where they are. */
struct source {
    unsigned char head[LOCAL + 1];
    struct mw_bytes data;
    unsigned step;
    /* libarchive wants more behind a file whose sizes follow it than there may be. */
    unsigned char behind[LOCAL];
};

static la_ssize_t give(struct archive *archive, void *user, const void **bytes)
{
    struct source *source = user;
    (void)archive;
    switch (source->step++) {
    case 0:
        *bytes = source->head;
        return sizeof source->head;
    case 1:
        *bytes = source->data.data;
        return (la_ssize_t)source->data.size;
    case 2:
        *bytes = source->behind;
        return sizeof source->behind;
    default:
        return 0;
    }
}

static void put(unsigned char *at, uint64_t value, size_t size)
{
    mw_bytes_put_little(at, value, size);
}

/* A header without a name that would make a folder of it, and without what is encrypted, as that
 * was asked before. */
static void make_head(struct source *source, const struct entry *entry, bool open_end)
{
    memset(source->head, 0, sizeof source->head);
    memcpy(source->head, "PK\3\4", 4);
    put(source->head + 4, 20, 2);
    put(source->head + 6, open_end ? 8 : 0, 2);
    put(source->head + 8, entry->method, 2);
    if (!open_end) {
        put(source->head + 14, entry->crc, 4);
        put(source->head + 18, entry->packed, 4);
        put(source->head + 22, entry->size, 4);
    }
    put(source->head + 26, 1, 2);
    source->head[LOCAL] = 'x';
}

enum outcome { OPENED, DAMAGED, FAILED, REFUSED };

struct unpacked {
    enum outcome outcome;
    struct mw_bytes data;
    const char *why; /* when it is not OPENED */
    size_t taken;    /* bytes that it was unpacked from */
    bool cut;        /* there is more of it than could be had */
};

static const char *reason(struct mw_zip *zip, struct archive *archive)
{
    const char *text = archive_error_string(archive);
    return text ? mw_utf8_clean_line(zip->parse->report->arena, mw_bytes_of(text), NULL)
                : "cut short";
}

/* Unpacks what stands at data as entry says. */
static struct unpacked unpack_as(struct mw_zip *zip, const struct entry *entry, size_t data,
                                 size_t most)
{
    struct unpacked result = {.outcome = FAILED, .why = "damaged"};
    struct source source = {.step = 0};
    /* Sizes that are not told yet follow the data. */
    bool open_end = !entry->directory && entry->flags & 8 && entry->packed == 0;
    size_t left = zip->bytes.size - data;
    source.data = mw_bytes_slice(zip->bytes, data,
                                 open_end || entry->packed > left ? left : (size_t)entry->packed);
    make_head(&source, entry, open_end);
    struct archive *archive = archive_read_new();
    struct archive_entry *header;
    if (!archive)
        return result;
    archive_read_support_format_zip_streamable(archive);
    if (archive_read_open(archive, &source, NULL, give, NULL) == ARCHIVE_OK &&
        archive_read_next_header(archive, &header) >= ARCHIVE_WARN) {
        enum mw_unpacked read = mw_archive_read(zip->parse, zip->part, archive, most, &result.data);
        int64_t taken = archive_filter_bytes(archive, -1) - (int64_t)sizeof source.head;
        result.outcome = read == MW_UNPACKED_WHOLE     ? OPENED
                         : read == MW_UNPACKED_REFUSED ? REFUSED
                         : result.data.size > 0        ? DAMAGED
                                                       : FAILED;
        result.cut = read == MW_UNPACKED_CUT;
        result.taken = taken > 0 && (size_t)taken <= source.data.size ? (size_t)taken : 0;
    }
    if (result.outcome == DAMAGED || result.outcome == FAILED)
        result.why = reason(zip, archive);
    archive_read_free(archive);
    return result;
}

/* A stored file whose size follows it, without the mark by which that is found. */
static struct unpacked unpack_stored(struct mw_zip *zip, const struct entry *entry, size_t data)
{
    const struct mw_bytes needle = {(const unsigned char *)"PK", 2};
    size_t end = data;
    /* As far as the next mark of any kind. */
    while (
        (end = mw_bytes_find(zip->bytes, end, needle)) < zip->bytes.size &&
        !stands_at(zip->bytes, end + 2, "\1\2", 2) && !stands_at(zip->bytes, end + 2, "\3\4", 2) &&
        !stands_at(zip->bytes, end + 2, "\5\6", 2) && !stands_at(zip->bytes, end + 2, "\7\10", 2))
        end++;
    struct entry bounded = *entry;
    bounded.directory = true;
    bounded.packed = bounded.size = end - data;
    struct unpacked result = unpack_as(zip, &bounded, data, SIZE_MAX);
    if (result.outcome == DAMAGED)
        result.outcome = OPENED; /* there is no checksum to go by */
    return result;
}

static struct unpacked unpack(struct mw_zip *zip, const struct entry *entry, size_t data)
{
    struct unpacked result = unpack_as(zip, entry, data, SIZE_MAX);
    bool open_end = !entry->directory && entry->flags & 8 && entry->packed == 0;
    if (open_end && entry->method == 0 && result.outcome != OPENED && result.outcome != REFUSED) {
        mw_parse_give(zip->parse, result.data.size);
        result = unpack_stored(zip, entry, data);
    }
    return result;
}

static bool is_encrypted(const struct entry *entry)
{
    return entry->flags & 1 || entry->method == 99;
}

/* --- documents ------------------------------------------------------------------------------ */

static bool ends_with(struct mw_bytes name, const char *end)
{
    size_t size = strlen(end);
    return name.size >= size &&
           strncasecmp((const char *)name.data + name.size - size, end, size) == 0;
}

static bool begins(struct mw_bytes data, const char *what, size_t size)
{
    return stands_at(data, 0, what, size);
}

static bool is_xml(struct mw_bytes data)
{
    size_t at = begins(data, "\xef\xbb\xbf", 3) ? 3 : 0;
    if (begins(data, "\xff\xfe<\0", 4) || begins(data, "\xfe\xff\0<", 4))
        return true;
    while (at < data.size && strchr(" \t\r\n", data.data[at]) && data.data[at])
        at++;
    return at < data.size && data.data[at] == '<' && !memchr(data.data, '\0', data.size);
}

static bool is_png(struct mw_bytes data)
{
    return begins(data, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg(struct mw_bytes data)
{
    return begins(data, "\xff\xd8\xff", 3);
}

static bool is_gif(struct mw_bytes data)
{
    return begins(data, "GIF87a", 6) || begins(data, "GIF89a", 6);
}

static bool is_emf(struct mw_bytes data)
{
    return begins(data, "\1\0\0\0", 4) && stands_at(data, 40, " EMF", 4);
}

static bool is_wmf(struct mw_bytes data)
{
    return begins(data, "\xd7\xcd\xc6\x9a", 4) || begins(data, "\1\0\11\0\0\3", 6);
}

/* One type in one line. */
static bool is_mimetype(struct mw_bytes data)
{
    if (!begins(data, "application/", 12) || data.size > 128)
        return false;
    for (size_t i = 0; i < data.size; i++)
        if (data.data[i] <= ' ' || data.data[i] > '~')
            return false;
    return true;
}

/* What of a document can neither run nor hide anything, if it is that. */
static const struct {
    const char *end;
    bool (*is)(struct mw_bytes data);
} harmless[] = {
    {".xml", is_xml},  {".rels", is_xml},         {".vml", is_xml}, {".png", is_png},
    {".jpg", is_jpeg}, {".jpeg", is_jpeg},        {".gif", is_gif}, {".emf", is_emf},
    {".wmf", is_wmf},  {"mimetype", is_mimetype},
};

static bool is_harmless(struct mw_zip *zip, const struct entry *entry, size_t data)
{
    if (!zip->document && !zip->mixed)
        return false;
    if (entry->packed == 0 && entry->size == 0 && entry->directory)
        return true;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (ends_with(entry->name, harmless[i].end)) {
            struct unpacked start = unpack_as(zip, entry, data, PEEK);
            bool is = harmless[i].is(start.data);
            mw_parse_give(zip->parse, start.data.size);
            return is && start.outcome == OPENED;
        }
    return false;
}

static bool contains(struct mw_bytes data, const char *text)
{
    return mw_bytes_find(data, 0, mw_bytes_of(text)) < data.size;
}

/* The beginning of the first file of this name that a directory has. */
static struct mw_bytes beginning_of(struct mw_zip *zip, const char *name)
{
    struct entry local;
    size_t data;
    for (size_t i = 0; i < zip->named.count; i++) {
        const struct entry *entry = &zip->named.items[i];
        if (entry->name.size == strlen(name) &&
            memcmp(entry->name.data, name, entry->name.size) == 0 && !is_encrypted(entry) &&
            read_local(zip->bytes, entry->local, &local, &data)) {
            struct unpacked start = unpack_as(zip, entry, data, PEEK);
            mw_parse_give(zip->parse, start.data.size);
            return start.data;
        }
    }
    return (struct mw_bytes){0};
}

/* Office Open XML says its parts' types in one file, OpenDocument and EPUB their own in another:
 * by that they are known, not by names alone. */
static bool is_document(struct mw_zip *zip)
{
    struct mw_bytes types = beginning_of(zip, "[Content_Types].xml");
    if (contains(types, "<Types") &&
        contains(types, "schemas.openxmlformats.org/package/2006/content-types"))
        return true;
    struct mw_bytes own = beginning_of(zip, "mimetype");
    return begins(own, "application/vnd.oasis.opendocument.", 35) ||
           begins(own, "application/vnd.sun.xml.", 24) || begins(own, "application/epub+zip", 20);
}

/* OpenDocument encrypts file by file, and says so in its manifest. */
static bool is_locked_document(struct mw_zip *zip)
{
    return zip->document && contains(beginning_of(zip, "META-INF/manifest.xml"), "encryption-data");
}

/* --- one file ------------------------------------------------------------------------------ */

static void note_opened(struct mw_zip *zip, size_t start, size_t end)
{
    struct range *range = mw_list_add(zip->parse->report->arena, &zip->opened, sizeof *range);
    *range = (struct range){start, end};
}

static bool is_folder(const struct entry *entry)
{
    return entry->name.size > 0 && (entry->name.data[entry->name.size - 1] == '/' ||
                                    entry->name.data[entry->name.size - 1] == '\\');
}

/* Adds the file under its name, and under that of its other header when it has another. */
static bool add_file(struct mw_zip *zip, const struct entry *entry, const struct entry *other,
                     struct mw_bytes data)
{
    struct mw_arena *arena = zip->parse->report->arena;
    if (data.size == 0 && is_folder(entry))
        return true;
    const char *name = mw_archive_name(arena, entry->name);
    struct mw_part *file = mw_archive_file(zip->parse, zip->part, name, data);
    if (!file) {
        mw_part_closed(zip->part, "zip", "over a limit");
        return false;
    }
    mw_part_opened(zip->part, "zip");
    const char *second = other ? mw_archive_name(arena, other->name) : NULL;
    if (name && second && strcmp(name, second) != 0) {
        mw_texts_add(arena, &file->names, name);
        mw_texts_add(arena, &file->names, second);
    }
    return true;
}

static void tell_damage(struct mw_zip *zip, const struct entry *entry, const char *why)
{
    struct mw_parse *parse = zip->parse;
    const char *name = mw_archive_name(parse->report->arena, entry->name);
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_ARCHIVE_DAMAGED, zip->part->path,
                      "%s in a zip: %s", name ? name : "a file", why);
}

static void close_encrypted(struct mw_zip *zip)
{
    zip->part->encrypted = MW_ENCRYPTED_ARCHIVE;
    mw_part_closed(zip->part, "zip", "encrypted");
}

/* The same bytes under two headers that read them alike. */
static bool is_repeated(const struct unpacked *first, const struct unpacked *second)
{
    return first->data.size == second->data.size &&
           (first->data.size == 0 ||
            memcmp(first->data.data, second->data.data, first->data.size) == 0);
}

/* A file as one of its headers says, or as each when they disagree; false when no more files are
 * to be opened. */
static bool open_file(struct mw_zip *zip, const struct entry *entry, const struct entry *other,
                      size_t data)
{
    const struct entry *ways[] = {entry, other};
    struct unpacked results[2] = {{.outcome = FAILED}, {.outcome = FAILED}};
    bool added = false, good = false, encrypted = false, more = true;
    bool cut = entry->packed > zip->bytes.size - data; /* the bytes end before the file does */
    const char *why = NULL;
    for (size_t i = 0; i < 2 && ways[i] && more; i++) {
        if (is_encrypted(ways[i])) {
            encrypted = true;
            continue;
        }
        if (!may_try(zip))
            return false;
        struct unpacked *result = &results[i];
        *result = unpack(zip, ways[i], data);
        if (result->outcome == REFUSED) {
            mw_part_closed(zip->part, "zip", "over a limit");
            more = mw_archive_may_go_on(zip->parse, zip->part);
            good = true;
            continue;
        }
        if (result->outcome != OPENED && !why)
            why = result->why;
        if (result->outcome == OPENED && result->taken > 0)
            note_opened(zip, entry->local, data + result->taken);
        good = good || result->outcome == OPENED;
        cut = cut || result->cut;
        bool repeated = i == 1 && (result->data.size == 0 || (results[0].outcome != FAILED &&
                                                              is_repeated(&results[0], result)));
        if (repeated || result->outcome == FAILED || (result->outcome == DAMAGED && !zip->told)) {
            mw_parse_give(zip->parse, result->data.size);
            continue;
        }
        more = add_file(zip, ways[i], other == ways[i] ? entry : other, result->data);
        added = true;
    }
    if (good || (!zip->told && !encrypted))
        return more;
    if (encrypted) {
        close_encrypted(zip);
        return more;
    }
    tell_damage(zip, entry, why ? why : "damaged");
    if (!added || cut)
        mw_part_closed(zip->part, "zip", why ? why : "damaged");
    return more;
}

/* Whether a local header says of the file what the directory does, as far as it says it. */
static bool agrees(const struct entry *local, const struct entry *named)
{
    bool later = local->flags & 8;
    return local->method == named->method && (local->flags & 1) == (named->flags & 1) &&
           ((later && local->packed == 0) || local->packed == named->packed) &&
           ((later && local->crc == 0) || local->crc == named->crc);
}

static bool open_named(struct mw_zip *zip, const struct entry *entry)
{
    struct entry local;
    size_t data;
    if (!read_local(zip->bytes, entry->local, &local, &data)) {
        if (entry->packed == 0 && is_folder(entry))
            return true;
        if (zip->told) {
            tell_damage(zip, entry, "it is not where the directory says");
            mw_part_closed(zip->part, "zip", "damaged");
        }
        return mw_archive_may_go_on(zip->parse, zip->part);
    }
    bool same = agrees(&local, entry);
    if (same && is_harmless(zip, entry, data)) {
        note_opened(zip, entry->local, data);
        return mw_archive_may_go_on(zip->parse, zip->part);
    }
    bool renamed = local.name.size != entry->name.size ||
                   memcmp(local.name.data, entry->name.data, local.name.size) != 0;
    if (same && renamed) {
        /* One way to read it, and two names. */
        struct entry both = *entry;
        struct unpacked result = {.outcome = FAILED};
        if (!is_encrypted(entry) && may_try(zip))
            result = unpack(zip, &both, data);
        if (result.outcome == OPENED) {
            note_opened(zip, entry->local, data + result.taken);
            return add_file(zip, entry, &local, result.data);
        }
        mw_parse_give(zip->parse, result.data.size);
    }
    return open_file(zip, entry, same ? NULL : &local, data);
}

struct mw_zip *mw_zip_open(struct mw_parse *parse, struct mw_part *part)
{
    struct mw_arena *arena = parse->report->arena;
    struct mw_zip *zip = mw_arena_alloc(arena, sizeof *zip);
    *zip = (struct mw_zip){.parse = parse, .part = part, .bytes = part->data};
    read_directories(zip);
    zip->document = is_document(zip);
    zip->mixed = stands_at(part->data, 0, "\xd0\xcf\x11\xe0", 4);
    zip->told = (zip->named.count > 0 || stands_at(part->data, 0, "PK", 2)) && !zip->mixed;
    if (is_locked_document(zip)) {
        part->encrypted = MW_ENCRYPTED_OFFICE;
        mw_part_closed(part, "odf", "encrypted");
    }
    if (zip->named.count > 0 || stands_at(part->data, 0, "PK\5\6", 4))
        part->container = part->container ? part->container : "zip";
    for (size_t i = 0; i < zip->named.count; i++)
        if (!open_named(zip, &zip->named.items[i]))
            break;
    return zip;
}

/* Whether a directory has a file there. */
static bool is_named(const struct mw_zip *zip, size_t offset)
{
    const struct entry key = {.local = offset};
    return zip->named.count > 0 &&
           bsearch(&key, zip->named.items, zip->named.count, sizeof key, compare) != NULL;
}

/* What was opened from a range that covers offset reaches to there; else offset. */
static size_t covered(struct mw_zip *zip, size_t offset)
{
    while (zip->next < zip->opened.count && zip->opened.items[zip->next].end <= offset)
        zip->next++;
    if (zip->next < zip->opened.count && zip->opened.items[zip->next].start <= offset)
        return zip->opened.items[zip->next].end;
    return offset;
}

size_t mw_zip_file(struct mw_zip *zip, size_t offset)
{
    struct entry entry;
    size_t data, behind = covered(zip, offset);
    if (behind > offset)
        return behind;
    if (is_named(zip, offset) || !read_local(zip->bytes, offset, &entry, &data) ||
        !is_plausible(&entry))
        return offset + 4;
    size_t inside = zip->part->inside;
    if (zip->mixed && !is_encrypted(&entry) && is_harmless(zip, &entry, data))
        return data;
    if (!open_file(zip, &entry, NULL, data))
        return zip->bytes.size;
    struct range *last = zip->opened.count > 0 ? &zip->opened.items[zip->opened.count - 1] : NULL;
    if (zip->part->inside > inside && last && last->start == offset && last->end > offset)
        return last->end;
    return offset + 4;
}
