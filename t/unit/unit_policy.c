/*
 * unit_policy: reports and configurations in, decisions out. Configurations are
 * written as people write them.
 */
#include <stdlib.h>
#include <unistd.h>

#include "conf/check.h"
#include "milter/policy.h"
#include "milter/words.h"
#include "t/unit/tap.h"

enum { SIZE = 4096 };

/* The configuration with this text; the mistakes are shown when it has any. */
static struct mw_config *configure(const char *text)
{
    char path[] = "/tmp/unit_policy-XXXXXX";
    int file = mkstemp(path);
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_config *config = NULL;
    if (file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text))
        config = mw_config_load(path, arena, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        printf("# %s\n", mistakes.items[i]);
    if (file >= 0)
        close(file);
    unlink(path);
    mw_arena_free(arena);
    return config;
}

static void add_recipient(struct mw_report *report, const char *address)
{
    mw_texts_add(report->arena, &report->envelope.to, address);
}

static struct mw_attachment *add_file(struct mw_report *report, const char *name,
                                      const char *declared, const char *detected)
{
    struct mw_attachment *file =
        mw_list_add(report->arena, &report->attachments, sizeof *report->attachments.items);
    file->filename = name;
    file->content_type = declared;
    file->file_type = detected;
    return file;
}

static void add_finding(struct mw_report *report, struct mw_findings *findings, const char *scanner,
                        const char *name, enum mw_severity severity)
{
    struct mw_finding *one = mw_list_add(report->arena, findings, sizeof *findings->items);
    *one = (struct mw_finding){.scanner = scanner, .name = name, .severity = severity};
    one->message = "what was found";
    if (strcmp(scanner, "yara") == 0)
        one->details = "{\"namespace\":\"n\",\"tags\":[\"Macro\",\"dropper\"]}";
}

static void add_flag(struct mw_report *report, const char *name, bool value)
{
    struct mw_flag *flag =
        mw_list_add(report->arena, &report->new_values, sizeof *report->new_values.items);
    flag->name = name;
    flag->value = value;
}

static void add_from(struct mw_report *report, const char *address)
{
    struct mw_address *one = mw_list_add(report->arena, &report->from, sizeof *report->from.items);
    one->address = address;
}

static void add_problem(struct mw_report *report, const char *name)
{
    struct mw_problem *one =
        mw_list_add(report->arena, &report->errors, sizeof *report->errors.items);
    one->name = name;
}

/* A message of which every condition can say something. */
static struct mw_report *sample(void)
{
    struct mw_report *report = mw_report_new();
    report->id = "0190-id";
    report->queue_id = "4ABC";
    report->client.address = "192.0.2.7";
    report->client.name = "mail.sender.example";
    report->tls.version = "TLSv1.3";
    report->daemon.name = "SMTPd";
    report->envelope.from = "Boss@Sub.Sender.example";
    add_recipient(report, "ann@here.example");
    add_from(report, "boss@elsewhere.example");
    report->size = 5000;
    add_flag(report, "from", true);
    add_flag(report, "sender-domain", false);
    struct mw_attachment *file =
        add_file(report, "Invoice.PDF.exe", "application/pdf", "application/x-dosexec");
    add_finding(report, &file->findings, "yara", "Dropper_Generic", MW_SEVERITY_MALICIOUS);
    add_file(report, "photo.jpg", "image/jpeg", "image/jpeg");
    add_finding(report, &report->findings, "type", "type.disguised", MW_SEVERITY_SUSPICIOUS);
    report->verdict = MW_MALICIOUS;
    return report;
}

static bool repeated; /* the message met its failure too often */

/* Decides with a policy of this text; the decision lives as long as the report. */
static const struct mw_decision *decide_for(const char *text, struct mw_report *report,
                                            mw_failures failures, bool authenticated)
{
    struct mw_error error = {0};
    struct mw_config *config = configure(text);
    struct mw_policy *policy = config ? mw_policy_new(config, &error) : NULL;
    if (!policy) {
        printf("Bail out! no policy: %s\n", error.text);
        exit(2);
    }
    struct mw_policy_facts facts = {report, failures, repeated};
    report->auth.name = authenticated ? "Ann" : NULL;
    struct mw_decision *copy = mw_arena_alloc(report->arena, sizeof *copy);
    *copy = *mw_policy_decide(policy, &facts, report->arena);
    copy->by = mw_arena_dup(report->arena, copy->by);
    for (size_t i = 0; i < copy->added.count; i++)
        copy->added.items[i] = mw_arena_dup(report->arena, copy->added.items[i]);
    for (size_t i = 0; i < copy->fates.count; i++) {
        struct mw_fate *fate = &copy->fates.items[i];
        fate->address = mw_arena_dup(report->arena, fate->address);
        fate->moved_to = fate->moved_to ? mw_arena_dup(report->arena, fate->moved_to) : NULL;
    }
    mw_policy_free(policy);
    mw_config_free(config);
    return copy;
}

static const char *acting(const char *milter, const char *rest)
{
    static char text[SIZE * 2];
    snprintf(text, sizeof text, "milter: { mode = \"act\"; %s };\n%s\n", milter, rest);
    return text;
}

/* Conditions: whether a rule with this "when" matches the sample. */
static const struct {
    const char *when;
    bool matches;
} conditions[] = {
    {"", true},
    {"verdict = \"malicious\";", true},
    {"verdict = [\"clean\", \"suspicious\"];", false},
    {"verdict = \"!malicious\";", false},
    {"verdict = \"!clean\";", true},
    {"scanner = \"yara\";", true},
    {"scanner = \"clamav\";", false},
    {"signature = \"dropper_*\";", true},
    {"signature = \"Dropper\";", false},
    {"signature = \"type.*\"; scanner = \"type\";", true},
    {"signature = \"Dropper*\"; scanner = \"type\";", false},
    {"severity = \"malicious\";", true},
    {"severity = \"info\";", false},
    {"severity = \"malicious\"; scanner = \"type\";", false},
    {"tag = \"macro\";", true},
    {"tag = \"drop*\"; severity = \"malicious\";", true},
    {"tag = \"ransom\";", false},
    {"tag = \"macro\"; scanner = \"type\";", false},
    {"attachment_name = \"invoice*\";", true},
    {"attachment_name = \"*.docm\";", false},
    {"attachment_name = [\"*.docm\", \"*.exe\"];", true},
    {"attachment_extension = \"EXE\";", true},
    {"attachment_extension = \"pdf\";", false},
    {"attachment_extension = [\"!exe\", \"!jpg\"];", false},
    {"attachment_extension = \"!jpg\";", true},
    {"attachment_extension = \"ex?\"; attachment_type = \"application/pdf\";", true},
    {"attachment_extension = \"jpg\"; attachment_type = \"application/*\";", false},
    {"attachment_type = \"application/x-dosexec\";", true},
    {"attachment_type = \"video/*\";", false},
    {"new = \"from\";", true},
    {"new = \"!from\";", false},
    {"new = \"sender-domain\";", false},
    {"new = \"!sender-domain\";", true},
    {"new = \"cannot-tell\";", false},
    {"new = \"!cannot-tell\";", false},
    {"new = [\"cannot-tell\", \"from\"];", true},
    {"new = [\"from\", \"!sender-domain\"];", true},
    {"sender = \"boss@*\";", true},
    {"sender = \"*@sender.example\";", false},
    {"sender = \"<>\";", false},
    {"sender_domain = \"sub.sender.example\";", true},
    {"sender_domain = \"sender.example\";", false},
    {"sender_domain = \".sender.example\";", true},
    {"sender_domain = \".sub.sender.example\";", false},
    {"sender_domain = [\"*\", \"!.sender.example\"];", false},
    {"from = \"boss@elsewhere.example\";", true},
    {"from = \"boss@sub.sender.example\";", false},
    {"from_domain = \"elsewhere.example\";", true},
    {"from_domain = \"!elsewhere.example\";", false},
    {"recipient = \"ANN@*\";", true},
    {"recipient = \"bob@*\";", false},
    {"recipient = \"!bob@*\";", true},
    {"recipient_domain = \"here.example\";", true},
    {"recipient_domain = \".here.example\";", false},
    {"client = \"192.0.2.0/24\";", true},
    {"client = [\"10.0.0.0/8\", \"2001:db8::/32\"];", false},
    {"client = [\"192.0.2.0/24\", \"!192.0.2.7\"];", false},
    {"client = \"!10.0.0.0/8\";", true},
    {"client_name = \"*.sender.example\";", true},
    {"client_name = \"localhost\";", false},
    {"authenticated = true;", false},
    {"authenticated = false;", true},
    {"authenticated = \"any\";", true},
    {"tls = true;", true},
    {"tls = false;", false},
    {"daemon = \"smtp*\";", true},
    {"daemon = \"!smtp*\";", false},
    {"login = \"*\";", false},
    {"login = \"!ann\";", true},
    {"direction = \"inbound\";", true},
    {"direction = \"outbound\";", false},
    {"size_above = 4999;", true},
    {"size_above = 5000;", false},
    {"size_below = \"5k\";", true},
    {"size_below = 5000;", false},
    {"failure = \"any\";", false},
    {"failure = \"!any\";", true},
    {"verdict = \"malicious\"; sender_domain = \"other.example\";", false},
    {"verdict = \"malicious\"; sender_domain = \".example\"; size_above = 1; "
     "attachment_extension = \"exe\"; recipient = \"ann@*\"; client = \"192.0.2.7\";",
     true},
};

static void test_conditions(void)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        char rest[SIZE];
        struct mw_report *report = sample();
        snprintf(rest, sizeof rest,
                 "filter: { from: { }; sender-domain: { source = \"sender-domain\"; };"
                 " cannot-tell: { source = \"to\"; }; };\n"
                 "policy: ( { name = \"it\"; when: { %s }; action = \"tag\"; } );",
                 conditions[i].when);
        const struct mw_decision *decision = decide_for(acting("", rest), report, 0, false);
        const char *by = conditions[i].matches ? "policy.it" : "milter.malicious";
        tap_ok(strcmp(decision->by, by) == 0, "the rule %s the sample message: %s",
               conditions[i].matches ? "is for" : "is not for", conditions[i].when);
        mw_report_free(report);
    }
}

/* Names of files, each the only one of its message. */
static const struct {
    const char *name, *raw, *extension;
    bool matches;
} extensions[] = {
    {"a.exe", NULL, "exe", true},
    {"a.EXE", NULL, "exe", true},
    {"a.exe.", NULL, "exe", true},
    {"a.exe . .", NULL, "exe", true},
    {"a.exe.txt", NULL, "exe", false},
    {"exe", NULL, "exe", false},
    {".exe", NULL, "exe", true},
    {"a.", NULL, "exe", false},
    {"", NULL, "exe", false},
    {NULL, NULL, "exe", false},
    {"a\xef\xbf\xbdtxt", "a.exe", "exe", true},
    {"a.tar.gz", NULL, "gz", true},
    {"a.tar.gz", NULL, "tar.gz", false},
    {"a.exe::$DATA", NULL, "exe", true},
    {"a.exe", "a.e\xe2\x80\x8bxe\xe2\x80\xac", "exe", true},
    {"folder.d/readme", NULL, "*", false},
    {NULL, NULL, "*", false},
};

static void test_extensions(void)
{
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        char rest[SIZE];
        struct mw_report *report = mw_report_new();
        add_file(report, extensions[i].name, NULL, NULL)->filename_raw = extensions[i].raw;
        snprintf(rest, sizeof rest,
                 "policy: ( { when: { attachment_extension = \"%s\"; }; action = \"tag\"; } );",
                 extensions[i].extension);
        const struct mw_decision *decision = decide_for(acting("", rest), report, 0, false);
        tap_ok((strcmp(decision->by, "policy.rule-1") == 0) == extensions[i].matches,
               "'%s' %s the extension %s", extensions[i].name ? extensions[i].name : "(no name)",
               extensions[i].matches ? "has" : "has not", extensions[i].extension);
        mw_report_free(report);
    }
}

/* Clients and the networks they are in. */
static const struct {
    const char *client, *network;
    bool matches;
} clients[] = {
    {"10.1.2.3", "10.0.0.0/8", true},
    {"11.1.2.3", "10.0.0.0/8", false},
    {"10.1.2.3", "0.0.0.0/0", true},
    {"10.1.2.3", "10.1.2.3", true},
    {"10.1.2.4", "10.1.2.3", false},
    {"10.1.2.4", "10.1.2.4/31", true},
    {"10.1.2.6", "10.1.2.4/31", false},
    {"::ffff:10.1.2.3", "10.0.0.0/8", true},
    {"2001:db8:1::9", "2001:db8::/32", true},
    {"IPv6:2001:db8:1::9", "2001:db8::/32", true},
    {"2001:db9::1", "2001:db8::/32", false},
    {"2001:db8::1", "2001:db8::1", true},
    {"2001:DB8::1", "2001:db8:0:0::1", true},
    {"10.1.2.3", "2001:db8::/32", false},
    {"10.1.2.3", "::/0", false},
    {"::ffff:10.1.2.3", "::/0", false},
    {"::1", "::/0", true},
    {"2001:db8::1", "0.0.0.0/0", false},
    {"localhost", "0.0.0.0/0", false},
    {NULL, "::/0", false},
};

static void test_clients(void)
{
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct mw_report *report = mw_report_new();
        char rest[SIZE];
        report->client.address = clients[i].client;
        snprintf(rest, sizeof rest,
                 "policy: ( { when: { client = \"%s\"; }; action = \"tag\"; } );",
                 clients[i].network);
        const struct mw_decision *decision = decide_for(acting("", rest), report, 0, false);
        tap_ok((strcmp(decision->by, "policy.rule-1") == 0) == clients[i].matches, "%s is %sin %s",
               clients[i].client ? clients[i].client : "an unknown client",
               clients[i].matches ? "" : "not ", clients[i].network);
        mw_report_free(report);
    }
}

/* What is done when nothing matches, and when the first of several does. */
static const struct {
    const char *what, *milter, *policy;
    enum mw_verdict verdict;
    enum mw_action action;
    const char *by;
} precedence[] = {
    {"clean mail is accepted", "", "", MW_CLEAN, MW_ACTION_ACCEPT, "milter.clean"},
    {"suspicious mail is tagged", "", "", MW_SUSPICIOUS, MW_ACTION_TAG, "milter.suspicious"},
    {"malicious mail is rejected", "", "", MW_MALICIOUS, MW_ACTION_REJECT, "milter.malicious"},
    {"unscanned mail is tagged", "", "", MW_UNSCANNED, MW_ACTION_TAG, "milter.unscanned"},
    {"clean mail is tagged when it is said so", "clean = \"tag\";", "", MW_CLEAN, MW_ACTION_TAG,
     "milter.clean"},
    {"malicious mail is held when it is said so", "malicious = \"quarantine\";", "", MW_MALICIOUS,
     MW_ACTION_QUARANTINE, "milter.malicious"},
    {"malicious mail is discarded when it is said so", "malicious = \"discard\";", "", MW_MALICIOUS,
     MW_ACTION_DISCARD, "milter.malicious"},
    {"unscanned mail is held when it is said so", "unscanned = \"quarantine\";", "", MW_UNSCANNED,
     MW_ACTION_QUARANTINE, "milter.unscanned"},
    {"a rule comes before the action for the verdict", "",
     "{ name = \"a\"; action = \"tempfail\"; }", MW_CLEAN, MW_ACTION_TEMPFAIL, "policy.a"},
    {"the first of two rules that match decides", "",
     "{ name = \"a\"; when: { verdict = \"clean\"; }; action = \"quarantine\"; },"
     "{ name = \"b\"; action = \"reject\"; }",
     MW_CLEAN, MW_ACTION_QUARANTINE, "policy.a"},
    {"a rule that does not match is passed over", "",
     "{ name = \"a\"; when: { verdict = \"malicious\"; }; action = \"reject\"; },"
     "{ name = \"b\"; when: { verdict = \"clean\"; }; action = \"discard\"; }",
     MW_CLEAN, MW_ACTION_DISCARD, "policy.b"},
    {"a rule can be milder than the action for the verdict", "",
     "{ name = \"a\"; action = \"accept\"; }", MW_MALICIOUS, MW_ACTION_ACCEPT, "policy.a"},
    {"a rule without a name is called by its place", "",
     "{ when: { verdict = \"malicious\"; }; action = \"reject\"; }, { action = \"tag\"; }",
     MW_CLEAN, MW_ACTION_TAG, "policy.rule-2"},
    {"what is unscanned is not passed untagged even when a rule accepts it", "",
     "{ name = \"a\"; action = \"accept\"; }", MW_UNSCANNED, MW_ACTION_TAG, "policy.a"},
};

static void test_precedence(void)
{
    for (size_t i = 0; i < sizeof precedence / sizeof *precedence; i++) {
        char rest[SIZE];
        struct mw_report *report = mw_report_new();
        report->verdict = precedence[i].verdict;
        snprintf(rest, sizeof rest, "policy: ( %s );", precedence[i].policy);
        const struct mw_decision *decision =
            decide_for(acting(precedence[i].milter, rest), report, 0, false);
        if (!tap_ok(decision->action == precedence[i].action &&
                        strcmp(decision->by, precedence[i].by) == 0,
                    "%s", precedence[i].what))
            printf("# got %s by %s\n", mw_action_name(decision->action), decision->by);
        mw_report_free(report);
    }
}

static const struct {
    enum mw_failure failure;
    const char *name, *problem;
    enum mw_action safe;
} failures[] = {
    {MW_WORKER_CRASHED, "worker_crashed", "worker.crashed", MW_ACTION_TEMPFAIL},
    {MW_TIMED_OUT, "timed_out", "worker.timeout", MW_ACTION_TAG},
    {MW_BAD_REPORT, "bad_report", "worker.report", MW_ACTION_TEMPFAIL},
    {MW_QUEUE_FULL, "queue_full", "worker.busy", MW_ACTION_TEMPFAIL},
    {MW_OUT_OF_RESOURCES, "out_of_resources", "worker.resources", MW_ACTION_TEMPFAIL},
    {MW_TOO_LARGE, "too_large", "limit.message_size", MW_ACTION_TAG},
    {MW_LIMITS, "limits", "limit.depth", MW_ACTION_TAG},
    {MW_UNREADABLE, "unreadable", "archive.damaged", MW_ACTION_TAG},
    {MW_NOT_OPENED, "not_opened", "container.not_opened", MW_ACTION_TAG},
    {MW_ENGINE_MISSING, "engine_missing", "scanner.failed", MW_ACTION_TAG},
    {MW_STORE_UNAVAILABLE, "store_unavailable", NULL, MW_ACTION_TEMPFAIL},
    {MW_REFUSAL_UNRECORDED, "refusal_unrecorded", NULL, MW_ACTION_TAG},
    {MW_INTERNAL_ERROR, "internal_error", NULL, MW_ACTION_TEMPFAIL},
};

static const struct mw_decision *fail(const char *rest, enum mw_failure failure,
                                      struct mw_report **report)
{
    *report = mw_report_new();
    return decide_for(acting("", rest), *report, mw_failure_bit(failure), false);
}

/* A condition alone, with the message otherwise clean: the hardest case. */
static void test_failure(size_t i)
{
    static const enum mw_action others[] = {MW_ACTION_TAG, MW_ACTION_QUARANTINE, MW_ACTION_TEMPFAIL,
                                            MW_ACTION_REJECT, MW_ACTION_DISCARD};
    const char *name = failures[i].name;
    struct mw_report *report;
    char rest[SIZE], by[64];
    snprintf(by, sizeof by, "failure.%s", name);
    const struct mw_decision *decision = fail("", failures[i].failure, &report);
    tap_ok(decision->action == failures[i].safe, "without a word, %s is met with %s", name,
           mw_action_name(failures[i].safe));
    tap_ok(decision->failures == mw_failure_bit(failures[i].failure),
           "the decision names %s as what failed", name);
    mw_report_free(report);
    for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
        snprintf(rest, sizeof rest, "failure: { %s = \"%s\"; };", name, mw_action_name(others[j]));
        decision = fail(rest, failures[i].failure, &report);
        tap_ok(decision->action == others[j] && strcmp(decision->by, by) == 0,
               "%s is met with %s when that is configured", name, mw_action_name(others[j]));
        mw_report_free(report);
    }
    decision = fail("policy: ( { action = \"accept\"; } );", failures[i].failure, &report);
    tap_ok(decision->action == failures[i].safe,
           "a rule that does not name %s cannot make it milder", name);
    mw_report_free(report);
    snprintf(rest, sizeof rest,
             "policy: ( { name = \"ours\"; when: { failure = \"%s\"; }; action = \"accept\"; } );",
             name);
    decision = fail(rest, failures[i].failure, &report);
    tap_ok(decision->action == MW_ACTION_TAG && strcmp(decision->by, "policy.ours") == 0,
           "a rule that names %s can let the message pass, tagged", name);
    mw_report_free(report);
    decision = fail("policy: ( { action = \"reject\"; } );", failures[i].failure, &report);
    tap_ok(decision->action == MW_ACTION_REJECT, "%s does not make a refusal milder", name);
    mw_report_free(report);
    repeated = true;
    snprintf(rest, sizeof rest, "failure: { %s = \"tempfail\"; };", name);
    decision = fail(rest, failures[i].failure, &report);
    tap_ok(decision->action == MW_ACTION_TAG, "met too often, %s puts no message off", name);
    mw_report_free(report);
    snprintf(rest, sizeof rest, "failure: { %s = \"reject\"; };", name);
    decision = fail(rest, failures[i].failure, &report);
    tap_ok(decision->action == MW_ACTION_REJECT, "... and what else is configured for it stays");
    mw_report_free(report);
    repeated = false;
}

static void test_failures(void)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        test_failure(i);
        tap_is(mw_failure_name(failures[i].failure), failures[i].name,
               "its name is that of its option");
        if (!failures[i].problem)
            continue;
        struct mw_report *report = mw_report_new();
        add_problem(report, "header.date");
        tap_ok(mw_failures_of_report(report) == 0, "a problem that hides nothing is no failure");
        add_problem(report, failures[i].problem);
        tap_ok(mw_failures_of_report(report) == mw_failure_bit(failures[i].failure),
               "a report with the problem %s has failed by %s", failures[i].problem,
               failures[i].name);
        mw_report_free(report);
    }
    tap_is_number(sizeof failures / sizeof *failures, MW_FAILURE_COUNT,
                  "every condition is tested");
    struct mw_report *report = mw_report_new();
    add_problem(report, "from.the_future");
    tap_ok(mw_failures_of_report(report) == mw_failure_bit(MW_UNREADABLE),
           "a problem that this version does not know is taken for one that hides something");
    report->errors.count = 0;
    mw_texts_add(report->arena, &report->unscanned, "no scanner is configured");
    tap_ok(mw_failures_of_report(report) == mw_failure_bit(MW_ENGINE_MISSING),
           "without any scanner the engine is missing");
    mw_report_free(report);
}

/* What is to be refused, and can be recorded nowhere. */
static void test_refusal(void)
{
    static const char rule[] = "policy: ( { name = \"no\"; action = \"reject\"; } );";
    mw_failures both = mw_failure_bit(MW_REFUSAL_UNRECORDED) | mw_failure_bit(MW_STORE_UNAVAILABLE);
    struct mw_report *report = sample();
    const struct mw_decision *decision = decide_for(acting("", rule), report, both, false);
    tap_ok(decision->action == MW_ACTION_REJECT && strcmp(decision->by, "policy.no") == 0,
           "a message that is to be refused is, also where that cannot be recorded");
    char rest[SIZE];
    snprintf(rest, sizeof rest, "failure: { refusal_unrecorded = \"tempfail\"; }; %s", rule);
    decision = decide_for(acting("", rest), report, both, false);
    tap_ok(decision->action == MW_ACTION_TEMPFAIL &&
               strcmp(decision->by, "failure.refusal_unrecorded") == 0,
           "... or put off, where that is wanted");
    decision = decide_for(acting("", rest), report, 0, false);
    tap_ok(decision->action == MW_ACTION_REJECT, "... but only where it cannot be recorded");
    mw_report_free(report);
}

static void test_failures_together(void)
{
    struct mw_report *report = sample();
    mw_failures both = mw_failure_bit(MW_LIMITS) | mw_failure_bit(MW_STORE_UNAVAILABLE);
    const struct mw_decision *decision =
        decide_for(acting("malicious = \"tag\";", ""), report, both, false);
    tap_is(decision->by, "failure.store_unavailable", "of several failures the strictest decides");
    decision = decide_for(acting("", "policy: ( { when: { failure = \"limits\"; };"
                                     " action = \"accept\"; } );"),
                          report, both, false);
    tap_is(decision->by, "failure.store_unavailable",
           "a rule for one failure does not excuse the other");
    decision = decide_for(acting("", "policy: ( { when: { failure = \"any\"; };"
                                     " action = \"accept\"; } );"),
                          report, both, false);
    tap_is(decision->by, "policy.rule-1", "a rule for any failure is for all of them");
    decision = decide_for(acting("malicious = \"discard\";", ""), report, both, false);
    tap_is_number(decision->action, MW_ACTION_TEMPFAIL,
                  "nothing is discarded while it cannot be recorded");
    mw_report_free(report);
    struct mw_error error = {.code = MW_ERR_TIMEOUT};
    tap_is_number(mw_failure_of_error(&error), MW_TIMED_OUT,
                  "a worker that took too long timed out");
    error.code = MW_ERR_BUSY;
    tap_is_number(mw_failure_of_error(&error), MW_QUEUE_FULL, "no free worker is a full queue");
    error.code = MW_ERR_SYSTEM;
    tap_is_number(mw_failure_of_error(&error), MW_OUT_OF_RESOURCES,
                  "what the system refused is a want of resources");
    error.code = MW_ERR_INPUT;
    tap_is_number(mw_failure_of_error(&error), MW_INTERNAL_ERROR,
                  "what nobody thought of is an internal error");
}

static void test_direction(void)
{
    static const char internal[] = "internal_networks = [\"192.0.2.0/28\", \"2001:db8::/32\"];";
    static const char rule[] =
        "policy: ( { when: { direction = \"outbound\"; }; action = \"quarantine\"; } );";
    struct mw_report *report = sample();
    tap_is_number(decide_for(acting("", rule), report, 0, false)->action, MW_ACTION_REJECT,
                  "without internal networks an unknown client's mail is inbound");
    tap_is_number(decide_for(acting("", rule), report, 0, true)->action, MW_ACTION_QUARANTINE,
                  "mail of an authenticated client is outbound");
    tap_is_number(decide_for(acting(internal, rule), report, 0, false)->action,
                  MW_ACTION_QUARANTINE, "mail from an internal network is outbound");
    report->client.address = "192.0.2.99";
    tap_is_number(decide_for(acting(internal, rule), report, 0, false)->action, MW_ACTION_REJECT,
                  "mail from elsewhere is inbound");
    report->client.address = NULL;
    tap_is_number(decide_for(acting(internal, rule), report, 0, false)->action, MW_ACTION_REJECT,
                  "mail from a client without an address is inbound");
    mw_report_free(report);
}

/* Three recipients, a rule for each of the first two; the third has clean mail. */
static const struct {
    const char *what, *milter, *first, *second;
    enum mw_action action;
    const char *removed, *added; /* addresses, with a blank between */
} recipients[] = {
    {"the strictest outcome is for all", "", "reject", "tag", MW_ACTION_REJECT, "", ""},
    {"a quarantine for one is for all", "", "quarantine", "tag", MW_ACTION_QUARANTINE, "", ""},
    {"a quarantine stays one beside an accept", "", "accept", "quarantine", MW_ACTION_QUARANTINE,
     "", ""},
    {"a tempfail is stricter than a quarantine", "", "quarantine", "tempfail", MW_ACTION_TEMPFAIL,
     "", ""},
    {"a reject is stricter than a tempfail", "", "tempfail", "reject", MW_ACTION_REJECT, "", ""},
    {"a discard for one takes the message from that one only", "", "discard", "tag", MW_ACTION_TAG,
     "ann@x", ""},
    {"discards for two take it from two", "", "discard", "discard", MW_ACTION_ACCEPT, "ann@x bob@x",
     ""},
    {"a discard beside a reject is rejected, so that the sender knows", "", "discard", "reject",
     MW_ACTION_REJECT, "", ""},
    {"a discard beside a quarantine leaves the quarantine", "", "discard", "quarantine",
     MW_ACTION_QUARANTINE, "ann@x", ""},
    {"the most lenient outcome is for all by setting, yet not untagged",
     "recipients = \"lenient\";", "reject", "quarantine", MW_ACTION_TAG, "", ""},
    {"lenient takes the mildest of what is stricter than accept",
     "recipients = \"lenient\"; clean = \"quarantine\";", "reject", "tempfail",
     MW_ACTION_QUARANTINE, "", ""},
    {"lenient does not tag where nothing was stricter", "recipients = \"lenient\";", "accept",
     "accept", MW_ACTION_ACCEPT, "", ""},
    {"lenient keeps a discard to its recipient", "recipients = \"lenient\";", "discard", "reject",
     MW_ACTION_TAG, "ann@x", ""},
    {"each: a recipient it is refused for is removed", "recipients = \"each\";", "reject", "tag",
     MW_ACTION_TAG, "ann@x", ""},
    {"each: and may be held for the others", "recipients = \"each\"; removed = \"quarantine\";",
     "reject", "tag", MW_ACTION_QUARANTINE, "ann@x", ""},
    {"each: and may go to another address in its place",
     "recipients = \"each\"; removed_to = \"watch@x\";", "reject", "reject", MW_ACTION_ACCEPT,
     "ann@x bob@x", "watch@x"},
    {"each: a discarded one is not held for", "recipients = \"each\"; removed = \"quarantine\";",
     "discard", "tag", MW_ACTION_TAG, "ann@x", ""},
    {"each: a tempfail for one is for all, the message comes again", "recipients = \"each\";",
     "tempfail", "tag", MW_ACTION_TEMPFAIL, "", ""},
    {"each: beside a tempfail a refusal is for all", "recipients = \"each\";", "tempfail", "reject",
     MW_ACTION_REJECT, "", ""},
    {"each: refused for all is refused", "recipients = \"each\"; clean = \"reject\";", "reject",
     "reject", MW_ACTION_REJECT, "", ""},
    {"discarded for all is discarded", "clean = \"discard\";", "discard", "discard",
     MW_ACTION_DISCARD, "", ""},
};

static const char *joined(struct mw_arena *arena, const struct mw_texts *texts)
{
    const char *text = "";
    for (size_t i = 0; i < texts->count; i++)
        text = mw_arena_printf(arena, "%s%s%s", text, i > 0 ? " " : "", texts->items[i]);
    return text;
}

static const char *removed(struct mw_arena *arena, const struct mw_decision *decision)
{
    struct mw_texts texts = {0};
    for (size_t i = 0; i < decision->removed.count; i++)
        mw_texts_add(arena, &texts, decision->removed.items[i].recipient);
    return joined(arena, &texts);
}

static struct mw_report *to_three(void)
{
    struct mw_report *report = mw_report_new();
    add_recipient(report, "ann@x");
    add_recipient(report, "bob@x");
    add_recipient(report, "cid@x");
    return report;
}

static void test_recipients(void)
{
    for (size_t i = 0; i < sizeof recipients / sizeof *recipients; i++) {
        char rest[SIZE];
        struct mw_report *report = to_three();
        snprintf(rest, sizeof rest,
                 "policy: ( { when: { recipient = \"ann@*\"; }; action = \"%s\"; },"
                 " { when: { recipient = \"bob@*\"; }; action = \"%s\"; } );",
                 recipients[i].first, recipients[i].second);
        const struct mw_decision *decision =
            decide_for(acting(recipients[i].milter, rest), report, 0, false);
        const char *gone = removed(report->arena, decision);
        const char *come = joined(report->arena, &decision->added);
        if (!tap_ok(decision->action == recipients[i].action &&
                        strcmp(gone, recipients[i].removed) == 0 &&
                        strcmp(come, recipients[i].added) == 0,
                    "%s", recipients[i].what))
            printf("# got %s by %s, removed '%s', added '%s'\n", mw_action_name(decision->action),
                   decision->by, gone, come);
        mw_report_free(report);
    }
}

static const struct {
    const char *what, *milter, *policy, *fates;
} fates[] = {
    {"what is done for all is done for each", "", "{ action = \"tag\"; }",
     "ann@x=tag by policy.rule-1|bob@x=tag by policy.rule-1|cid@x=tag by policy.rule-1"},
    {"a recipient that is removed is refused", "recipients = \"each\"; removed_to = \"w@x\";",
     "{ name = \"no\"; when: { recipient = \"bob@*\"; }; action = \"reject\"; }",
     "ann@x=accept by milter.clean|bob@x=reject by policy.no to w@x|"
     "cid@x=accept by milter.clean|w@x=accept by policy.no added for bob@x"},
    {"... or thrown away", "",
     "{ name = \"no\"; when: { recipient = \"cid@*\"; }; action = \"discard\"; }",
     "ann@x=accept by milter.clean|bob@x=accept by milter.clean|cid@x=discard by policy.no"},
    {"one that is redirected says where to", "",
     "{ name = \"m\"; when: { recipient = \"bob@*\"; }; action = \"tag\"; redirect = [\"v@x\", "
     "\"w@x\"]; }",
     "ann@x=tag by policy.m|bob@x=tag by policy.m to v@x, w@x|cid@x=tag by policy.m|"
     "v@x=tag by policy.m added for bob@x|w@x=tag by policy.m added for bob@x"},
    {"a refusal is for all, whoever it is decided for", "",
     "{ name = \"no\"; when: { recipient = \"bob@*\"; }; action = \"reject\"; }",
     "ann@x=reject by policy.no|bob@x=reject by policy.no|cid@x=reject by policy.no"},
    {"observing, all get it, and what would be done is told",
     "mode = \"observe\"; recipients = \"each\";",
     "{ name = \"no\"; when: { recipient = \"bob@*\"; }; action = \"reject\"; }",
     "ann@x=accept/accept by milter.clean|bob@x=accept/reject by policy.no|"
     "cid@x=accept/accept by milter.clean"},
};

static const char *fates_of(struct mw_arena *arena, const struct mw_decision *decision)
{
    const char *text = "";
    for (size_t i = 0; i < decision->fates.count; i++) {
        const struct mw_fate *one = &decision->fates.items[i];
        text = mw_arena_printf(arena, "%s%s%s=%s%s%s by %s%s%s%s%s", text, *text ? "|" : "",
                               one->address, mw_action_name(one->action), one->intended ? "/" : "",
                               one->intended ? mw_action_name(one->intended) : "", one->by,
                               one->moved_to ? " to " : "", one->moved_to ? one->moved_to : "",
                               one->added_for ? " added for " : "",
                               one->added_for ? one->added_for : "");
    }
    return text;
}

static void test_fates(void)
{
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        char text[SIZE];
        struct mw_report *report = to_three();
        bool observe = strstr(fates[i].milter, "observe");
        snprintf(text, sizeof text, "milter: { %s %s }; policy: ( %s );",
                 observe ? "" : "mode = \"act\";", fates[i].milter, fates[i].policy);
        tap_is(fates_of(report->arena, decide_for(text, report, 0, false)), fates[i].fates,
               fates[i].what);
        mw_report_free(report);
    }
}

/* Rules that change who gets it, and what is added. */
static const struct {
    const char *what, *policy, *removed, *added, *add, *set, *prefix;
} edits[] = {
    {"redirect takes the place of all recipients",
     "{ action = \"accept\"; redirect = \"watch@x\"; }", "ann@x bob@x cid@x", "watch@x", "", "",
     ""},
    {"redirect takes the place of the recipient the rule is about",
     "{ when: { recipient = \"bob@x\"; }; action = \"tag\"; redirect = [\"v@x\", \"w@x\"]; }",
     "bob@x", "v@x w@x", "", "", ""},
    {"redirecting to one of the recipients keeps that one",
     "{ action = \"quarantine\"; redirect = \"BOB@x\"; }", "ann@x cid@x", "BOB@x", "", "", ""},
    {"add_recipient removes nobody", "{ action = \"accept\"; add_recipient = \"archive@x\"; }", "",
     "archive@x", "", "", ""},
    {"headers are filled in",
     "{ name = \"h\"; action = \"tag\"; add_header = [\"X-A: ${rule}\","
     " \"X-B: ${verdict}\"]; set_header = \"X-C: ${sender}\"; }",
     "", "", "X-A: policy.h X-B: clean", "X-C: <>", ""},
    {"so is the subject's prefix", "{ action = \"tag\"; subject_prefix = \"[${verdict}]\"; }", "",
     "", "", "", "[clean]"},
    {"headers of every recipient's rule are added once",
     "{ when: { recipient = \"ann@x\"; }; action = \"tag\"; add_header = \"X-A: 1\";"
     " subject_prefix = \"[a]\"; },"
     "{ when: { recipient = \"bob@x\"; }; action = \"accept\"; add_header = [\"X-A: 1\", \"X-B: "
     "2\"];"
     " subject_prefix = \"[b]\"; }",
     "", "", "X-A: 1 X-B: 2", "", "[a]"},
    {"a message that is refused is not changed",
     "{ when: { recipient = \"ann@x\"; }; action = \"tag\"; add_header = \"X-A: 1\"; redirect = "
     "\"v@x\"; },"
     "{ action = \"reject\"; }",
     "", "", "", "", ""},
};

static void test_edits(void)
{
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char rest[SIZE];
        struct mw_report *report = to_three();
        report->envelope.from = "";
        snprintf(rest, sizeof rest, "policy: ( %s );", edits[i].policy);
        const struct mw_decision *decision = decide_for(acting("", rest), report, 0, false);
        const char *got[] = {removed(report->arena, decision),
                             joined(report->arena, &decision->added),
                             joined(report->arena, &decision->add_headers),
                             joined(report->arena, &decision->set_headers),
                             decision->subject_prefix ? decision->subject_prefix : ""};
        const char *wanted[] = {edits[i].removed, edits[i].added, edits[i].add, edits[i].set,
                                edits[i].prefix};
        bool same = true;
        for (size_t j = 0; j < 5; j++)
            same = same && strcmp(got[j], wanted[j]) == 0;
        if (!tap_ok(same, "%s", edits[i].what))
            printf("# got '%s' '%s' '%s' '%s' '%s'\n", got[0], got[1], got[2], got[3], got[4]);
        mw_report_free(report);
    }
}

static const struct {
    const char *text, *filled;
} words[] = {
    {"${id}", "0190-id"},
    {"${queue_id}/${client}", "4ABC/192.0.2.7"},
    {"${verdict} ${action}", "malicious reject"},
    {"${rule}", "policy.r"},
    {"${finding} by ${scanner}: ${signature}", "what was found by yara: Dropper_Generic"},
    {"${attachment}", "Invoice.PDF.exe"},
    {"${sender} to ${recipient}, ${size} bytes",
     "Boss@Sub.Sender.example to ann@here.example, 5000 bytes"},
    {"${failure}", "-"},
    {"of 100% $5 $ {id} $$", "of 100% $5 $ {id} $$"},
};

static void test_words(void)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char rest[SIZE];
        struct mw_report *report = sample();
        snprintf(rest, sizeof rest,
                 "policy: ( { name = \"r\"; action = \"reject\"; text = \"550 %s\"; } );",
                 words[i].text);
        const struct mw_decision *decision = decide_for(acting("", rest), report, 0, false);
        tap_is(decision->text, words[i].filled, words[i].text);
        mw_report_free(report);
    }
    struct mw_report *forger = sample();
    forger->attachments.items[0].filename = "250 2.0.0 fine";
    const struct mw_decision *told =
        decide_for(acting("", "policy: ( { action = \"reject\"; text = \"${attachment}\"; } );"),
                   forger, 0, false);
    tap_ok(told->code[0] == '\0' && told->enhanced[0] == '\0', "a name in a mail is no reply code");
    tap_is(told->text, "250 2.0.0 fine", "... but words");
    told = decide_for(acting("", "policy: ( { action = \"reject\"; text = \"554 5.6.0 no\"; } );"),
                      forger, 0, false);
    tap_is(told->code, "554", "the code of a rule is kept");
    tap_is(told->enhanced, "5.6.0", "... and its enhanced one");
    mw_report_free(forger);
    struct mw_report *report = sample();
    struct mw_words known = {
        report,        mw_failure_bit(MW_LIMITS) | mw_failure_bit(MW_TIMED_OUT),
        MW_ACTION_TAG, "by",
        "ann@x",       NULL};
    for (size_t i = 0; mw_placeholders[i]; i++) {
        char text[64];
        snprintf(text, sizeof text, "${%s}", mw_placeholders[i]);
        tap_ok(strcmp(mw_words_fill(report->arena, &known, text), "-") != 0,
               "%s has a value, as the configuration's checker says", text);
    }
    mw_report_free(report);
    report = mw_report_new();
    const struct mw_decision *decision = decide_for(
        acting("malicious = \"quarantine\"; quarantine_text = \"held: ${signature}\";", ""), report,
        0, false);
    tap_is(decision->reason, "held: -", "what is not known is shown as a dash");
    mw_report_free(report);
}

/* An archive with a program and a picture in it, found to be bad as a whole and within. */
static struct mw_report *archived(void)
{
    struct mw_report *report = mw_report_new();
    static const char *const files[][3] = {{"2", "invoice.zip", "application/zip"},
                                           {"2.1", "photo.jpg", "image/jpeg"},
                                           {"2.2", "invoice.com", "application/x-dosexec"}};
    report->id = "0190-id";
    add_recipient(report, "ann@here.example");
    for (size_t i = 0; i < 3; i++)
        add_file(report, files[i][1], files[i][2], files[i][2])->path = files[i][0];
    add_finding(report, &report->attachments.items[0].findings, "clamav", "Bad",
                MW_SEVERITY_MALICIOUS);
    add_finding(report, &report->attachments.items[2].findings, "clamav", "Bad",
                MW_SEVERITY_MALICIOUS);
    add_finding(report, &report->attachments.items[1].findings, "exec.x", "Odd", MW_INFO);
    report->verdict = MW_MALICIOUS;
    return report;
}

static const struct {
    const char *what, *when, *filled;
} named[] = {
    {"the file is named that matched, not the one that holds it", "", "Bad in invoice.com"},
    {"a rule about names says which one it was", "attachment_extension = \"zip\";",
     "Bad in invoice.zip"},
    {"... though another file is worse", "attachment_extension = \"jpg\";", "Bad in photo.jpg"},
    {"a rule about findings names the one that fits", "severity = \"info\";", "Odd in photo.jpg"},
    {"among several files that fit the one within is named", "attachment_name = \"invoice*\";",
     "Bad in invoice.com"},
};

static void test_named(void)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        char rest[SIZE];
        struct mw_report *report = archived();
        snprintf(rest, sizeof rest,
                 "policy: ( { when: { %s }; action = \"reject\"; text = \"${signature} in "
                 "${attachment}\"; } );",
                 named[i].when);
        tap_is(decide_for(acting("", rest), report, 0, false)->text, named[i].filled,
               named[i].what);
        mw_report_free(report);
    }
    struct mw_report *report = archived();
    tap_is(decide_for(acting("", ""), report, 0, false)->text,
           "refused: malicious: Bad in invoice.com (0190-id)",
           "a refusal says what was found, and in which file");
    report->attachments.count = 0;
    tap_is(decide_for(acting("", "policy: ( { name = \"no\"; action = \"reject\"; } );"), report, 0,
                      false)
               ->text,
           "refused: malicious: policy.no (0190-id)", "... or the rule, when nothing was");
    mw_report_free(report);
}

static void test_modes(void)
{
    struct mw_report *report = sample();
    const struct mw_decision *decision = decide_for("", report, 0, false);
    tap_ok(decision->observed && decision->action == MW_ACTION_REJECT,
           "observe decides as always, and says that it only observes");
    tap_is_number(mw_decision_done(decision), MW_ACTION_ACCEPT, "... what is done is to accept");
    decision = decide_for("milter: { mode = \"observe\"; };", report,
                          mw_failure_bit(MW_WORKER_CRASHED), false);
    tap_is_number(mw_decision_done(decision), MW_ACTION_ACCEPT, "... even when scanning failed");
    decision = decide_for(acting("", ""), report, 0, false);
    tap_is_number(mw_decision_done(decision), MW_ACTION_REJECT, "in mode act it is done");
    mw_report_free(report);
}

int main(void)
{
    test_conditions();
    test_extensions();
    test_clients();
    test_precedence();
    test_failures();
    test_refusal();
    test_failures_together();
    test_direction();
    test_recipients();
    test_edits();
    test_fates();
    test_words();
    test_named();
    test_modes();
    return tap_done();
}
