/* rar: walks blocks, reads no data. */
#include "parsers/rar.h"

#include <string.h>

enum { MOST_ENTRIES = 1 << 20 };

MW_LIST_TYPE(flags, bool);

static uint32_t crc_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

static void add_entry(struct mw_arena *arena, struct flags *list, struct mw_rar *rar,
                      bool encrypted)
{
    if (list->count >= MOST_ENTRIES)
        return;
    *(bool *)mw_list_add(arena, list, sizeof(bool)) = encrypted;
    rar->files++;
    rar->encrypted += encrypted;
}

/* Version 4: a checksum, a type, flags, a size, and then what the type has. */
static void read_4(struct mw_arena *arena, struct mw_bytes bytes, struct mw_rar *rar,
                   struct flags *list)
{
    enum { HEAD = 7, MAIN = 0x73, FILE_BLOCK = 0x74, SERVICE = 0x7a, END = 0x7b };
    for (size_t at = HEAD; bytes.size - at >= HEAD;) {
        const unsigned char *head = bytes.data + at;
        unsigned type = head[2], flags = (unsigned)mw_bytes_get_little(head + 3, 2);
        size_t size = (size_t)mw_bytes_get_little(head + 5, 2), left = bytes.size - at;
        if (size < HEAD || size > left || type < 0x72 || type > END)
            return;
        bool right = (crc_of(head + 2, size - 2) & 0xffff) == mw_bytes_get_little(head, 2);
        if (at == HEAD) {
            rar->sound = right && type == MAIN;
            rar->headers_encrypted = rar->sound && flags & 0x80;
            if (rar->headers_encrypted || !rar->sound)
                return;
        }
        bool file = type == FILE_BLOCK || type == SERVICE;
        uint64_t data =
            file || flags & 0x8000 ? (size >= 11 ? mw_bytes_get_little(head + 7, 4) : 0) : 0;
        if (file && flags & 0x100 && size >= 36)
            data |= mw_bytes_get_little(head + 32, 4) << 32;
        if (type == FILE_BLOCK && right)
            add_entry(arena, list, rar, flags & 0x4);
        rar->end = at + size;
        if (type == END || data > left - size)
            return;
        at += size + (size_t)data;
        rar->end = at;
    }
}

/* A number of version 5: seven bits a byte, the lowest first. False: there is none. */
static bool number(struct mw_bytes bytes, size_t *at, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < bytes.size; shift += 7) {
        unsigned char byte = bytes.data[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* Whether the records at the end of a header have one that says: encrypted. */
static bool says_encrypted(struct mw_bytes extra)
{
    uint64_t size, type;
    for (size_t at = 0; number(extra, &at, &size) && size <= extra.size - at;) {
        size_t inside = at;
        if (number(extra, &inside, &type) && type == 1)
            return true;
        at += (size_t)size;
        if (size == 0)
            break;
    }
    return false;
}

static void read_5(struct mw_arena *arena, struct mw_bytes bytes, struct mw_rar *rar,
                   struct flags *list)
{
    enum { SIGNATURE = 8, FILE_HEADER = 2, ENCRYPTION = 4, END = 5, SIZE_MOST = 2 << 20 };
    for (size_t at = SIGNATURE; bytes.size - at > 6;) {
        size_t start = at + 4, here = start;
        uint64_t size, type, flags, extra = 0, data = 0;
        if (!number(bytes, &here, &size) || size == 0 || size > SIZE_MOST ||
            size > bytes.size - here)
            return;
        struct mw_bytes head = {bytes.data + here, (size_t)size};
        size_t inside = 0, end = here + (size_t)size;
        bool right =
            crc_of(bytes.data + start, end - start) == mw_bytes_get_little(bytes.data + at, 4);
        if (!number(head, &inside, &type) || !number(head, &inside, &flags) ||
            (flags & 1 && !number(head, &inside, &extra)) ||
            (flags & 2 && !number(head, &inside, &data)) || !right)
            return;
        rar->sound = true;
        rar->end = end;
        if (type == ENCRYPTION) {
            rar->headers_encrypted = true;
            return;
        }
        if (type == FILE_HEADER)
            add_entry(arena, list, rar,
                      extra <= head.size && says_encrypted(mw_bytes_slice(
                                                head, head.size - (size_t)extra, (size_t)extra)));
        if (type == END || data > bytes.size - end)
            return;
        at = end + (size_t)data;
        rar->end = at;
    }
}

bool mw_rar_read(struct mw_arena *arena, struct mw_bytes bytes, struct mw_rar *rar)
{
    struct flags list = {0};
    *rar = (struct mw_rar){0};
    if (bytes.size >= 14 && memcmp(bytes.data, "Rar!\x1a\x07\x00", 7) == 0)
        read_4(arena, bytes, rar, &list);
    else if (bytes.size >= 14 && memcmp(bytes.data, "Rar!\x1a\x07\x01\x00", 8) == 0)
        read_5(arena, bytes, rar, &list);
    else
        return false;
    rar->entries = (struct mw_encrypted_entries){list.items, list.count};
    return true;
}
