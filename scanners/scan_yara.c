/* scan_yara: libyara's rules over attachments, body texts and the raw message, each
 * with a set of its own. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/utf8.h"
#include "scanners/scanners.h"
#include "scanners/yara_rules.h"

/* Bounds of what one match adds to a report. */
enum { STRINGS = 16, EXCERPT = 64, TAGS = 32, METAS = 32 };

/* Bytes of a context: a longer one is not worth knowing. */
enum { CONTEXT = 1024 };

enum { FOR_ATTACHMENTS, FOR_TEXTS, FOR_MESSAGES, SETS };

struct yara_engine {
    struct mw_yara_rules *sets[SETS];
    enum mw_severity severity;
    unsigned time_ms;
};

/* One part being scanned. */
struct scanning {
    const struct yara_engine *engine;
    const struct mw_scan_part *part;
    struct mw_scan_result *result;
};

static void unload(void *engine)
{
    struct yara_engine *yara = engine;
    for (int i = 0; i < SETS; i++)
        mw_yara_rules_free(yara->sets[i]);
    free(yara);
    yr_finalize();
}

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    const struct mw_yara_settings *wanted = &settings->yara;
    const struct mw_texts *paths[SETS] = {&wanted->rules, &wanted->body_rules,
                                          &wanted->message_rules};
    if (paths[0]->count + paths[1]->count + paths[2]->count == 0)
        return 0;
    struct yara_engine *yara = calloc(1, sizeof *yara);
    if (!yara)
        return mw_fail_errno(error, "cannot prepare YARA");
    if (yr_initialize() != ERROR_SUCCESS) {
        free(yara);
        return mw_fail(error, MW_ERR_INTERNAL, "cannot start YARA");
    }
    yara->severity = wanted->severity;
    yara->time_ms = wanted->time_ms;
    for (int i = 0; i < SETS; i++) {
        if (paths[i]->count == 0)
            continue;
        yara->sets[i] = mw_yara_rules_load(paths[i], wanted->skip_broken, arena, warnings, error);
        if (!yara->sets[i]) {
            unload(yara);
            return error->code;
        }
    }
    *engine = yara;
    return 0;
}

static const char *text_variable(const struct mw_scan_part *part, const char *name)
{
    const struct {
        const char *name, *value;
    } values[] = {
        {"filename", part->filename},
        {"extension", part->extension},
        {"content_type", part->content_type},
        {"file_type", part->file_type},
        {"path", part->path},
        {"sender", part->sender},
        {"subject", part->subject},
        {"sender_domain", part->sender_domain},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(values[i].name, name) == 0)
            return values[i].value ? values[i].value : "";
    return "";
}

/* A rule set that uses none of a variable refuses it: no matter. */
static void set_variables(YR_SCANNER *scanner, const struct mw_scan_part *part)
{
    for (size_t i = 0; i < mw_yara_variable_count; i++) {
        const struct mw_yara_variable *variable = &mw_yara_variables[i];
        if (variable->type == MW_YARA_TEXT)
            yr_scanner_define_string_variable(scanner, variable->name,
                                              text_variable(part, variable->name));
        else if (variable->type == MW_YARA_INTEGER)
            yr_scanner_define_integer_variable(scanner, variable->name, (int64_t)part->data.size);
        else
            yr_scanner_define_boolean_variable(scanner, variable->name, part->sender_new == 1);
    }
}

static json_t *tags_of(const YR_RULE *rule)
{
    json_t *tags = json_array();
    const char *tag;
    yr_rule_tags_foreach(rule, tag)
    {
        if (json_array_size(tags) < TAGS)
            json_array_append_new(tags, json_string(tag));
    }
    return tags;
}

static json_t *metas_of(const YR_RULE *rule)
{
    json_t *metas = json_object();
    const YR_META *meta;
    yr_rule_metas_foreach(rule, meta)
    {
        if (json_object_size(metas) >= METAS)
            continue;
        json_t *value = meta->type == META_TYPE_STRING    ? json_string(meta->string)
                        : meta->type == META_TYPE_BOOLEAN ? json_boolean(meta->integer)
                                                          : json_integer(meta->integer);
        if (value)
            json_object_set_new(metas, meta->identifier, value);
    }
    return metas;
}

/* libyara keeps its matches unaligned, which is its business, not ours. */
#define READS_MATCHES __attribute__((no_sanitize("alignment")))

READS_MATCHES
static json_t *match_of(struct mw_arena *arena, const YR_STRING *string, const YR_MATCH *match)
{
    size_t size = (size_t)match->data_length < EXCERPT ? (size_t)match->data_length : EXCERPT;
    struct mw_bytes bytes = {match->data, size};
    return json_pack("{s:s, s:I, s:I, s:s}", "id", string->identifier, "offset",
                     (json_int_t)match->base + (json_int_t)match->offset, "length",
                     (json_int_t)match->match_length, "excerpt",
                     mw_utf8_clean_line(arena, bytes, NULL));
}

READS_MATCHES
static json_t *strings_of(struct mw_arena *arena, YR_SCAN_CONTEXT *context, const YR_RULE *rule)
{
    json_t *strings = json_array();
    const YR_STRING *string;
    yr_rule_strings_foreach(rule, string)
    {
        const YR_MATCH *match;
        yr_string_matches_foreach(context, string, match)
        {
            if (json_array_size(strings) < STRINGS && !STRING_IS_PRIVATE(string))
                json_array_append_new(strings, match_of(arena, string, match));
        }
    }
    return strings;
}

static const char *meta_text(const YR_RULE *rule, const char *name)
{
    const YR_META *meta;
    const char *value = NULL;
    yr_rule_metas_foreach(rule, meta)
    {
        if (meta->type == META_TYPE_STRING && strcmp(meta->identifier, name) == 0)
            value = meta->string;
    }
    return value;
}

static void note_match(struct scanning *scanning, YR_SCAN_CONTEXT *context, const YR_RULE *rule)
{
    struct mw_arena *arena = scanning->result->report->arena;
    enum mw_severity severity =
        mw_severity_from_name(meta_text(rule, "severity"), scanning->engine->severity);
    struct mw_finding *found = mw_scan_finding(scanning->result, scanning->part, "yara",
                                               mw_arena_dup(arena, rule->identifier), severity);
    if (!found)
        return;
    const char *description = meta_text(rule, "description");
    found->message = description ? mw_utf8_clean_line(arena, mw_bytes_of(description), NULL)
                                 : mw_arena_printf(arena, "matches the rule %s", rule->identifier);
    json_t *details =
        json_pack("{s:s, s:o, s:o, s:o}", "namespace", rule->ns->name, "tags", tags_of(rule),
                  "meta", metas_of(rule), "strings", strings_of(arena, context, rule));
    char *text = json_dumps(details, JSON_COMPACT);
    json_decref(details);
    found->details = mw_arena_dup(arena, text);
    free(text);
}

static int on_event(YR_SCAN_CONTEXT *context, int event, void *data, void *user)
{
    struct scanning *scanning = user;
    if (event == CALLBACK_MSG_RULE_MATCHING)
        note_match(scanning, context, data);
    return CALLBACK_CONTINUE;
}

static bool by_name(const void *engine)
{
    const struct yara_engine *yara = engine;
    for (size_t i = 0; yara->sets[FOR_ATTACHMENTS] && i < mw_yara_variable_count; i++)
        if (mw_yara_rules_use(yara->sets[FOR_ATTACHMENTS], i) &&
            (strcmp(mw_yara_variables[i].name, "filename") == 0 ||
             strcmp(mw_yara_variables[i].name, "extension") == 0))
            return true;
    return false;
}

/* NAME=VALUE for each variable that rules may ask for, none of them long. */
static const char *context(const void *engine, const struct mw_scan_part *part,
                           struct mw_arena *arena)
{
    const struct yara_engine *yara = engine;
    const struct mw_yara_rules *rules = yara->sets[FOR_ATTACHMENTS];
    const char *all = "";
    if (!mw_yara_rules_are_constant(rules))
        return NULL;
    for (size_t i = 0; i < mw_yara_variable_count; i++) {
        const struct mw_yara_variable *variable = &mw_yara_variables[i];
        /* An integer is the size, which the bytes have anyway. */
        if (!mw_yara_rules_use(rules, i) || variable->type == MW_YARA_INTEGER)
            continue;
        const char *value = variable->type == MW_YARA_TEXT ? text_variable(part, variable->name)
                            : part->sender_new == 1        ? "yes"
                                                           : "no";
        all = mw_arena_printf(arena, "%s%s=%zu:%s\n", all, variable->name, strlen(value), value);
        if (strlen(all) > CONTEXT)
            return NULL;
    }
    return all;
}

/* Seconds YARA may take: whole ones, at least one. */
static int seconds_left(const struct yara_engine *yara, const struct mw_scan_part *part)
{
    int64_t left_ms = yara->time_ms > 0 ? (int64_t)yara->time_ms : 3600000;
    int64_t now_us = mw_clock_us();
    if (part->deadline_us > 0 && (part->deadline_us - now_us) / 1000 < left_ms)
        left_ms = (part->deadline_us - now_us) / 1000;
    return left_ms < 1000 ? 1 : (int)((left_ms + 999) / 1000);
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    struct yara_engine *yara = engine;
    struct scanning scanning = {yara, part, result};
    int which = part->kind == MW_SCAN_TEXT      ? FOR_TEXTS
                : part->kind == MW_SCAN_MESSAGE ? FOR_MESSAGES
                                                : FOR_ATTACHMENTS;
    result->skipped = !yara->sets[which];
    for (size_t i = 0; i < mw_yara_rules_count(yara->sets[which]); i++) {
        YR_SCANNER *scanner = mw_yara_rules_scanner(yara->sets[which], i);
        set_variables(scanner, part);
        yr_scanner_set_callback(scanner, on_event, &scanning);
        yr_scanner_set_timeout(scanner, seconds_left(yara, part));
        /* The memory is ours and does not go away: no signal handlers wanted. */
        yr_scanner_set_flags(scanner, SCAN_FLAGS_REPORT_RULES_MATCHING | SCAN_FLAGS_NO_TRYCATCH);
        int code = yr_scanner_scan_mem(scanner, part->data.data, part->data.size);
        if (code == ERROR_SCAN_TIMEOUT)
            return mw_fail(error, MW_ERR_TIMEOUT, "the rules took too long");
        if (code != ERROR_SUCCESS)
            return mw_fail(error, MW_ERR_INTERNAL, "the scan failed with code %d", code);
    }
    return 0;
}

static void describe(const void *engine, struct mw_scan_engine *facts)
{
    const struct yara_engine *yara = engine;
    facts->version = YR_VERSION;
    for (int i = 0; i < SETS; i++)
        facts->signatures += (int64_t)mw_yara_rules_total(yara->sets[i]);
}

const struct mw_scanner mw_scanner_yara = {
    .name = "yara",
    .kinds = MW_SCAN_ATTACHMENT | MW_SCAN_TEXT | MW_SCAN_MESSAGE,
    .judges = true,
    .by_bytes = true,
    .fields = "namespace, tags, meta, strings (id, offset, length, excerpt)",
    .load = load,
    .scan = scan,
    .unload = unload,
    .describe = describe,
    .context = context,
    .by_name = by_name,
};
