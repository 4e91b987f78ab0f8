/* scan_clamav: libclamav in this process, on the part where it lies in memory. */
#include <clamav.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/utf8.h"
#include "scanners/scanners.h"

struct clamav_engine {
    struct cl_engine *engine;
    struct cl_scan_options options;
    struct mw_clamav_settings settings;
    unsigned signatures;
    time_t made;             /* the newest part of the database */
    long long max_scan_size; /* of a part, before the message's own bound */
};

/* What libclamav calls a bound, and the option that sets it. */
static const struct {
    const char *exceeded;         /* behind Heuristics.Limits.Exceeded. */
    cl_error_t code;              /* or returned */
    enum mw_problem_kind problem; /* named as the option is */
} bounds[] = {
    {"MaxScanSize", CL_EMAXSIZE, MW_PROBLEM_CLAMAV_MAX_SCAN_SIZE},
    {"MaxFileSize", CL_EMAXSIZE, MW_PROBLEM_CLAMAV_MAX_FILE_SIZE},
    {"MaxFiles", CL_EMAXFILES, MW_PROBLEM_CLAMAV_MAX_FILES},
    {"MaxRecursion", CL_EMAXREC, MW_PROBLEM_CLAMAV_MAX_RECURSION},
    {"MaxScanTime", CL_ETIMEOUT, MW_PROBLEM_CLAMAV_MAX_SCAN_TIME},
};
static const char exceeded[] = "Heuristics.Limits.Exceeded";

static int fail_clamav(struct mw_error *error, const char *what, cl_error_t code)
{
    return mw_fail(error, MW_ERR_MISSING, "%s: %s", what, cl_strerror(code));
}

/* What was seen of one part while it was scanned. */
struct clamav_seen {
    bool inside; /* something out of it was handed over to be scanned */
};

/* Called for the part and for each thing that libclamav takes out of it. A text in another form is
 * no such thing. */
static cl_error_t note_inside(int fd, const char *type, const char **ancestors, size_t parent_size,
                              const char *name, size_t size, const char *bytes, uint32_t level,
                              uint32_t attributes, void *context)
{
    (void)fd;
    (void)type;
    (void)ancestors;
    (void)parent_size;
    (void)name;
    (void)bytes;
    struct clamav_seen *seen = context;
    if (seen && level > 0 && size > 0 && !(attributes & LAYER_ATTRIBUTES_NORMALIZED))
        seen->inside = true;
    return CL_CLEAN;
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
        size_t value;
    } numbers[] = {
        {CL_ENGINE_MAX_SCANSIZE, settings->max_scan_size},
        {CL_ENGINE_MAX_FILESIZE, settings->max_file_size},
        {CL_ENGINE_MAX_FILES, settings->max_files},
        {CL_ENGINE_MAX_RECURSION, settings->max_recursion},
        {CL_ENGINE_MAX_SCANTIME, settings->max_scan_ms},
        {CL_ENGINE_MAX_EMBEDDEDPE, settings->max_embedded_pe},
        {CL_ENGINE_MAX_HTMLNORMALIZE, settings->max_html_normalize},
        {CL_ENGINE_MAX_HTMLNOTAGS, settings->max_html_no_tags},
        {CL_ENGINE_MAX_SCRIPTNORMALIZE, settings->max_script_normalize},
        {CL_ENGINE_MAX_ZIPTYPERCG, settings->max_zip_type_recognition},
        {CL_ENGINE_MAX_PARTITIONS, settings->max_partitions},
        {CL_ENGINE_MAX_ICONSPE, settings->max_icons},
        {CL_ENGINE_MAX_RECHWP3, settings->max_rec_hwp3},
        {CL_ENGINE_PCRE_MATCH_LIMIT, settings->pcre_match_limit},
        {CL_ENGINE_PCRE_RECMATCH_LIMIT, settings->pcre_recursion_limit},
        {CL_ENGINE_PCRE_MAX_FILESIZE, settings->pcre_max_file_size},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].value == 0)
            continue; /* libclamav's own default */
        cl_error_t code = cl_engine_set_num(engine, numbers[i].field, (long long)numbers[i].value);
        if (code != CL_SUCCESS)
            return fail_clamav(error, "ClamAV refuses a limit", code);
    }
    /* It remembers clean files by their MD5, of which two files can be given the same: the
     * first, clean, would let the second pass. What came before is ours to remember. */
    cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1);
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
    /* What is encrypted was not opened, whether or not that is to be a finding. */
    clamav->options.heuristic |=
        CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
    const struct mw_clamav_settings *settings = &clamav->settings;
    if (!settings->heuristics)
        return;
    clamav->options.general = CL_SCAN_GENERAL_HEURISTICS;
    const struct {
        bool wanted;
        uint32_t flags;
    } kinds[] = {
        {settings->broken, CL_SCAN_HEURISTIC_BROKEN},
        {settings->broken_media, CL_SCAN_HEURISTIC_BROKEN_MEDIA},
        {settings->macros, CL_SCAN_HEURISTIC_MACROS},
        {settings->phishing,
         CL_SCAN_HEURISTIC_PHISHING_SSL_MISMATCH | CL_SCAN_HEURISTIC_PHISHING_CLOAK},
        {settings->partitions, CL_SCAN_HEURISTIC_PARTITION_INTXN},
        {settings->structured, CL_SCAN_HEURISTIC_STRUCTURED | CL_SCAN_HEURISTIC_STRUCTURED_CC |
                                   CL_SCAN_HEURISTIC_STRUCTURED_SSN_NORMAL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].wanted)
            clamav->options.heuristic |= kinds[i].flags;
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

static void check_age(const struct clamav_engine *clamav, struct mw_arena *arena,
                      struct mw_texts *warnings)
{
    const struct mw_clamav_settings *settings = &clamav->settings;
    long long days = (long long)(time(NULL) - clamav->made) / 86400;
    if (settings->max_age_days > 0 && clamav->made > 0 && days > (long long)settings->max_age_days)
        mw_texts_add(arena, warnings,
                     mw_arena_printf(arena,
                                     "the ClamAV database %s is %lld days old (at most %u are "
                                     "wanted): run freshclam",
                                     settings->database, days, settings->max_age_days));
}

/* libclamav waits for a FIFO, in a folder as well. */
static int check_files(const char *database, struct mw_error *error)
{
    struct mw_error why = {0};
    struct stat facts;
    if (stat(database, &facts) != 0)
        return mw_fail_errno(error, "cannot read the ClamAV database %s", database);
    DIR *folder = S_ISDIR(facts.st_mode) ? opendir(database) : NULL;
    if (!folder)
        return mw_file_check(database, &why) == 0
                   ? 0
                   : mw_fail(error, why.code, "the ClamAV database %s", why.text);
    for (struct dirent *entry; why.code == 0 && (entry = readdir(folder));) {
        char path[PATH_MAX];
        bool there = snprintf(path, sizeof path, "%s/%s", database, entry->d_name) < PATH_MAX &&
                     stat(path, &facts) == 0;
        if (there && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode))
            mw_file_check(path, &why);
    }
    closedir(folder);
    return why.code == 0 ? 0 : mw_fail(error, why.code, "in the ClamAV database: %s", why.text);
}

static int load_database(struct clamav_engine *clamav, struct mw_error *error)
{
    const char *database = clamav->settings.database;
    if (check_files(database, error) != 0)
        return error->code;
    unsigned flags = CL_DB_STDOPT | (clamav->settings.pua ? CL_DB_PUA : 0u) |
                     (clamav->settings.official_only ? CL_DB_OFFICIAL_ONLY : 0u);
    cl_error_t code = cl_load(database, clamav->engine, &clamav->signatures, flags);
    if (code != CL_SUCCESS)
        return mw_fail(error, MW_ERR_FORMAT, "cannot load the ClamAV database %s: %s", database,
                       cl_strerror(code));
    if (clamav->signatures == 0)
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
    cl_engine_set_clcb_file_inspection(clamav->engine, note_inside);
    clamav->max_scan_size = cl_engine_get_num(clamav->engine, CL_ENGINE_MAX_SCANSIZE, NULL);
    clamav->made = newest(settings->clamav.database);
    check_age(clamav, arena, warnings);
    *engine = clamav;
    return 0;
}

static bool starts(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

/* A bound that was reached, by its option's name; the part is not called clean. */
static void report_bound(const struct mw_scan_part *part, struct mw_scan_result *result,
                         const char *name, cl_error_t code)
{
    enum mw_problem_kind problem = MW_PROBLEM_CLAMAV_LIMIT;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (name ? strcmp(name + sizeof exceeded, bounds[i].exceeded) == 0
                 : code == bounds[i].code) {
            problem = bounds[i].problem;
            break;
        }
    mw_report_problem(result->report, result->limits, problem, part->path,
                      "ClamAV stopped at this bound (%s)", name ? name : cl_strerror(code));
    result->unscanned = mw_arena_printf(result->report->arena, "clamav: %s was reached",
                                        mw_problem_row(problem)->name);
}

static void report_name(const struct clamav_engine *clamav, const struct mw_scan_part *part,
                        struct mw_scan_result *result, const char *name)
{
    struct mw_arena *arena = result->report->arena;
    name = mw_utf8_clean_line(arena, mw_bytes_of(name), NULL);
    if (starts(name, exceeded) && name[sizeof exceeded - 1] == '.') {
        report_bound(part, result, name, CL_VIRUS);
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

static bool wants(const struct mw_clamav_settings *settings, enum mw_scan_kind kind)
{
    return kind == MW_SCAN_MESSAGE ? settings->scan_message
           : kind == MW_SCAN_TEXT  ? settings->scan_texts
                                   : true;
}

/* libclamav takes a part for clean when it cannot make its folder for temporary files:
 * whether it can has to be tried. */
static int try_scratch(const struct clamav_engine *clamav, struct mw_error *error)
{
    char path[PATH_MAX];
    const char *folder = cl_engine_get_str(clamav->engine, CL_ENGINE_TMPDIR, NULL);
    if (!folder)
        folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(path, sizeof path, "%s/mailwitness-try.%ld", folder, (long)getpid());
    if (mkdir(path, 0700) != 0)
        return mw_fail_errno(error, "ClamAV cannot write to its folder %s", folder);
    rmdir(path);
    return 0;
}

/* The engine's bounds for one part: those of its settings, or what is left to the message. */
static void set_bounds(const struct clamav_engine *clamav, const struct mw_scan_part *part)
{
    const struct mw_clamav_settings *settings = &clamav->settings;
    long long time_ms = settings->max_scan_ms, size = clamav->max_scan_size;
    if (part->deadline_us > 0) {
        int64_t left_ms = (part->deadline_us - mw_clock_us()) / 1000;
        if (time_ms == 0 || left_ms < time_ms)
            time_ms = left_ms < 1 ? 1 : left_ms;
    }
    if (part->unpack_left && part->data.size + *part->unpack_left < (size_t)size)
        size = (long long)(part->data.size + *part->unpack_left);
    cl_engine_set_num(clamav->engine, CL_ENGINE_MAX_SCANTIME, time_ms);
    cl_engine_set_num(clamav->engine, CL_ENGINE_MAX_SCANSIZE, size);
}

/* Takes what was unpacked from what is left; scanned has the part itself in it. */
static void take_unpacked(const struct mw_scan_part *part, unsigned long scanned)
{
    size_t size = (size_t)scanned * CL_COUNT_PRECISION;
    if (!part->unpack_left || size <= part->data.size)
        return;
    size -= part->data.size;
    *part->unpack_left -= size < *part->unpack_left ? size : *part->unpack_left;
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    struct clamav_engine *clamav = engine;
    result->skipped = !wants(&clamav->settings, part->kind);
    if (part->data.size == 0 || result->skipped)
        return 0;
    long long most = cl_engine_get_num(clamav->engine, CL_ENGINE_MAX_FILESIZE, NULL);
    if (most > 0 && part->data.size > (size_t)most) {
        report_bound(part, result, "Heuristics.Limits.Exceeded.MaxFileSize", CL_VIRUS);
        return 0;
    }
    if (try_scratch(clamav, error) != 0)
        return error->code;
    cl_fmap_t *map = cl_fmap_open_memory(part->data.data, part->data.size);
    if (!map)
        return mw_fail(error, MW_ERR_INTERNAL, "ClamAV cannot map the part");
    const char *name = NULL;
    unsigned long scanned = 0;
    set_bounds(clamav, part);
    struct clamav_seen seen = {0};
    struct cl_scan_options options = clamav->options;
    /* Without the part's name, so that what is found depends on its bytes alone. */
    cl_error_t code =
        cl_scanmap_callback(map, NULL, &name, &scanned, clamav->engine, &options, &seen);
    cl_fmap_close(map);
    take_unpacked(part, scanned);
    bool encrypted = name && starts(name, "Heuristics.Encrypted");
    if (seen.inside && result->attachment && !encrypted &&
        (code == CL_CLEAN || (code == CL_VIRUS && name && !starts(name, exceeded))))
        result->attachment->opened_by = "clamav";
    if (encrypted && !(clamav->settings.heuristics && clamav->settings.encrypted))
        return 0;
    if (code == CL_VIRUS) {
        /* Without a name it was a bound inside the part, not a signature. */
        if (name)
            report_name(clamav, part, result, name);
        else
            report_bound(part, result, NULL, code);
        return 0;
    }
    if (code == CL_CLEAN)
        return 0;
    if (code == CL_ETIMEOUT || code == CL_EMAXSIZE || code == CL_EMAXFILES || code == CL_EMAXREC) {
        report_bound(part, result, NULL, code);
        return 0;
    }
    return mw_fail(error, MW_ERR_INTERNAL, "%s", cl_strerror(code));
}

static int start(void *engine, const char *folder, struct mw_error *error)
{
    struct clamav_engine *clamav = engine;
    if (folder && cl_engine_set_str(clamav->engine, CL_ENGINE_TMPDIR, folder) != CL_SUCCESS)
        return mw_fail(error, MW_ERR_INTERNAL, "ClamAV refuses the folder %s", folder);
    return 0;
}

static void describe(const void *engine, struct mw_scan_engine *facts)
{
    const struct clamav_engine *clamav = engine;
    facts->version = cl_retver();
    facts->database = cl_engine_get_num(clamav->engine, CL_ENGINE_DB_VERSION, NULL);
    facts->made = (int64_t)clamav->made;
    facts->signatures = clamav->signatures;
}

static void recall(const struct mw_attachment *facts, struct mw_scan_result *result)
{
    result->attachment->opened_by = facts->opened_by;
}

const struct mw_scanner mw_scanner_clamav = {
    .name = "clamav",
    .kinds = MW_SCAN_ATTACHMENT | MW_SCAN_TEXT | MW_SCAN_MESSAGE,
    .judges = true,
    .by_bytes = true,
    .fields = "none",
    .load = load,
    .scan = scan,
    .unload = unload,
    .start = start,
    .describe = describe,
    .recall = recall,
};
