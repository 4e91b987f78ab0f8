/*
 * scan_exec: external programs by configuration. They run elsewhere (struct
 * mw_exec_runner); here their answers become findings.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/utf8.h"
#include "scanners/scanners.h"

enum { FACT_LENGTH = 180, NAME_LENGTH = 100, FINDINGS = 32 };

struct exec_engine {
    struct mw_exec_programs programs;
    struct mw_exec_runner runner;
};

/* One program's look at one part. */
struct look {
    const struct mw_exec_program *program;
    const struct mw_scan_part *part;
    struct mw_scan_result *result;
    struct mw_exec_result answer;
};

static int check_program(const struct mw_exec_program *program, struct mw_arena *arena,
                         struct mw_error *error)
{
    const char *mistake = mw_exec_mistake(program, arena);
    if (mistake)
        return mw_fail(error, MW_ERR_INPUT, "exec.%s: %s", program->name, mistake);
    if (access(program->command, X_OK) != 0)
        return mw_fail_errno(error, "exec.%s: cannot run %s", program->name, program->command);
    return 0;
}

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    (void)warnings;
    for (size_t i = 0; i < settings->programs.count; i++)
        if (check_program(&settings->programs.items[i], arena, error) != 0)
            return error->code;
    if (settings->programs.count == 0)
        return 0;
    struct exec_engine *exec = mw_arena_alloc(arena, sizeof *exec);
    exec->programs = settings->programs;
    exec->runner = settings->runner;
    *engine = exec;
    return 0;
}

static void unload(void *engine)
{
    (void)engine; /* lies in the arena */
}

static bool wants(const struct mw_exec_program *program, const struct mw_scan_part *part)
{
    bool kind = part->kind == MW_SCAN_ATTACHMENT ? program->attachments
                : part->kind == MW_SCAN_TEXT     ? program->texts
                                                 : program->message;
    return kind && mw_condition_holds(&program->when, part);
}

static void not_scanned(struct look *look, const char *why)
{
    struct mw_scan_result *result = look->result;
    result->unscanned =
        mw_arena_printf(result->report->arena, "exec.%s: %s", look->program->name, why);
    /* What the message's own time ended did not fail. */
    bool late = look->part->deadline_us > 0 && mw_clock_us() >= look->part->deadline_us;
    mw_report_problem(result->report, result->limits,
                      late ? MW_PROBLEM_SCANNER_TIME : MW_PROBLEM_SCANNER_FAILED, look->part->path,
                      "%s", result->unscanned);
}

/* Milliseconds that are left of the message's time. */
static unsigned time_left(const struct mw_scan_part *part)
{
    int64_t left_us = part->deadline_us - mw_clock_us();
    if (part->deadline_us == 0 || left_us / 1000 > INT32_MAX)
        return INT32_MAX;
    return left_us < 1000 ? 1 : (unsigned)(left_us / 1000);
}

static const char *fact(struct mw_arena *arena, const char *text)
{
    const char *clean = text ? mw_utf8_clean_line(arena, mw_bytes_of(text), NULL) : "";
    return mw_arena_dup_bytes(arena, clean, mw_utf8_cut(mw_bytes_of(clean), FACT_LENGTH));
}

static int ask(struct look *look, const struct exec_engine *exec, size_t index,
               struct mw_error *error)
{
    const struct mw_scan_part *part = look->part;
    struct mw_arena *arena = look->result->report->arena;
    const struct mw_attachment *file = look->result->attachment;
    struct mw_exec_job job = {.program = index, .data = part->data, .time_ms = time_left(part)};
    job.facts[MW_EXEC_FILENAME] = fact(arena, file ? file->filename : NULL);
    job.facts[MW_EXEC_EXTENSION] = fact(arena, part->extension);
    job.facts[MW_EXEC_FILE_TYPE] = fact(arena, part->file_type);
    job.facts[MW_EXEC_CONTENT_TYPE] = fact(arena, part->content_type);
    job.facts[MW_EXEC_PATH] = fact(arena, part->path);
    if (!exec->runner.run)
        return mw_fail(error, MW_ERR_INTERNAL, "nobody is there to run programs");
    return exec->runner.run(exec->runner.user, &job, arena, &look->answer, error);
}

static struct mw_finding *add_finding(struct look *look, const char *name,
                                      enum mw_severity severity, const char *message)
{
    struct mw_finding *found = mw_scan_finding(look->result, look->part, "exec", name, severity);
    if (found)
        found->message = message;
    return found;
}

static void set_details(struct look *look, struct mw_finding *found, const json_t *details)
{
    char *text = json_dumps(details, JSON_COMPACT);
    if (found && text)
        found->details = mw_arena_dup(look->result->report->arena, text);
    free(text);
}

static enum mw_severity severity_of(enum mw_exec_meaning meaning)
{
    return meaning == MW_EXEC_MALICIOUS    ? MW_SEVERITY_MALICIOUS
           : meaning == MW_EXEC_SUSPICIOUS ? MW_SEVERITY_SUSPICIOUS
                                           : MW_INFO;
}

/* What a program of one's own says in "findings": [{name, severity, message}]. */
static void take_findings(struct look *look, const json_t *list)
{
    struct mw_arena *arena = look->result->report->arena;
    for (size_t i = 0; i < json_array_size(list) && i < FINDINGS; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *message = json_string_value(json_object_get(item, "message"));
        const char *severity = json_string_value(json_object_get(item, "severity"));
        if (!name || !*name)
            continue;
        name = mw_utf8_clean_line(arena, mw_bytes_of(name), NULL);
        name = mw_arena_dup_bytes(arena, name, mw_utf8_cut(mw_bytes_of(name), NAME_LENGTH));
        add_finding(look, mw_arena_printf(arena, "%s.%s", look->program->name, name),
                    mw_severity_from_name(severity, MW_INFO),
                    message ? mw_utf8_clean_line(arena, mw_bytes_of(message), NULL) : NULL);
    }
}

/* The object a program printed: itself, or the only one in a list. */
static json_t *object_in(json_t *value)
{
    if (json_is_array(value) && json_array_size(value) == 1)
        value = json_array_get(value, 0);
    return json_is_object(value) ? json_incref(value) : json_pack("{s:O}", "output", value);
}

static void take_json(struct look *look, const char *text, enum mw_exec_meaning meaning)
{
    json_error_t mistake;
    struct mw_arena *arena = look->result->report->arena;
    const struct mw_exec_program *program = look->program;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &mistake);
    if (!value) {
        not_scanned(look,
                    mw_arena_printf(arena, "what it printed is no JSON (line %d: %s)", mistake.line,
                                    mw_utf8_clean_line(arena, mw_bytes_of(mistake.text), NULL)));
        return;
    }
    json_t *object = object_in(value);
    struct mw_finding *found = add_finding(
        look, program->name, severity_of(meaning),
        mw_arena_printf(arena,
                        meaning > MW_EXEC_INFO ? "%s says so by its exit code" : "facts told by %s",
                        program->name));
    set_details(look, found, object);
    take_findings(look, json_object_get(object, "findings"));
    json_decref(object);
    json_decref(value);
}

static void take_text(struct look *look, const char *text, enum mw_exec_meaning meaning)
{
    struct mw_arena *arena = look->result->report->arena;
    const char *name = look->program->name;
    size_t line = strcspn(text, "\n");
    const char *message =
        line > 0
            ? mw_arena_printf(
                  arena, "%s says: %.*s", name,
                  (int)mw_utf8_cut((struct mw_bytes){(const void *)text, line}, FACT_LENGTH), text)
            : mw_arena_printf(arena, "%s says so by its exit code", name);
    struct mw_finding *found = add_finding(look, name, severity_of(meaning), message);
    json_t *details = json_pack("{s:s}", "output", text);
    if (line > 0 && details)
        set_details(look, found, details);
    json_decref(details);
}

static void take_answer(struct look *look)
{
    struct mw_arena *arena = look->result->report->arena;
    const struct mw_exec_program *program = look->program;
    const struct mw_exec_result *answer = &look->answer;
    enum mw_exec_meaning meaning = mw_exec_meaning_of(program, answer->code);
    const char *said = mw_utf8_clean_line(arena, mw_bytes_of(answer->said), NULL);
    if (meaning == MW_EXEC_FAILED) {
        not_scanned(look, mw_arena_printf(arena, "ended with exit code %d%s%s", answer->code,
                                          *said ? ": " : "", said));
        return;
    }
    const char *text = mw_utf8_clean(arena, answer->output, NULL);
    bool silent = program->output == MW_EXEC_NOTHING || strspn(text, " \t\r\n") == strlen(text);
    if (silent && meaning == MW_EXEC_CLEAN)
        return;
    if (program->output == MW_EXEC_JSON && !silent)
        take_json(look, text, meaning);
    else
        take_text(look, program->output == MW_EXEC_NOTHING ? "" : text, meaning);
}

static void tell_end(struct look *look)
{
    struct mw_arena *arena = look->result->report->arena;
    const struct mw_exec_result *answer = &look->answer;
    switch (answer->end) {
    case MW_EXEC_EXITED:
        take_answer(look);
        return;
    case MW_EXEC_SIGNALLED:
        not_scanned(look, mw_arena_printf(arena, "was ended by signal %d (%s)", answer->code,
                                          strsignal(answer->code)));
        return;
    case MW_EXEC_TIMEOUT:
        not_scanned(look, "took too long and was ended");
        return;
    case MW_EXEC_TOO_MUCH:
        not_scanned(look, mw_arena_printf(arena, "printed more than %zu bytes and was ended",
                                          look->program->output_max));
        return;
    case MW_EXEC_NOT_STARTED:
        not_scanned(look,
                    mw_arena_printf(arena, "cannot be run: %s",
                                    mw_utf8_clean_line(arena, mw_bytes_of(answer->said), NULL)));
        return;
    }
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    const struct exec_engine *exec = engine;
    result->skipped = true;
    for (size_t i = 0; i < exec->programs.count; i++) {
        struct look look = {.program = &exec->programs.items[i], .part = part, .result = result};
        if (!wants(look.program, part))
            continue;
        if (look.program->judges)
            result->skipped = false;
        if (ask(&look, exec, i, error) != 0)
            return error->code;
        tell_end(&look);
    }
    return 0;
}

const struct mw_scanner mw_scanner_exec = {
    .name = "exec",
    .kinds = MW_SCAN_ATTACHMENT | MW_SCAN_TEXT | MW_SCAN_MESSAGE,
    .judges = true,
    .fields = "what the program printed: its JSON object, or output",
    .load = load,
    .scan = scan,
    .unload = unload,
};
