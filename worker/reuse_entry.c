/* reuse_entry: a report of one attachment, stripped of all that is not of its bytes. */
#include "worker/reuse_entry.h"

#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/clock.h"
#include "core/report_pack.h"

bool mw_reuse_key(const char *sha256, unsigned char *key)
{
    if (!sha256 || !mw_hex_is(sha256, 2 * (size_t)MW_REUSE_KEY))
        return false;
    for (size_t i = 0; i < MW_REUSE_KEY; i++)
        key[i] =
            (unsigned char)(mw_hex_value(sha256[2 * i]) * 16 + mw_hex_value(sha256[2 * i + 1]));
    return true;
}

/* Findings of the engines from first on. */
static void copy_findings(struct mw_report *entry, struct mw_attachment *to,
                          const struct mw_report *from, size_t first)
{
    const struct mw_findings *all = &from->attachments.items[0].findings;
    for (size_t i = first; i < from->engines.count; i++) {
        *(struct mw_engine *)mw_list_add(entry->arena, &entry->engines, sizeof(struct mw_engine)) =
            from->engines.items[i];
        for (size_t j = 0; j < all->count; j++) {
            const struct mw_finding *one = &all->items[j];
            if (!one->scanner || strcmp(one->scanner, from->engines.items[i].name) != 0)
                continue;
            struct mw_finding *copy = mw_list_add(entry->arena, &to->findings, sizeof *copy);
            *copy = *one;
            copy->path = NULL;
        }
    }
}

static struct mw_bytes pack(const struct mw_report *report, size_t first)
{
    struct mw_report *entry = mw_report_new();
    const struct mw_attachment *from = &report->attachments.items[0];
    struct mw_attachment *to = mw_list_add(entry->arena, &entry->attachments, sizeof *to);
    to->md5 = from->md5;
    to->sha1 = from->sha1;
    to->sha512 = from->sha512;
    to->file_type = from->file_type;
    to->fuzzy = from->fuzzy;
    to->opened_by = from->opened_by;
    copy_findings(entry, to, report, first);
    struct mw_bytes packed = mw_report_pack(entry);
    mw_report_free(entry);
    return packed;
}

int mw_reuse_keep(struct mw_reuse_table *table, const struct mw_report *report, int64_t expires_us,
                  struct mw_error *error)
{
    unsigned char key[MW_REUSE_KEY];
    int result = MW_ERR_LIMIT;
    if (report->attachments.count != 1 || !mw_reuse_key(report->attachments.items[0].sha256, key))
        return mw_fail(error, MW_ERR_INPUT, "no report about one attachment");
    for (size_t first = 0; first < report->engines.count && result == MW_ERR_LIMIT; first++) {
        struct mw_bytes packed = pack(report, first);
        *error = (struct mw_error){0};
        result = mw_reuse_table_put(table, key, packed, expires_us, error);
        free((void *)(uintptr_t)packed.data);
    }
    return result == 0 ? 0 : mw_fail(error, result, "nothing about it fits into its place");
}

static void free_report(void *report)
{
    mw_report_free(report);
}

const struct mw_known *mw_reuse_find(const struct mw_reuse_table *table, struct mw_arena *arena,
                                     const char *sha256)
{
    unsigned char key[MW_REUSE_KEY], value[MW_REUSE_VALUE_MOST];
    struct mw_error ignored = {0};
    size_t size =
        mw_reuse_key(sha256, key) ? mw_reuse_table_get(table, key, mw_clock_us(), value) : 0;
    if (size == 0)
        return NULL;
    /* The entry's texts stay where they are unpacked from. */
    struct mw_bytes packed = {(unsigned char *)mw_arena_dup_bytes(arena, value, size), size};
    struct mw_report *entry = mw_report_unpack(packed, &ignored);
    if (!entry)
        return NULL;
    mw_arena_own(arena, free_report, entry);
    const struct mw_attachment *facts = &entry->attachments.items[0];
    if (entry->attachments.count != 1 || !facts->md5 || !facts->sha1 || !facts->sha512)
        return NULL;
    struct mw_known *known = mw_arena_alloc(arena, sizeof *known);
    known->facts = facts;
    known->engines = &entry->engines;
    return known;
}
