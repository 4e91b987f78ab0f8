/* upgrade: the new version first, so that all that comes is of it; then what was there. */
#include "store/upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/query_private.h"

enum { BATCH = 200, CURSOR = 32 };

struct upgrading {
    struct mw_query *query;
    struct mw_upgrade *upgrade;
    struct mw_arena *arena; /* of one batch */
    struct mw_error *error;
};

/* Sets a field that is not there yet, of a hash that still is. */
static const char set_script[] = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
                                 "return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])\n";

static int upgrade_fly(struct upgrading *upgrading, redisReply ***replies)
{
    return mw_query_fly(upgrading->query, upgrading->arena, 0, replies, upgrading->error);
}

static void add_findings(struct upgrading *upgrading, const char *key,
                         const struct mw_findings *findings)
{
    char *json = mw_findings_to_json(findings);
    mw_flight_add(upgrading->query->flight, "EVAL", set_script, "1", key, "findings_json",
                  json ? json : "[]", NULL);
    free(json);
}

static int count_changes(struct upgrading *upgrading)
{
    redisReply **replies;
    size_t count = mw_flight_count(upgrading->query->flight);
    if (upgrade_fly(upgrading, &replies) != 0)
        return upgrading->error->code;
    for (size_t i = 0; i < count; i++)
        upgrading->upgrade->changed += replies[i]->integer == 1;
    return 0;
}

/* Those of the message and, with their paths, of what is in it. */
static void gather(struct mw_arena *arena, const struct mw_report *report, struct mw_findings *all)
{
    for (size_t i = 0; i < report->findings.count; i++) {
        struct mw_finding *one = mw_list_add(arena, all, sizeof *one);
        *one = report->findings.items[i];
    }
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *part = &report->attachments.items[i];
        for (size_t k = 0; k < part->findings.count; k++) {
            struct mw_finding *one = mw_list_add(arena, all, sizeof *one);
            *one = part->findings.items[k];
            one->path = one->path ? one->path : part->path;
        }
    }
}

/* Whether a hash has findings, and not as data yet. */
static bool is_due(const redisReply *facts)
{
    return facts->type == REDIS_REPLY_ARRAY && facts->element[0]->type == REDIS_REPLY_STRING &&
           facts->element[0]->len > 0 && facts->element[1]->type == REDIS_REPLY_NIL;
}

static int ask_facts(struct upgrading *upgrading, const redisReply *keys, redisReply ***replies)
{
    struct mw_flight *flight = mw_query_begin(upgrading->query);
    for (size_t i = 0; i < keys->elements; i++)
        mw_flight_add(flight, "HMGET", mw_reply_text(keys->element[i]), "findings", "findings_json",
                      "message", "scanned", NULL);
    return upgrade_fly(upgrading, replies);
}

static int upgrade_message(struct upgrading *upgrading, const char *key, const char *id)
{
    struct mw_error why = {0};
    struct mw_report *report = mw_query_report(upgrading->query, id, &why);
    if (!report && why.code != MW_ERR_FORMAT && why.code != MW_ERR_MISSING)
        return mw_fail(upgrading->error, why.code, "%s", why.text);
    mw_query_begin(upgrading->query);
    if (report) {
        struct mw_findings all = {0};
        gather(upgrading->arena, report, &all);
        add_findings(upgrading, key, &all);
    } else {
        upgrading->upgrade->unreadable++;
    }
    int result = report ? count_changes(upgrading) : 0;
    mw_report_free(report);
    return result;
}

/* What was found of an attachment is in the report of the message that it was scanned for, if
 * that was the last scan; else the text is all there is. */
static int upgrade_attachment(struct upgrading *upgrading, const char *key, const char *hash,
                              const redisReply *facts)
{
    struct mw_findings findings = {0};
    const char *id = mw_reply_text(facts->element[2]);
    struct mw_report *report = *id ? mw_query_report(upgrading->query, id, NULL) : NULL;
    bool same = report && report->received &&
                strcmp(report->received, mw_reply_text(facts->element[3])) == 0;
    for (size_t i = 0; same && i < report->attachments.count; i++)
        if (report->attachments.items[i].sha256 &&
            strcmp(report->attachments.items[i].sha256, hash) == 0) {
            findings = report->attachments.items[i].findings;
            break;
        }
    if (findings.count == 0) {
        struct mw_fact text = {"findings", mw_reply_text(facts->element[0])};
        struct mw_facts one = {&text, 1, 1};
        mw_facts_findings(upgrading->arena, &one, NULL, &findings);
    }
    mw_query_begin(upgrading->query);
    add_findings(upgrading, key, &findings);
    int result = count_changes(upgrading);
    mw_report_free(report);
    return result;
}

static int upgrade_batch(struct upgrading *upgrading, const redisReply *keys, const char *begins,
                         bool messages)
{
    redisReply **facts;
    if (keys->elements == 0)
        return 0;
    if (ask_facts(upgrading, keys, &facts) != 0)
        return upgrading->error->code;
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = mw_reply_text(keys->element[i]), *name = key + strlen(begins);
        upgrading->upgrade->messages += messages;
        upgrading->upgrade->attachments += !messages;
        if (!is_due(facts[i]))
            continue;
        if ((messages ? upgrade_message(upgrading, key, name)
                      : upgrade_attachment(upgrading, key, name, facts[i])) != 0)
            return upgrading->error->code;
    }
    return 0;
}

/* All hashes whose keys begin with the prefix and kind; lists and sets beside them are not
 * hashes. */
static int upgrade_kind(struct upgrading *upgrading, const char *kind, bool messages,
                        mw_upgrade_progress *progress, void *user)
{
    char cursor[CURSOR] = "0";
    int result;
    do {
        redisReply **replies;
        upgrading->arena = mw_arena_new();
        const char *begins = mw_query_key(upgrading->query, upgrading->arena, "%s", kind);
        mw_flight_add(mw_query_begin(upgrading->query), "SCAN", cursor, "MATCH",
                      mw_arena_printf(upgrading->arena, "%s*", begins), "COUNT",
                      mw_arena_printf(upgrading->arena, "%d", BATCH), "TYPE", "hash", NULL);
        result = upgrade_fly(upgrading, &replies);
        if (result == 0) {
            snprintf(cursor, CURSOR, "%s", mw_reply_text(replies[0]->element[0]));
            result = upgrade_batch(upgrading, replies[0]->element[1], begins, messages);
        }
        mw_arena_free(upgrading->arena);
        if (progress)
            progress(user, upgrading->upgrade);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    return result;
}

/* Says which version is there from now on; whether another upgrade was cut short. */
static int begin_upgrade(struct upgrading *upgrading)
{
    redisReply **replies;
    struct mw_query *query = upgrading->query;
    const char *mark = mw_query_key(query, upgrading->arena, "schema:upgrade");
    struct mw_flight *flight = mw_query_begin(query);
    mw_flight_add(flight, "EXISTS", mark, NULL);
    mw_flight_add(flight, "SET", mark, mw_arena_printf(upgrading->arena, "%u", query->version),
                  "NX", NULL);
    mw_flight_add(flight, "SET", mw_query_key(query, upgrading->arena, "schema"),
                  mw_arena_printf(upgrading->arena, "%d", MW_SCHEMA_VERSION), NULL);
    if (upgrade_fly(upgrading, &replies) != 0)
        return upgrading->error->code;
    upgrading->upgrade->resumed = replies[0]->integer == 1;
    upgrading->upgrade->from = query->version;
    upgrading->upgrade->to = query->version = MW_SCHEMA_VERSION;
    return 0;
}

static int end_upgrade(struct upgrading *upgrading)
{
    redisReply **replies;
    mw_flight_add(mw_query_begin(upgrading->query), "DEL",
                  mw_query_key(upgrading->query, upgrading->arena, "schema:upgrade"), NULL);
    return upgrade_fly(upgrading, &replies);
}

int mw_store_upgrade(struct mw_query *query, unsigned wait_ms, mw_upgrade_progress *progress,
                     void *user, struct mw_upgrade *upgrade, struct mw_error *error)
{
    struct mw_error own = {0};
    struct upgrading upgrading = {query, upgrade, mw_arena_new(), error ? error : &own};
    *upgrade = (struct mw_upgrade){0};
    int result = begin_upgrade(&upgrading);
    mw_arena_free(upgrading.arena);
    if (result == 0 && upgrade->from < upgrade->to) {
        struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
        nanosleep(&pause, NULL);
    }
    if (result == 0)
        result = upgrade_kind(&upgrading, "message:", true, progress, user);
    if (result == 0)
        result = upgrade_kind(&upgrading, "attachment:", false, progress, user);
    upgrading.arena = mw_arena_new();
    if (result == 0)
        result = end_upgrade(&upgrading);
    mw_arena_free(upgrading.arena);
    return result;
}
