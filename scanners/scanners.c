/* scanners: the registry, and running what is in it. */
#include "scanners/scanners.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "config.h"

/* In the order they run: type first, as others use what it finds out. */
static const struct mw_scanner *const registry[] = {
    &mw_scanner_type,   &mw_scanner_fuzzy,
#ifdef WITH_YARA
    &mw_scanner_yara,   &mw_scanner_pe,
#endif
#ifdef WITH_CLAMAV
    &mw_scanner_clamav,
#endif
};
enum { SCANNERS = sizeof registry / sizeof *registry };

struct mw_scanners {
    struct mw_arena *arena;
    struct mw_texts warnings;
    void *engines[SCANNERS]; /* NULL for those left out */
};

/* Settings for engines this program was built without are mistakes worth telling. */
static int check_built_in(const struct mw_scan_settings *settings, struct mw_error *error)
{
    (void)settings;
    (void)error;
#ifndef WITH_YARA
    if (settings->yara.rules.count + settings->yara.body_rules.count +
                settings->yara.message_rules.count >
            0 ||
        settings->pe.enabled)
        return mw_fail(error, MW_ERR_MISSING,
                       "YARA rules are given, but this program was "
                       "built without YARA");
#endif
#ifndef WITH_CLAMAV
    if (settings->clamav.database)
        return mw_fail(error, MW_ERR_MISSING,
                       "a ClamAV database is given, but this program was "
                       "built without ClamAV");
#endif
    return 0;
}

struct mw_scanners *mw_scanners_load(const struct mw_scan_settings *settings,
                                     struct mw_error *error)
{
    if (check_built_in(settings, error) != 0)
        return NULL;
    struct mw_scanners *scanners = calloc(1, sizeof *scanners);
    if (!scanners) {
        mw_fail_errno(error, "cannot load scanners");
        return NULL;
    }
    scanners->arena = mw_arena_new();
    for (size_t i = 0; i < SCANNERS; i++) {
        if (registry[i]->load(settings, scanners->arena, &scanners->warnings, &scanners->engines[i],
                              error) == 0)
            continue;
        mw_scanners_free(scanners);
        return NULL;
    }
    return scanners;
}

void mw_scanners_free(struct mw_scanners *scanners)
{
    if (!scanners)
        return;
    for (size_t i = 0; i < SCANNERS; i++)
        if (scanners->engines[i])
            registry[i]->unload(scanners->engines[i]);
    mw_arena_free(scanners->arena);
    free(scanners);
}

const struct mw_texts *mw_scanners_warnings(const struct mw_scanners *scanners)
{
    return &scanners->warnings;
}

bool mw_scanners_any(const struct mw_scanners *scanners)
{
    for (size_t i = 0; i < SCANNERS; i++)
        if (scanners->engines[i] && registry[i]->judges)
            return true;
    return false;
}

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The time of a scanner for all parts stands in the report as scan_NAME_us. */
static void add_time(struct mw_report *report, const char *scanner, int64_t microseconds)
{
    const char *name = mw_arena_printf(report->arena, "scan_%s_us", scanner);
    for (size_t i = 0; i < report->timings.count; i++) {
        if (strcmp(report->timings.items[i].name, name) == 0) {
            report->timings.items[i].value += microseconds;
            return;
        }
    }
    struct mw_number *timing = mw_list_add(report->arena, &report->timings, sizeof *timing);
    timing->name = name;
    timing->value = microseconds;
}

void mw_scanners_run(struct mw_scanners *scanners, struct mw_scan_part *part,
                     struct mw_scan_result *result)
{
    for (size_t i = 0; i < SCANNERS; i++) {
        if (!scanners->engines[i] || !(registry[i]->kinds & part->kind))
            continue;
        int64_t start = clock_us();
        if (part->deadline_us > 0 && start > part->deadline_us) {
            result->unscanned = "the message's time was up";
            return;
        }
        struct mw_error error = {0};
        if (registry[i]->scan(scanners->engines[i], part, result, &error) != 0)
            result->unscanned =
                mw_arena_printf(result->report->arena, "%s: %s", registry[i]->name, error.text);
        add_time(result->report, registry[i]->name, clock_us() - start);
        if (result->attachment)
            part->file_type = result->attachment->file_type;
    }
}

struct mw_finding *mw_scan_finding(struct mw_scan_result *result, const struct mw_scan_part *part,
                                   const char *scanner, const char *name, enum mw_severity severity)
{
    if (result->findings->count >= result->limits->findings_per_part) {
        mw_report_problem(result->report, result->limits, "limit.findings_per_part", part->path,
                          "more than %zu findings: %s by %s is left out",
                          result->limits->findings_per_part, name, scanner);
        /* A bound never hides how bad it is: the last one takes the worst severity. */
        struct mw_finding *last = &result->findings->items[result->findings->count - 1];
        if (severity > last->severity)
            last->severity = severity;
        return NULL;
    }
    struct mw_finding *finding =
        mw_list_add(result->report->arena, result->findings, sizeof *finding);
    finding->scanner = scanner;
    finding->name = name;
    finding->severity = severity;
    finding->path = part->path;
    return finding;
}

enum mw_severity mw_severity_from_name(const char *name, enum mw_severity fallback)
{
    for (unsigned s = MW_INFO; name && s <= MW_SEVERITY_MALICIOUS; s++)
        if (strcasecmp(name, mw_severity_name((enum mw_severity)s)) == 0)
            return (enum mw_severity)s;
    return fallback;
}
