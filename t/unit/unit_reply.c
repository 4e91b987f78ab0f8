/*
 * unit_reply: decisions in, edits and answers out; nothing from mail gets where it
 * could be taken for something else.
 */
#include <ctype.h>
#include <libmilter/mfapi.h>
#include <stdlib.h>

#include "conf/check.h"
#include "milter/header_text.h"
#include "milter/reply.h"
#include "parsers/encoded_word.h"
#include "t/unit/tap.h"

enum { LONGEST_LINE = 78 };

/* Whether value can stand in a header: printable ASCII, lines short (but for a first
 * word that cannot be folded) and begun by a blank, no line of blanks only. */
static bool sound(const char *value, size_t column)
{
    size_t line = column, printed = 0;
    for (const char *c = value; *c; c++) {
        if (*c == '\n') {
            if (c[1] != ' ' || printed == 0)
                return false;
            line = printed = 0;
            continue;
        }
        bool first = strcspn(value, " \n") > (size_t)(c - value);
        if (*c < ' ' || *c > '~' || (++line > LONGEST_LINE && !first))
            return false;
        printed += *c != ' ';
    }
    return printed > 0 || *value == '\0';
}

/* What a reader is shown. */
static const char *shown(struct mw_arena *arena, const char *value)
{
    char *unfolded = mw_arena_dup(arena, value), *to = unfolded;
    for (const char *c = value; *c; c++)
        if (*c != '\n')
            *to++ = *c;
    *to = '\0';
    return mw_encoded_words(arena, unfolded, false, NULL);
}

static const struct {
    const char *text, *value, *shown;
} texts[] = {
    {"clean", "clean", "clean"},
    {"two words", "two words", "two words"},
    {"  many   blanks\t\tand tabs ", "many blanks and tabs", "many blanks and tabs"},
    {"", "", ""},
    {" \t ", "", ""},
    {"a\r\nBcc: all@x", NULL,
     "a\xef\xbf\xbd\xef\xbf\xbd"
     "Bcc: all@x"},
    {"a\nX-Evil: 1", NULL, "a\xef\xbf\xbdX-Evil: 1"},
    {"a\n\nbody", NULL,
     "a\xef\xbf\xbd\xef\xbf\xbd"
     "body"},
    {"tab\vfeed\f\x7f\x1b[2J", NULL,
     "tab\xef\xbf\xbd"
     "feed\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[2J"},
    {"caf\xc3\xa9 au lait", "=?UTF-8?Q?caf=C3=A9?= au lait", "caf\xc3\xa9 au lait"},
    {"caf\xc3\xa9 cr\xc3\xa8me", "=?UTF-8?Q?caf=C3=A9_cr=C3=A8me?=", "caf\xc3\xa9 cr\xc3\xa8me"},
    {"\xff\xfe", NULL, "\xef\xbf\xbd\xef\xbf\xbd"},
    {"=?UTF-8?Q?evil?=", NULL, "=?UTF-8?Q?evil?="},
    {"x=?y", NULL, "x=?y"},
    {"\xe2\x80\xa8line separator", NULL, "\xef\xbf\xbdline separator"},
    {"\xe2\x80\xae"
     "exe.pdf",
     "<U+202E>exe.pdf", "<U+202E>exe.pdf"},
    {"caf\xc3\xa9\xe2\x80\x8b", NULL, "caf\xc3\xa9<U+200B>"},
    {"\xf0\x9f\x98\x80 smile", NULL, "\xf0\x9f\x98\x80 smile"},
};

static void test_texts(void)
{
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = mw_header_text(arena, texts[i].text, 20, 800);
        tap_ok(sound(value, 20), "text %zu is sound in a header", i);
        if (texts[i].value)
            tap_is(value, texts[i].value, "... and is written in the plainest form");
        tap_is(shown(arena, value), texts[i].shown, "... and is shown as it is meant");
    }
    mw_arena_free(arena);
}

/* Every length around the places where lines and characters are cut. */
static void test_lengths(void)
{
    static const char *const pieces[] = {
        "x", "xy ", "\xc3\xa9", "\xc3\xa9 ", "a\xf0\x9f\x98\x80 b ", "=?", "%"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct mw_arena *arena = mw_arena_new();
        char text[2048] = "";
        size_t bad = 0, bad_shown = 0, times = 0;
        while (strlen(text) + strlen(pieces[i]) < 700) {
            memcpy(text + strlen(text), pieces[i], strlen(pieces[i]) + 1);
            const char *value = mw_header_text(arena, text, 24, 800);
            size_t size = strlen(text);
            while (size > 0 && text[size - 1] == ' ')
                size--;
            const char *back = shown(arena, value);
            bad += !sound(value, 24);
            bad_shown += strlen(back) != size || memcmp(back, text, size) != 0;
            times++;
        }
        tap_ok(times > 80 && bad == 0, "however often '%s' is repeated, lines stay short",
               pieces[i]);
        tap_ok(bad_shown == 0, "... and it is shown as it was");
        mw_arena_free(arena);
    }
    struct mw_arena *arena = mw_arena_new();
    char *long_text = mw_arena_alloc(arena, 100001);
    memset(long_text, 'z', 100000);
    const char *value = mw_header_text(arena, long_text, 24, 800);
    tap_ok(sound(value, 24) && strlen(value) < 1200, "a text of 100,000 bytes is cut to the limit");
    const char *back = shown(arena, value);
    tap_is(back + strlen(back) - 4, "z...", "... which is shown by dots");
    mw_arena_free(arena);
}

/* A message, a decision about it, and what is planned for it. */
struct scene {
    struct mw_arena *arena;
    struct mw_config *config;
    struct mw_policy *policy;
    struct mw_report *report;
    struct mw_arrived *arrived;
    struct mw_decision decision;
    struct mw_reply_terms terms;
};

static struct scene scene_of(enum mw_action action)
{
    struct scene scene = {.arena = mw_arena_new(), .report = mw_report_new()};
    struct mw_texts mistakes = {0};
    struct mw_error error = {0};
    scene.config = mw_config_load(NULL, scene.arena, &mistakes);
    scene.policy = mw_policy_new(scene.config, &error);
    scene.arrived = mw_arrived_new(scene.arena);
    scene.decision =
        (struct mw_decision){.action = action, .by = "policy.x", .text = "no", .reason = "held"};
    scene.report->id = "0190-id";
    scene.report->verdict = MW_MALICIOUS;
    return scene;
}

static void end_scene(struct scene *scene)
{
    mw_policy_free(scene->policy);
    mw_config_free(scene->config);
    mw_report_free(scene->report);
    mw_arena_free(scene->arena);
}

static void arrive(struct scene *scene, const char *name, const char *value)
{
    mw_arrived_note(scene->arrived, scene->policy, name, value);
}

static const struct mw_reply *plan(struct scene *scene)
{
    return mw_reply_plan(scene->policy, &scene->decision, scene->report, scene->arrived,
                         &scene->terms, scene->arena);
}

static const char *const kinds[] = {"insert", "append", "change", "remove", "to+", "to-", "hold"};

/* The edits as text, one after the other. */
static const char *edits_text(struct scene *scene, const struct mw_reply *reply)
{
    const char *text = "";
    for (size_t i = 0; i < reply->edits.count; i++) {
        const struct mw_edit *edit = &reply->edits.items[i];
        char index[16] = "";
        if (edit->index > 0)
            snprintf(index, sizeof index, "[%d]", edit->index);
        text =
            mw_arena_printf(scene->arena, "%s%s%s %s%s%s%s", text, i > 0 ? "|" : "",
                            kinds[edit->kind], edit->name ? edit->name : "", index,
                            edit->name && edit->value ? "=" : "", edit->value ? edit->value : "");
    }
    return text;
}

static const char *header_value(const struct mw_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->edits.count; i++)
        if (reply->edits.items[i].name && strcmp(reply->edits.items[i].name, name) == 0)
            return reply->edits.items[i].value;
    return NULL;
}

static void add_finding(struct scene *scene, const char *file, const char *name,
                        enum mw_severity severity)
{
    struct mw_attachment *attachment =
        mw_list_add(scene->report->arena, &scene->report->attachments, sizeof *attachment);
    attachment->filename = file;
    struct mw_finding *one = mw_list_add(scene->report->arena, &attachment->findings, sizeof *one);
    *one = (struct mw_finding){.scanner = "yara", .name = name, .severity = severity};
}

static void test_our_headers(void)
{
    struct scene scene = scene_of(MW_ACTION_TAG);
    add_finding(&scene, "a.txt", "Small", MW_INFO);
    add_finding(&scene, "b.exe", "Big", MW_SEVERITY_MALICIOUS);
    struct mw_flag *flag =
        mw_list_add(scene.report->arena, &scene.report->new_values, sizeof *flag);
    *flag = (struct mw_flag){"from", true};
    const char *tagged = edits_text(&scene, plan(&scene));
    tap_is(
        tagged,
        "insert X-Mailwitness-Sender-New=yes|"
        "insert X-Mailwitness-Findings=yara/Big (malicious) in \"b.exe\"; yara/Small (info)\n in "
        "\"a.txt\"|insert X-Mailwitness-Verdict=malicious|insert X-Mailwitness-Id=0190-id",
        "a tagged message has our headers, its worst finding first");
    scene.decision.action = MW_ACTION_ACCEPT;
    tap_is(edits_text(&scene, plan(&scene)), "", "an accepted one has none");
    scene.decision.action = MW_ACTION_QUARANTINE;
    const char *held = edits_text(&scene, plan(&scene));
    static const char reason[] = "insert X-Mailwitness-Quarantine-Reason=held|";
    tap_ok(strstr(held, reason), "one in quarantine says why in a header: postfix does not");
    char *without = strstr(held, "|insert X-Mailwitness-Findings");
    tap_ok(without &&
               strncmp(without, strstr(tagged, "|insert X-Mailwitness-Findings"),
                       strlen(strstr(tagged, "|insert X-Mailwitness-Findings"))) == 0 &&
               strcmp(held + strlen(held) - strlen("|hold held"), "|hold held") == 0,
           "... has the others too, for when it is released, and is held last");
    flag->value = false;
    scene.decision.failures = mw_failure_bit(MW_LIMITS) | mw_failure_bit(MW_TIMED_OUT);
    const struct mw_reply *reply = plan(&scene);
    tap_is(header_value(reply, "X-Mailwitness-Sender-New"), "no", "a known sender is told as such");
    tap_is(header_value(reply, "X-Mailwitness-Verdict"), "malicious (timed_out, limits)",
           "what failed stands beside the verdict");
    scene.report->new_values.count = 0;
    tap_is(header_value(plan(&scene), "X-Mailwitness-Sender-New"), "unknown",
           "when From has no address that the filter knows about, it is told as unknown");
    scene.config->filters.count = 0;
    tap_is(header_value(plan(&scene), "X-Mailwitness-Sender-New"), NULL,
           "without a filter of senders nothing is said");
    scene.decision.observed = true;
    reply = plan(&scene);
    tap_ok(reply->edits.count == 0 && reply->end == MW_ACTION_ACCEPT,
           "in mode observe a message is accepted as it is");
    end_scene(&scene);
}

static void test_observe(void)
{
    for (enum mw_action action = MW_ACTION_ACCEPT; action <= MW_ACTION_DISCARD; action++) {
        struct scene scene = scene_of(action);
        arrive(&scene, "X-Mailwitness-Id", "forged");
        mw_texts_add(scene.arena, &scene.decision.added, "w@x");
        scene.decision.subject_prefix = "[x]";
        scene.decision.observed = true;
        const struct mw_reply *reply = plan(&scene);
        tap_ok(reply->edits.count == 0 && reply->end == MW_ACTION_ACCEPT,
               "observing, nothing comes of the action %s", mw_action_name(action));
        end_scene(&scene);
    }
}

static void test_forged(void)
{
    struct scene scene = scene_of(MW_ACTION_ACCEPT);
    arrive(&scene, "From", "a@x");
    arrive(&scene, "X-Mailwitness-Verdict", "clean");
    arrive(&scene, "x-mailWITNESS-verdict", "clean");
    arrive(&scene, "X-Mailwitness", "not ours, no dash");
    arrive(&scene, "X-Mailwitness-Anything", "clean");
    arrive(&scene, "X-Mailwitness-Verdict", "clean");
    tap_is(edits_text(&scene, plan(&scene)),
           "remove X-Mailwitness-Verdict[3]|remove X-Mailwitness-Anything[1]|"
           "remove x-mailWITNESS-verdict[2]|remove X-Mailwitness-Verdict[1]",
           "every forged header goes, the last of a name first, even from accepted mail");
    end_scene(&scene);
    scene = scene_of(MW_ACTION_ACCEPT);
    scene.config->milter.authserv_id = "mx.here.example";
    arrive(&scene, "Authentication-Results", "mx.here.example; dkim=pass");
    arrive(&scene, "Authentication-Results", " MX.here.example; x-mailwitness=pass");
    arrive(&scene, "Authentication-Results", "mx.elsewhere.example; x-mailwitness=pass");
    tap_is(edits_text(&scene, plan(&scene)), "remove Authentication-Results[2]",
           "of Authentication-Results only those with our name and our method go");
    scene.decision.action = MW_ACTION_TAG;
    tap_is(header_value(mw_reply_plan(scene.policy, &scene.decision, scene.report, NULL,
                                      &scene.terms, scene.arena),
                        "Authentication-Results"),
           "mx.here.example; x-mailwitness=fail (malicious)", "ours tells the verdict");
    end_scene(&scene);
    scene = scene_of(MW_ACTION_REJECT);
    arrive(&scene, "X-Mailwitness-Verdict", "clean");
    tap_is(edits_text(&scene, plan(&scene)), "", "a refused message is not edited");
    end_scene(&scene);
}

/* Subjects as they arrive, with the prefix "[x]" or another. */
static const struct {
    const char *prefix, *arrived, *edit;
} subjects[] = {
    {"[x]", "hello", "change Subject[1]=[x] hello"},
    {"[x]", " hello", "change Subject[1]=[x] hello"},
    {"[x]", "=?utf-8?q?h=C3=A9?=", "change Subject[1]=[x] =?utf-8?q?h=C3=A9?="},
    {"[x]", "one\n two", "change Subject[1]=[x] one\n two"},
    {"[x]", "one\r\n\ttwo", "change Subject[1]=[x] one \n\ttwo"},
    {"[x]", "one\nBcc: y", "change Subject[1]=[x] one Bcc: y"},
    {"[x]", "[x] hello", ""},
    {"[x]", "Re: [x] hello", "change Subject[1]=[x] Re: [x] hello"},
    {"[x]", "", "change Subject[1]=[x] "},
    {"[x]", NULL, "append Subject=[x]"},
    {"[\xc3\xa9]", "hello", "change Subject[1]==?UTF-8?Q?=5B=C3=A9=5D_?=\n hello"},
    {"[\xc3\xa9]", "=?utf-8?q?h?=", "change Subject[1]==?UTF-8?Q?=5B=C3=A9=5D_?=\n =?utf-8?q?h?="},
    {"a\nBcc: b", "s", "change Subject[1]==?UTF-8?Q?a=EF=BF=BDBcc=3A?= b s"},
};

static void test_subjects(void)
{
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        struct scene scene = scene_of(MW_ACTION_ACCEPT);
        scene.decision.subject_prefix = subjects[i].prefix;
        if (subjects[i].arrived) {
            arrive(&scene, "Subject", subjects[i].arrived);
            arrive(&scene, "Subject", "a second one stays");
        }
        char name[128];
        snprintf(name, sizeof name, "prefix %s, subject %.40s", subjects[i].prefix,
                 subjects[i].arrived ? subjects[i].arrived : "(none)");
        for (char *c = name; *c; c++)
            if (iscntrl((unsigned char)*c))
                *c = ' ';
        tap_is(edits_text(&scene, plan(&scene)), subjects[i].edit, name);
        end_scene(&scene);
    }
}

static void test_rule_headers(void)
{
    struct scene scene = scene_of(MW_ACTION_ACCEPT);
    mw_texts_add(scene.arena, &scene.decision.add_headers, "X-Note:  seen\r\nBcc: y");
    mw_texts_add(scene.arena, &scene.decision.set_headers, "X-Spam: yes");
    const char *text = edits_text(&scene, plan(&scene));
    tap_is(text, "append X-Spam=yes|append X-Note==?UTF-8?Q?seen=EF=BF=BD=EF=BF=BDBcc=3A?= y",
           "headers of rules are added, and what is filled in cannot make more of them");
    end_scene(&scene);
    scene = scene_of(MW_ACTION_ACCEPT);
    mw_texts_add(scene.arena, &scene.decision.set_headers, "X-Spam: yes");
    struct mw_config_rule *rule =
        mw_list_add(scene.config->arena, &scene.config->rules, sizeof *rule);
    mw_texts_add(scene.config->arena, &rule->set_header, "X-Spam: yes");
    arrive(&scene, "X-Spam", "no");
    arrive(&scene, "X-Spam-Other", "no");
    arrive(&scene, "x-spam", "perhaps");
    arrive(&scene, "X-SPAM", "never");
    tap_is(edits_text(&scene, plan(&scene)),
           "remove X-SPAM[3]|remove x-spam[2]|change X-Spam[1]=yes",
           "set_header changes the first of its name and removes the others");
    end_scene(&scene);
}

static void test_recipients(void)
{
    struct scene scene = scene_of(MW_ACTION_ACCEPT);
    mw_texts_add(scene.arena, &scene.decision.added, "watch@x");
    struct mw_removal *removal = mw_list_add(scene.arena, &scene.decision.removed, sizeof *removal);
    removal->recipient = "ann@x";
    tap_is(edits_text(&scene, plan(&scene)), "to+ watch@x|to- ann@x",
           "recipients are added before others go, so that there is always one");
    end_scene(&scene);
}

static const struct {
    enum mw_action action;
    const char *text;
    bool smtputf8;
    const char *answer;
} answers[] = {
    {MW_ACTION_REJECT, "550 5.7.1 no", false, "550 5.7.1 no"},
    {MW_ACTION_REJECT, "554 5.7.0 no", false, "554 5.7.0 no"},
    {MW_ACTION_REJECT, "5.7.0 no", false, "550 5.7.0 no"},
    {MW_ACTION_REJECT, "554 no", false, "554 5.7.1 no"},
    {MW_ACTION_REJECT, "no", false, "550 5.7.1 no"},
    {MW_ACTION_TEMPFAIL, "later", false, "451 4.7.1 later"},
    {MW_ACTION_TEMPFAIL, "450 4.3.0 later", false, "450 4.3.0 later"},
    {MW_ACTION_REJECT, "550 5.7.1 a\nb\nc", false, "550 5.7.1 a/b/c"},
    {MW_ACTION_REJECT, "550 5.7.1 a\n\nc", false, "550 5.7.1 a/-/c"},
    {MW_ACTION_REJECT, "550 5.7.1 a\r\n250 ok", false, "550 5.7.1 a?/250 ok"},
    {MW_ACTION_REJECT, "550 5.7.1 caf\xc3\xa9", false, "550 5.7.1 caf?"},
    {MW_ACTION_REJECT, "550 5.7.1 caf\xc3\xa9", true, "550 5.7.1 caf\xc3\xa9"},
    {MW_ACTION_REJECT, "550 5.7.1 100% %s", false, "550 5.7.1 100% %s"},
    {MW_ACTION_REJECT, "550 5.7.1 bad\xff\x01", true, "550 5.7.1 bad\xef\xbf\xbd\xef\xbf\xbd"},
    {MW_ACTION_REJECT, "550 5.7.1 bad\xff\x01", false, "550 5.7.1 bad??"},
    {MW_ACTION_REJECT, "", false, "550 5.7.1 -"},
    {MW_ACTION_DISCARD, "", false, ""},
};

static const char *answer_text(struct mw_arena *arena, const struct mw_reply *reply)
{
    const char *text = reply->lines.count > 0
                           ? mw_arena_printf(arena, "%s %s ", reply->code, reply->enhanced)
                           : "";
    for (size_t i = 0; i < reply->lines.count; i++)
        text = mw_arena_printf(arena, "%s%s%s", text, i > 0 ? "/" : "", reply->lines.items[i]);
    return text;
}

static void test_answers(void)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct scene scene = scene_of(answers[i].action);
        scene.decision.text =
            mw_reply_codes(answers[i].text, scene.decision.code, scene.decision.enhanced);
        scene.terms.smtputf8 = answers[i].smtputf8;
        const struct mw_reply *reply = plan(&scene);
        tap_ok(reply->end == answers[i].action && reply->edits.count == 0,
               "answer %zu ends the message by %s alone", i, mw_action_name(answers[i].action));
        tap_is(answer_text(scene.arena, reply), answers[i].answer, "... with these words");
        end_scene(&scene);
    }
    struct scene scene = scene_of(MW_ACTION_REJECT);
    char *lines = mw_arena_alloc(scene.arena, 20001);
    for (size_t i = 0; i < 20000; i++)
        lines[i] = (char)(i % 1000 == 999 ? '\n' : i < 10000 ? '%' : '\x01');
    for (size_t from = 0; from < 20000; from += 10000) {
        scene.decision.text = lines + from;
        scene.terms.smtputf8 = from > 0;
        const struct mw_reply *refusal = plan(&scene);
        bool shorter = refusal->lines.count == 8;
        for (size_t i = 0; i < refusal->lines.count; i++)
            shorter = shorter && strlen(refusal->lines.items[i]) <= 400;
        tap_ok(shorter, "lines of a refusal are few and short, whatever is in them");
    }
    end_scene(&scene);
}

/* Names that would do harm if a header took them as they are. */
static const char *const hostile[] = {
    "a\r\nBcc: all@x.txt",
    "a\n\nbody",
    "x\"; yara/Fake (info) in \"y",
    "=?utf-8?q?=0D=0ABcc:?=",
    "\xff\xfe\xfd",
    "%n%s%s",
    "${id}${verdict}",
    ("\xe2\x80\xae"
     "fdp.exe"),
    "\x1b[31mred\x1b[0m",
};

static void test_hostile(void)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct scene scene = scene_of(MW_ACTION_QUARANTINE);
        char long_name[3000];
        memset(long_name, 'n', sizeof long_name);
        snprintf(long_name + 2900, 100, "%s", hostile[i]);
        add_finding(&scene, hostile[i], hostile[i], MW_SEVERITY_MALICIOUS);
        add_finding(&scene, long_name, long_name, MW_SEVERITY_MALICIOUS);
        for (int j = 0; j < 100; j++)
            add_finding(&scene, hostile[i], "again", MW_INFO);
        scene.report->id = hostile[i];
        scene.decision.subject_prefix = hostile[i];
        scene.decision.reason = hostile[i];
        const struct mw_reply *reply = plan(&scene);
        size_t bad = 0, size = 0;
        for (size_t j = 0; j < reply->edits.count; j++) {
            const struct mw_edit *edit = &reply->edits.items[j];
            bad += !sound(edit->value, edit->name ? strlen(edit->name) + 2 : 0) &&
                   edit->kind != MW_EDIT_QUARANTINE;
            bad += edit->kind == MW_EDIT_QUARANTINE && strpbrk(edit->value, "\r\n");
            size += strlen(edit->value);
        }
        tap_ok(reply->edits.count == 7 && bad == 0 && size < 10000,
               "hostile name %zu harms no header, and headers stay few and short", i);
        end_scene(&scene);
    }
    struct scene scene = scene_of(MW_ACTION_TAG);
    add_finding(&scene, "x\"; yara/Fake (info) in \"y", "Rule", MW_SEVERITY_MALICIOUS);
    tap_is(shown(scene.arena, header_value(plan(&scene), "X-Mailwitness-Findings")),
           "yara/Rule (malicious) in \"x__ yara/Fake (info) in _y\"",
           "a name cannot pretend to be another finding");
    for (int i = 0; i < 30; i++)
        add_finding(&scene, NULL, "Many", MW_INFO);
    const char *all = shown(scene.arena, header_value(plan(&scene), "X-Mailwitness-Findings"));
    tap_ok(strstr(all, "; and 11 more") != NULL, "what is not listed is counted");
    end_scene(&scene);
}

/* Without a connection libmilter refuses everything, as a server does that lacks a right. */
static void test_refused_edits(void)
{
    static const struct {
        enum mw_action action;
        bool edits;
        sfsistat answer;
    } cases[] = {
        {MW_ACTION_ACCEPT, false, SMFIS_ACCEPT},       {MW_ACTION_ACCEPT, true, SMFIS_TEMPFAIL},
        {MW_ACTION_QUARANTINE, false, SMFIS_TEMPFAIL}, {MW_ACTION_REJECT, false, SMFIS_REJECT},
        {MW_ACTION_TEMPFAIL, false, SMFIS_TEMPFAIL},   {MW_ACTION_DISCARD, false, SMFIS_DISCARD}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene scene = scene_of(cases[i].action);
        struct mw_error error = {0};
        scene.report->id = NULL;
        if (cases[i].edits)
            mw_texts_add(scene.arena, &scene.decision.added, "watch@x");
        int answer = mw_reply_carry_out(NULL, plan(&scene), true, &error);
        tap_ok(answer == cases[i].answer, "%s%s without the rights: the message is %s",
               mw_action_name(cases[i].action), cases[i].edits ? " with edits" : "",
               cases[i].answer == SMFIS_TEMPFAIL ? "to come again" : "answered as decided");
        bool complained = error.code != 0;
        tap_ok(complained == (cases[i].action != MW_ACTION_DISCARD &&
                              !(cases[i].action == MW_ACTION_ACCEPT && !cases[i].edits)),
               "... and what was refused is told");
        end_scene(&scene);
    }
}

int main(void)
{
    test_texts();
    test_lengths();
    test_our_headers();
    test_observe();
    test_forged();
    test_subjects();
    test_rule_headers();
    test_recipients();
    test_answers();
    test_hostile();
    test_refused_edits();
    return tap_done();
}
