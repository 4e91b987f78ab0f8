/*
 * fuzz_store: what Redis answers, as bytes of any kind: INFO, the version, findings kept as data.
 * Beyond not crashing: what is taken of findings can be written again, and reads the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/query.h"
#include "store/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static void read_findings(const char *text)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_findings findings = {0}, again = {0}, old = {0};
    if (mw_findings_from_json(arena, mw_bytes_of(text), &findings, NULL) == 0) {
        char *json = mw_findings_to_json(&findings);
        if (json && (mw_findings_from_json(arena, mw_bytes_of(json), &again, NULL) != 0 ||
                     again.count != findings.count))
            fail("findings that were read can be written and read again");
        free(json);
    }
    struct mw_fact fact = {"findings", text};
    struct mw_facts facts = {&fact, 1, 1};
    mw_facts_findings(arena, &facts, "1", &old);
    for (size_t i = 0; i < old.count; i++)
        if (!old.items[i].scanner || !old.items[i].name)
            fail("a finding has a scanner and a name");
    mw_arena_free(arena);
}

static void read_info(const char *text)
{
    struct mw_server server;
    int64_t clock_ms = 0;
    unsigned version = 0;
    struct mw_error error = {0};
    mw_server_clear(&server);
    mw_server_read_info(&server, text, &clock_ms);
    if (strlen(server.run_id) >= MW_SERVER_ID || strpbrk(server.replid, "\r\n"))
        fail("an id is one line that fits");
    if (mw_schema_version(text, &version, &error) == 0 &&
        (version < 1 || version > MW_SCHEMA_VERSION))
        fail("a version that is taken is one that is known");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    read_info(text);
    read_findings(text);
    free(text);
    return 0;
}
