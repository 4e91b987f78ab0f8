/* scan_fuzzy: the ssdeep hash, by which similar files can be found. */
#include <fuzzy.h>
#include <string.h>

#include "scanners/scanners.h"

/* Shorter files give hashes that are near to anything. */
enum { LEAST = 512 };

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    static char enabled;
    (void)arena;
    (void)warnings;
    (void)error;
    if (settings->fuzzy.enabled)
        *engine = &enabled;
    return 0;
}

static void unload(void *engine)
{
    (void)engine;
}

/* Pictures, sound and films are coded so densely that no two share a run of bytes. */
static bool is_media(const char *type)
{
    static const char *const media[] = {"image/", "audio/", "video/"};
    for (size_t i = 0; type && i < sizeof media / sizeof *media; i++)
        if (strncmp(type, media[i], strlen(media[i])) == 0)
            return strcmp(type, "image/svg+xml") != 0;
    return false;
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    (void)engine;
    (void)error;
    if (part->data.size < LEAST || part->data.size > UINT32_MAX || is_media(part->file_type))
        return 0;
    char *hash = mw_arena_alloc(result->report->arena, FUZZY_MAX_RESULT);
    if (fuzzy_hash_buf(part->data.data, (uint32_t)part->data.size, hash) == 0)
        result->attachment->fuzzy = hash;
    return 0;
}

static void recall(const struct mw_attachment *facts, struct mw_scan_result *result)
{
    result->attachment->fuzzy = facts->fuzzy;
}

const struct mw_scanner mw_scanner_fuzzy = {
    .name = "fuzzy",
    .kinds = MW_SCAN_ATTACHMENT,
    .fields = "none",
    .load = load,
    .scan = scan,
    .unload = unload,
    .by_bytes = true,
    .recall = recall,
};
