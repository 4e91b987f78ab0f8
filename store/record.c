/* record: lengths first, then the bytes. */
#include "store/record.h"

#include <string.h>

#include "store/squeeze.h"

enum { HEAD = 16, REPORT_MOST = 1 << 30 };
static const uint64_t SAME = (uint64_t)1 << 63;

/* An earlier attachment with the very same bytes, or the one asked for. */
static size_t first_alike(const struct mw_attachments *attachments, size_t index)
{
    const struct mw_attachment *one = &attachments->items[index];
    for (size_t i = 0; one->sha256 && i < index; i++) {
        const struct mw_attachment *other = &attachments->items[i];
        if (other->sha256 && other->data.size == one->data.size &&
            strcmp(other->sha256, one->sha256) == 0)
            return i;
    }
    return index;
}

static void add_piece(struct mw_arena *arena, struct mw_pieces *pieces, struct mw_bytes bytes)
{
    struct mw_bytes *piece = mw_list_add(arena, pieces, sizeof *piece);
    *piece = bytes;
}

void mw_record_write(struct mw_arena *arena, const struct mw_report *report, struct mw_bytes json,
                     size_t data_max, const char *const *holders, struct mw_pieces *pieces)
{
    size_t count = report->attachments.count;
    unsigned char *head = mw_arena_alloc(arena, HEAD + 8 * count);
    memcpy(head, "MWR1", 4);
    mw_bytes_put_little(head + 4, count, 4);
    mw_bytes_put_little(head + 8, json.size, 8);
    add_piece(arena, pieces, (struct mw_bytes){head, HEAD + 8 * count});
    add_piece(arena, pieces, json);
    for (size_t i = 0; i < count; i++) {
        struct mw_bytes data = report->attachments.items[i].data;
        size_t same = first_alike(&report->attachments, i);
        if (data.size > data_max || (holders && holders[i]))
            data.size = 0;
        mw_bytes_put_little(head + HEAD + 8 * i, same < i ? SAME + same : data.size, 8);
        if (same == i && data.size > 0)
            add_piece(arena, pieces, data);
    }
}

static int read_data(struct mw_bytes record, size_t at, struct mw_report *report,
                     struct mw_error *error)
{
    const unsigned char *sizes = record.data + HEAD;
    for (size_t i = 0; i < report->attachments.count; i++) {
        uint64_t size = mw_bytes_get_little(sizes + 8 * i, 8);
        struct mw_bytes *data = &report->attachments.items[i].data;
        if (size >= SAME && size - SAME < i) {
            *data = report->attachments.items[size - SAME].data;
        } else if (size <= record.size - at) {
            *data = (struct mw_bytes){record.data + at, (size_t)size};
            at += (size_t)size;
        } else {
            return mw_fail(error, MW_ERR_FORMAT, "the record ends within attachment %zu", i);
        }
    }
    return at == record.size ? 0
                             : mw_fail(error, MW_ERR_FORMAT, "the record is longer than it says");
}

static struct mw_report *read_report(struct mw_bytes json, struct mw_error *error)
{
    if (json.size > 0 && json.data[0] == '{')
        return mw_report_from_json(json, error);
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes plain;
    struct mw_report *report = NULL;
    if (mw_unsqueeze(arena, json, REPORT_MOST, &plain, error) == 0)
        report = mw_report_from_json(plain, error);
    mw_arena_free(arena);
    return report;
}

struct mw_report *mw_record_read(struct mw_bytes record, struct mw_bytes *json,
                                 struct mw_error *error)
{
    if (record.size < HEAD || memcmp(record.data, "MWR1", 4) != 0) {
        mw_fail(error, MW_ERR_FORMAT, "is no record of a message");
        return NULL;
    }
    uint64_t count = mw_bytes_get_little(record.data + 4, 4),
             size = mw_bytes_get_little(record.data + 8, 8);
    uint64_t left = record.size - HEAD;
    if (count > left / 8 || size > left - 8 * count) {
        mw_fail(error, MW_ERR_FORMAT, "the record is shorter than it says");
        return NULL;
    }
    size_t at = HEAD + 8 * (size_t)count;
    *json = (struct mw_bytes){record.data + at, (size_t)size};
    struct mw_report *report = read_report(*json, error);
    if (!report)
        return NULL;
    int result =
        report->attachments.count == count
            ? read_data(record, at + (size_t)size, report, error)
            : mw_fail(error, MW_ERR_FORMAT, "the record has %zu attachments, its report %zu",
                      (size_t)count, report->attachments.count);
    if (result == 0)
        return report;
    mw_report_free(report);
    return NULL;
}
