/* message_log: words for the text form, members for the JSON form, one list of both. */
#include "milter/message_log.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/json_out.h"
#include "milter/words.h"

/* What a line says at most of one message, so that all of it fits into a line. */
enum { WORDS = 24, FINDINGS = 3, LISTED = 10, FATES = 100, TEXT_MAX = 200 };

static const char *const stage_names[MW_STAGES] = {"receive", "examine", "decide",
                                                   "store",   "answer",  "learn"};

struct line {
    struct mw_arena *arena;
    bool json; /* the JSON form is wanted */
    struct mw_log_word words[WORDS];
    size_t count;
};

/* A word whose member is this string. */
static void add_text(struct line *line, const char *name, const char *text, const char *value)
{
    line->words[line->count++] = (struct mw_log_word){name, text, value, NULL};
}

/* A word whose member is the JSON in out, which is freed. */
static void add_json(struct line *line, const char *name, const char *text, struct mw_json_out *out)
{
    const char *json = NULL;
    if (out->text) {
        mw_json_out_finish(out);
        json = mw_arena_dup(line->arena, out->text);
    }
    line->words[line->count++] = (struct mw_log_word){name, text, NULL, json};
    free(out->text);
}

static void add_number(struct line *line, const char *name, int64_t number)
{
    const char *text = mw_arena_printf(line->arena, "%lld", (long long)number);
    line->words[line->count++] = (struct mw_log_word){name, text, NULL, text};
}

/* A value from outside as people see it, in the brackets that it has in mail. */
static const char *in_brackets(struct line *line, const char *text)
{
    return mw_log_word_text(line->arena, '<', text, '>', TEXT_MAX);
}

static const char *quoted(struct line *line, const char *text)
{
    return mw_log_word_text(line->arena, '"', text, '"', TEXT_MAX);
}

/* A list as JSON, of the first so many; when the JSON form is wanted. */
static struct mw_json_out list_json(const struct line *line, const struct mw_texts *texts)
{
    struct mw_json_out out = {0};
    if (!line->json)
        return out;
    mw_json_out_char(&out, '[');
    for (size_t i = 0; i < texts->count && i < LISTED; i++) {
        mw_json_out_comma(&out);
        mw_json_out_string(&out, texts->items[i]);
    }
    mw_json_out_char(&out, ']');
    return out;
}

static void add_failures(struct line *line, mw_failures failures)
{
    struct mw_texts names = {0};
    const char *text = "";
    for (enum mw_failure i = 0; i < MW_FAILURE_COUNT; i++) {
        if (!(failures & mw_failure_bit(i)))
            continue;
        mw_texts_add(line->arena, &names, mw_failure_name(i));
        text = mw_arena_printf(line->arena, "%s%s%s", text, *text ? "," : "", mw_failure_name(i));
    }
    struct mw_json_out out = list_json(line, &names);
    if (names.count > 0)
        add_json(line, "failed", text, &out);
    else
        free(out.text);
}

/* The first recipient, and how many there are beside it. */
static void add_recipients(struct line *line, const struct mw_message *message)
{
    const struct mw_texts *to = &message->to;
    if (to->count == 0)
        return;
    const char *text = in_brackets(line, to->items[0]);
    if (message->recipients > 1)
        text = mw_arena_printf(line->arena, "%s,+%zu", text, message->recipients - 1);
    struct mw_json_out out = list_json(line, to);
    add_json(line, "to", text, &out);
}

static void write_finding(struct mw_json_out *out, const struct mw_found *found)
{
    mw_json_out_comma(out);
    mw_json_out_char(out, '{');
    mw_json_out_key(out, "scanner");
    mw_json_out_string(out, found->finding->scanner);
    mw_json_out_key(out, "name");
    mw_json_out_string(out, found->finding->name);
    mw_json_out_key(out, "severity");
    mw_json_out_string(out, mw_severity_name(found->finding->severity));
    if (found->file && found->file->filename) {
        mw_json_out_key(out, "file");
        mw_json_out_string(out, found->file->filename);
    }
    mw_json_out_char(out, '}');
}

static const char *finding_text(struct line *line, const struct mw_found *found)
{
    const char *file = found->file ? found->file->filename : NULL;
    const char *what =
        mw_arena_printf(line->arena, "%s/%s", found->finding->scanner, found->finding->name);
    return file ? mw_arena_printf(line->arena, "%s in %s", what, file) : what;
}

/* The worst findings, and how many there are beside them. */
static void add_findings(struct line *line, const struct mw_report *report)
{
    struct mw_found_list found = mw_worst_findings(line->arena, report, FINDINGS);
    size_t more = mw_count_findings(report) - found.count;
    struct mw_json_out out = {0};
    const char *text = "";
    if (found.count == 0)
        return;
    for (size_t i = 0; i < found.count; i++)
        text = mw_arena_printf(line->arena, "%s%s%s", text, *text ? "," : "",
                               quoted(line, finding_text(line, &found.items[i])));
    if (more > 0)
        text = mw_arena_printf(line->arena, "%s,+%zu", text, more);
    if (line->json) {
        mw_json_out_char(&out, '[');
        for (size_t i = 0; i < found.count; i++)
            write_finding(&out, &found.items[i]);
        mw_json_out_char(&out, ']');
    }
    add_json(line, "findings", text, &out);
    if (line->json && more > 0)
        line->words[line->count++] = (struct mw_log_word){
            "findings_more", NULL, NULL, mw_arena_printf(line->arena, "%zu", more)};
}

/* The first reason why something was not scanned, and how many there are beside it. */
static void add_unscanned(struct line *line, const struct mw_report *report)
{
    const struct mw_texts *reasons = &report->unscanned;
    if (reasons->count == 0)
        return;
    const char *text = quoted(line, reasons->items[0]);
    if (reasons->count > 1)
        text = mw_arena_printf(line->arena, "%s,+%zu", text, reasons->count - 1);
    struct mw_json_out out = list_json(line, reasons);
    add_json(line, "unscanned", text, &out);
}

/* Milliseconds in the text form as in ms=, microseconds in JSON as in reports. */
static void add_stages(struct line *line, const struct mw_stages *stages)
{
    struct mw_json_out out = {0};
    const char *text = "";
    for (unsigned i = 0; i < MW_STAGES; i++)
        text = mw_arena_printf(line->arena, "%s%s%s:%lld", text, *text ? "," : "", stage_names[i],
                               (long long)stages->us[i] / 1000);
    if (line->json) {
        mw_json_out_char(&out, '{');
        for (unsigned i = 0; i < MW_STAGES; i++) {
            mw_json_out_key(&out, mw_arena_printf(line->arena, "%s_us", stage_names[i]));
            mw_json_out_integer(&out, stages->us[i]);
        }
        mw_json_out_char(&out, '}');
    }
    add_json(line, "stages", text, &out);
}

static void add_decision(struct line *line, const struct mw_decision *decision)
{
    const char *action = mw_action_name(decision->action);
    const char *observed = decision->observed ? " (observed only)" : "";
    add_text(line, "action", mw_arena_printf(line->arena, "%s%s", action, observed), action);
    line->words[line->count++] =
        (struct mw_log_word){"observed", NULL, NULL, decision->observed ? "true" : "false"};
    add_text(line, "by", decision->by, decision->by);
}

/* What became of one recipient, for which it was not what became of the message. */
static void log_fate(struct mw_daemon *daemon, const struct mw_message *message,
                     const struct mw_report *report, const struct mw_fate *fate)
{
    struct line line = {.arena = report->arena};
    const char *action = mw_action_name(fate->action), *would = mw_action_name(fate->intended);
    bool observed = fate->intended != MW_ACTION_NONE;
    add_text(&line, "id", message->id, message->id);
    add_text(&line, "recipient", in_brackets(&line, fate->address), fate->address);
    add_text(&line, "action",
             observed ? mw_arena_printf(line.arena, "%s (observed only)", would) : action,
             observed ? would : action);
    line.words[line.count++] =
        (struct mw_log_word){"observed", NULL, NULL, observed ? "true" : "false"};
    add_text(&line, "by", fate->by, fate->by);
    if (fate->moved_to)
        add_text(&line, "moved_to", in_brackets(&line, fate->moved_to), fate->moved_to);
    if (fate->added_for)
        add_text(&line, "added_for", in_brackets(&line, fate->added_for), fate->added_for);
    mw_log_words(
        daemon->log, MW_LOG_INFO, message->queue_id,
        mw_arena_printf(line.arena, "recipient: %s by %s", observed ? would : action, fate->by),
        line.words, line.count);
}

static void log_fates(struct mw_daemon *daemon, const struct mw_message *message,
                      const struct mw_report *report)
{
    size_t told = 0, more = 0;
    for (size_t i = 0; i < report->recipients.count; i++) {
        const struct mw_fate *fate = &report->recipients.items[i];
        if (!mw_fate_differs(report, fate))
            continue;
        if (told++ < FATES)
            log_fate(daemon, message, report, fate);
        else
            more++;
    }
    if (more > 0)
        mw_log_write(daemon->log, MW_LOG_INFO, message->queue_id,
                     "id=%s and %zu recipients more fared otherwise than the message: the report "
                     "has all",
                     message->id, more);
}

void mw_message_log(struct mw_daemon *daemon, const struct mw_session *session,
                    const struct mw_report *report, const struct mw_decision *decision,
                    const struct mw_stages *stages)
{
    const struct mw_message *message = session->message;
    const char *client = session->facts[MW_CLIENT_ADDRESS];
    const char *verdict = mw_verdict_name(report->verdict);
    struct line line = {.arena = report->arena};
    if (!mw_log_writes(daemon->log, MW_LOG_INFO))
        return;
    line.json = mw_log_is_json(daemon->log);
    add_text(&line, "id", message->id, message->id);
    add_text(&line, "client", client ? client : "local", client ? client : "local");
    add_text(&line, "from", in_brackets(&line, message->from), message->from);
    add_number(&line, "nrcpt", (int64_t)message->recipients);
    add_number(&line, "size", report->size);
    add_text(&line, "verdict", verdict, verdict);
    add_decision(&line, decision);
    add_failures(&line, decision->failures);
    add_number(&line, "ms", (mw_clock_us() - message->started_us) / 1000);
    add_recipients(&line, message);
    if (report->message_id)
        add_text(&line, "message_id", in_brackets(&line, report->message_id), report->message_id);
    add_findings(&line, report);
    add_unscanned(&line, report);
    if (decision->action == MW_ACTION_QUARANTINE)
        add_text(&line, "reason", quoted(&line, decision->reason), decision->reason);
    add_stages(&line, stages);
    mw_log_words(daemon->log, MW_LOG_INFO, message->queue_id,
                 mw_arena_printf(line.arena, "%s: %s by %s", verdict,
                                 mw_action_name(decision->action), decision->by),
                 line.words, line.count);
    log_fates(daemon, message, report);
}
