/* scanners: the registry, and running what is in it. */
#include "scanners/scanners.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "config.h"
#include "core/clock.h"
#include "core/name.h"
#include "core/suggest.h"
#include "core/time.h"
#include "scanners/condition.h"
#include "scanners/known.h"

/* In the order they run: type first, as others use what it finds out. */
static const struct mw_scanner *const registry[] = {
    &mw_scanner_type,   &mw_scanner_fuzzy,
#ifdef WITH_YARA
    &mw_scanner_yara,   &mw_scanner_pe,
#endif
#ifdef WITH_CLAMAV
    &mw_scanner_clamav,
#endif
    &mw_scanner_exec,
};
enum { SCANNERS = sizeof registry / sizeof *registry };

/* A scanner at work. */
struct place {
    const struct mw_scanner *scanner;
    const struct mw_scan_condition *condition; /* NULL: always */
    void *engine;
};

struct mw_scanners {
    struct mw_arena *arena;
    struct mw_texts warnings;
    struct place places[SCANNERS]; /* those that are loaded, in order */
    size_t count;
};

static const struct mw_scanner *find(const char *name, const char *where, struct mw_error *error)
{
    const char *names[SCANNERS];
    for (size_t i = 0; i < SCANNERS; i++) {
        names[i] = registry[i]->name;
        if (strcmp(names[i], name) == 0)
            return registry[i];
    }
    const char *near = mw_suggest(name, names, SCANNERS);
    mw_fail(error, MW_ERR_INPUT, "%s: '%s' is no scanner%s%s%s", where, name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* Those to run, in order; how many, or 0 with error. */
static size_t choose(const struct mw_scan_settings *settings, const struct mw_scanner **chosen,
                     struct mw_error *error)
{
    if (settings->order.count == 0) {
        memcpy(chosen, registry, sizeof registry);
        return SCANNERS;
    }
    size_t count = 0;
    for (size_t i = 0; i < settings->order.count; i++) {
        const struct mw_scanner *scanner = find(settings->order.items[i], "scan.order", error);
        if (!scanner)
            return 0;
        for (size_t j = 0; j < count; j++)
            if (chosen[j] == scanner) {
                mw_fail(error, MW_ERR_INPUT, "scan.order: '%s' stands there twice", scanner->name);
                return 0;
            }
        chosen[count++] = scanner;
    }
    return count;
}

static const struct mw_scan_condition *condition_of(const struct mw_scan_settings *settings,
                                                    const char *name)
{
    for (size_t i = 0; i < settings->conditions.count; i++)
        if (strcmp(settings->conditions.items[i].name, name) == 0)
            return &settings->conditions.items[i];
    return NULL;
}

static int check_conditions(const struct mw_scan_settings *settings, struct mw_error *error)
{
    for (size_t i = 0; i < settings->conditions.count; i++)
        if (!find(settings->conditions.items[i].name, "condition", error))
            return error->code;
    return 0;
}

/* Settings for engines this program was built without are mistakes worth telling. */
static int check_built_in(const struct mw_scan_settings *settings, struct mw_error *error)
{
    (void)settings;
    (void)error;
#ifndef WITH_YARA
    if (settings->yara.rules.count + settings->yara.body_rules.count +
            settings->yara.message_rules.count >
        0)
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

/* Loads the chosen ones; error tells which could not be. */
static int load_all(struct mw_scanners *scanners, const struct mw_scan_settings *settings,
                    struct mw_error *error)
{
    const struct mw_scanner *chosen[SCANNERS];
    size_t count = choose(settings, chosen, error);
    for (size_t i = 0; i < count; i++) {
        void *engine = NULL;
        if (chosen[i]->load(settings, scanners->arena, &scanners->warnings, &engine, error) != 0)
            return error->code;
        if (engine)
            scanners->places[scanners->count++] =
                (struct place){chosen[i], condition_of(settings, chosen[i]->name), engine};
    }
    return error->code;
}

struct mw_scanners *mw_scanners_load(const struct mw_scan_settings *settings,
                                     struct mw_error *error)
{
    if (check_built_in(settings, error) != 0 || check_conditions(settings, error) != 0)
        return NULL;
    struct mw_scanners *scanners = calloc(1, sizeof *scanners);
    if (!scanners) {
        mw_fail_errno(error, "cannot load scanners");
        return NULL;
    }
    scanners->arena = mw_arena_new();
    if (load_all(scanners, settings, error) == 0)
        return scanners;
    mw_scanners_free(scanners);
    return NULL;
}

void mw_scanners_free(struct mw_scanners *scanners)
{
    if (!scanners)
        return;
    for (size_t i = 0; i < scanners->count; i++)
        scanners->places[i].scanner->unload(scanners->places[i].engine);
    mw_arena_free(scanners->arena);
    free(scanners);
}

int mw_scanners_start(struct mw_scanners *scanners, const char *folder, struct mw_error *error)
{
    for (size_t i = 0; i < scanners->count; i++) {
        const struct mw_scanner *scanner = scanners->places[i].scanner;
        if (scanner->start && scanner->start(scanners->places[i].engine, folder, error) != 0)
            return error->code;
    }
    return 0;
}

static const char *date_text(struct mw_arena *arena, int64_t when)
{
    char text[MW_TIME_SIZE];
    mw_time_seconds_text(when, text);
    return when > 0 && *text ? mw_arena_dup(arena, text) : NULL;
}

void mw_scanners_engines(const struct mw_scanners *scanners, struct mw_arena *arena,
                         struct mw_engines *engines)
{
    for (size_t i = 0; i < scanners->count; i++) {
        const struct place *place = &scanners->places[i];
        struct mw_scan_engine facts = {0};
        if (!place->scanner->describe)
            continue;
        place->scanner->describe(place->engine, &facts);
        struct mw_engine *engine = mw_list_add(arena, engines, sizeof *engines->items);
        engine->name = place->scanner->name;
        engine->version = facts.version;
        if (facts.database > 0)
            engine->database = mw_arena_printf(arena, "%lld", (long long)facts.database);
        engine->date = date_text(arena, facts.made);
        engine->signatures = facts.signatures;
    }
}

const struct mw_texts *mw_scanners_warnings(const struct mw_scanners *scanners)
{
    return &scanners->warnings;
}

bool mw_scanners_any(const struct mw_scanners *scanners)
{
    for (size_t i = 0; i < scanners->count; i++)
        if (scanners->places[i].scanner->judges)
            return true;
    return false;
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

static void run_one(const struct place *place, struct mw_scan_part *part,
                    struct mw_scan_result *result)
{
    struct mw_error error = {0};
    result->skipped = false;
    if (place->scanner->scan(place->engine, part, result, &error) != 0) {
        result->unscanned =
            mw_arena_printf(result->report->arena, "%s: %s", place->scanner->name, error.text);
        mw_report_problem(result->report, result->limits,
                          error.code == MW_ERR_TIMEOUT ? MW_PROBLEM_SCANNER_TIME
                                                       : MW_PROBLEM_SCANNER_FAILED,
                          part->path, "%s", result->unscanned);
    }
    if (place->scanner->judges && !result->skipped)
        result->judged = true;
    if (result->attachment)
        part->file_type = result->attachment->file_type;
}

static bool wants(const struct place *place, const struct mw_scan_part *part)
{
    return (place->scanner->kinds & part->kind) &&
           (!place->condition || mw_condition_holds(place->condition, part));
}

/* Findings from number on that are there already go. */
static void drop_repeated(struct mw_findings *findings, size_t number)
{
    size_t kept = number;
    for (size_t i = number; i < findings->count; i++) {
        bool known = false;
        for (size_t j = 0; j < kept && !known; j++)
            known = strcmp(findings->items[j].scanner, findings->items[i].scanner) == 0 &&
                    strcmp(findings->items[j].name, findings->items[i].name) == 0;
        if (!known)
            findings->items[kept++] = findings->items[i];
    }
    findings->count = kept;
}

/* The scanners that go by names once more for each other name that a client may show. */
static void run_for_names(struct mw_scanners *scanners, struct mw_scan_part *part,
                          struct mw_scan_result *result)
{
    struct mw_scan_part other = *part;
    char room[MW_NAME_SIZE];
    size_t before = result->findings->count;
    /* What is known of the bytes was found under another name. */
    other.known = NULL;
    for (size_t i = 0; i < part->names->count; i++) {
        other.filename = part->names->items[i];
        other.extension =
            mw_arena_dup(result->report->arena, mw_name_extension(other.filename, room));
        if (part->filename && strcmp(other.filename, part->filename) == 0)
            continue;
        for (size_t j = 0; j < scanners->count; j++) {
            const struct place *place = &scanners->places[j];
            if (place->scanner->by_name && place->scanner->by_name(place->engine) &&
                wants(place, &other))
                run_one(place, &other, result);
        }
        drop_repeated(result->findings, before);
    }
}

void mw_scanners_run(struct mw_scanners *scanners, struct mw_scan_part *part,
                     struct mw_scan_result *result)
{
    for (size_t i = 0; i < scanners->count; i++) {
        const struct place *place = &scanners->places[i];
        if (!wants(place, part) || mw_known_take(place->scanner, place->engine, part, result))
            continue;
        int64_t start = mw_clock_us();
        if (part->deadline_us > 0 && start > part->deadline_us) {
            result->unscanned = "the message's time was up";
            mw_report_problem(result->report, result->limits, MW_PROBLEM_SCANNER_TIME, part->path,
                              "%s", result->unscanned);
            return;
        }
        run_one(place, part, result);
        add_time(result->report, place->scanner->name, mw_clock_us() - start);
    }
    if (part->names && part->names->count > 1)
        run_for_names(scanners, part, result);
}

static void add_context(const struct mw_scanner *scanner, const char *context,
                        struct mw_arena *arena, struct mw_engines *engines)
{
    struct mw_engine *engine = mw_list_add(arena, engines, sizeof *engines->items);
    engine->name = scanner->name;
    engine->version = context;
}

void mw_scanners_contexts(const struct mw_scanners *scanners, const struct mw_scan_part *part,
                          struct mw_arena *arena, struct mw_engines *engines)
{
    for (size_t i = 0; i < scanners->count; i++) {
        const struct place *place = &scanners->places[i];
        const char *context = NULL;
        if (wants(place, part))
            context = mw_known_context(place->scanner, place->engine, part, arena);
        if (context)
            add_context(place->scanner, context, arena, engines);
    }
}

void mw_scanners_run_by_bytes(struct mw_scanners *scanners, struct mw_scan_part *part,
                              struct mw_scan_result *result, struct mw_engines *engines)
{
    for (size_t i = 0; i < scanners->count; i++) {
        const struct place *place = &scanners->places[i];
        const struct mw_scanner *scanner = place->scanner;
        struct mw_arena *arena = result->report->arena;
        /* The type is no finding, but others depend on it. */
        if (!wants(place, part) || (!scanner->by_bytes && scanner != &mw_scanner_type))
            continue;
        const char *context = mw_known_context(scanner, place->engine, part, arena);
        run_one(place, part, result);
        if (context && !result->skipped)
            add_context(scanner, context, arena, engines);
    }
}

struct mw_finding *mw_scan_finding(struct mw_scan_result *result, const struct mw_scan_part *part,
                                   const char *scanner, const char *name, enum mw_severity severity)
{
    if (result->findings->count >= result->limits->findings_per_part) {
        mw_report_problem(result->report, result->limits, MW_PROBLEM_LIMIT_FINDINGS_PER_PART,
                          part->path, "more than %zu findings: %s by %s is left out",
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
