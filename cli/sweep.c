/* sweep: bytes from Redis, a message around them, a worker, a finding. */
#include "cli/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "cli/lanes.h"
#include "cli/wrap.h"
#include "worker/setup.h"

enum { PAGE = 200 };

struct mw_sweep {
    struct mw_reach *reach;
    struct mw_sweep_work work;
    struct mw_pool_settings settings;
    struct mw_pool *pool;
    struct mw_lanes *lanes;
    struct mw_sweep_counts counts;
    struct mw_error error; /* of done, when it ended the sweep */
};

/* An attachment on its way. */
struct errand {
    struct mw_arena *arena; /* owns what is below */
    const char *sha256;
    struct mw_facts facts;
    struct mw_memfile *message;
    struct mw_report *report;
    struct mw_error error;
};

static void free_errand(struct errand *errand)
{
    mw_report_free(errand->report);
    mw_memfile_free(errand->message);
    mw_arena_free(errand->arena);
    free(errand);
}

/* In a lane. */
static void run_errand(void *user, void *item)
{
    struct mw_sweep *sweep = user;
    struct errand *errand = item;
    if (errand->message)
        errand->report = mw_pool_examine(sweep->pool, errand->message, &errand->error);
}

/* Back in order. */
static int end_errand(void *user, void *item)
{
    struct mw_sweep *sweep = user;
    struct errand *errand = item;
    struct mw_swept swept = {.sha256 = errand->sha256, .facts = &errand->facts};
    if (errand->report)
        swept.attachment = mw_wrap_find_part(errand->report, errand->sha256);
    swept.why = swept.attachment ? swept.attachment->unscanned
                : errand->report ? "its bytes are not those of its hash"
                                 : errand->error.text;
    sweep->counts.gone += errand->error.code == MW_ERR_MISSING;
    sweep->counts.failed += !swept.attachment && errand->error.code != MW_ERR_MISSING;
    int result = sweep->work.done(sweep->work.user, &swept, &sweep->error);
    free_errand(errand);
    return result;
}

struct mw_sweep *mw_sweep_new(struct mw_reach *reach, const struct mw_sweep_work *work,
                              struct mw_error *error)
{
    struct mw_sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        abort();
    sweep->reach = reach;
    sweep->work = *work;
    mw_setup_pool(reach->config, &sweep->settings);
    sweep->pool = mw_pool_new(&sweep->settings, error);
    const struct mw_lanes_work lanes = {sweep, run_errand, end_errand};
    if (sweep->pool)
        sweep->lanes = mw_lanes_new(sweep->settings.generation.workers, &lanes, error);
    if (sweep->lanes)
        return sweep;
    mw_sweep_free(sweep);
    return NULL;
}

void mw_sweep_free(struct mw_sweep *sweep)
{
    if (!sweep)
        return;
    mw_lanes_free(sweep->lanes);
    mw_pool_free(sweep->pool);
    free(sweep);
}

/* Sender and subject of the message it came in last, for rules that ask for them. */
static void add_message_facts(struct mw_sweep *sweep, struct errand *errand,
                              struct mw_wrap_facts *wrap)
{
    const char *id = mw_fact_value(&errand->facts, "message");
    struct mw_texts ids = {&id, 1, 1};
    struct mw_facts facts = {0};
    struct mw_error ignored = {0}; /* the message may be gone: the bytes are scanned anyway */
    if (!id || mw_query_facts(sweep->reach->query, errand->arena, &ids, &facts, &ignored) != 0)
        return;
    const char *from = mw_fact_value(&facts, "from");
    const char *end = from ? strstr(from, ", ") : NULL;
    wrap->sender = end ? mw_arena_dup_bytes(errand->arena, from, (size_t)(end - from)) : from;
    wrap->subject = mw_fact_value(&facts, "subject");
}

/* Redis being away ends the sweep; an attachment that is gone does not. */
static int fetch(struct mw_sweep *sweep, struct errand *errand, struct mw_error *error)
{
    struct mw_bytes bytes;
    struct mw_wrap_facts wrap = {0};
    struct mw_query *query = sweep->reach->query;
    struct mw_arena *own = mw_arena_new(); /* of the bytes, which are copied */
    int result = mw_query_attachment(query, errand->arena, errand->sha256, &errand->facts, error);
    struct mw_facts holder = {0};
    const char *held = errand->sha256;
    if (result == 0)
        result = mw_query_holder(query, own, errand->sha256, &held, &holder, &bytes, error);
    if (result == 0) {
        bool own_bytes = strcmp(held, errand->sha256) == 0;
        wrap.filename = mw_fact_value(&holder, "name");
        wrap.content_type = mw_fact_value(&holder, "type");
        add_message_facts(sweep, errand, &wrap);
        errand->message =
            own_bytes ? mw_wrap(bytes, &wrap, error) : mw_wrap_holder(bytes, &wrap, error);
        result = errand->message ? 0 : error->code;
    }
    mw_arena_free(own);
    if (result != MW_ERR_MISSING && result != MW_ERR_FORMAT)
        return result;
    errand->error = *error;
    return 0;
}

int mw_sweep_one(struct mw_sweep *sweep, const char *sha256, struct mw_error *error)
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (!errand)
        abort();
    errand->arena = mw_arena_new();
    errand->sha256 = mw_arena_dup(errand->arena, sha256);
    if (fetch(sweep, errand, error) != 0) {
        free_errand(errand);
        return error->code;
    }
    sweep->counts.given++;
    int result = mw_lanes_add(sweep->lanes, errand);
    if (result != 0)
        *error = sweep->error;
    return result;
}

int mw_sweep_all(struct mw_sweep *sweep, int64_t since_ms, int64_t until_ms, struct mw_error *error)
{
    struct mw_search *search =
        mw_search_attachments(sweep->reach->query, since_ms, until_ms, error);
    int result = search ? 1 : error->code;
    sweep->counts.total = search ? (uint64_t)mw_search_count(search) : 0;
    while (result > 0) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        result = mw_search_next(search, arena, PAGE, &hits, error);
        for (size_t i = 0; i < hits.count && result > 0; i++)
            if (mw_sweep_one(sweep, hits.items[i].id, error) != 0)
                result = error->code;
        mw_arena_free(arena);
    }
    mw_search_free(search);
    return result;
}

int mw_sweep_finish(struct mw_sweep *sweep, struct mw_error *error)
{
    int result = mw_lanes_finish(sweep->lanes);
    if (result != 0)
        *error = sweep->error;
    return result;
}

void mw_sweep_get_counts(const struct mw_sweep *sweep, struct mw_sweep_counts *counts)
{
    *counts = sweep->counts;
}

struct mw_attachment mw_swept_merge(struct mw_arena *arena, const struct mw_swept *swept)
{
    struct mw_attachment merged = {.sha256 = swept->sha256};
    const struct mw_findings *fresh = &swept->attachment->findings;
    for (size_t i = 0; i < fresh->count; i++) {
        struct mw_finding *copy =
            mw_list_add(arena, &merged.findings, sizeof *merged.findings.items);
        *copy = fresh->items[i];
    }
    mw_facts_findings(arena, swept->facts, NULL, &merged.findings);
    enum mw_verdict was =
        mw_verdict_from_name(mw_fact_value(swept->facts, "verdict"), MW_UNSCANNED);
    merged.verdict = was == MW_UNSCANNED ? swept->attachment->verdict
                                         : mw_verdict_worse(was, swept->attachment->verdict);
    if (merged.verdict == MW_UNSCANNED)
        merged.unscanned = swept->why ? swept->why : mw_fact_value(swept->facts, "unscanned");
    return merged;
}
