/* closed: a few names in each format; nothing is unpacked. */
#include "parsers/closed.h"

#include <string.h>

static bool stands_at(struct mw_bytes bytes, size_t at, const char *what, size_t size)
{
    return bytes.size > 0 && at <= bytes.size && size <= bytes.size - at &&
           memcmp(bytes.data + at, what, size) == 0;
}

static size_t find(struct mw_bytes bytes, size_t from, const char *what)
{
    return mw_bytes_find(bytes, from, mw_bytes_of(what));
}

static bool has(struct mw_bytes bytes, const char *what)
{
    return find(bytes, 0, what) < bytes.size;
}

/* --- compound files (MS-CFB): .doc, .xls, .ppt, .msg, .msi ------------------------------------ */

/* Entries of directories are 128 bytes and stand at multiples of that. Each is looked at where
 * it is, whatever the chains of sectors say. */
enum { ENTRY = 128, NAME = 64 };

struct ole_entry {
    char name[NAME / 2 + 1]; /* ASCII; "?" for what is none */
    unsigned kind;           /* 1: a folder, 2: a stream, 5: the top */
    size_t start;            /* of a stream: its first sector's offset */
    bool installer;          /* its class is that of installers and their patches */
};

static bool ole_entry_at(struct mw_bytes bytes, size_t at, size_t sector, struct ole_entry *entry)
{
    const unsigned char *from = bytes.data + at;
    size_t length = (size_t)mw_bytes_get_little(from + NAME, 2);
    entry->kind = from[66];
    if (length < 4 || length > NAME || length % 2 != 0 || from[67] > 1 ||
        (entry->kind != 1 && entry->kind != 2 && entry->kind != 5) || from[length - 2] ||
        from[length - 1])
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        unsigned c = (unsigned)mw_bytes_get_little(from + 2 * i, 2);
        entry->name[i] = c < 128 ? (char)c : '?';
        if (c == 0 && i + 1 < length / 2)
            return false;
    }
    uint64_t first = mw_bytes_get_little(from + 116, 4), class = mw_bytes_get_little(from + 80, 8);
    entry->name[length / 2] = '\0';
    entry->installer = entry->kind == 5 && (class == 0xc1084 || class == 0xc1086);
    entry->start = first < bytes.size / sector ? ((size_t)first + 1) * sector : bytes.size;
    return true;
}

/* A document of Word 97 and later says in its head whether it is encrypted (MS-DOC 2.5.1). */
static bool word_is_locked(struct mw_bytes bytes, size_t start)
{
    return bytes.size >= 12 && start <= bytes.size - 12 &&
           mw_bytes_get_little(bytes.data + start, 2) == 0xa5ec && bytes.data[start + 11] & 1;
}

/* A workbook has the record FilePass behind its first (MS-XLS 2.4.117). */
static bool workbook_is_locked(struct mw_bytes bytes, size_t start)
{
    enum { RECORDS = 4, FILE_PASS = 0x2f, FIRST = 0x809 };
    for (unsigned i = 0; i < RECORDS && bytes.size >= 4 && start <= bytes.size - 4; i++) {
        unsigned id = (unsigned)mw_bytes_get_little(bytes.data + start, 2);
        if (i == 0 && id != FIRST)
            return false;
        if (id == FILE_PASS)
            return true;
        start += 4 + (size_t)mw_bytes_get_little(bytes.data + start + 2, 2);
    }
    return false;
}

static bool begins(const char *name, const char *what)
{
    return strncmp(name, what, strlen(what)) == 0;
}

/* Word keeps each object in a folder called "_" and a number. */
static bool is_object_folder(const char *name)
{
    return name[0] == '_' && strspn(name + 1, "0123456789") >= 6 &&
           strspn(name + 1, "0123456789") == strlen(name + 1);
}

static void look_at_entry(struct mw_part *part, const struct ole_entry *entry)
{
    static const char *const locks[] = {"EncryptedPackage", "EncryptedSummary", "\6DataSpaces"};
    static const struct {
        const char *name, *kind, *why;
    } holders[] = {
        {"__nameid_version1.0", "msg", "no parser opens Outlook's messages"},
        {"__properties_version1.0", "msg", "no parser opens Outlook's messages"},
        {"\1Ole10Native", "ole", "no parser opens what is embedded in it"},
        {"Package", "ole", "no parser opens what is embedded in it"},
        {"EmbeddedOdf", "ole", "no parser opens what is embedded in it"},
        {"MBD", "ole", "no parser opens what is embedded in it"},
    };
    bool locked =
        (strcmp(entry->name, "WordDocument") == 0 && word_is_locked(part->data, entry->start)) ||
        ((strcmp(entry->name, "Workbook") == 0 || strcmp(entry->name, "Book") == 0) &&
         workbook_is_locked(part->data, entry->start));
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        locked = locked || strcmp(entry->name, locks[i]) == 0;
    if (locked && !part->encrypted) {
        part->encrypted = MW_ENCRYPTED_OFFICE;
        mw_part_closed(part, "ole", "encrypted");
    }
    if (entry->installer)
        mw_part_closed(part, "msi", "no parser opens installers");
    if (entry->kind == 1 && is_object_folder(entry->name) && part->closed == 0)
        mw_part_closed(part, "ole", "no parser opens what is embedded in it");
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++)
        if (begins(entry->name, holders[i].name) && part->closed == 0)
            mw_part_closed(part, holders[i].kind, holders[i].why);
}

static void look_at_ole(struct mw_part *part)
{
    struct mw_bytes bytes = part->data;
    struct ole_entry entry;
    size_t sector = bytes.size > 31 && bytes.data[30] == 12 ? 4096 : 512;
    for (size_t at = 512; at + ENTRY <= bytes.size; at += ENTRY)
        if (ole_entry_at(bytes, at, sector, &entry))
            look_at_entry(part, &entry);
}

/* --- the others ---------------------------------------------------------------------------------
 */

/* Whether a name of PDF stands there by itself: "/Encrypt" is not "/EncryptMetadata". */
static bool pdf_has(struct mw_bytes bytes, const char *name)
{
    for (size_t at = 0; (at = find(bytes, at, name)) < bytes.size;) {
        at += strlen(name);
        if (at >= bytes.size || strchr(" \t\r\n\f<[/(", bytes.data[at]))
            return true;
    }
    return false;
}

static void look_at_pdf(struct mw_part *part)
{
    if (pdf_has(part->data, "/Encrypt")) {
        part->encrypted = MW_ENCRYPTED_PDF;
        mw_part_closed(part, "pdf", "encrypted");
    } else if (has(part->data, "/EmbeddedFile")) {
        mw_part_closed(part, "pdf", "no parser opens what is embedded in it");
    }
}

/* OneNote says of each file that it holds so, by a GUID (MS-ONESTORE 2.6.13). */
static bool has_onenote_file(struct mw_bytes bytes)
{
    static const unsigned char guid[] = {0xe7, 0x16, 0xe3, 0xbd, 0x65, 0x26, 0x11, 0x45,
                                         0xa4, 0xc4, 0x8d, 0x4d, 0x0b, 0x7a, 0x9e, 0xac};
    return mw_bytes_find(bytes, 0, (struct mw_bytes){guid, sizeof guid}) < bytes.size;
}

static bool is_pdf(struct mw_bytes bytes)
{
    return find(mw_bytes_slice(bytes, 0, 1024), 0, "%PDF-") < mw_bytes_slice(bytes, 0, 1024).size;
}

static bool is_xml(struct mw_bytes bytes)
{
    size_t at = stands_at(bytes, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    return stands_at(bytes, at, "<?xml", 5);
}

void mw_closed_look(struct mw_part *part)
{
    static const char onenote[] = "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d";
    struct mw_bytes bytes = part->data;
    const char *const embedded = "no parser opens what is embedded in it";
    if (stands_at(bytes, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8))
        look_at_ole(part);
    else if (is_pdf(bytes))
        look_at_pdf(part);
    else if (stands_at(bytes, 0, "{\\rt", 4) && has(bytes, "\\objdata"))
        mw_part_closed(part, "rtf", embedded);
    else if (stands_at(bytes, 0, onenote, sizeof onenote - 1) && has_onenote_file(bytes))
        mw_part_closed(part, "onenote", embedded);
    else if (is_xml(bytes) && (has(bytes, "binaryData>") || has(bytes, "binData ")))
        mw_part_closed(part, "xml", embedded);
}
