/* reply: the plan. Nothing here talks to libmilter. */
#include "milter/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "core/utf8.h"
#include "milter/header_text.h"
#include "milter/words.h"

enum {
    VALUE_MAX = 800,     /* bytes of a header value, before encoding */
    FINDINGS = 20,       /* in the header */
    LINES = 8,           /* of a refusal */
    LINE_MAX_SIZE = 400, /* RFC 5321 section 4.5.3.1.5 allows 512 with the codes */
    SUBJECT_MAX = 16000, /* a longer one is left alone */
    REASON_MAX = 400
};

/* One noted field; index is its place among those of its name, from 1. */
struct noted {
    const char *name;
    const char *value; /* of Subject only */
    int index;
    bool forged;
};

struct mw_arrived {
    struct mw_arena *arena;
    MW_LIST(struct noted) fields;
};

struct planning {
    const struct mw_policy *policy;
    const struct mw_decision *decision;
    const struct mw_report *report;
    const struct mw_arrived *arrived;
    struct mw_arena *arena;
    struct mw_reply *reply;
};

struct mw_arrived *mw_arrived_new(struct mw_arena *arena)
{
    struct mw_arrived *arrived = mw_arena_alloc(arena, sizeof *arrived);
    arrived->arena = arena;
    return arrived;
}

/* Length of the name in "Name: value". */
static size_t name_size(const char *header)
{
    return strcspn(header, ":");
}

static bool is_set_by_rule(const struct mw_config *config, const char *name)
{
    for (size_t i = 0; i < config->rules.count; i++) {
        const struct mw_texts *headers = &config->rules.items[i].set_header;
        for (size_t j = 0; j < headers->count; j++)
            if (name_size(headers->items[j]) == strlen(name) &&
                strncasecmp(headers->items[j], name, strlen(name)) == 0)
                return true;
    }
    return false;
}

/* An Authentication-Results field is ours when it has our name and our method; other
 * filters of this host use the same name (RFC 8601 section 5). */
static bool is_our_result(const struct mw_config *config, const char *name, const char *value)
{
    const char *id = config->milter.authserv_id;
    if (!id || strcasecmp(name, "Authentication-Results") != 0)
        return false;
    return strcasestr(value, id) && strcasestr(value, "x-mailwitness");
}

void mw_arrived_note(struct mw_arrived *arrived, const struct mw_policy *policy, const char *name,
                     const char *value)
{
    const struct mw_config *config = mw_policy_config(policy);
    const char *prefix = config->milter.header_prefix;
    bool subject = strcasecmp(name, "Subject") == 0;
    bool results = strcasecmp(name, "Authentication-Results") == 0;
    bool prefixed = strncasecmp(name, prefix, strlen(prefix)) == 0;
    if (!subject && !prefixed && !(results && config->milter.authserv_id) &&
        !is_set_by_rule(config, name))
        return;
    int index = 1;
    for (size_t i = 0; i < arrived->fields.count; i++)
        index += strcasecmp(arrived->fields.items[i].name, name) == 0;
    struct noted *noted =
        mw_list_add(arrived->arena, &arrived->fields, sizeof *arrived->fields.items);
    noted->name = mw_arena_dup(arrived->arena, name);
    noted->value = subject && index == 1 ? mw_arena_dup(arrived->arena, value) : NULL;
    noted->index = index;
    noted->forged = prefixed || is_our_result(config, name, value);
}

static struct mw_edit *add_edit(struct planning *planning, enum mw_edit_kind kind, const char *name,
                                const char *value)
{
    struct mw_edits *edits = &planning->reply->edits;
    struct mw_edit *edit = mw_list_add(planning->arena, edits, sizeof *edits->items);
    *edit = (struct mw_edit){.kind = kind, .name = name, .value = value, .index = 0};
    return edit;
}

/* The last first: taking one away must not renumber those still to go. */
static void remove_forged(struct planning *planning)
{
    for (size_t i = planning->arrived ? planning->arrived->fields.count : 0; i-- > 0;) {
        const struct noted *noted = &planning->arrived->fields.items[i];
        if (noted->forged)
            add_edit(planning, MW_EDIT_REMOVE_HEADER, noted->name, NULL)->index = noted->index;
    }
}

static const char *safe_value(struct planning *planning, const char *name, const char *text)
{
    const char *value = mw_header_text(planning->arena, text, strlen(name) + 2, VALUE_MAX);
    return *value ? value : "-";
}

/* One of our headers, on top of what is there. */
static void insert(struct planning *planning, const char *name, const char *text)
{
    const char *prefix = mw_policy_config(planning->policy)->milter.header_prefix;
    const char *full = mw_arena_printf(planning->arena, "%s%s", prefix, name);
    add_edit(planning, MW_EDIT_INSERT_HEADER, full, safe_value(planning, full, text));
}

static const char *without(struct planning *planning, const char *text, const char *unwanted)
{
    char *copy = mw_arena_dup(planning->arena, text);
    for (char *c = copy; *c; c++)
        if (strchr(unwanted, *c))
            *c = '_';
    return copy;
}

/* A name from mail between quotes: without what would end it. */
static const char *quotable(struct planning *planning, const char *text)
{
    return without(planning, text, "\";\\");
}

/* The worst first, so that what is cut off is the least. */
static const char *findings_text(struct planning *planning)
{
    struct mw_found_list found = mw_worst_findings(planning->arena, planning->report, FINDINGS);
    size_t count = mw_count_findings(planning->report);
    const char *text = "";
    for (size_t i = 0; i < found.count; i++) {
        const struct mw_finding *one = found.items[i].finding;
        const char *name = found.items[i].file ? found.items[i].file->filename : NULL;
        text = mw_arena_printf(planning->arena, "%s%s%s/%s (%s)%s%s%s", text, *text ? "; " : "",
                               quotable(planning, one->scanner), quotable(planning, one->name),
                               mw_severity_name(one->severity), name ? " in \"" : "",
                               name ? quotable(planning, name) : "", name ? "\"" : "");
    }
    return count > FINDINGS
               ? mw_arena_printf(planning->arena, "%s; and %zu more", text, count - FINDINGS)
               : text;
}

/* Why a message is called unscanned: the failures, or the first reason that its report
 * gives. */
static const char *why_unscanned(struct planning *planning)
{
    const struct mw_report *report = planning->report;
    const char *failures = mw_failures_text(planning->arena, planning->decision->failures);
    if (*failures || report->verdict != MW_UNSCANNED || report->unscanned.count == 0)
        return failures;
    size_t more = report->unscanned.count - 1;
    const char *first = without(planning, report->unscanned.items[0], "\";\\()");
    return more > 0 ? mw_arena_printf(planning->arena, "%s, and %zu more", first, more) : first;
}

static const char *verdict_text(struct planning *planning)
{
    const char *why = why_unscanned(planning);
    return mw_arena_printf(planning->arena, "%s%s%s%s", mw_verdict_name(planning->report->verdict),
                           *why ? " (" : "", why, *why ? ")" : "");
}

/* NULL: no filter is called that. One that could not tell, as there is no address in From,
 * says so: silence would read as "no". */
static const char *sender_new(const struct planning *planning)
{
    static const char filter[] = "from";
    const struct mw_config *config = mw_policy_config(planning->policy);
    const struct mw_flags *known = &planning->report->new_values;
    for (size_t i = 0; i < known->count; i++)
        if (strcasecmp(known->items[i].name, filter) == 0)
            return known->items[i].value ? "yes" : "no";
    for (size_t i = 0; i < config->filters.count; i++)
        if (strcasecmp(config->filters.items[i].name, filter) == 0)
            return "unknown";
    return NULL;
}

static void add_authentication_results(struct planning *planning)
{
    static const char *const results[] = {[MW_CLEAN] = "pass",
                                          [MW_SUSPICIOUS] = "policy",
                                          [MW_MALICIOUS] = "fail",
                                          [MW_UNSCANNED] = "temperror"};
    static const char name[] = "Authentication-Results";
    const char *id = mw_policy_config(planning->policy)->milter.authserv_id;
    if (!id)
        return;
    const char *text = mw_arena_printf(planning->arena, "%s; x-mailwitness=%s (%s)", id,
                                       results[planning->report->verdict], verdict_text(planning));
    add_edit(planning, MW_EDIT_INSERT_HEADER, name, safe_value(planning, name, text));
}

/* Each is put on top, so the first to be read comes last. */
static void add_our_headers(struct planning *planning)
{
    bool tell_new = mw_policy_config(planning->policy)->milter.sender_new_header;
    const char *findings = findings_text(planning), *is_new = sender_new(planning);
    /* Postfix holds the message and forgets the reason it was given. */
    if (planning->decision->action == MW_ACTION_QUARANTINE)
        insert(planning, "Quarantine-Reason", planning->decision->reason);
    if (tell_new && is_new)
        insert(planning, "Sender-New", is_new);
    if (*findings)
        insert(planning, "Findings", findings);
    insert(planning, "Verdict", verdict_text(planning));
    if (planning->report->id)
        insert(planning, "Id", planning->report->id);
    add_authentication_results(planning);
}

/* What arrived as a header's value, without what cannot stand in one. */
static char *own_value(struct planning *planning, const char *value)
{
    char *copy = mw_arena_dup(planning->arena, value + strspn(value, " \t"));
    for (char *c = copy; *c; c++)
        if (*c == '\r' || (*c == '\n' && c[1] != ' ' && c[1] != '\t'))
            *c = ' ';
    return copy;
}

static const struct noted *arrived_subject(const struct planning *planning)
{
    for (size_t i = 0; planning->arrived && i < planning->arrived->fields.count; i++)
        if (planning->arrived->fields.items[i].value)
            return &planning->arrived->fields.items[i];
    return NULL;
}

static void prefix_subject(struct planning *planning)
{
    static const char name[] = "Subject";
    const char *given = planning->decision->subject_prefix;
    const struct noted *subject = arrived_subject(planning);
    if (!given)
        return;
    if (!subject) {
        add_edit(planning, MW_EDIT_APPEND_HEADER, name, safe_value(planning, name, given));
        return;
    }
    const char *spaced = mw_arena_printf(planning->arena, "%s ", given);
    const char *prefix = mw_header_prefix(planning->arena, spaced, sizeof name + 1, VALUE_MAX);
    const char *own = own_value(planning, subject->value);
    if (strlen(own) > SUBJECT_MAX || strncmp(own, prefix, strlen(prefix)) == 0)
        return;
    bool encoded = prefix[strlen(prefix) - 1] != ' ';
    const char *value =
        mw_arena_printf(planning->arena, "%s%s%s", prefix, encoded ? "\n " : "", own);
    add_edit(planning, MW_EDIT_CHANGE_HEADER, name, value)->index = 1;
}

static const char *given_name(struct planning *planning, const char *header)
{
    return mw_arena_dup_bytes(planning->arena, header, name_size(header));
}

/* The first of that name gets the value, the others go. */
static void set_header(struct planning *planning, const char *header)
{
    const char *name = given_name(planning, header);
    const char *value = safe_value(planning, name, header + name_size(header) + 1);
    bool there = false;
    for (size_t i = planning->arrived ? planning->arrived->fields.count : 0; i-- > 0;) {
        const struct noted *noted = &planning->arrived->fields.items[i];
        if (strcasecmp(noted->name, name) != 0 || noted->forged)
            continue;
        there = true;
        if (noted->index > 1)
            add_edit(planning, MW_EDIT_REMOVE_HEADER, noted->name, NULL)->index = noted->index;
        else
            add_edit(planning, MW_EDIT_CHANGE_HEADER, noted->name, value)->index = 1;
    }
    if (!there)
        add_edit(planning, MW_EDIT_APPEND_HEADER, name, value);
}

static void plan_headers(struct planning *planning)
{
    const struct mw_decision *decision = planning->decision;
    remove_forged(planning);
    prefix_subject(planning);
    for (size_t i = 0; i < decision->set_headers.count; i++)
        set_header(planning, decision->set_headers.items[i]);
    for (size_t i = 0; i < decision->add_headers.count; i++) {
        const char *header = decision->add_headers.items[i], *name = given_name(planning, header);
        add_edit(planning, MW_EDIT_APPEND_HEADER, name,
                 safe_value(planning, name, header + name_size(header) + 1));
    }
    if (decision->action != MW_ACTION_ACCEPT)
        add_our_headers(planning);
}

/* Printable ASCII (UTF-8 where the client speaks it), bounded. */
static const char *safe_line(struct mw_arena *arena, struct mw_bytes text, bool utf8)
{
    if (text.size > LINE_MAX_SIZE)
        text.size = mw_utf8_cut(text, LINE_MAX_SIZE);
    char *line = mw_utf8_show_line(arena, text), *to = line;
    /* Marks for what was not clean are longer than it. */
    if (strlen(line) > LINE_MAX_SIZE)
        line[mw_utf8_cut(mw_bytes_of(line), LINE_MAX_SIZE)] = '\0';
    for (const char *c = line; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte >= 0x80 && !utf8 && (byte & 0xc0U) == 0x80)
            continue; /* one mark for a character, whatever its length */
        *to++ = byte < 0x20 ? ' ' : (byte >= 0x80 && !utf8) ? '?' : *c;
    }
    *to = '\0';
    return *line ? line : "-";
}

/* The codes are in place, or empty for the usual ones. */
static void plan_answer(struct mw_reply *reply, const char *words, bool utf8,
                        struct mw_arena *arena)
{
    bool reject = reply->end == MW_ACTION_REJECT;
    if (reply->code[0] == '\0')
        memcpy(reply->code, reject ? "550" : "451", 4);
    if (reply->enhanced[0] == '\0')
        memcpy(reply->enhanced, reject ? "5.7.1" : "4.7.1", 6);
    for (size_t i = 0; i < LINES; i++) {
        size_t size = strcspn(words, "\n");
        struct mw_bytes line = {(const unsigned char *)words, size};
        mw_texts_add(arena, &reply->lines, safe_line(arena, line, utf8));
        if (words[size] == '\0')
            break;
        words += size + 1;
    }
}

static void plan_recipients(struct planning *planning)
{
    const struct mw_decision *decision = planning->decision;
    for (size_t i = 0; i < decision->added.count; i++)
        add_edit(planning, MW_EDIT_ADD_RECIPIENT, NULL, decision->added.items[i]);
    for (size_t i = 0; i < decision->removed.count; i++)
        add_edit(planning, MW_EDIT_REMOVE_RECIPIENT, NULL, decision->removed.items[i].recipient);
}

const struct mw_reply *mw_reply_plan(const struct mw_policy *policy,
                                     const struct mw_decision *decision,
                                     const struct mw_report *report,
                                     const struct mw_arrived *arrived,
                                     const struct mw_reply_terms *terms, struct mw_arena *arena)
{
    struct planning planning = {policy, decision, report, arrived, arena, NULL};
    struct mw_reply *reply = mw_arena_alloc(arena, sizeof *reply);
    planning.reply = reply;
    reply->end = MW_ACTION_ACCEPT;
    if (decision->observed)
        return reply;
    if (decision->action >= MW_ACTION_TEMPFAIL) {
        reply->end = decision->action;
        memcpy(reply->code, decision->code, sizeof reply->code);
        memcpy(reply->enhanced, decision->enhanced, sizeof reply->enhanced);
        if (decision->action != MW_ACTION_DISCARD)
            plan_answer(reply, decision->text, terms->smtputf8, arena);
        return reply;
    }
    plan_headers(&planning);
    plan_recipients(&planning);
    if (decision->action == MW_ACTION_QUARANTINE) {
        struct mw_bytes reason = mw_bytes_of(decision->reason);
        reason.size = mw_utf8_cut(reason, REASON_MAX);
        add_edit(&planning, MW_EDIT_QUARANTINE, NULL, safe_line(arena, reason, false));
    }
    return reply;
}
