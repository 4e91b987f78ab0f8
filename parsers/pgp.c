/* pgp: the armor's line, or the first packets. */
#include "parsers/pgp.h"

#include <string.h>
#include <strings.h>

#include "core/name.h"
#include "parsers/mime_private.h"

/* Packets by their tags. */
enum {
    PUBLIC_KEY_SESSION = 1,
    SYMMETRIC_SESSION = 3,
    ONE_PASS = 4,
    COMPRESSED = 8,
    ENCRYPTED = 9,
    MARKER = 10,
    PROTECTED = 18,
    AEAD = 20
};

/* A packet's head: its tag, and where its content begins and, as far as that is told, how long it
 * is. False: there is none. */
static bool packet_at(struct mw_bytes bytes, size_t *at, unsigned *tag, size_t *size)
{
    if (*at >= bytes.size || !(bytes.data[*at] & 0x80))
        return false;
    unsigned char first = bytes.data[(*at)++];
    size_t left = bytes.size - *at, octets;
    const unsigned char *length = bytes.data + *at;
    if (left < 6)
        return false;
    *size = left - 1;
    if (first & 0x40) {
        *tag = first & 0x3f;
        octets = length[0] < 192 ? 1 : length[0] < 224 ? 2 : length[0] == 255 ? 5 : 1;
        if (length[0] < 192)
            *size = length[0];
        else if (length[0] < 224)
            *size = (size_t)(length[0] - 192) * 256 + length[1] + 192;
        else if (length[0] == 255)
            *size = (size_t)length[1] << 24 | (size_t)length[2] << 16 | (size_t)length[3] << 8 |
                    length[4];
    } else {
        static const size_t sizes[] = {1, 2, 4, 0};
        *tag = first >> 2 & 0xf;
        octets = sizes[first & 3];
        if (octets > 0)
            *size = 0;
        for (size_t i = 0; i < octets; i++)
            *size = *size << 8 | length[i];
    }
    *at += octets;
    return true;
}

static bool is_session(struct mw_bytes bytes, size_t at, unsigned tag, size_t size)
{
    if (bytes.size - at < 12 || size < 4 || size > 4096)
        return false;
    const unsigned char *content = bytes.data + at;
    if (tag == PUBLIC_KEY_SESSION)
        return (content[0] == 3 && content[9] >= 1 && content[9] <= 28) || content[0] == 6;
    return tag == SYMMETRIC_SESSION && content[0] >= 4 && content[0] <= 6;
}

/* Whether bytes begin with keys of a session and what is encrypted with them. */
static bool is_encrypted(struct mw_bytes bytes)
{
    unsigned tag, sessions = 0;
    size_t size;
    for (size_t at = 0; packet_at(bytes, &at, &tag, &size);) {
        if (tag == PROTECTED || tag == ENCRYPTED || tag == AEAD)
            return sessions > 0;
        if (tag != MARKER && !is_session(bytes, at, tag, size))
            return false;
        sessions += tag != MARKER;
        if (size > bytes.size - at)
            return sessions > 1;
        at += size;
    }
    return false;
}

static bool is_named_so(const struct mw_part *part)
{
    char room[MW_NAME_SIZE];
    const char *end = part->filename ? mw_name_extension(part->filename, room) : NULL;
    return strncmp(part->content_type, "application/pgp", 15) == 0 ||
           (end && (strcasecmp(end, "pgp") == 0 || strcasecmp(end, "gpg") == 0));
}

static void close_as(struct mw_part *part, bool encrypted)
{
    if (encrypted)
        part->encrypted = MW_ENCRYPTED_PGP;
    mw_part_closed(part, "pgp", encrypted ? "encrypted" : "no parser opens what is signed in it");
}

/* What is behind an armor's headers says whether it is encrypted, or signed and compressed. */
static bool armor_is_encrypted(struct mw_parse *parse, struct mw_bytes armor)
{
    enum { LOOK = 2048 };
    size_t at = 0;
    for (unsigned line = 0; line < 20 && at < armor.size; line++) {
        size_t next = mw_bytes_next_line(armor, at);
        bool blank = armor.data[at] == '\n' || armor.data[at] == '\r';
        at = next;
        if (blank)
            break;
    }
    struct mw_bytes bytes =
        mw_mime_decode_base64(parse->report->arena, mw_bytes_slice(armor, at, LOOK));
    unsigned tag;
    size_t size, inside = 0;
    return !packet_at(bytes, &inside, &tag, &size) || (tag != COMPRESSED && tag != ONE_PASS);
}

bool mw_pgp_look(struct mw_parse *parse, struct mw_part *part)
{
    static const char line[] = "-----BEGIN PGP MESSAGE-----";
    struct mw_bytes needle = mw_bytes_of(line), data = part->data;
    for (size_t at = 0; (at = mw_bytes_find(data, at, needle)) < data.size; at += needle.size)
        if (at == 0 || data.data[at - 1] == '\n' || data.data[at - 1] == '\r') {
            close_as(part, armor_is_encrypted(parse, mw_bytes_slice(data, at, SIZE_MAX)));
            return true;
        }
    if (!mw_part_is_attachment(part))
        return false;
    unsigned tag;
    size_t size, at = 0;
    if (is_encrypted(data)) {
        close_as(part, true);
        return true;
    }
    if (!is_named_so(part) || !packet_at(data, &at, &tag, &size))
        return false;
    if (tag != ONE_PASS && tag != COMPRESSED && tag != ENCRYPTED && tag != PROTECTED &&
        tag != AEAD && tag != PUBLIC_KEY_SESSION && tag != SYMMETRIC_SESSION)
        return false;
    close_as(part, tag != ONE_PASS && tag != COMPRESSED);
    return true;
}
