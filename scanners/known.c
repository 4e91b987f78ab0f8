/* known: findings copied by their scanner's name. */
#include "scanners/known.h"

#include <string.h>

#include "scanners/scanners.h"

const char *mw_known_context(const struct mw_scanner *scanner, const void *engine,
                             const struct mw_scan_part *part, struct mw_arena *arena)
{
    if (!scanner->by_bytes)
        return NULL;
    return scanner->context ? scanner->context(engine, part, arena) : "";
}

/* Whether its findings in this context are among what is known. */
static bool is_known(const struct mw_known *known, const char *scanner, const char *context)
{
    for (size_t i = 0; i < known->engines->count; i++) {
        const struct mw_engine *engine = &known->engines->items[i];
        if (engine->name && strcmp(engine->name, scanner) == 0)
            return engine->version && strcmp(engine->version, context) == 0;
    }
    return false;
}

static void copy_findings(const struct mw_scanner *scanner, const struct mw_scan_part *part,
                          struct mw_scan_result *result)
{
    const struct mw_findings *findings = &part->known->facts->findings;
    for (size_t i = 0; i < findings->count; i++) {
        const struct mw_finding *one = &findings->items[i];
        if (!one->scanner || !one->name || strcmp(one->scanner, scanner->name) != 0)
            continue;
        struct mw_finding *found =
            mw_scan_finding(result, part, scanner->name, one->name, one->severity);
        if (found) {
            found->message = one->message;
            found->details = one->details;
        }
    }
}

bool mw_known_take(const struct mw_scanner *scanner, const void *engine,
                   const struct mw_scan_part *part, struct mw_scan_result *result)
{
    if (!part->known || !result->attachment)
        return false;
    const char *context = mw_known_context(scanner, engine, part, result->report->arena);
    if (!context || !is_known(part->known, scanner->name, context))
        return false;
    copy_findings(scanner, part, result);
    if (scanner->recall)
        scanner->recall(part->known->facts, result);
    if (scanner->judges)
        result->judged = true;
    mw_texts_add(result->report->arena, &result->attachment->reused, scanner->name);
    return true;
}
