/* smime: the kind by the first bytes, the content by OpenSSL. */
#include "parsers/smime.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <string.h>
#include <strings.h>

#include "core/name.h"
#include "parsers/mime_private.h"

enum kind { NONE, SIGNED, LOCKED, PACKED };

/* DER or BER: a sequence, of a length or without one, that begins with the kind's name. */
static enum kind kind_of(struct mw_bytes bytes)
{
    static const unsigned char pkcs7[] = {0x06, 0x09, 0x2a, 0x86, 0x48,
                                          0x86, 0xf7, 0x0d, 0x01, 0x07};
    static const unsigned char smime[] = {0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01};
    if (bytes.size < 24 || bytes.data[0] != 0x30)
        return NONE;
    size_t at = 2 + (bytes.data[1] > 0x80 ? bytes.data[1] & 0x7fu : 0);
    if (at > 10)
        return NONE;
    if (memcmp(bytes.data + at, pkcs7, sizeof pkcs7) == 0) {
        unsigned last = bytes.data[at + sizeof pkcs7];
        return last == 2 ? SIGNED : last == 3 || last == 4 || last == 6 ? LOCKED : NONE;
    }
    if (memcmp(bytes.data + at, smime, sizeof smime) == 0) {
        unsigned last = bytes.data[at + sizeof smime];
        return last == 23 ? LOCKED : last == 9 ? PACKED : NONE;
    }
    return NONE;
}

static bool is_named_so(const struct mw_part *part)
{
    char room[MW_NAME_SIZE];
    const char *end = part->filename ? mw_name_extension(part->filename, room) : NULL;
    return strstr(part->content_type, "pkcs7-mime") || (end && strcasecmp(end, "p7m") == 0);
}

/* The bytes as they are, or out of PEM or bare base64, in which such files come as well. */
static struct mw_bytes encoded(struct mw_parse *parse, const struct mw_part *part)
{
    static const char *const labels[] = {"-----BEGIN PKCS7-----", "-----BEGIN CMS-----",
                                         "-----BEGIN PKCS #7 SIGNED DATA-----"};
    struct mw_bytes data = part->data;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (mw_bytes_has_prefix_nocase(data, labels[i])) {
            size_t start = mw_bytes_next_line(data, 0);
            size_t end = mw_bytes_find(data, start, mw_bytes_of("-----END"));
            if (!mw_parse_take(parse, part->path, (end - start) / 4 * 3))
                return (struct mw_bytes){0};
            return mw_mime_decode_base64(parse->report->arena,
                                         mw_bytes_slice(data, start, end - start));
        }
    if (mw_bytes_has_prefix_nocase(data, "MI") && is_named_so(part) && mw_mime_looks_base64(data) &&
        mw_parse_take(parse, part->path, data.size / 4 * 3))
        return mw_mime_decode_base64(parse->report->arena, data);
    return data;
}

/* Whether content begins with a header that says what it is. */
static bool is_entity(struct mw_bytes content)
{
    for (size_t at = 0, line = 0; at < content.size && line < 40; line++) {
        struct mw_bytes rest = mw_bytes_slice(content, at, SIZE_MAX);
        if (rest.data[0] == '\r' || rest.data[0] == '\n')
            return false;
        if (mw_bytes_has_prefix_nocase(rest, "content-"))
            return true;
        size_t next = mw_bytes_next_line(content, at);
        if (rest.data[0] != ' ' && rest.data[0] != '\t' && !memchr(rest.data, ':', next - at))
            return false;
        at = next;
    }
    return false;
}

/* "invoice.pdf" of "invoice.pdf.p7m". */
static const char *inner_name(struct mw_arena *arena, const char *name)
{
    size_t size = name ? strlen(name) : 0;
    if (size <= 4 || strcasecmp(name + size - 4, ".p7m") != 0)
        return NULL;
    return mw_arena_dup_bytes(arena, name, size - 4);
}

static void add_content(struct mw_parse *parse, struct mw_part *part, struct mw_bytes content)
{
    struct mw_part *inner = NULL;
    struct mw_arena *arena = parse->report->arena;
    if (mw_parse_take(parse, part->path, content.size))
        inner = mw_parse_part(parse, part, MW_PART_LEAF);
    if (!inner) {
        mw_part_closed(part, "smime", "over a limit");
        return;
    }
    unsigned char *copy = mw_arena_alloc_raw(arena, content.size + 1);
    if (content.size > 0)
        memcpy(copy, content.data, content.size);
    inner->data = (struct mw_bytes){copy, content.size};
    inner->encoding = "smime";
    inner->unpacked = true;
    inner->content_type = is_entity(inner->data) ? "message/rfc822" : "application/octet-stream";
    inner->filename = inner_name(arena, part->filename);
    mw_part_opened(part, "smime");
}

static bool open_signed(struct mw_parse *parse, struct mw_part *part, struct mw_bytes bytes)
{
    const unsigned char *at = bytes.data;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)bytes.size);
    ASN1_OCTET_STRING **content = cms ? CMS_get0_content(cms) : NULL;
    bool detached = content && !*content;
    if (content && *content) {
        const unsigned char *data = ASN1_STRING_get0_data(*content);
        add_content(parse, part, (struct mw_bytes){data, (size_t)ASN1_STRING_length(*content)});
    } else if (!detached && is_named_so(part)) {
        mw_part_closed(part, "smime", "damaged");
    }
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return part->container != NULL;
}

bool mw_smime_open(struct mw_parse *parse, struct mw_part *part)
{
    struct mw_bytes bytes = encoded(parse, part);
    switch (kind_of(bytes)) {
    case SIGNED:
        return open_signed(parse, part, bytes);
    case LOCKED:
        part->encrypted = MW_ENCRYPTED_SMIME;
        mw_part_closed(part, "smime", "encrypted");
        return true;
    case PACKED:
        mw_part_closed(part, "smime", "no parser opens what is compressed in it");
        return true;
    case NONE:
        break;
    }
    if (strstr(part->content_type, "pkcs7-mime") && part->data.size > 0) {
        mw_part_closed(part, "smime", "it is not what its type says");
        return true;
    }
    return false;
}
