/* reach: options, connection, and reports as they stand today. */
#include "cli/reach.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/configured.h"

int mw_reach_option(struct mw_reach *reach, int option, const char *value)
{
    switch (option) {
    case MW_REACH_CONFIG:
        reach->config_file = value;
        return 1;
    case MW_REACH_REDIS:
        reach->redis = value;
        return 1;
    case MW_REACH_JSON:
        reach->json = true;
        return 1;
    case MW_REACH_HELP:
        fputs(reach->command->usage, stdout);
        return -1;
    default:
        return 0;
    }
}

int mw_reach_configure(struct mw_reach *reach)
{
    reach->config = mw_configured(reach->command, reach->config_file);
    if (!reach->config)
        return MW_EXIT_ERROR;
    struct mw_redis_settings *settings = &reach->config->store.redis;
    if (reach->redis) {
        settings->address = reach->redis;
        settings->sentinels.count = 0;
    }
    if (settings->address || settings->sentinels.count > 0)
        return 0;
    return mw_command_fail(reach->command,
                           "no Redis is configured: set redis.address in %s, or "
                           "name one with --redis unix:PATH or HOST:PORT",
                           reach->config_file ? reach->config_file : MW_CONFIG_FILE);
}

int mw_reach_open(struct mw_reach *reach)
{
    struct mw_error error = {0};
    if (!reach->config && mw_reach_configure(reach) != 0)
        return MW_EXIT_ERROR;
    reach->query = mw_query_new(&reach->config->store, &error);
    if (reach->query)
        return 0;
    return mw_command_fail(reach->command, "cannot ask Redis: %s (%s where it is)", error.text,
                           reach->redis ? "--redis says" : "redis.address, or --redis, says");
}

void mw_reach_close(struct mw_reach *reach)
{
    mw_query_free(reach->query);
    mw_config_free(reach->config);
}

int mw_reach_fail(const struct mw_reach *reach, const struct mw_error *error)
{
    return mw_command_fail(reach->command, "%s", error->text);
}

/* --- later scans ------------------------------------------------------------------------ */

static void raise_attachment(struct mw_report *report, struct mw_attachment *file,
                             const struct mw_facts *facts)
{
    mw_facts_findings(report->arena, facts, file->path, &file->findings);
    const char *verdict = mw_fact_value(facts, "verdict");
    if (verdict)
        file->verdict =
            mw_verdict_worse(file->verdict, mw_verdict_from_name(verdict, MW_UNSCANNED));
}

static int add_later(struct mw_reach *reach, struct mw_report *report, struct mw_error *error)
{
    for (size_t i = 0; i < report->attachments.count; i++) {
        struct mw_attachment *file = &report->attachments.items[i];
        struct mw_facts facts = {0};
        if (!file->sha256)
            continue;
        int result = mw_query_attachment(reach->query, report->arena, file->sha256, &facts, error);
        if (result != 0 && result != MW_ERR_MISSING)
            return result;
        raise_attachment(report, file, &facts);
    }
    return 0;
}

/* What was done after all: the report itself may be the one that came before. */
static void take_correction(struct mw_report *report, const struct mw_facts *facts)
{
    const char *action = mw_fact_value(facts, "action"), *by = mw_fact_value(facts, "decided_by");
    for (int a = MW_ACTION_NONE; action && a < MW_ACTIONS; a++)
        if (strcmp(mw_action_names[a], action) == 0)
            report->action = (enum mw_action)a;
    report->intended = MW_ACTION_NONE;
    report->decided_by = by ? mw_arena_dup(report->arena, by) : NULL;
    mw_fates_follow(report);
}

struct mw_report *mw_reach_report(struct mw_reach *reach, const char *id, const char **rescanned,
                                  struct mw_error *error)
{
    struct mw_report *report = mw_query_report(reach->query, id, error);
    struct mw_facts facts = {0};
    struct mw_texts ids = {&id, 1, 1};
    if (rescanned)
        *rescanned = NULL;
    if (!report)
        return NULL;
    int result = mw_query_facts(reach->query, report->arena, &ids, &facts, error);
    const char *when = mw_fact_value(&facts, "rescanned");
    if (result == 0 && when) {
        report->verdict = mw_verdict_worse(
            report->verdict, mw_verdict_from_name(mw_fact_value(&facts, "verdict"), MW_UNSCANNED));
        result = add_later(reach, report, error);
        if (rescanned)
            *rescanned = when;
    }
    if (result == 0 && mw_fact_value(&facts, "corrected"))
        take_correction(report, &facts);
    if (result == 0)
        return report;
    mw_report_free(report);
    return NULL;
}

/* --- JSON --------------------------------------------------------------------------------- */

json_t *mw_facts_to_json(const struct mw_facts *facts, const char *numbers)
{
    json_t *object = json_object();
    for (size_t i = 0; i < facts->count; i++) {
        const struct mw_fact *fact = &facts->items[i];
        char name[64];
        snprintf(name, sizeof name, " %s ", fact->name);
        bool number = strstr(numbers, name) != NULL;
        json_object_set_new(object, fact->name,
                            number ? json_integer(strtoll(fact->value, NULL, 10))
                                   : json_string(fact->value));
    }
    return object;
}
