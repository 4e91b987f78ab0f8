/* unit_query: what was saved is found again, whole and once; on a redis-server of its own. */
#include <time.h>

#include "store/query.h"
#include "store/store.h"
#include "t/unit/made_up.h"
#include "t/unit/redis_server.h"
#include "t/unit/tap.h"

enum { MESSAGES = 300 };

static struct redis_server server;
static struct mw_store_settings settings;
static struct mw_report *reports[MESSAGES];

static void prepare_settings(void)
{
    settings = (struct mw_store_settings){
        .redis = {.address = server.address,
                  .connect_ms = 1000,
                  .command_ms = 5000,
                  .connections = 2},
        .prefix = "mw:",
        .data = true,
        .data_max = 1 << 20,
        .compression = 1,
        .keep_messages_s = 86400,
        .keep_attachments_s = 86400,
        .keep_data_s = 86400,
        .events_max = 1000,
    };
}

static void save_all(struct mw_store *store)
{
    struct mw_error error = {0};
    enum mw_store_kept kept;
    int saved = 0;
    for (int i = 0; i < MESSAGES; i++)
        if (mw_store_save(store, reports[i], &kept, &error) == 0)
            saved += kept == MW_KEPT_REDIS;
        else
            printf("# %s\n", error.text);
    tap_is_number(saved, MESSAGES, "all messages are confirmed by Redis");
}

static void test_messages(struct mw_query *query)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_error error = {0};
    const struct mw_report *one = reports[10];
    struct mw_bytes json;
    char *wanted = mw_report_to_json(one, MW_JSON_LINE, &error);
    mw_query_json(query, arena, one->id, &json, &error);
    tap_ok(json.size == strlen(wanted) && memcmp(json.data, wanted, json.size) == 0,
           "a report comes back byte for byte");
    free(wanted);
    const char *in_brackets = mw_arena_printf(arena, "<%s>", one->message_id);
    const char *const names[] = {one->id, one->queue_id, one->message_id, in_brackets};
    for (int i = 0; i < 4; i++) {
        struct mw_texts ids = {0};
        mw_query_resolve(query, arena, names[i], 10, &ids, &error);
        tap_ok(ids.count == 1 && strcmp(ids.items[0], one->id) == 0, "a message is found as %s",
               names[i]);
    }
    struct mw_texts none = {0};
    tap_ok(mw_query_resolve(query, arena, "4XNONE", 10, &none, &error) == MW_ERR_MISSING &&
               strstr(error.text, "4XNONE"),
           "one that is not there is named");
    const char *ids[] = {one->id, "01a20f43-98ad-731d-8390-9fa06454fe6a", reports[11]->id};
    struct mw_texts three = {ids, 3, 3};
    struct mw_facts facts[3];
    mw_query_facts(query, arena, &three, facts, &error);
    tap_is(mw_fact_value(&facts[0], "subject"), one->subject, "facts are read");
    tap_is_number((long long)facts[1].count, 0, "a message that is gone has none");
    tap_is(mw_fact_value(&facts[2], "queue_id"), reports[11]->queue_id, "... and stops no other");
    mw_arena_free(arena);
}

static void test_attachments(struct mw_query *query)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_error error = {0};
    struct mw_texts hashes = {0}, names = {0};
    struct mw_bytes bytes = {0};
    const struct mw_attachment *large = &reports[0]->attachments.items[0];
    mw_query_attachments_of(query, arena, reports[0]->id, &hashes, &error);
    tap_ok(hashes.count == 1 && strcmp(hashes.items[0], large->sha256) == 0,
           "a message's attachments are listed");
    mw_query_data(query, arena, large->sha256, &bytes, &error);
    tap_ok(bytes.size == large->data.size && memcmp(bytes.data, large->data.data, bytes.size) == 0,
           "an attachment's bytes come back as they were");
    mw_query_names(query, arena, large->sha256, &names, &error);
    tap_ok(names.count == 1 && strcmp(names.items[0], large->filename) == 0, "so do its names");
    struct mw_facts facts = {0};
    mw_query_attachment(query, arena, large->sha256, &facts, &error);
    tap_is(mw_fact_value(&facts, "first_seen"), reports[0]->received, "first seen is told");
    tap_is(mw_fact_value(&facts, "last_seen"), reports[90]->received,
           "... and last seen, however often it came");
    tap_ok(mw_query_data(query, arena, "00ff", &bytes, &error) == MW_ERR_MISSING,
           "an unknown attachment is missing");
    mw_arena_free(arena);
}

/* Walks a search in pages; the number of hits, or -1 when their order is wrong. */
static int walk(struct mw_search *search, size_t page, const char **last)
{
    static char id[64];
    int count = 0, result;
    int64_t before = INT64_MAX;
    struct mw_error error = {0};
    do {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        result = mw_search_next(search, arena, page, &hits, &error);
        for (size_t i = 0; i < hits.count; i++) {
            if (hits.items[i].time_ms > before)
                count = -100000;
            before = hits.items[i].time_ms;
            snprintf(id, sizeof id, "%s", hits.items[i].id);
            count++;
        }
        mw_arena_free(arena);
    } while (result > 0);
    if (last)
        *last = id;
    mw_search_free(search);
    return result < 0 ? -1 : count;
}

static void test_search(struct mw_query *query)
{
    struct mw_error error = {0};
    struct mw_search_term terms[] = {
        {MW_INDEX_FROM, " SENDER3@example.NET"}, {MW_INDEX_TO, "user3@example.org"}, {0, NULL}};
    struct mw_search_terms none = {0}, one = {terms, 1, 1}, two = {terms, 2, 2};
    const char *last;
    for (size_t page = 1; page <= 100; page += 33)
        tap_is_number(walk(mw_search_new(query, &none, 0, 0, &error), page, &last), MESSAGES,
                      "all messages are found once, newest first, whatever the page");
    tap_is(last, reports[0]->id, "... down to the oldest");
    tap_is_number(walk(mw_search_new(query, &one, 0, 0, &error), 2, NULL),
                  MESSAGES / MADE_UP_SENDERS, "a sender's messages are found");
    int both = 0;
    for (int i = 0; i < MESSAGES; i++)
        both += i % MADE_UP_SENDERS == 3 && i % 30 == 3;
    tap_is_number(walk(mw_search_new(query, &two, 0, 0, &error), 1, NULL), both,
                  "those to one recipient are found among them");
    uint64_t ms = 0;
    mw_id_parse(reports[100]->id, &ms);
    int since = walk(mw_search_new(query, &none, (int64_t)ms, 0, &error), 7, &last);
    tap_ok(since <= 200 + 40 && since >= 200, "a time bounds a search (%d)", since);
    struct mw_search_term with = {MW_SEARCH_ATTACHMENT, reports[0]->attachments.items[0].sha256};
    struct mw_search_terms attached = {&with, 1, 1};
    tap_is_number(walk(mw_search_new(query, &attached, 0, 0, &error), 4, NULL), 10,
                  "who got a file is found");
    tap_is_number(walk(mw_search_attachments(query, 0, 0, &error), 10, NULL), 123,
                  "attachments are walked, each once");
}

static void test_events(struct mw_query *query)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_error error = {0};
    struct mw_events last = {0}, after = {0}, none = {0};
    mw_query_last_events(query, arena, 5, &last, &error);
    tap_ok(last.count == 5 &&
               strcmp(mw_fact_value(&last.items[4].facts, "id"), reports[MESSAGES - 1]->id) == 0,
           "the latest events are read");
    mw_query_events(query, arena, last.items[2].id, 10, 0, &after, &error);
    tap_ok(after.count == 2 && strcmp(after.items[0].id, last.items[3].id) == 0,
           "events after one are read");
    tap_ok(mw_query_events(query, arena, last.items[4].id, 10, 30, &none, &error) == 0 &&
               none.count == 0,
           "waiting for one that does not come ends");
    mw_arena_free(arena);
}

static void test_counts(struct mw_query *query)
{
    struct mw_query_counts counts;
    struct mw_error error = {0};
    mw_query_counts(query, &counts, &error);
    tap_ok(counts.messages == MESSAGES && counts.verdicts[MW_CLEAN] == MESSAGES &&
               counts.events == MESSAGES && counts.attachments == 123,
           "messages, verdicts, events and attachments are counted");
    tap_ok(counts.memory_used > 0 && counts.version[0] == '7', "so is Redis' memory");
}

static void test_rescan(struct mw_query *query, struct mw_store *store)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_error error = {0};
    struct mw_finding finding = {.scanner = "yara",
                                 .name = "New_rule",
                                 .severity = MW_SEVERITY_MALICIOUS,
                                 .message = "found later"};
    struct mw_attachment again = reports[0]->attachments.items[0];
    again.verdict = MW_MALICIOUS;
    again.findings = (struct mw_findings){&finding, 1, 1};
    uint64_t raised = 0;
    tap_is_number(mw_query_rescanned(query, &again, "2099-01-01T00:00:00.000Z", &raised, &error), 0,
                  "a later scan is written back");
    tap_is_number((long long)raised, 10, "every message that had the file is raised");
    /* Replaying what was known before must not take that back. */
    mw_store_save(store, reports[0], NULL, &error);
    struct mw_texts ids = {&reports[0]->id, 1, 1};
    struct mw_facts facts, attachment = {0};
    mw_query_facts(query, arena, &ids, &facts, &error);
    tap_is(mw_fact_value(&facts, "verdict"), "malicious", "a message saved again stays raised");
    mw_query_attachment(query, arena, again.sha256, &attachment, &error);
    tap_is(mw_fact_value(&attachment, "verdict"), "malicious", "... and so does the attachment");
    struct mw_search_term terms[] = {{MW_INDEX_RULE, "New_rule"}, {MW_INDEX_VERDICT, "malicious"}};
    struct mw_search_terms both = {terms, 2, 2};
    tap_is_number(walk(mw_search_new(query, &both, 0, 0, &error), 3, NULL), 10,
                  "they are found by the rule and the verdict");
    mw_arena_free(arena);
}

static void test_wrong(void)
{
    struct mw_error error = {0};
    struct mw_store_settings wrong = settings;
    wrong.redis.address = "localhost";
    tap_ok(!mw_store_new(&wrong, &error) && strstr(error.text, "'localhost' is neither"),
           "an address that is none is named");
    wrong.redis.address = "unix:/nonexistent/socket";
    tap_ok(!mw_query_new(&wrong, &error) && strstr(error.text, "/nonexistent/socket"),
           "asking without Redis fails and names it");
    struct mw_store *store = mw_store_new(&wrong, &error);
    tap_ok(store && mw_store_save(store, reports[0], NULL, &error) != 0,
           "saving without Redis and without a spool fails");
    mw_store_free(store);
    struct mw_id_source *ids = mw_id_source_new();
    struct mw_report *report = made_up_report(ids, 1);
    report->id = "17";
    store = mw_store_new(&settings, &error);
    tap_ok(mw_store_save(store, report, NULL, &error) == MW_ERR_INPUT && strstr(error.text, "'17'"),
           "a report without an id of ours is refused");
    mw_report_free(report);
    mw_store_free(store);
    mw_id_source_free(ids);
}

int main(void)
{
    struct mw_error error = {0};
    signal(SIGPIPE, SIG_IGN);
    if (!redis_server_start(&server)) {
        puts("1..0 # SKIP no redis-server here");
        return 0;
    }
    prepare_settings();
    struct mw_id_source *ids = mw_id_source_new();
    for (int i = 0; i < MESSAGES; i++)
        reports[i] = made_up_report(ids, i);
    struct mw_store *store = mw_store_new(&settings, &error);
    struct mw_query *query = mw_query_new(&settings, &error);
    tap_ok(store && query, "a store and its reader are opened: %s", error.text);
    save_all(store);
    test_messages(query);
    test_attachments(query);
    test_search(query);
    test_events(query);
    test_counts(query);
    test_rescan(query, store);
    test_wrong();
    mw_query_free(query);
    mw_store_free(store);
    for (int i = 0; i < MESSAGES; i++)
        mw_report_free(reports[i]);
    mw_id_source_free(ids);
    redis_server_stop(&server);
    return tap_done();
}
