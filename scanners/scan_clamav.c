/* scan_clamav: libclamav in this process, on the part where it lies in memory. */
#include <clamav.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "core/utf8.h"
#include "scanners/scanners.h"

struct clamav_engine {
    struct cl_engine *engine;
    struct cl_scan_options options;
    struct mw_clamav_settings settings;
};

static int fail_clamav(struct mw_error *error, const char *what, cl_error_t code)
{
    return mw_fail(error, MW_ERR_MISSING, "%s: %s", what, cl_strerror(code));
}

/* libclamav would write its warnings to standard error. */
static void swallow(enum cl_msg severity, const char *full, const char *text, void *context)
{
    (void)severity;
    (void)full;
    (void)text;
    (void)context;
}

static int set_limits(struct cl_engine *engine, const struct mw_clamav_settings *settings,
                      struct mw_error *error)
{
    const struct {
        enum cl_engine_field field;
        long long value;
    } numbers[] = {
        {CL_ENGINE_MAX_SCANSIZE, (long long)settings->max_scan_size},
        {CL_ENGINE_MAX_FILESIZE, (long long)settings->max_file_size},
        {CL_ENGINE_MAX_FILES, settings->max_files},
        {CL_ENGINE_MAX_RECURSION, settings->max_recursion},
        {CL_ENGINE_MAX_SCANTIME, settings->max_scan_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].value == 0)
            continue; /* libclamav's own default */
        cl_error_t code = cl_engine_set_num(engine, numbers[i].field, numbers[i].value);
        if (code != CL_SUCCESS)
            return fail_clamav(error, "ClamAV refuses a limit", code);
    }
    if (settings->scratch && cl_engine_set_str(engine, CL_ENGINE_TMPDIR, settings->scratch) != 0)
        return mw_fail(error, MW_ERR_INPUT, "ClamAV refuses the scratch folder %s",
                       settings->scratch);
    return 0;
}

static void set_options(struct clamav_engine *clamav)
{
    clamav->options.parse = ~0u;
    /* Limits that are reached must be seen: a file half scanned is not clean. */
    clamav->options.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
    if (!clamav->settings.heuristics)
        return;
    clamav->options.general = CL_SCAN_GENERAL_HEURISTICS;
    clamav->options.heuristic |= CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
                                 CL_SCAN_HEURISTIC_ENCRYPTED_DOC | CL_SCAN_HEURISTIC_BROKEN |
                                 CL_SCAN_HEURISTIC_MACROS;
}

/* When a database file was made: signed ones tell, others have their own date. */
static time_t made(const char *path)
{
    struct cl_cvd *head = cl_cvdhead(path);
    if (head) {
        time_t when = (time_t)head->stime;
        cl_cvdfree(head);
        return when;
    }
    struct stat facts;
    return stat(path, &facts) == 0 ? facts.st_mtime : 0;
}

static time_t newest(const char *database)
{
    struct stat facts;
    if (stat(database, &facts) != 0 || !S_ISDIR(facts.st_mode))
        return made(database);
    DIR *folder = opendir(database);
    time_t latest = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[4096];
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", database, entry->d_name) >= (int)sizeof path)
            continue;
        time_t when = made(path);
        if (when > latest)
            latest = when;
    }
    if (folder)
        closedir(folder);
    return latest;
}

static void check_age(const struct mw_clamav_settings *settings, struct mw_arena *arena,
                      struct mw_texts *warnings)
{
    time_t latest = newest(settings->database);
    long long days = (long long)(time(NULL) - latest) / 86400;
    if (settings->max_age_days > 0 && latest > 0 && days > (long long)settings->max_age_days)
        mw_texts_add(arena, warnings,
                     mw_arena_printf(arena,
                                     "the ClamAV database %s is %lld days old (at most %u are "
                                     "wanted): run freshclam",
                                     settings->database, days, settings->max_age_days));
}

static int load_database(struct clamav_engine *clamav, struct mw_error *error)
{
    const char *database = clamav->settings.database;
    struct stat facts;
    unsigned signatures = 0;
    if (stat(database, &facts) != 0)
        return mw_fail_errno(error, "cannot read the ClamAV database %s", database);
    unsigned flags = CL_DB_STDOPT | (clamav->settings.pua ? CL_DB_PUA : 0u);
    cl_error_t code = cl_load(database, clamav->engine, &signatures, flags);
    if (code != CL_SUCCESS)
        return mw_fail(error, MW_ERR_FORMAT, "cannot load the ClamAV database %s: %s", database,
                       cl_strerror(code));
    if (signatures == 0)
        return mw_fail(error, MW_ERR_MISSING,
                       "the ClamAV database %s has no signatures: run freshclam", database);
    code = cl_engine_compile(clamav->engine);
    return code == CL_SUCCESS ? 0 : fail_clamav(error, "cannot prepare ClamAV's engine", code);
}

static void unload(void *engine)
{
    struct clamav_engine *clamav = engine;
    if (clamav->engine)
        cl_engine_free(clamav->engine);
    free(clamav);
}

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    if (!settings->clamav.database)
        return 0;
    struct clamav_engine *clamav = calloc(1, sizeof *clamav);
    if (!clamav)
        return mw_fail_errno(error, "cannot prepare ClamAV");
    clamav->settings = settings->clamav;
    cl_set_clcb_msg(swallow);
    cl_error_t code = cl_init(CL_INIT_DEFAULT);
    clamav->engine = code == CL_SUCCESS ? cl_engine_new() : NULL;
    if (!clamav->engine)
        fail_clamav(error, "cannot start ClamAV", code == CL_SUCCESS ? CL_EMEM : code);
    else if (set_limits(clamav->engine, &settings->clamav, error) == 0)
        load_database(clamav, error);
    if (error->code != 0) {
        unload(clamav);
        return error->code;
    }
    set_options(clamav);
    check_age(&settings->clamav, arena, warnings);
    *engine = clamav;
    return 0;
}

static bool starts(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

static void report_name(const struct clamav_engine *clamav, const struct mw_scan_part *part,
                        struct mw_scan_result *result, const char *name)
{
    struct mw_arena *arena = result->report->arena;
    name = mw_utf8_clean_line(arena, mw_bytes_of(name), NULL);
    if (starts(name, "Heuristics.Limits.Exceeded")) {
        result->unscanned = mw_arena_printf(arena, "clamav: a limit was reached (%s)", name);
        return;
    }
    enum mw_severity severity = MW_SEVERITY_MALICIOUS;
    if (starts(name, "Heuristics."))
        severity = clamav->settings.heuristic_severity;
    else if (starts(name, "PUA."))
        severity = clamav->settings.pua_severity;
    struct mw_finding *found = mw_scan_finding(result, part, "clamav", name, severity);
    if (found)
        found->message = mw_arena_printf(arena, "ClamAV knows this as %s", name);
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    struct clamav_engine *clamav = engine;
    if (part->data.size == 0 || (part->kind == MW_SCAN_MESSAGE && !clamav->settings.scan_message))
        return 0;
    cl_fmap_t *map = cl_fmap_open_memory(part->data.data, part->data.size);
    if (!map)
        return mw_fail(error, MW_ERR_INTERNAL, "ClamAV cannot map the part");
    const char *name = NULL;
    unsigned long scanned = 0;
    struct cl_scan_options options = clamav->options;
    cl_error_t code =
        cl_scanmap_callback(map, part->filename, &name, &scanned, clamav->engine, &options, NULL);
    cl_fmap_close(map);
    if (code == CL_VIRUS) {
        report_name(clamav, part, result, name ? name : "(no name)");
        return 0;
    }
    if (code == CL_CLEAN)
        return 0;
    return mw_fail(error, code == CL_ETIMEOUT ? MW_ERR_TIMEOUT : MW_ERR_LIMIT, "%s",
                   cl_strerror(code));
}

const struct mw_scanner mw_scanner_clamav = {
    "clamav", MW_SCAN_ATTACHMENT | MW_SCAN_TEXT | MW_SCAN_MESSAGE, true, "none", load, scan, unload,
};
