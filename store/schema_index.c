/* schema_index: which values of a message can be searched for, in which form. */
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/url.h"
#include "core/utf8.h"
#include "store/schema_private.h"

enum { VALUE_MOST = 160, VALUE_KEPT = 80, HASH_DIGITS = 32 };

static const struct {
    const char *name;
    bool as_is; /* letters keep their case */
} indexes[MW_INDEX_COUNT] = {
    [MW_INDEX_FROM] = {"from", false},
    [MW_INDEX_TO] = {"to", false},
    [MW_INDEX_ENVELOPE_FROM] = {"envelope-from", false},
    [MW_INDEX_DOMAIN] = {"domain", false},
    [MW_INDEX_CLIENT] = {"client", false},
    [MW_INDEX_FILENAME] = {"filename", false},
    [MW_INDEX_URL_HOST] = {"url-host", false},
    [MW_INDEX_RULE] = {"rule", true},
    [MW_INDEX_SIGNATURE] = {"signature", true},
    [MW_INDEX_VERDICT] = {"verdict", false},
    [MW_INDEX_QUEUE_ID] = {"queue-id", true},
    [MW_INDEX_MESSAGE_ID] = {"message-id", true},
};

const char *mw_index_name(enum mw_index index)
{
    return indexes[index].name;
}

int mw_index_from_name(const char *name)
{
    for (int i = 0; i < MW_INDEX_COUNT; i++)
        if (strcmp(indexes[i].name, name) == 0)
            return i;
    return -1;
}

const char *mw_schema_join(struct mw_arena *arena, ...)
{
    enum { MOST = 8 };
    struct mw_bytes texts[MOST];
    size_t count = 0, size = 0, used = 0;
    va_list arguments;
    va_start(arguments, arena);
    for (const char *text; count < MOST && (text = va_arg(arguments, const char *)) != NULL;) {
        texts[count] = mw_bytes_of(text);
        size += texts[count++].size;
    }
    va_end(arguments);
    char *joined = mw_arena_alloc_raw(arena, size + 1);
    for (size_t i = 0; i < count; used += texts[i++].size)
        memcpy(joined + used, texts[i].data, texts[i].size);
    joined[size] = '\0';
    return joined;
}

/* The beginning of a long value and a hash of all of it. */
static const char *shorten(struct mw_arena *arena, const char *value)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char digits[HASH_DIGITS + 1];
    struct mw_bytes bytes = mw_bytes_of(value);
    if (EVP_Digest(bytes.data, bytes.size, hash, NULL, EVP_sha256(), NULL) != 1)
        abort();
    mw_hex_write(digits, hash, HASH_DIGITS / 2);
    return mw_arena_printf(arena, "%.*s~%s", (int)mw_utf8_cut(bytes, VALUE_KEPT), value, digits);
}

const char *mw_index_value(struct mw_arena *arena, enum mw_index index, const char *text)
{
    static const char blanks[] = " \t\r\n";
    text += strspn(text, blanks);
    size_t size = strlen(text);
    while (size > 0 && strchr(blanks, text[size - 1]))
        size--;
    char *value = mw_arena_dup_bytes(arena, text, size);
    if (!indexes[index].as_is)
        mw_ascii_lower_text(value);
    return size > VALUE_MOST ? shorten(arena, value) : value;
}

const char *mw_index_key(struct mw_arena *arena, const char *prefix, enum mw_index index,
                         const char *value)
{
    return mw_schema_join(arena, prefix, "index:", indexes[index].name, ":", value, NULL);
}

/* --- a message's values ------------------------------------------------------------------- */

struct collecting {
    struct mw_arena *arena;
    const char *prefix;
    struct mw_texts *keys;
    size_t of_field[MW_INDEX_COUNT]; /* values so far */
};

/* No message gets more than so many: it could fill Redis with keys. */
static void add(struct collecting *collecting, enum mw_index index, const char *text)
{
    if (!text || collecting->keys->count >= MW_SCHEMA_INDEXES ||
        collecting->of_field[index] >= MW_SCHEMA_INDEXES / 2)
        return;
    const char *value = mw_index_value(collecting->arena, index, text);
    if (!*value)
        return;
    const char *key = mw_index_key(collecting->arena, collecting->prefix, index, value);
    const struct mw_texts *keys = collecting->keys;
    if (keys->count > 0 && strcmp(keys->items[keys->count - 1], key) == 0)
        return; /* as the hosts of links mostly are */
    mw_texts_add(collecting->arena, collecting->keys, key);
    collecting->of_field[index]++;
}

static void add_addresses(struct collecting *collecting, enum mw_index index,
                          const struct mw_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        add(collecting, index, addresses->items[i].address);
}

static void add_domain(struct collecting *collecting, const char *address)
{
    const char *at = address ? strrchr(address, '@') : NULL;
    if (at)
        add(collecting, MW_INDEX_DOMAIN, at + 1);
}

static void add_findings(struct collecting *collecting, const struct mw_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct mw_finding *one = &findings->items[i];
        bool rule = one->scanner && strcmp(one->scanner, "yara") == 0;
        add(collecting, rule ? MW_INDEX_RULE : MW_INDEX_SIGNATURE, one->name);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_once(struct mw_texts *keys)
{
    size_t kept = 0;
    if (keys->count > 0)
        qsort(keys->items, keys->count, sizeof *keys->items, by_text);
    for (size_t i = 0; i < keys->count; i++)
        if (i == 0 || strcmp(keys->items[i], keys->items[kept - 1]) != 0)
            keys->items[kept++] = keys->items[i];
    keys->count = kept;
}

const struct mw_texts *mw_schema_index_keys(struct mw_arena *arena, const char *prefix,
                                            const struct mw_report *report)
{
    struct mw_texts *keys = mw_arena_alloc(arena, sizeof *keys);
    struct collecting collecting = {.arena = arena, .prefix = prefix, .keys = keys};
    /* What there is one of comes first, what there may be most of last. */
    add(&collecting, MW_INDEX_QUEUE_ID, report->queue_id);
    add(&collecting, MW_INDEX_MESSAGE_ID, report->message_id);
    const char *sender = report->envelope.from;
    add(&collecting, MW_INDEX_ENVELOPE_FROM, sender && !*sender ? "<>" : sender);
    add_domain(&collecting, sender);
    add(&collecting, MW_INDEX_CLIENT, report->client.address);
    for (size_t i = 0; i < report->envelope.to.count; i++)
        add(&collecting, MW_INDEX_TO, report->envelope.to.items[i]);
    add_addresses(&collecting, MW_INDEX_FROM, &report->from);
    for (size_t i = 0; i < report->from.count; i++)
        add_domain(&collecting, report->from.items[i].address);
    add_findings(&collecting, &report->findings);
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *one = &report->attachments.items[i];
        add(&collecting, MW_INDEX_FILENAME, one->filename);
        for (size_t k = 0; k < one->names.count; k++)
            add(&collecting, MW_INDEX_FILENAME, one->names.items[k]);
        add_findings(&collecting, &report->attachments.items[i].findings);
    }
    add_addresses(&collecting, MW_INDEX_TO, &report->to);
    add_addresses(&collecting, MW_INDEX_TO, &report->cc);
    for (size_t i = 0; i < report->indicators.urls.count; i++)
        add(&collecting, MW_INDEX_URL_HOST,
            mw_url_host(collecting.arena, report->indicators.urls.items[i]));
    sort_once(keys);
    return keys;
}
