/* archive: libarchive over bytes of a part, one entry after the other. */
#include "parsers/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/archive_source.h"

enum { CHUNK = 1 << 16, NAME_LIMIT = 1024, HEADERS_MOST = 100 };

/* One archive being opened. */
struct unpacking {
    struct mw_parse *parse;
    struct mw_part *part;
    struct archive *archive;
    struct mw_archive_source source;
    const char *kind;
    bool empty; /* what is compressed is an archive without a file */
    bool mixed; /* it lies in a compound file, perhaps in pieces: damage is none */
};

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

const char *mw_archive_name(struct mw_arena *arena, struct mw_bytes name)
{
    const unsigned char *nul = name.size > 0 ? memchr(name.data, '\0', name.size) : NULL;
    if (nul)
        name.size = (size_t)(nul - name.data);
    if (name.size > NAME_LIMIT)
        name.size = mw_utf8_cut(name, NAME_LIMIT);
    return name.size > 0 ? mw_utf8_clean_line(arena, name, NULL) : NULL;
}

static bool is_raw(struct unpacking *unpacking)
{
    return archive_format(unpacking->archive) == ARCHIVE_FORMAT_RAW;
}

static const char *entry_name(struct unpacking *unpacking, struct archive_entry *entry)
{
    struct mw_arena *arena = unpacking->parse->report->arena;
    if (is_raw(unpacking))
        return inner_name(arena, unpacking->part->filename);
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    return mw_archive_name(arena, mw_bytes_of(name));
}

static const char *reason_of(struct unpacking *unpacking)
{
    const char *text = archive_error_string(unpacking->archive);
    struct mw_arena *arena = unpacking->parse->report->arena;
    return text ? mw_utf8_clean_line(arena, mw_bytes_of(text), NULL) : "no parser can read it";
}

static void note_damage(struct unpacking *unpacking)
{
    const char *reason = reason_of(unpacking);
    if (unpacking->mixed)
        return;
    mw_part_closed(unpacking->part, unpacking->kind,
                   unpacking->source.stopped ? "over a limit" : "damaged");
    if (unpacking->source.stopped)
        return; /* which is told already */
    mw_report_problem(unpacking->parse->report, unpacking->parse->limits,
                      MW_PROBLEM_ARCHIVE_DAMAGED, unpacking->part->path,
                      "cannot be unpacked to its end: %s", reason);
}

bool mw_archive_may_go_on(struct mw_parse *parse, const struct mw_part *part)
{
    if (mw_parse_expired(parse))
        return false;
    if (!mw_parse_is_spent(parse))
        return true;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE, part->path,
                      "too much was unpacked in vain: the rest was not opened");
    return false;
}

/* Whether libarchive passes over a file without unpacking it. */
static bool skips_cheaply(struct unpacking *unpacking)
{
    int format = archive_format(unpacking->archive) & ARCHIVE_FORMAT_BASE_MASK;
    return !mw_archive_source_is_compressed(&unpacking->source) &&
           (format == ARCHIVE_FORMAT_TAR || format == ARCHIVE_FORMAT_ISO9660 ||
            format == ARCHIVE_FORMAT_AR);
}

/* Passes over the rest of a file; false when no more may be read. libarchive would unpack a
 * thousandfold of what it reads without asking anybody. */
static bool pass_over(struct unpacking *unpacking)
{
    const void *bytes;
    size_t size;
    la_int64_t offset;
    if (skips_cheaply(unpacking))
        return mw_archive_may_go_on(unpacking->parse, unpacking->part);
    while (mw_archive_may_go_on(unpacking->parse, unpacking->part)) {
        if (archive_read_data_block(unpacking->archive, &bytes, &size, &offset) != ARCHIVE_OK)
            return true;
        unpacking->parse->refused += size;
    }
    return false;
}

/* A file's bytes as they grow. */
struct growing {
    struct mw_parse *parse;
    const struct mw_part *part;
    unsigned char *bytes;
    size_t size, room;
};

/* Adds bytes that stand at offset, behind a hole of zeros if need be; false when a bound ended
 * it. */
static bool grow(struct growing *file, const void *bytes, size_t size, size_t offset)
{
    struct mw_parse *parse = file->parse;
    size_t hole = offset > file->size ? offset - file->size : 0;
    if (hole > SIZE_MAX / 4 || size > SIZE_MAX / 4 || !mw_archive_may_go_on(parse, file->part) ||
        !mw_parse_take(parse, file->part->path, hole + size)) {
        parse->refused += size;
        return false;
    }
    if (file->size + hole + size > file->room) {
        size_t room = file->room;
        while (room < file->size + hole + size)
            room *= 2;
        file->bytes = mw_arena_resize(parse->report->arena, file->bytes, file->room, room);
        file->room = room;
    }
    memset(file->bytes + file->size, 0, hole);
    memcpy(file->bytes + file->size + hole, bytes, size);
    file->size += hole + size;
    return true;
}

/* By blocks: libarchive hands the last one out together with the news that its checksum is
 * wrong, and archive_read_data would throw it away then. */
enum mw_unpacked mw_archive_read(struct mw_parse *parse, struct mw_part *part,
                                 struct archive *archive, size_t most, struct mw_bytes *data)
{
    struct growing file = {.parse = parse, .part = part, .room = CHUNK};
    file.bytes = mw_arena_alloc_raw(parse->report->arena, file.room);
    enum mw_unpacked result = MW_UNPACKED_WHOLE;
    while (file.size < most) {
        const void *bytes = NULL;
        size_t size = 0;
        la_int64_t offset = 0;
        int code = archive_read_data_block(archive, &bytes, &size, &offset);
        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK)
            result = code < ARCHIVE_WARN ? MW_UNPACKED_CUT : MW_UNPACKED_DAMAGED;
        if (code < ARCHIVE_WARN || (code != ARCHIVE_OK && size == 0))
            break;
        if (size > most - file.size)
            size = most - file.size;
        if (size > 0 && !grow(&file, bytes, size, (size_t)(offset > 0 ? offset : 0))) {
            mw_parse_give(parse, file.size);
            file.size = 0;
            result = MW_UNPACKED_REFUSED;
            break;
        }
        if (code != ARCHIVE_OK)
            break;
    }
    data->data = mw_arena_resize(parse->report->arena, file.bytes, file.room, file.size);
    data->size = file.size;
    return result;
}

struct mw_part *mw_archive_file(struct mw_parse *parse, struct mw_part *part, const char *name,
                                struct mw_bytes data)
{
    struct mw_part *file = mw_parse_part(parse, part, MW_PART_LEAF);
    if (!file)
        return NULL;
    file->filename = name;
    file->data = data;
    file->content_type = "application/octet-stream";
    file->encoding = "archive";
    file->unpacked = true;
    return file;
}

static void mark_encrypted(struct unpacking *unpacking)
{
    unpacking->part->encrypted = MW_ENCRYPTED_ARCHIVE;
    mw_part_closed(unpacking->part, unpacking->kind, "encrypted");
}

/* Adds one file; false when no more are wanted. What is no regular file and has no bytes is
 * none: a folder, a link. */
static bool add_file(struct unpacking *unpacking, struct archive_entry *entry, const char *name)
{
    struct mw_parse *parse = unpacking->parse;
    struct mw_part *part = unpacking->part;
    struct mw_bytes data;
    enum mw_unpacked result = mw_archive_read(parse, part, unpacking->archive, SIZE_MAX, &data);
    if (result == MW_UNPACKED_REFUSED) {
        mw_part_closed(part, unpacking->kind, "over a limit");
        return pass_over(unpacking);
    }
    bool damaged = result == MW_UNPACKED_DAMAGED || result == MW_UNPACKED_CUT;
    if (damaged)
        note_damage(unpacking);
    bool regular = is_raw(unpacking) || archive_entry_filetype(entry) == AE_IFREG;
    if (data.size == 0 && (!regular || damaged))
        return true;
    if (!mw_archive_file(parse, part, name, data)) {
        mw_part_closed(part, unpacking->kind, "over a limit");
        return false;
    }
    mw_part_opened(part, unpacking->kind);
    return true;
}

/* libarchive says it by the entry, or only of the archive as a whole; it may be asked only when
 * a format has matched, or else it crashes. */
static bool is_encrypted(struct unpacking *unpacking, struct archive_entry *entry, int code)
{
    if (archive_format(unpacking->archive) == 0 || is_raw(unpacking))
        return false;
    if (code < ARCHIVE_WARN)
        return archive_read_has_encrypted_entries(unpacking->archive) == 1;
    return archive_entry_is_encrypted(entry);
}

/* All entries; whether it came to the archive's end. */
static bool read_all(struct unpacking *unpacking, const struct mw_encrypted_entries *encrypted)
{
    struct archive_entry *entry;
    unsigned broken = 0;
    for (size_t i = 0;; i++) {
        int code = archive_read_next_header(unpacking->archive, &entry);
        if (code == ARCHIVE_EOF)
            return archive_format(unpacking->archive) != ARCHIVE_FORMAT_EMPTY;
        if (code == ARCHIVE_RETRY) {
            note_damage(unpacking); /* of one header: there may be others behind it */
            if (!mw_archive_may_go_on(unpacking->parse, unpacking->part) || ++broken > HEADERS_MOST)
                return false;
            continue;
        }
        if (is_raw(unpacking) && !mw_archive_source_is_compressed(&unpacking->source))
            return false; /* neither compressed nor an archive */
        if (is_encrypted(unpacking, entry, code) ||
            (encrypted && i < encrypted->count && encrypted->items[i] && code >= ARCHIVE_WARN)) {
            mark_encrypted(unpacking);
            if (code < ARCHIVE_WARN)
                return false;
            continue;
        }
        if (code < ARCHIVE_WARN) {
            if (archive_format(unpacking->archive) != 0 || unpacking->source.stopped)
                note_damage(unpacking);
            return false;
        }
        if (!add_file(unpacking, entry, entry_name(unpacking, entry)))
            return false;
        if (!mw_archive_may_go_on(unpacking->parse, unpacking->part)) {
            mw_part_closed(unpacking->part, unpacking->kind, "over a limit");
            return false;
        }
    }
}

/* Not mtree, which any text may be; zips are read in zip.c. */
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
    archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1");
    return archive;
}

/* Reads bytes as an archive, or as one compressed file; how many of them it takes, 0 when it did
 * not come to its end. */
static size_t read_as(struct unpacking *unpacking, struct mw_bytes bytes, bool formats,
                      const struct mw_encrypted_entries *encrypted)
{
    struct mw_part *part = unpacking->part;
    size_t before = part->inside + part->closed;
    unpacking->archive = new_reader(formats);
    if (!unpacking->archive)
        return 0;
    bool whole = mw_archive_source_open(&unpacking->source, unpacking->parse, part, bytes,
                                        unpacking->archive) == ARCHIVE_OK &&
                 read_all(unpacking, encrypted);
    size_t taken = mw_archive_source_taken(&unpacking->source, unpacking->archive);
    unpacking->empty = whole && part->inside + part->closed == before;
    bool compressed = mw_archive_source_is_compressed(&unpacking->source);
    if (unpacking->empty && compressed && formats)
        ; /* asked once more */
    else if (whole && !part->container)
        part->container = unpacking->kind; /* one with nothing in it */
    else if (!whole && !unpacking->mixed && part->inside + part->closed == before)
        mw_part_closed(part, unpacking->kind,
                       unpacking->source.stopped ? "over a limit" : reason_of(unpacking));
    unpacking->empty = unpacking->empty && compressed;
    archive_read_free(unpacking->archive);
    mw_archive_source_close(&unpacking->source);
    return whole && taken <= bytes.size ? taken : 0;
}

size_t mw_archive_open(struct mw_parse *parse, struct mw_part *part, struct mw_bytes bytes,
                       const char *kind, const struct mw_encrypted_entries *encrypted)
{
    struct unpacking unpacking = {.parse = parse, .part = part, .kind = kind};
    unpacking.mixed = bytes.data != part->data.data && part->data.size > 8 &&
                      memcmp(part->data.data, "\xd0\xcf\x11\xe0", 4) == 0;
    size_t taken = read_as(&unpacking, bytes, true, encrypted);
    /* libarchive takes zeros for the end of a tar: what stands behind them is read, too. */
    return unpacking.empty ? read_as(&unpacking, bytes, false, encrypted) : taken;
}
