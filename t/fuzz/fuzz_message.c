/*
 * fuzz_message: the whole message path, from raw bytes to a JSON report and
 * back. Beyond not crashing, it holds the promise that a report is always
 * valid and that JSON -> report -> JSON is the identity.
 */
#include <sanitizer/lsan_interface.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/report.h"
#include "worker/witness.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mw_witness *witness;

/* GMime never frees its tables of types, which is no leak that grows. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct mw_witness_settings settings = {0};
    mw_limits_default(&settings.limits);
    /* Small enough bounds that the fuzzer reaches them. */
    settings.limits.parts = 200;
    settings.limits.depth = 8;
    settings.limits.unpacked_size = 16 << 20;
    settings.limits.text_length = 64 << 10;
    settings.limits.header_count = 300;
    settings.limits.header_length = 4096;
    settings.limits.time_ms = 0;
    /* The scanners that need no rules: types, fuzzy hashes, PE facts. */
    mw_scan_settings_default(&settings.scan);
    struct mw_error error = {0};
    __lsan_disable();
    witness = mw_witness_new(&settings, &error);
    __lsan_enable();
    if (!witness) {
        fprintf(stderr, "%s\n", error.text);
        exit(2);
    }
    return 0;
}

static void fail(const char *what, const struct mw_error *error)
{
    fprintf(stderr, "broken promise: %s: %s\n", what, error->text);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_error error = {0};
    struct mw_report *report = mw_witness_examine(witness, (struct mw_bytes){data, size});
    char *first = mw_report_to_json(report, MW_JSON_LINE, &error);
    if (!first)
        fail("every report can be written as JSON", &error);
    struct mw_report *again = mw_report_from_json(mw_bytes_of(first), &error);
    if (!again)
        fail("every report can be read back", &error);
    char *second = mw_report_to_json(again, MW_JSON_LINE, &error);
    if (!second || strcmp(first, second) != 0)
        fail("JSON -> report -> JSON is the identity", &error);
    free(first);
    free(second);
    mw_report_free(again);
    mw_report_free(report);
    return 0;
}
