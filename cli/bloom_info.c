/* bloom_info: counts, as lines or JSON. */
#include "cli/bloom_info.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bloom/filter.h"
#include "cli/print.h"
#include "cli/when.h"
#include "core/time.h"
#include "core/utf8.h"

static int read_info(const char *path, struct mw_filter_info *info, struct mw_error *error)
{
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, 0, error);
    if (!filter)
        return error->code;
    mw_filter_get_info(filter, info);
    mw_filter_close(filter);
    return 0;
}

static int64_t size_on_disk(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? (int64_t)facts.st_blocks * 512 : 0;
}

/* NULL for "never". */
static json_t *time_json(int64_t seconds)
{
    char text[MW_WHEN_SIZE];
    if (seconds == 0)
        return json_null();
    mw_time_text(seconds * 1000, text);
    return json_string(text);
}

static void print_json(const char *path, const struct mw_filter_info *info)
{
    struct mw_arena *arena = mw_arena_new();
    json_t *line =
        json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:i, s:I, s:I, s:o, s:o, s:b}", "file",
                  mw_utf8_clean(arena, mw_bytes_of(path), NULL), "values", (json_int_t)info->values,
                  "estimated", (json_int_t)info->estimated, "capacity", (json_int_t)info->capacity,
                  "promised_rate", info->promised_rate, "expected_rate", info->expected_rate,
                  "fill", info->fill, "layers", (int)info->layers, "file_size",
                  (json_int_t)info->file_size, "size_on_disk", (json_int_t)size_on_disk(path),
                  "created", time_json((int64_t)info->created), "synced", time_json(info->synced),
                  "damaged", info->damaged);
    mw_json_line(stdout, line, NULL);
    mw_arena_free(arena);
}

static void print_lines(const char *path, const struct mw_filter_info *info)
{
    char created[MW_WHEN_SIZE], synced[MW_WHEN_SIZE];
    mw_when_local((int64_t)info->created * 1000, created);
    mw_when_local(info->synced * 1000, synced);
    printf("%s\n", path);
    printf("  values           %llu (by the bits %llu) of %llu\n", (unsigned long long)info->values,
           (unsigned long long)info->estimated, (unsigned long long)info->capacity);
    printf("  false positives  %.3g expected now, %.3g promised\n", info->expected_rate,
           info->promised_rate);
    printf("  bits set         %.1f %%\n", info->fill * 100);
    printf("  size             %.1f MiB, %.1f MiB on disk, in %u layer%s\n",
           (double)info->file_size / 1048576, (double)size_on_disk(path) / 1048576, info->layers,
           info->layers == 1 ? "" : "s");
    printf("  made             %s\n", created);
    printf("  last flush       %s\n", info->synced ? synced : "never");
    if (info->damaged)
        puts("  one copy of the header is damaged: the next opening for writing mends it");
}

int mw_bloom_info_print(const char *path, bool json, struct mw_error *error)
{
    struct mw_filter_info info = {0};
    if (read_info(path, &info, error) != 0)
        return error->code;
    if (json)
        print_json(path, &info);
    else
        print_lines(path, &info);
    return 0;
}

/* Whether bits and counters, which have no checksum, fit. */
static int verify_counts(const char *path, const struct mw_filter_info *info,
                         struct mw_error *error)
{
    double off = fabs((double)info->estimated - (double)info->values);
    if (off <= (double)info->values * 0.05 + 100)
        return 0;
    return mw_fail(error, MW_ERR_FORMAT,
                   "%s: %llu values are counted, but its bits are those of %llu: restore it from a "
                   "copy, or rebuild it",
                   path, (unsigned long long)info->values, (unsigned long long)info->estimated);
}

static int verify_sums(const char *path, struct mw_filter *filter, bool *summed,
                       struct mw_error *error)
{
    struct mw_filter_sums sums;
    mw_filter_verify(filter, &sums);
    *summed = sums.there;
    if (sums.damaged == 0)
        return 0;
    return mw_fail(error, MW_ERR_FORMAT,
                   "%s: %llu of %llu pages are not what their checksums say, the first at byte "
                   "%llu: values that were added may be taken for new; restore it from a copy, or "
                   "rebuild it",
                   path, (unsigned long long)sums.damaged, (unsigned long long)sums.pages,
                   (unsigned long long)sums.where);
}

int mw_bloom_info_verify(const char *path, bool *summed, struct mw_error *error)
{
    struct mw_filter_info info = {0};
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, 0, error);
    if (!filter)
        return error->code;
    mw_filter_get_info(filter, &info);
    int result = info.damaged ? mw_fail(error, MW_ERR_FORMAT,
                                        "%s: one copy of the header is damaged; the next opening "
                                        "for writing mends it",
                                        path)
                              : verify_sums(path, filter, summed, error);
    if (result == 0)
        result = verify_counts(path, &info, error);
    mw_filter_close(filter);
    return result;
}
