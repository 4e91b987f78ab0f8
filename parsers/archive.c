/* archive: libarchive over the part's bytes, one entry after the other. */
#include "parsers/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/archive_source.h"

enum { CHUNK = 1 << 16, MOST_AT_ONCE = 1 << 20, NAME_LIMIT = 1024 };

/* How archives begin. */
static const struct {
    size_t offset;
    const char *bytes;
    size_t size;
} beginnings[] = {
    {0, "PK\3\4", 4},
    {0, "PK\5\6", 4},
    {0, "Rar!\x1a\x07", 6},
    {0, "7z\xbc\xaf\x27\x1c", 6},
    {0, "\x1f\x8b", 2},
    {0, "BZh", 3},
    {0,
     "\xfd"
     "7zXZ",
     5},
    {0, "\x28\xb5\x2f\xfd", 4},
    {0, "MSCF", 4},
    {257, "ustar", 5},
    {0, "!<arch>\n", 8},
    {0, "LZIP", 4},
    {0x8001, "CD001", 5},
    {2, "-lh", 3},
    {0, "xar!", 4},
    {0, "\x04\x22\x4d\x18", 4},
    {0, "\x1f\x9d", 2},
};

bool mw_archive_is(const struct mw_part *part)
{
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (part->data.size >= beginnings[i].offset + beginnings[i].size &&
            memcmp(part->data.data + beginnings[i].offset, beginnings[i].bytes,
                   beginnings[i].size) == 0)
            return true;
    return false;
}

/* One archive being opened. */
struct unpacking {
    struct mw_parse *parse;
    struct mw_part *part;
    struct archive *archive;
    struct mw_archive_source source;
    bool document; /* an office document: most of it is not worth telling */
    bool encrypted;
    bool any; /* an entry was found */
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), length = strlen(end);
    return size >= length && strcasecmp(text + size - length, end) == 0;
}

/* Office Open XML and OpenDocument put these first. */
static bool is_document_start(const char *name)
{
    return strcmp(name, "[Content_Types].xml") == 0 || strcmp(name, "mimetype") == 0 ||
           strncmp(name, "_rels/", 6) == 0;
}

/* What of a document can run or hide something. */
static bool is_worth_telling(const char *name)
{
    static const char *const ends[] = {".bin",     ".xml", ".rels", ".png",     ".jpg", ".jpeg",
                                       ".gif",     ".emf", ".wmf",  ".odttf",   ".vml", ".css",
                                       ".fntdata", ".svg", ".tmp",  "mimetype", "/"};
    if (strcasestr(name, "vbaproject") || strcasestr(name, "embeddings/") ||
        strcasestr(name, "activex") || strncasecmp(name, "Basic/", 6) == 0 ||
        strncasecmp(name, "Scripts/", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i]))
            return false;
    return true;
}

/* The name of what a single compressed file holds: its own without the ending. */
static const char *inner_name(struct mw_arena *arena, const char *name)
{
    if (!name)
        return NULL;
    char *copy = mw_arena_dup(arena, name);
    char *dot = strrchr(copy, '.');
    if (!dot || dot == copy)
        return NULL;
    bool tar = strcasecmp(dot, ".tgz") == 0 || strcasecmp(dot, ".tbz") == 0;
    *dot = '\0';
    return tar ? mw_arena_printf(arena, "%s.tar", copy) : copy;
}

static const char *entry_name(struct unpacking *unpacking, struct archive_entry *entry)
{
    struct mw_arena *arena = unpacking->parse->report->arena;
    if (archive_format(unpacking->archive) == ARCHIVE_FORMAT_RAW)
        return inner_name(arena, unpacking->part->filename);
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    if (!name || !*name)
        return NULL;
    struct mw_bytes bytes = mw_bytes_of(name);
    bytes.size = mw_utf8_cut(bytes, NAME_LIMIT);
    return mw_utf8_clean_line(arena, bytes, NULL);
}

static void note_damage(struct unpacking *unpacking)
{
    if (unpacking->source.stopped)
        return; /* which is told already */
    const char *text = archive_error_string(unpacking->archive);
    mw_report_problem(unpacking->parse->report, unpacking->parse->limits,
                      MW_PROBLEM_ARCHIVE_DAMAGED, unpacking->part->path,
                      "cannot be unpacked to its end: %s", text ? text : "no reason given");
}

/* Whether more of the archive may be read: there is time, and not too much was in vain. */
static bool may_go_on(struct unpacking *unpacking)
{
    struct mw_parse *parse = unpacking->parse;
    if (mw_parse_expired(parse))
        return false;
    if (!mw_parse_is_spent(parse))
        return true;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE,
                      unpacking->part->path,
                      "too much was unpacked in vain: the rest was not opened");
    return false;
}

/* Whether libarchive passes over a file without unpacking it. */
static bool skips_cheaply(struct unpacking *unpacking)
{
    int format = archive_format(unpacking->archive) & ARCHIVE_FORMAT_BASE_MASK;
    return !mw_archive_source_is_compressed(&unpacking->source) &&
           (format == ARCHIVE_FORMAT_ZIP || format == ARCHIVE_FORMAT_TAR ||
            format == ARCHIVE_FORMAT_ISO9660 || format == ARCHIVE_FORMAT_AR);
}

/* Passes over the rest of a file; false when no more may be read. libarchive would unpack a
 * thousandfold of what it reads without asking anybody. */
static bool pass_over(struct unpacking *unpacking)
{
    const void *bytes;
    size_t size;
    la_int64_t offset;
    if (skips_cheaply(unpacking))
        return may_go_on(unpacking);
    while (may_go_on(unpacking)) {
        if (archive_read_data_block(unpacking->archive, &bytes, &size, &offset) != ARCHIVE_OK)
            return true;
        unpacking->parse->refused += size;
    }
    return false;
}

/* Room for what the entry says it has, which is only a hint. */
static size_t first_room(struct archive_entry *entry)
{
    int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : CHUNK;
    return size >= 0 && size < CHUNK ? (size_t)size + 1 : CHUNK;
}

/* All bytes of an entry, in the arena; false when a bound or damage ended it. */
static bool read_entry(struct unpacking *unpacking, struct archive_entry *entry,
                       struct mw_bytes *data)
{
    struct mw_parse *parse = unpacking->parse;
    struct mw_arena *arena = parse->report->arena;
    size_t room = first_room(entry), size = 0;
    unsigned char *bytes = mw_arena_alloc_raw(arena, room);
    bool good = false;
    for (;;) {
        if (size == room) {
            bytes = mw_arena_resize(arena, bytes, room, room * 2);
            room *= 2;
        }
        la_ssize_t got = archive_read_data(unpacking->archive, bytes + size,
                                           room - size < MOST_AT_ONCE ? room - size : MOST_AT_ONCE);
        if (got < 0)
            note_damage(unpacking);
        good = got == 0 || (got < 0 && size > 0);
        if (got <= 0)
            break;
        if (!may_go_on(unpacking) || !mw_parse_take(parse, unpacking->part->path, (size_t)got)) {
            parse->refused += (size_t)got;
            break;
        }
        size += (size_t)got;
    }
    if (!good) {
        mw_parse_give(parse, size);
        size = 0;
    }
    *data = (struct mw_bytes){mw_arena_resize(arena, bytes, room, size), size};
    return good;
}

static void mark_encrypted(struct unpacking *unpacking)
{
    unpacking->encrypted = true;
    unpacking->part->encrypted = true;
}

/* Adds one file; false when no more are wanted. */
static bool add_file(struct unpacking *unpacking, struct archive_entry *entry, const char *name)
{
    if (archive_entry_is_data_encrypted(entry)) {
        mark_encrypted(unpacking);
        return true;
    }
    struct mw_bytes data;
    if (!read_entry(unpacking, entry, &data))
        return pass_over(unpacking);
    struct mw_part *file = mw_parse_part(unpacking->parse, unpacking->part, MW_PART_LEAF);
    if (!file)
        return false;
    file->filename = name;
    file->data = data;
    file->content_type = "application/octet-stream";
    file->encoding = "archive";
    file->unpacked = true;
    return true;
}

static void read_all(struct unpacking *unpacking)
{
    struct archive_entry *entry;
    for (size_t i = 0;; i++) {
        int code = archive_read_next_header(unpacking->archive, &entry);
        bool plain = archive_format(unpacking->archive) == ARCHIVE_FORMAT_RAW &&
                     !mw_archive_source_is_compressed(&unpacking->source);
        if (code == ARCHIVE_EOF || plain)
            return;
        if (archive_read_has_encrypted_entries(unpacking->archive) == 1)
            mark_encrypted(unpacking);
        if (code < ARCHIVE_WARN) {
            if (!unpacking->encrypted)
                note_damage(unpacking);
            return;
        }
        unpacking->any = true;
        const char *name = entry_name(unpacking, entry);
        if (i == 0 && name && is_document_start(name))
            unpacking->document = true;
        bool wanted = archive_entry_filetype(entry) == AE_IFREG ||
                      archive_format(unpacking->archive) == ARCHIVE_FORMAT_RAW;
        if (unpacking->document && name && !is_worth_telling(name))
            wanted = false;
        if (!(wanted ? add_file(unpacking, entry, name) : pass_over(unpacking)) ||
            !may_go_on(unpacking))
            return;
    }
}

/* Not mtree, which any text may be. */
static struct archive *new_reader(bool formats)
{
    struct archive *archive = archive_read_new();
    if (!archive)
        return NULL;
    archive_read_support_format_raw(archive);
    if (!formats)
        return archive;
    archive_read_support_format_7zip(archive);
    archive_read_support_format_ar(archive);
    archive_read_support_format_cab(archive);
    archive_read_support_format_cpio(archive);
    archive_read_support_format_iso9660(archive);
    archive_read_support_format_lha(archive);
    archive_read_support_format_rar(archive);
    archive_read_support_format_rar5(archive);
    archive_read_support_format_tar(archive);
    archive_read_support_format_warc(archive);
    archive_read_support_format_xar(archive);
    archive_read_support_format_zip(archive);
    return archive;
}

/* Reads the part as an archive, or as one compressed file. Whether what is compressed is an
 * archive without a file. */
static bool read_as(struct unpacking *unpacking, bool formats)
{
    unpacking->archive = new_reader(formats);
    if (!unpacking->archive)
        return false;
    int code = mw_archive_source_open(&unpacking->source, unpacking->parse, unpacking->part,
                                      unpacking->archive);
    if (code == ARCHIVE_OK)
        read_all(unpacking);
    else
        note_damage(unpacking);
    bool empty = code == ARCHIVE_OK && !unpacking->any && !unpacking->source.stopped &&
                 mw_archive_source_is_compressed(&unpacking->source);
    archive_read_free(unpacking->archive);
    mw_archive_source_close(&unpacking->source);
    return empty;
}

void mw_archive_unpack(struct mw_parse *parse, struct mw_part *part)
{
    struct unpacking unpacking = {.parse = parse, .part = part};
    /* libarchive takes zeros for the end of a tar: what stands behind them is read, too. */
    if (read_as(&unpacking, true))
        read_as(&unpacking, false);
}
