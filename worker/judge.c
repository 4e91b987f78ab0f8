/* judge: what is scanned, with which facts, and what it means. */
#include "worker/judge.h"

#include <fnmatch.h>
#include <string.h>

#include "core/ascii.h"
#include "core/name.h"
#include "parsers/containers.h"

struct judgement {
    struct mw_scanners *scanners;
    const struct mw_limits *limits;
    struct mw_report *report;
    struct mw_scan_part facts; /* what all parts of the message share */
    const struct mw_texts *may_stay_closed;
    const char *without; /* why finding nothing means nothing, or NULL */
    size_t parsed;       /* problems that were there before anything was scanned */
};

/* The domain of an address in lower case; NULL when there is none. */
static const char *domain_of(struct mw_arena *arena, const char *address)
{
    const char *at = address ? strrchr(address, '@') : NULL;
    return at && at[1] ? mw_ascii_lower_text(mw_arena_dup(arena, at + 1)) : NULL;
}

static void not_scanned(struct judgement *judgement, const char *place, const char *why)
{
    struct mw_report *report = judgement->report;
    const char *reason = place ? mw_arena_printf(report->arena, "part %s: %s", place, why) : why;
    mw_texts_add(report->arena, &report->unscanned, reason);
}

static bool hides(const struct mw_problem *problem)
{
    return mw_problem_row_of(problem->name)->effect == MW_HIDES;
}

/* The first of the problems from there on that hides something, or NULL. */
static const char *hidden_since(const struct mw_problems *problems, size_t since)
{
    for (size_t i = since; i < problems->count; i++)
        if (hides(&problems->items[i]))
            return problems->items[i].name;
    return NULL;
}

/* What parsing could not show of the part at this place, or NULL. */
static const char *hidden_at(const struct judgement *judgement, const char *place)
{
    const struct mw_problem *problems = judgement->report->errors.items;
    for (size_t i = 0; i < judgement->parsed; i++)
        if (problems[i].place && strcmp(problems[i].place, place) == 0 && hides(&problems[i]))
            return problems[i].name;
    return NULL;
}

/* What went wrong meanwhile is told as well when it hides something. */
static void run(struct judgement *judgement, struct mw_scan_part *part,
                struct mw_scan_result *result)
{
    size_t before = result->report->errors.count;
    mw_scanners_run(judgement->scanners, part, result);
    if (!result->unscanned)
        result->unscanned = hidden_since(&result->report->errors, before);
}

static struct mw_scan_part part_of(const struct judgement *judgement,
                                   const struct mw_attachment *file)
{
    struct mw_scan_part part = judgement->facts;
    char room[MW_NAME_SIZE];
    part.kind = MW_SCAN_ATTACHMENT;
    part.data = file->data;
    part.path = file->path;
    part.filename = file->filename_raw ? file->filename_raw : file->filename;
    part.extension = mw_arena_dup(judgement->report->arena, mw_name_extension(part.filename, room));
    part.names = file->names.count > 0 ? &file->names : NULL;
    part.content_type = file->content_type;
    return part;
}

/* What is known of a file that was scanned already in this message. */
static const struct mw_known *known_from(const struct judgement *judgement,
                                         const struct mw_attachment *first)
{
    struct mw_arena *arena = judgement->report->arena;
    struct mw_known *known = mw_arena_alloc(arena, sizeof *known);
    struct mw_engines *engines = mw_arena_alloc(arena, sizeof *engines);
    struct mw_scan_part part = part_of(judgement, first);
    part.file_type = first->file_type;
    mw_scanners_contexts(judgement->scanners, &part, arena, engines);
    known->facts = first;
    known->engines = engines;
    return known;
}

bool mw_judge_trusts(const struct mw_texts *may_stay_closed, const char *kind, const char *type)
{
    for (size_t i = 0; may_stay_closed && i < may_stay_closed->count; i++) {
        const char *pattern = may_stay_closed->items[i];
        if ((kind && fnmatch(pattern, kind, FNM_CASEFOLD) == 0) ||
            (type && fnmatch(pattern, type, FNM_CASEFOLD) == 0))
            return true;
    }
    return false;
}

/* Whether the file is known to be encrypted, in whole or in part. */
static bool is_encrypted(const struct mw_attachment *file)
{
    static const char end[] = ".encrypted";
    for (size_t i = 0; i < file->findings.count; i++) {
        const char *name = file->findings.items[i].name;
        size_t size = name ? strlen(name) : 0;
        if (size >= sizeof end && strcmp(name + size - (sizeof end - 1), end) == 0)
            return true;
    }
    return false;
}

/* What parsers and engines together have opened of it. An engine is believed where parsers had
 * nothing of what is inside, as only then it is certain that what it handed out is what they
 * lacked. */
static void settle_opened(struct mw_attachment *file)
{
    const char *kind = mw_containers_by_type(file->file_type);
    if (file->opened == MW_OPENED_NOTHING && file->opened_by)
        file->opened = MW_OPENED_YES;
    if (file->opened == MW_OPENED_NOTHING && kind) {
        file->opened = MW_OPENED_NO;
        file->container = kind;
        file->not_opened = "no parser can read it";
    }
    if (file->opened == MW_OPENED_NO && file->closed <= 1 && file->opened_by &&
        !is_encrypted(file)) {
        file->opened = MW_OPENED_YES;
        file->not_opened = NULL;
    }
}

/* Why the file is not scanned as nobody opened it; NULL when that is not so, or trusted. */
static const char *not_opened(struct judgement *judgement, struct mw_attachment *file)
{
    settle_opened(file);
    if (file->opened != MW_OPENED_NO && file->opened != MW_OPENED_PARTLY)
        return NULL;
    if (mw_judge_trusts(judgement->may_stay_closed, file->container, file->file_type))
        return NULL;
    mw_report_problem(judgement->report, judgement->limits, MW_PROBLEM_CONTAINER_NOT_OPENED,
                      file->path, "%s", file->not_opened);
    return mw_arena_printf(judgement->report->arena, "not opened: %s", file->not_opened);
}

/* first: an attachment with the same bytes that was judged already, or NULL. */
static void judge_attachment(struct judgement *judgement, struct mw_attachment *file,
                             const struct mw_known *known, const struct mw_attachment *first)
{
    struct mw_scan_part part = part_of(judgement, file);
    struct mw_scan_result result = {.report = judgement->report,
                                    .limits = judgement->limits,
                                    .attachment = file,
                                    .findings = &file->findings};
    part.known = first ? known_from(judgement, first) : known;
    run(judgement, &part, &result);
    /* What kept its like from being scanned kept this one as well. */
    if (first && !result.unscanned && first->unscanned != judgement->without)
        result.unscanned = first->unscanned;
    const char *closed = not_opened(judgement, file);
    if (closed && !result.unscanned)
        result.unscanned = closed;
    else if (closed)
        not_scanned(judgement, file->path, closed);
    file->verdict = mw_verdict_of_findings(&file->findings);
    /* What no scanner that knows malware has looked at is not clean. */
    if (!result.unscanned && !result.judged && !judgement->without)
        result.unscanned = "no scanner looks at such parts";
    file->unscanned = result.unscanned ? result.unscanned : judgement->without;
    if (!file->unscanned)
        file->unscanned = hidden_at(judgement, file->path);
    if (result.unscanned)
        not_scanned(judgement, file->path, result.unscanned);
    if (file->unscanned && file->verdict == MW_CLEAN)
        file->verdict = MW_UNSCANNED;
}

static void judge_bytes(struct judgement *judgement, enum mw_scan_kind kind, const char *path,
                        const char *type, struct mw_bytes data)
{
    struct mw_scan_part part = judgement->facts;
    struct mw_scan_result result = {.report = judgement->report,
                                    .limits = judgement->limits,
                                    .findings = &judgement->report->findings};
    part.kind = kind;
    part.data = data;
    part.path = path;
    part.content_type = type;
    run(judgement, &part, &result);
    if (result.unscanned)
        not_scanned(judgement, path, result.unscanned);
}

static void judge_texts(struct judgement *judgement)
{
    const struct mw_report *report = judgement->report;
    for (size_t i = 0; i < report->text_parts.count; i++) {
        const struct mw_text_part *text = &report->text_parts.items[i];
        judge_bytes(judgement, MW_SCAN_TEXT, text->path, text->content_type, text->whole);
    }
}

static enum mw_verdict sum_up(const struct mw_report *report)
{
    enum mw_verdict verdict = mw_verdict_of_findings(&report->findings);
    for (size_t i = 0; i < report->attachments.count; i++)
        verdict = mw_verdict_worse(verdict, report->attachments.items[i].verdict);
    for (size_t i = 0; i < report->errors.count; i++) {
        const struct mw_problem_row *row = mw_problem_row_of(report->errors.items[i].name);
        verdict = mw_verdict_worse(verdict, mw_verdict_of_severity(row->severity));
    }
    return mw_verdict_worse(verdict, report->unscanned.count > 0 ? MW_UNSCANNED : MW_CLEAN);
}

/* What parsing could not show was not scanned: each kind of problem is told once. */
static void note_problems(struct judgement *judgement)
{
    const struct mw_problems *problems = &judgement->report->errors;
    bool told[MW_PROBLEM_COUNT + 1] = {false};
    judgement->parsed = problems->count;
    for (size_t i = 0; i < problems->count; i++) {
        enum mw_problem_kind kind = mw_problem_find(problems->items[i].name);
        if (mw_problem_row(kind)->effect != MW_HIDES || told[kind])
            continue;
        told[kind] = true;
        not_scanned(judgement, problems->items[i].place, problems->items[i].name);
    }
}

/* A judgement that writes to report, with the facts of the message asked about. */
static struct judgement start(const struct mw_judge *judge, const struct mw_report *asked,
                              struct mw_report *report)
{
    struct judgement judgement = {
        .scanners = judge->scanners, .limits = judge->limits, .report = report};
    judgement.facts.sender = asked->from.count > 0 ? asked->from.items[0].address : NULL;
    judgement.facts.sender_domain = domain_of(report->arena, judgement.facts.sender);
    judgement.facts.subject = asked->subject;
    judgement.facts.sender_new = judge->sender_new;
    judgement.facts.deadline_us = judge->deadline_us;
    judgement.may_stay_closed = judge->may_stay_closed;
    return judgement;
}

void mw_judge_by_bytes(const struct mw_judge *judge, const struct mw_report *asked,
                       const struct mw_attachment *file, struct mw_report *report)
{
    struct judgement judgement = start(judge, asked, report);
    struct mw_scan_part part = part_of(&judgement, file);
    struct mw_attachment *answer = &report->attachments.items[0];
    struct mw_scan_result result = {.report = report,
                                    .limits = judge->limits,
                                    .attachment = answer,
                                    .findings = &answer->findings};
    mw_scanners_run_by_bytes(judge->scanners, &part, &result, &report->engines);
    if (result.unscanned)
        not_scanned(&judgement, file->path, result.unscanned);
}

void mw_judge(const struct mw_judge *judge, struct mw_report *report, struct mw_bytes raw)
{
    struct judgement judgement = start(judge, report, report);
    size_t unpack_left = judge->unpack_most;
    if (unpack_left > 0)
        judgement.facts.unpack_left = &unpack_left;
    if (!mw_scanners_any(judge->scanners)) {
        judgement.without = MW_NO_SCANNER;
        mw_texts_add(report->arena, &report->unscanned, judgement.without);
    }
    mw_scanners_engines(judge->scanners, report->arena, &report->engines);
    note_problems(&judgement);
    struct mw_attachment *files = report->attachments.items;
    for (size_t i = 0; i < report->attachments.count; i++)
        judge_attachment(&judgement, &files[i], judge->known ? judge->known[i] : NULL,
                         judge->firsts && judge->firsts[i] < i ? &files[judge->firsts[i]] : NULL);
    judge_texts(&judgement);
    judge_bytes(&judgement, MW_SCAN_MESSAGE, NULL, "message/rfc822", raw);
    report->verdict = sum_up(report);
}
