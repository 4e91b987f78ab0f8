/* containers: a table of how they begin, and a walk for those that begin anywhere. */
#include "parsers/containers.h"

#include <string.h>

#include "core/ascii.h"
#include "parsers/archive.h"
#include "parsers/calendar.h"
#include "parsers/closed.h"
#include "parsers/inline_files.h"
#include "parsers/pgp.h"
#include "parsers/rar.h"
#include "parsers/smime.h"
#include "parsers/zip.h"

/* --- how archives begin ----------------------------------------------------------------------- */

static bool is_gzip(struct mw_bytes bytes)
{
    return bytes.size >= 10 && bytes.data[2] == 8 && (bytes.data[3] & 0xe0) == 0;
}

static bool is_bzip2(struct mw_bytes bytes)
{
    return bytes.size >= 10 && bytes.data[3] >= '1' && bytes.data[3] <= '9' &&
           (memcmp(bytes.data + 4, "1AY&SY", 6) == 0 ||
            memcmp(bytes.data + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

/* No magic: properties, a size of dictionary that encoders use, the size of the whole or none,
 * and the first byte of the range coder, which is always 0. */
static bool is_lzma(struct mw_bytes bytes)
{
    if (bytes.size < 18 || (bytes.data[0] != 0x5d && bytes.data[0] != 0x5e) || bytes.data[13] != 0)
        return false;
    uint64_t dictionary = mw_bytes_get_little(bytes.data + 1, 4);
    uint64_t size = mw_bytes_get_little(bytes.data + 5, 8);
    uint64_t third = dictionary / 3 * 2;
    bool power = dictionary >= 4096 && (dictionary & (dictionary - 1)) == 0;
    bool other = dictionary >= 4096 && dictionary % 3 == 0 && (third & (third - 1)) == 0;
    return (power || other || dictionary == UINT32_MAX) &&
           (size == UINT64_MAX || size < (uint64_t)1 << 38);
}

static bool octal(const unsigned char *at, size_t size, unsigned long *value)
{
    size_t i = 0;
    *value = 0;
    while (i < size && at[i] == ' ')
        i++;
    size_t first = i;
    while (i < size && at[i] >= '0' && at[i] <= '7')
        *value = *value * 8 + (unsigned long)(at[i++] - '0');
    return i > first && (i == size || at[i] == ' ' || at[i] == '\0');
}

/* Of all versions, also those without "ustar": by the header's checksum, as every reader does. */
static bool is_tar(struct mw_bytes bytes)
{
    unsigned long sum = 0, told;
    long with_sign = 0;
    if (bytes.size < 512 || bytes.data[0] == '\0' || !octal(bytes.data + 148, 8, &told))
        return false;
    for (size_t i = 0; i < 512; i++) {
        unsigned char byte = i >= 148 && i < 156 ? ' ' : bytes.data[i];
        sum += byte;
        with_sign += (signed char)byte;
    }
    return told == sum || (with_sign >= 0 && told == (unsigned long)with_sign);
}

static bool is_arj(struct mw_bytes bytes)
{
    return bytes.size > 34 && mw_bytes_get_little(bytes.data + 2, 2) <= 2600 &&
           bytes.data[4] >= 30 && bytes.data[4] < 64 && bytes.data[10] == 2;
}

/* A letter for the method, a name with its NUL, a size that fits. */
static bool is_arc(struct mw_bytes bytes)
{
    if (bytes.size < 29 || bytes.data[1] < 1 || bytes.data[1] > 11)
        return false;
    size_t name = 0;
    while (name < 13 && bytes.data[2 + name] > ' ' && bytes.data[2 + name] < 127)
        name++;
    return name > 0 && name < 13 && bytes.data[2 + name] == '\0' &&
           mw_bytes_get_little(bytes.data + 15, 4) <= bytes.size - 25;
}

static bool is_lha(struct mw_bytes bytes)
{
    return bytes.size > 21 && bytes.data[6] == '-' &&
           (bytes.data[4] == 'h' || bytes.data[4] == 'z') && bytes.data[20] <= 3;
}

/* The superblock of ext2 to ext4. */
static bool is_ext(struct mw_bytes bytes)
{
    const unsigned char *block = bytes.data + 1024;
    return bytes.size >= 2048 && mw_bytes_get_little(block, 4) > 0 &&
           mw_bytes_get_little(block + 24, 4) <= 6 && mw_bytes_get_little(block + 76, 4) <= 1;
}

static bool is_skipped_frame(struct mw_bytes bytes)
{
    return (bytes.data[0] & 0xf0) == 0x50;
}

/* A boot record: of one file system, or of a disk with a table of partitions. */
static bool is_boot(struct mw_bytes bytes)
{
    const unsigned char *at = bytes.data;
    if (bytes.size < 1024)
        return false;
    size_t sector = (size_t)mw_bytes_get_little(at + 11, 2), cluster = at[13];
    bool file_system = (at[0] == 0xeb || at[0] == 0xe9) && sector >= 512 && sector <= 4096 &&
                       (sector & (sector - 1)) == 0 && cluster > 0 &&
                       (cluster & (cluster - 1)) == 0;
    if (file_system || memcmp(at + 3, "EXFAT   ", 8) == 0 || memcmp(at + 512, "EFI PART", 8) == 0)
        return true;
    bool any = false;
    for (size_t i = 446; i < 510; i += 16) {
        uint64_t start = mw_bytes_get_little(at + i + 8, 4),
                 size = mw_bytes_get_little(at + i + 12, 4);
        if (at[i] & 0x7f)
            return false;
        if (at[i + 4] == 0)
            continue;
        if (start == 0 || size == 0 || start > bytes.size / 512)
            return false;
        any = true;
    }
    return any;
}

/* Headers of cpio in characters are so many digits, and texts may begin with a few. */
static bool is_cpio(struct mw_bytes bytes)
{
    size_t digits = bytes.size >= 6 && bytes.data[5] == '7' ? 76 : 110;
    if (bytes.size < digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        if (mw_hex_value((char)bytes.data[i]) < 0)
            return false;
    return true;
}

/* Who opens a kind. */
enum opener {
    CLOSED, /* nobody yet */
    READER, /* libarchive, from its beginning to its end */
    STREAM, /* the same, and there may be more behind it */
    WALK    /* found by the walk, as it may begin anywhere */
};

static const struct kind {
    const char *name;
    size_t offset;
    const char *bytes;
    size_t size;
    enum opener opener;
    bool (*is)(struct mw_bytes bytes); /* beside these first bytes; NULL: they are enough */
} kinds[] = {
#define AT(offset, bytes) offset, bytes, sizeof(bytes) - 1
    {"gzip", AT(0, "\x1f\x8b"), STREAM, is_gzip},
    {"bzip2", AT(0, "BZh"), STREAM, is_bzip2},
    {"xz",
     AT(0, "\xfd"
           "7zXZ"),
     STREAM, NULL},
    {"zstd", AT(0, "\x28\xb5\x2f\xfd"), STREAM, NULL},
    {"zstd", AT(1, "\x2a\x4d\x18"), STREAM, is_skipped_frame},
    {"lz4", AT(0, "\x04\x22\x4d\x18"), STREAM, NULL},
    {"lz4", AT(0, "\x02\x21\x4c\x18"), STREAM, NULL},
    {"lzip", AT(0, "LZIP"), STREAM, NULL},
    {"compress", AT(0, "\x1f\x9d"), STREAM, NULL},
    {"lzma", AT(0, ""), STREAM, is_lzma},
    {"tar", AT(0, ""), STREAM, is_tar},
    {"ar", AT(0, "!<arch>\n"), READER, NULL},
    {"lha", AT(2, "-l"), READER, is_lha},
    {"xar", AT(0, "xar!"), READER, NULL},
    {"cpio", AT(0, "070701"), READER, is_cpio},
    {"cpio", AT(0, "070702"), READER, is_cpio},
    {"cpio", AT(0, "070707"), READER, is_cpio},
    {"cpio", AT(0, "\xc7\x71"), READER, NULL},
    {"cpio", AT(0, "\x71\xc7"), READER, NULL},
    {"rpm", AT(0, "\xed\xab\xee\xdb"), READER, NULL},
    {"warc", AT(0, "WARC/"), READER, NULL},
    {"arj", AT(0, "\x60\xea"), CLOSED, is_arj},
    {"arc", AT(0, "\x1a"), CLOSED, is_arc},
    {"zoo", AT(20, "\xdc\xa7\xc4\xfd"), CLOSED, NULL},
    {"alz", AT(0, "ALZ\1"), CLOSED, NULL},
    {"egg", AT(0, "EGGA"), CLOSED, NULL},
    {"stuffit", AT(0, "SIT!"), CLOSED, NULL},
    {"stuffit", AT(0, "StuffIt (c)"), CLOSED, NULL},
    {"lzop", AT(0, "\x89LZO\0\r\n"), CLOSED, NULL},
    {"lrzip", AT(0, "LRZI"), CLOSED, NULL},
    {"pack", AT(0, "\x1f\x1e"), CLOSED, NULL},
    {"pack", AT(0, "\x1f\xa0"), CLOSED, NULL},
    {"szdd", AT(0, "SZDD\x88\xf0\x27\x33"), CLOSED, NULL},
    {"szdd", AT(0, "KWAJ\x88\xf0\x27\xd1"), CLOSED, NULL},
    {"zpaq", AT(0, "7kSt"), CLOSED, NULL},
    {"zpaq", AT(0, "zPQ"), CLOSED, NULL},
    {"uha", AT(0, "UHA\6"), CLOSED, NULL},
    {"wim", AT(0, "MSWIM\0\0\0"), CLOSED, NULL},
    {"disk", AT(0, "conectix"), CLOSED, NULL},
    {"disk", AT(0, "vhdxfile"), CLOSED, NULL},
    {"disk", AT(0, "KDMV"), CLOSED, NULL},
    {"disk", AT(0, "COWD"), CLOSED, NULL},
    {"disk", AT(0, "# Disk DescriptorFile"), CLOSED, NULL},
    {"disk", AT(0, "QFI\xfb"), CLOSED, NULL},
    {"disk", AT(64, "\x7f\x10\xda\xbe"), CLOSED, NULL},
    {"disk", AT(510, "\x55\xaa"), CLOSED, is_boot},
    {"disk", AT(3, "NTFS    "), CLOSED, NULL},
    {"disk", AT(1080, "\x53\xef"), CLOSED, is_ext},
    {"disk", AT(1024, "H+\0\4"), CLOSED, NULL},
    {"disk", AT(1024, "HX\0\5"), CLOSED, NULL},
    {"disk", AT(0x8001, "BEA01"), CLOSED, NULL},
    {"squashfs", AT(0, "hsqs"), CLOSED, NULL},
    {"squashfs", AT(0, "sqsh"), CLOSED, NULL},
    {"chm", AT(0, "ITSF\3\0\0\0"), CLOSED, NULL},
    {"pst", AT(0, "!BDN"), CLOSED, NULL},
    {"dbx", AT(0, "\xcf\xad\x12\xfe"), CLOSED, NULL},
    {"activemime", AT(0, "ActiveMime"), CLOSED, NULL},
#undef AT
};

static bool stands_at(struct mw_bytes bytes, size_t at, const char *what, size_t size)
{
    return bytes.size > 0 && at <= bytes.size && size <= bytes.size - at &&
           memcmp(bytes.data + at, what, size) == 0;
}

static const struct kind *kind_of(struct mw_bytes bytes)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (stands_at(bytes, kinds[i].offset, kinds[i].bytes, kinds[i].size) &&
            (!kinds[i].is || kinds[i].is(bytes)))
            return &kinds[i];
    /* Disk images that tell what they are at their end. */
    static const struct kind disk = {.name = "disk", .opener = CLOSED};
    if (bytes.size > 512 && (stands_at(bytes, bytes.size - 512, "koly", 4) ||
                             stands_at(bytes, bytes.size - 512, "conectix", 8)))
        return &disk;
    return NULL;
}

/* --- the walk -----------------------------------------------------------------------------------
 */

/* What is looked for at every offset, by four bytes; those behind are asked for by who opens. */
enum { WINDOW = 4, MARKS = 7 };
static const char marks[MARKS][WINDOW + 1] = {"PK\3\4", "PK\5\6", "Rar!", "7z\xbc\xaf",
                                              "MSCF",   "\1CD0",  "**AC"};

struct walk {
    struct mw_parse *parse;
    struct mw_part *part;
    struct mw_zip *zip; /* once there was reason to look for one */
    size_t tries;       /* of what is no zip */
};

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* All that follows returns where to look on. */

static size_t open_zip(struct walk *walk, size_t at)
{
    if (!walk->zip)
        walk->zip = mw_zip_open(walk->parse, walk->part);
    return walk->part->data.data[at + 2] == 3 ? mw_zip_file(walk->zip, at) : at + WINDOW;
}

/* Files that begin as archives and are none are passed over in silence, but not many. */
static bool may_try(struct walk *walk)
{
    if (!mw_archive_may_go_on(walk->parse, walk->part))
        return false;
    if (walk->tries++ <= walk->parse->limits->parts)
        return true;
    mw_part_closed(walk->part, "archive", "over a limit");
    mw_report_problem(
        walk->parse->report, walk->parse->limits, MW_PROBLEM_LIMIT_PARTS, walk->part->path,
        "more than %zu archives in one file: the rest was not opened", walk->parse->limits->parts);
    return false;
}

static size_t open_rar(struct walk *walk, size_t at)
{
    struct mw_part *part = walk->part;
    struct mw_bytes bytes = mw_bytes_slice(part->data, at, SIZE_MAX);
    struct mw_rar rar;
    if (!mw_rar_read(walk->parse->report->arena, bytes, &rar) || (!rar.sound && at > 0))
        return at + WINDOW;
    if (!may_try(walk))
        return part->data.size;
    if (rar.headers_encrypted || (rar.files > 0 && rar.encrypted == rar.files)) {
        part->encrypted = MW_ENCRYPTED_ARCHIVE;
        mw_part_closed(part, "rar", "encrypted");
    } else {
        size_t before = part->inside + part->closed;
        mw_archive_open(walk->parse, part, bytes, "rar", &rar.entries);
        if (!rar.sound && part->inside + part->closed == before)
            mw_part_closed(part, "rar", "damaged");
    }
    return rar.end > WINDOW ? at + rar.end : at + WINDOW;
}

static size_t open_7z(struct walk *walk, size_t at)
{
    struct mw_bytes bytes = mw_bytes_slice(walk->part->data, at, SIZE_MAX);
    if (!stands_at(bytes, 0, "7z\xbc\xaf\x27\x1c\0", 7) || bytes.size < 32)
        return at + WINDOW;
    uint64_t offset = mw_bytes_get_little(bytes.data + 12, 8),
             size = mw_bytes_get_little(bytes.data + 20, 8);
    bool whole = offset <= bytes.size - 32 && size <= bytes.size - 32 - offset;
    if (at > 0 && !whole)
        return at + WINDOW;
    if (!may_try(walk))
        return walk->part->data.size;
    mw_archive_open(walk->parse, walk->part, bytes, "7z", NULL);
    return whole ? at + 32 + (size_t)(offset + size) : at + WINDOW;
}

static size_t open_cabinet(struct walk *walk, size_t at)
{
    struct mw_bytes bytes = mw_bytes_slice(walk->part->data, at, SIZE_MAX);
    if (bytes.size < 36 || !stands_at(bytes, 0, "MSCF\0\0\0\0", 8))
        return at + WINDOW;
    uint64_t size = mw_bytes_get_little(bytes.data + 8, 4);
    bool sound = mw_bytes_get_little(bytes.data + 16, 4) < size && bytes.data[25] == 1 &&
                 mw_bytes_get_little(bytes.data + 26, 2) > 0;
    if (at > 0 && !sound)
        return at + WINDOW;
    if (!may_try(walk))
        return walk->part->data.size;
    mw_archive_open(walk->parse, walk->part, bytes, "cab", NULL);
    return size > WINDOW ? at + (size_t)smaller((size_t)size, bytes.size) : at + WINDOW;
}

/* at: of the descriptor's first byte, 32 KB behind the beginning. Where there is a second file
 * system (UDF) beside it, that is the one which Windows shows. */
static size_t open_iso(struct walk *walk, size_t at)
{
    enum { BEFORE = 0x8000, SECTOR = 2048 };
    struct mw_bytes all = walk->part->data;
    if (at < BEFORE || !stands_at(all, at, "\1CD001\1", 7) || all.size - at < SECTOR)
        return at + WINDOW;
    if (!may_try(walk))
        return all.size;
    struct mw_bytes bytes = mw_bytes_slice(all, at - BEFORE, SIZE_MAX);
    mw_archive_open(walk->parse, walk->part, bytes, "iso", NULL);
    for (size_t sector = BEFORE; sector < BEFORE + 32 * SECTOR; sector += SECTOR)
        if (stands_at(bytes, sector + 1, "NSR0", 4)) {
            mw_part_closed(walk->part, "udf", "no parser opens UDF");
            break;
        }
    uint64_t size =
        mw_bytes_get_little(all.data + at + 80, 4) * mw_bytes_get_little(all.data + at + 128, 2);
    return size > BEFORE ? at - BEFORE + (size_t)smaller((size_t)size, bytes.size) : at + WINDOW;
}

static size_t open_ace(struct walk *walk, size_t at)
{
    if (stands_at(walk->part->data, at, "**ACE**", 7) && (at >= 7))
        mw_part_closed(walk->part, "ace", "no parser opens ACE");
    return at + WINDOW;
}

static size_t open_mark(struct walk *walk, unsigned mark, size_t at)
{
    static size_t (*const openers[MARKS])(struct walk *, size_t) = {
        open_zip, open_zip, open_rar, open_7z, open_cabinet, open_iso, open_ace};
    return openers[mark](walk, at);
}

/* How far the window may be moved on for its last byte (Horspool's search, for all marks at
 * once): most bytes of a file are in no mark, so that it looks at one in four. */
static void make_shifts(unsigned char *shifts)
{
    memset(shifts, WINDOW, 256);
    for (size_t i = 0; i < MARKS; i++)
        for (size_t k = 0; k < WINDOW; k++) {
            unsigned char *shift = &shifts[(unsigned char)marks[i][k]];
            if (WINDOW - 1 - k < *shift)
                *shift = (unsigned char)(WINDOW - 1 - k);
        }
}

static int mark_at(const unsigned char *at)
{
    for (int i = 0; i < MARKS; i++)
        if (memcmp(at, marks[i], WINDOW) == 0)
            return i;
    return -1;
}

/* Opens archives that begin at from or behind. */
static void walk_archives(struct mw_parse *parse, struct mw_part *part, size_t from)
{
    struct walk walk = {.parse = parse, .part = part};
    unsigned char shifts[256];
    struct mw_bytes data = part->data;
    make_shifts(shifts);
    for (size_t at = from; at < data.size && data.size - at >= WINDOW;) {
        unsigned shift = shifts[data.data[at + WINDOW - 1]];
        int mark = shift > 0 ? -1 : mark_at(data.data + at);
        if (mark < 0) {
            at += shift > 0 ? shift : 1;
            continue;
        }
        at = open_mark(&walk, (unsigned)mark, at);
        if (mw_parse_expired(parse))
            return;
    }
}

/* --- compressed files, one behind another -------------------------------------------------------
 */

/* What stands behind: members of the same kind, also behind zeros and, where their beginning is
 * long enough to tell, behind anything; and archives. */
static void open_stream(struct mw_parse *parse, struct mw_part *part, const struct kind *kind)
{
    size_t at = 0;
    for (;;) {
        size_t taken = mw_archive_open(parse, part, mw_bytes_slice(part->data, at, SIZE_MAX),
                                       kind->name, NULL);
        if (taken == 0)
            return;
        at += taken;
        while (at < part->data.size && part->data.data[at] == '\0')
            at++;
        const struct kind *next = kind_of(mw_bytes_slice(part->data, at, SIZE_MAX));
        if (!next || next->opener != STREAM || !mw_archive_may_go_on(parse, part))
            break;
        kind = next;
    }
    walk_archives(parse, part, at);
}

/* --- who opens what
 * --------------------------------------------------------------------------------- */

/* A file of uuencoded or yEnc lines that is no text of the message. */
static bool holds_inline_file(const struct mw_part *part)
{
    return mw_part_is_attachment(part) &&
           (stands_at(part->data, 0, "begin ", 6) || stands_at(part->data, 0, "=ybegin ", 8));
}

static void open_inline_files(struct mw_parse *parse, struct mw_part *part)
{
    unsigned before = part->children;
    mw_inline_files(parse, part);
    for (unsigned i = before; i < part->children; i++)
        mw_part_opened(part, "uuencode");
}

void mw_containers_open(struct mw_parse *parse, struct mw_part *part)
{
    enum { HEAD = 512 };
    bool attached = mw_part_is_attachment(part);
    if (part->data.size == 0)
        return;
    const struct kind *kind = kind_of(part->data);
    if (strcmp(part->content_type, "message/partial") == 0)
        mw_part_closed(part, "partial", "it is a piece of a message");
    if (mw_pgp_look(parse, part) ||
        (attached && (mw_smime_open(parse, part) || mw_calendar_open(parse, part))))
        return;
    if (kind && kind->opener == CLOSED && !attached &&
        !memchr(part->data.data, 0, part->data.size < HEAD ? part->data.size : HEAD))
        kind = NULL; /* a text that happens to begin so */
    if (kind && kind->opener == CLOSED)
        mw_part_closed(part, kind->name, "no parser opens this kind");
    if (holds_inline_file(part))
        open_inline_files(parse, part);
    else if (!attached && strcmp(part->content_type, "text/plain") == 0)
        mw_inline_files(parse, part);
    if (attached)
        mw_closed_look(part);
    if (kind && kind->opener == STREAM)
        open_stream(parse, part, kind);
    else if (kind && kind->opener == READER)
        mw_archive_open(parse, part, part->data, kind->name, NULL);
    else
        walk_archives(parse, part, 0);
}

bool mw_containers_is_message(const struct mw_part *part)
{
    return part->unpacked && strcmp(part->content_type, "message/rfc822") == 0;
}

const char *mw_containers_by_type(const char *file_type)
{
    /* Only types that libmagic does not take other files for. */
    static const char *const types[][2] = {
        {"application/x-arj", "arj"},
        {"application/x-ace-compressed", "ace"},
        {"application/x-ms-wim", "wim"},
        {"application/x-apple-diskimage", "disk"},
        {"application/x-qemu-disk", "disk"},
        {"application/x-virtualbox-vdi", "disk"},
        {"application/x-virtualbox-vhd", "disk"},
        {"application/x-virtualbox-vhdx", "disk"},
        {"application/vnd.ms-cab-compressed", "cab"},
        {"application/vnd.ms-outlook", "msg"},
        {"application/vnd.ms-htmlhelp", "chm"},
        {"application/x-rar", "rar"},
        {"application/zip", "zip"},
        {"application/x-7z-compressed", "7z"},
        {"application/x-tar", "tar"},
        {"application/x-iso9660-image", "iso"},
    };
    for (size_t i = 0; file_type && i < sizeof types / sizeof *types; i++)
        if (strcmp(file_type, types[i][0]) == 0)
            return types[i][1];
    return NULL;
}
