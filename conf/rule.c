/* rule: the options of a rule of the list policy. */
#include "conf/rule.h"

#include "conf/check.h"
#include "conf/option.h"
#include "core/verdict.h"

static const char *const maybe[] = {"any", "true", "false", NULL};
static const char *const directions[] = {"any", "inbound", "outbound", NULL};

static const double TERA = 1099511627776.0;

#define AT(member) offsetof(struct mw_config_rule, member)
#define RULE(name, type, member, check, help)                                                      \
    {                                                                                              \
        "policy", name, type, AT(member), NULL, 0, 0, NULL, help, check                            \
    }
#define WHEN(name, member, check, help)                                                            \
    {                                                                                              \
        "policy.when", name, MW_OPTION_TEXTS, AT(when.member), NULL, 0, 0, NULL, help, check       \
    }
#define NAME(section, name, member, initial, names, help)                                          \
    {                                                                                              \
        section, name, MW_OPTION_NAME, AT(member), initial, 0, 0, names, help, NULL                \
    }
#define SIZE(name, member, help)                                                                   \
    {                                                                                              \
        "policy.when", name, MW_OPTION_SIZE, AT(when.member), "0", 0, TERA, NULL, help, NULL       \
    }

const struct mw_option mw_rule_options[] = {
    RULE("name", MW_OPTION_TEXT, name, mw_check_rule_name, "what logs and reports call it"),
    {"policy", "action", MW_OPTION_NAME, AT(action), NULL, MW_ACTION_ACCEPT, 0, mw_action_names,
     "what is done", NULL},
    RULE("text", MW_OPTION_TEXT, text, mw_check_reply_text,
         "of reject and tempfail, as 550 5.7.1 words"),
    RULE("reason", MW_OPTION_TEXT, reason, mw_check_words, "of quarantine"),
    RULE("redirect", MW_OPTION_TEXTS, redirect, mw_check_address,
         "addresses that get it instead of the recipients the rule is about"),
    RULE("add_recipient", MW_OPTION_TEXTS, add_recipient, mw_check_address,
         "addresses that get it too"),
    RULE("add_header", MW_OPTION_TEXTS, add_header, mw_check_header, "as Name: value"),
    RULE("set_header", MW_OPTION_TEXTS, set_header, mw_check_header,
         "the same, in the place of all of that name"),
    RULE("subject_prefix", MW_OPTION_TEXT, subject_prefix, mw_check_words,
         "put before the subject; breaks DKIM signatures"),

    WHEN("verdict", verdict, mw_check_verdict, "clean, suspicious, malicious or unscanned"),
    WHEN("failure", failure, mw_check_failure, "an option of the section failure, or any"),
    WHEN("scanner", scanner, NULL, "of a finding: yara, clamav, type..."),
    WHEN("signature", signature, NULL, "of the same finding: its rule or signature"),
    WHEN("severity", severity, mw_check_severity, "of it: info, suspicious or malicious"),
    WHEN("tag", tag, NULL, "of it: a tag of its YARA rule"),
    WHEN("attachment_name", attachment_name, NULL, "of an attachment, archived ones included"),
    WHEN("attachment_extension", attachment_extension, mw_check_extension,
         "of the same attachment, without a dot"),
    WHEN("attachment_type", attachment_type, NULL, "of it: its declared or detected type"),
    WHEN("new", is_new, NULL, "names of filters whose value was never seen before"),
    WHEN("sender", sender, NULL, "of the envelope; <> for the null sender"),
    WHEN("sender_domain", sender_domain, NULL, "its domain; .example.com for all below one"),
    WHEN("from", from, NULL, "an address in the From header"),
    WHEN("from_domain", from_domain, NULL, "its domain"),
    WHEN("recipient", recipient, NULL, "of the envelope; the rule is about these only"),
    WHEN("recipient_domain", recipient_domain, NULL, "its domain"),
    WHEN("client", client, mw_check_network_item, "addresses and networks"),
    WHEN("client_name", client_name, NULL, "its verified host name"),
    NAME("policy.when", "authenticated", when.authenticated, "any", maybe, "whether it logged in"),
    WHEN("login", login, NULL, "the name it logged in with"),
    NAME("policy.when", "tls", when.tls, "any", maybe, "whether its connection is encrypted"),
    WHEN("daemon", daemon, NULL, "what postfix calls the service it came by"),
    NAME("policy.when", "direction", when.direction, "any", directions,
         "outbound: authenticated, or from milter.internal_networks"),
    SIZE("size_above", size_above, "bytes of the message"),
    SIZE("size_below", size_below, "the same"),
};
const size_t mw_rule_option_count = sizeof mw_rule_options / sizeof *mw_rule_options;

const char *mw_rule_fault(const struct mw_config_rule *rule)
{
    bool passes = rule->action <= MW_ACTION_QUARANTINE;
    bool edits = rule->redirect.count > 0 || rule->add_recipient.count > 0 ||
                 rule->add_header.count > 0 || rule->set_header.count > 0 || rule->subject_prefix;
    char code[4], enhanced[12];
    if (rule->action == MW_ACTION_NONE)
        return "has no action";
    if (edits && !passes)
        return "changes a message that its action does not let pass";
    if (rule->reason && rule->action != MW_ACTION_QUARANTINE)
        return "has a reason, which only quarantine uses";
    if (!rule->text)
        return NULL;
    mw_reply_codes(rule->text, code, enhanced);
    if (rule->action != MW_ACTION_REJECT && rule->action != MW_ACTION_TEMPFAIL)
        return "has a text, which only reject and tempfail use";
    if ((code[0] ? code[0] : enhanced[0]) == (rule->action == MW_ACTION_REJECT ? '4' : '5'))
        return "has a text whose code is that of the other of reject and tempfail";
    return NULL;
}
