/*
 * fuzz_spool: bytes of any kind as a spool's file, and as a message's record in it. Beyond
 * not crashing: what is found lies within the file, in order, and a record that is taken
 * is a report that can be written again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/record.h"
#include "store/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static void read_record(struct mw_bytes record)
{
    struct mw_error error = {0};
    struct mw_bytes json;
    struct mw_report *report = mw_record_read(record, &json, &error);
    if (!report)
        return;
    for (size_t i = 0; i < report->attachments.count; i++) {
        struct mw_bytes bytes = report->attachments.items[i].data;
        if (bytes.size > 0 && (bytes.data < record.data || bytes.size > record.size ||
                               bytes.data + bytes.size > record.data + record.size))
            fail("an attachment lies within its record");
    }
    char *text = mw_report_to_json(report, MW_JSON_LINE, &error);
    if (!text)
        fail("a record that is taken holds a sound report");
    free(text);
    mw_report_free(report);
}

static void read_file(struct mw_bytes file, bool check)
{
    size_t at = 0, before = 0;
    uint64_t damaged = 0;
    struct mw_bytes record;
    while (mw_spool_find(file, &at, &record, check, &damaged)) {
        if (record.size > file.size || record.data < file.data + before)
            fail("records lie within the file, in order");
        read_record(record);
        at += (size_t)(record.data - (file.data + at)) + record.size;
        before = at;
    }
    if (at != file.size)
        fail("reading ends at the end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_bytes bytes = {data, size};
    read_record(bytes);
    /* Without checksums first: the fuzzer cannot guess them. */
    read_file(bytes, false);
    read_file(bytes, true);
    return 0;
}
