/* result: a head, the report, the bytes. */
#include "worker/result.h"

#include <stdlib.h>
#include <string.h>

#include "core/report_pack.h"
#include "scanners/hash.h"

static const uint64_t magic = 0x314b434150574dull; /* "MWPACK1" */

/* How it begins; sizes of the attachments' bytes follow, then the report, then the bytes
 * themselves, in the report's order. */
struct head {
    uint64_t magic;
    uint64_t report_size;
    uint64_t attachments;
};

struct mw_result mw_result_of(const struct mw_report *report)
{
    struct mw_bytes packed = mw_report_pack(report);
    size_t count = report->attachments.count;
    struct head head = {magic, packed.size, count};
    size_t size = sizeof head + count * sizeof(uint64_t);
    unsigned char *front = mw_arena_alloc_raw(report->arena, size + packed.size);
    struct mw_result result = {report, {front, size + packed.size}, size + packed.size};
    memcpy(front, &head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        uint64_t one = report->attachments.items[i].data.size;
        memcpy(front + sizeof head + i * sizeof one, &one, sizeof one);
        result.size += (size_t)one;
    }
    memcpy(front + size, packed.data, packed.size);
    free((void *)(uintptr_t)packed.data);
    return result;
}

void mw_result_copy(const struct mw_result *result, unsigned char *bytes)
{
    memcpy(bytes, result->front.data, result->front.size);
    bytes += result->front.size;
    for (size_t i = 0; i < result->report->attachments.count; i++) {
        struct mw_bytes data = result->report->attachments.items[i].data;
        if (data.size > 0)
            memcpy(bytes, data.data, data.size);
        bytes += data.size;
    }
}

int mw_result_write(const struct mw_result *result, struct mw_memfile *file, struct mw_error *error)
{
    int code = mw_memfile_append(file, result->front, SIZE_MAX, error);
    for (size_t i = 0; i < result->report->attachments.count && code == 0; i++)
        code = mw_memfile_append(file, result->report->attachments.items[i].data, SIZE_MAX, error);
    return code;
}

struct mw_memfile *mw_result_file(const struct mw_report *report, struct mw_error *error)
{
    struct mw_result result = mw_result_of(report);
    struct mw_memfile *file = mw_memfile_new("mailwitness-report", error);
    if (!file || (mw_result_write(&result, file, error) == 0 && mw_memfile_seal(file, error) == 0))
        return file;
    mw_memfile_free(file);
    return NULL;
}

/* The next size bytes; false when there are not so many. */
static bool cut(struct mw_bytes *rest, uint64_t size, struct mw_bytes *out)
{
    if (size > rest->size)
        return false;
    *out = mw_bytes_slice(*rest, 0, (size_t)size);
    *rest = mw_bytes_slice(*rest, (size_t)size, rest->size);
    return true;
}

/* Gives each attachment its bytes, if they are what its SHA-256 says. */
static int attach(struct mw_report *report, struct mw_bytes sizes, struct mw_bytes rest,
                  struct mw_error *error)
{
    bool any = report->attachments.count > 0;
    struct mw_hasher *hasher = any ? mw_hasher_new(error) : NULL;
    int result = any && !hasher ? MW_ERR_MISSING : 0;
    for (size_t i = 0; i < report->attachments.count && result == 0; i++) {
        struct mw_attachment *file = &report->attachments.items[i];
        uint64_t size;
        memcpy(&size, sizes.data + i * sizeof size, sizeof size);
        if (!cut(&rest, size, &file->data) || file->size != (int64_t)size || !file->sha256 ||
            strcmp(mw_hasher_sha256(hasher, report->arena, file->data), file->sha256) != 0)
            result = mw_fail(error, MW_ERR_FORMAT,
                             "a worker's bytes of attachment %zu are not what its report says", i);
    }
    if (result == 0 && rest.size > 0)
        result = mw_fail(error, MW_ERR_FORMAT, "a worker sent %zu bytes too many", rest.size);
    mw_hasher_free(hasher);
    return result;
}

struct mw_report *mw_result_read(struct mw_bytes bytes, struct mw_error *error)
{
    struct mw_bytes head_bytes, sizes, packed;
    struct head head = {0};
    if (cut(&bytes, sizeof head, &head_bytes))
        memcpy(&head, head_bytes.data, sizeof head);
    if (head.magic != magic || head.attachments > bytes.size / sizeof(uint64_t) ||
        !cut(&bytes, head.attachments * sizeof(uint64_t), &sizes) ||
        !cut(&bytes, head.report_size, &packed)) {
        mw_fail(error, MW_ERR_FORMAT, "a worker's result is no packed report");
        return NULL;
    }
    struct mw_report *report = mw_report_unpack(packed, error);
    if (!report)
        return NULL;
    if (report->attachments.count != head.attachments)
        mw_fail(error, MW_ERR_FORMAT, "a worker's report lists other attachments than it sent");
    else if (attach(report, sizes, bytes, error) == 0)
        return report;
    mw_report_free(report);
    return NULL;
}

static void free_memfile(void *file)
{
    mw_memfile_free(file);
}

struct mw_report *mw_result_read_file(struct mw_memfile *file, struct mw_error *error)
{
    struct mw_bytes bytes;
    struct mw_report *report =
        mw_memfile_map(file, &bytes, error) == 0 ? mw_result_read(bytes, error) : NULL;
    if (report) {
        mw_arena_own(report->arena, free_memfile, file);
        mw_arena_count(report->arena, mw_memfile_size(file));
    } else {
        mw_memfile_free(file);
    }
    return report;
}
