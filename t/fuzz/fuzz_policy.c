/*
 * fuzz_policy: random reports against random rules. What comes out must be one of the
 * known actions, failed mail must not pass untagged, and what is planned must be safe
 * to hand to a mail server whatever bytes the report holds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/option.h"
#include "core/utf8.h"
#include "milter/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT = 600, ITEMS = 4 };

/* The input, taken from its front. */
struct input {
    const uint8_t *data;
    size_t size;
    struct mw_arena *arena;
};

static unsigned number(struct input *input, unsigned below)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++ % below;
}

/* Up to the next NUL, or nothing. */
static const char *text(struct input *input)
{
    if (number(input, 8) == 0)
        return NULL;
    size_t size = strnlen((const char *)input->data, input->size < TEXT ? input->size : TEXT);
    char *copy = mw_arena_dup_bytes(input->arena, input->data, size);
    input->data += size;
    input->size -= size;
    if (number(input, 4) == 0 && size > 0)
        memset(copy, copy[0], size);
    return copy;
}

/* A report's texts are valid UTF-8. */
static const char *clean(struct input *input)
{
    const char *any = text(input);
    return any ? mw_utf8_clean(input->arena, mw_bytes_of(any), NULL) : NULL;
}

static const char *needed(struct input *input)
{
    const char *any = clean(input);
    return any ? any : "x";
}

static void texts(struct input *input, struct mw_texts *list)
{
    for (unsigned i = number(input, ITEMS); i > 0; i--)
        mw_texts_add(input->arena, list, needed(input));
}

/* Items that a configuration would have let pass. */
static void checked(struct input *input, struct mw_texts *list,
                    int (*check)(const char *text, struct mw_error *error))
{
    const char *item = needed(input);
    if (number(input, 2) && check(item, NULL) == 0)
        mw_texts_add(input->arena, list, item);
}

static void findings(struct input *input, struct mw_findings *list)
{
    for (unsigned i = number(input, ITEMS); i > 0; i--) {
        struct mw_finding *one = mw_list_add(input->arena, list, sizeof *list->items);
        one->scanner = needed(input);
        one->name = needed(input);
        one->severity = number(input, 3);
        one->message = needed(input);
        one->details = clean(input);
    }
}

static void fill_report(struct input *input, struct mw_report *report)
{
    report->id = clean(input);
    report->verdict = number(input, 4);
    report->size = number(input, 255);
    report->client.address = clean(input);
    report->client.name = clean(input);
    report->envelope.from = clean(input);
    texts(input, &report->envelope.to);
    findings(input, &report->findings);
    for (unsigned i = number(input, ITEMS); i > 0; i--) {
        struct mw_attachment *file =
            mw_list_add(input->arena, &report->attachments, sizeof *report->attachments.items);
        file->filename = clean(input);
        file->filename_raw = clean(input);
        file->content_type = clean(input);
        file->file_type = clean(input);
        findings(input, &file->findings);
    }
    for (unsigned i = number(input, ITEMS); i > 0; i--) {
        struct mw_flag *flag =
            mw_list_add(input->arena, &report->new_values, sizeof *report->new_values.items);
        flag->name = number(input, 2) ? "from" : needed(input);
        flag->value = number(input, 2);
    }
}

static const char *template_of(struct input *input, const char *otherwise)
{
    static const char *const all = "${id} ${signature}${attachment} %${sender}\n${recipient}";
    const char *any = clean(input);
    if (number(input, 2))
        return all;
    return any && mw_check_words(any, NULL) == 0 ? any : otherwise;
}

static void add_rule(struct input *input, struct mw_config *config)
{
    struct mw_config_rule *rule =
        mw_list_add(config->arena, &config->rules, sizeof *config->rules.items);
    struct mw_config_when *when = &rule->when;
    rule->name = "rule";
    rule->action = 1 + number(input, 6);
    if (rule->action == MW_ACTION_REJECT || rule->action == MW_ACTION_TEMPFAIL)
        rule->text = template_of(input, NULL);
    if (rule->action == MW_ACTION_QUARANTINE)
        rule->reason = template_of(input, NULL);
    if (rule->action <= MW_ACTION_QUARANTINE) {
        rule->subject_prefix = template_of(input, NULL);
        checked(input, &rule->redirect, mw_check_address);
        checked(input, &rule->add_header, mw_check_header);
        checked(input, &rule->set_header, mw_check_header);
    }
    if (mw_rule_fault(rule) || (rule->text && mw_check_reply_text(rule->text, NULL) != 0))
        rule->text = NULL;
    checked(input, &when->verdict, mw_check_verdict);
    checked(input, &when->failure, mw_check_failure);
    checked(input, &when->client, mw_check_network_item);
    struct mw_texts *const globs[] = {
        &when->scanner, &when->signature,       &when->tag,       &when->attachment_name,
        &when->sender,  &when->attachment_type, &when->from,      &when->attachment_extension,
        &when->is_new,  &when->sender_domain,   &when->recipient, &when->recipient_domain};
    texts(input, globs[number(input, sizeof globs / sizeof *globs)]);
    when->direction = number(input, 3);
}

static void broken(const char *promise)
{
    fprintf(stderr, "broken promise: %s\n", promise);
    abort();
}

/* A Subject keeps what arrived, which may be longer and have bytes beyond ASCII. */
static void check_value(const struct mw_edit *edit)
{
    bool header = edit->kind <= MW_EDIT_CHANGE_HEADER;
    bool own = header && strcasecmp(edit->name, "Subject") == 0;
    for (const char *c = edit->value; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        bool fold = header && *c == '\n' && (c[1] == ' ' || (own && c[1] == '\t'));
        if ((byte < ' ' || byte > '~') && !fold && !own && header)
            broken("a header is printable ASCII");
        if ((*c == '\n' || *c == '\r') && !fold)
            broken("no line ends where it may not");
    }
    if (header && !own && strlen(edit->value) > 4000)
        broken("a header is bounded");
}

static void check_reply(const struct mw_reply *reply, const struct mw_decision *decision, bool utf8)
{
    for (size_t i = 0; i < reply->edits.count; i++)
        /* A recipient is removed by the name the server gave it. */
        if (reply->edits.items[i].value && reply->edits.items[i].kind != MW_EDIT_REMOVE_RECIPIENT)
            check_value(&reply->edits.items[i]);
    if (decision->action >= MW_ACTION_TEMPFAIL && reply->edits.count > 0)
        broken("what is refused is not edited");
    if (decision->observed && (reply->edits.count > 0 || reply->end != MW_ACTION_ACCEPT))
        broken("observing touches nothing");
    for (size_t i = 0; i < reply->lines.count; i++) {
        const char *line = reply->lines.items[i];
        if (strlen(line) > 400 || *line == '\0')
            broken("a reply's line is bounded");
        for (; *line; line++)
            if ((unsigned char)*line < ' ' || (!utf8 && (unsigned char)*line > '~'))
                broken("a reply is printable");
    }
    bool told = reply->end == MW_ACTION_REJECT || reply->end == MW_ACTION_TEMPFAIL;
    if (told && (reply->lines.count == 0 ||
                 reply->code[0] != (reply->end == MW_ACTION_REJECT ? '5' : '4') ||
                 reply->enhanced[0] != reply->code[0]))
        broken("a refusal has the codes of its kind");
}

static void decide(struct input *input, struct mw_config *config, struct mw_report *report)
{
    struct mw_error error = {0};
    struct mw_policy *policy = mw_policy_new(config, &error);
    if (!policy)
        broken("what was checked can be compiled");
    struct mw_policy_facts facts = {report, number(input, 2) ? 1U << number(input, 9) : 0,
                                    number(input, 2) == 1};
    report->auth.name = number(input, 2) ? needed(input) : NULL;
    const struct mw_decision *decision = mw_policy_decide(policy, &facts, input->arena);
    if (decision->action < MW_ACTION_ACCEPT || decision->action > MW_ACTION_DISCARD)
        broken("a decision is one of the actions");
    if (decision->action == MW_ACTION_ACCEPT &&
        (facts.failures != 0 || report->verdict == MW_UNSCANNED))
        broken("what failed does not pass untagged");
    struct mw_arrived *arrived = mw_arrived_new(input->arena);
    for (unsigned i = number(input, ITEMS); i > 0; i--)
        mw_arrived_note(arrived, policy, number(input, 2) ? "Subject" : needed(input),
                        needed(input));
    struct mw_reply_terms terms = {.smtputf8 = number(input, 2)};
    check_reply(mw_reply_plan(policy, decision, report, arrived, &terms, input->arena), decision,
                terms.smtputf8);
    mw_policy_free(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_report *report = mw_report_new();
    struct input input = {data, size, report->arena};
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load(NULL, report->arena, &mistakes);
    config->milter.mode = number(&input, 4) > 0;
    config->milter.recipients = number(&input, 3);
    config->milter.removed = number(&input, 2);
    for (unsigned i = number(&input, ITEMS); i > 0; i--)
        add_rule(&input, config);
    fill_report(&input, report);
    decide(&input, config, report);
    mw_config_free(config);
    mw_report_free(report);
    return 0;
}
