/* check: small grammars. */
#include "conf/check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "conf/option.h"
#include "core/address.h"
#include "core/names.h"
#include "core/network.h"
#include "core/suggest.h"
#include "core/template.h"
#include "core/utf8.h"
#include "core/verdict.h"

enum { TEXT_MAX = 900, PREFIX_MIN = 4, PREFIX_MAX = 40, NAMES = 32 };

const char *const mw_placeholders[] = {
    "id",        "queue_id", "verdict",   "action",     "rule",   "failure", "finding", "scanner",
    "signature", "sender",   "recipient", "attachment", "client", "size",    "why",     NULL};

static const char DIGITS[] = "0123456789";

/* Neither control characters nor what is no UTF-8; newline where lines are allowed. */
static int check_plain(const char *text, const char *allowed, struct mw_error *error)
{
    if (strlen(text) > TEXT_MAX)
        return mw_fail(error, MW_ERR_INPUT, "is longer than %d bytes", TEXT_MAX);
    if (!mw_utf8_valid(mw_bytes_of(text)))
        return mw_fail(error, MW_ERR_INPUT, "is not UTF-8");
    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c) && !strchr(allowed, *c))
            return mw_fail(error, MW_ERR_INPUT, "has a control character");
    return 0;
}

int mw_check_words(const char *text, struct mw_error *error)
{
    int code = check_plain(text, "", error);
    return code != 0 ? code : mw_template_check(text, mw_placeholders, error);
}

/* Length of "5.7.1" at text, 0 when there is none (RFC 3463 section 2). */
static size_t enhanced_size(const char *text)
{
    size_t subject = strspn(text + (text[0] && text[1] ? 2 : 0), DIGITS);
    if (!strchr("245", text[0]) || text[0] == '\0' || text[1] != '.' || subject < 1 ||
        subject > 3 || text[2 + subject] != '.')
        return 0;
    size_t detail = strspn(text + 3 + subject, DIGITS), size = 3 + subject + detail;
    bool ends = text[size] == ' ' || text[size] == '\0';
    return detail >= 1 && detail <= 3 && ends ? size : 0;
}

const char *mw_reply_codes(const char *text, char code[4], char enhanced[12])
{
    code[0] = enhanced[0] = '\0';
    if (strspn(text, DIGITS) == 3 && (text[3] == ' ' || text[3] == '\0')) {
        memcpy(code, text, 3);
        code[3] = '\0';
        text += 3;
        text += strspn(text, " ");
    }
    size_t size = enhanced_size(text);
    memcpy(enhanced, text, size);
    enhanced[size] = '\0';
    text += size;
    return text + strspn(text, " ");
}

static int check_codes(const char *code, const char *enhanced, const char *classes,
                       struct mw_error *error)
{
    const char *form = strcmp(classes, "5") == 0   ? "550 5.7.1"
                       : strcmp(classes, "4") == 0 ? "451 4.7.1"
                                                   : "550 5.7.1 or 451 4.7.1";
    /* RFC 5321 section 4.2.1: the second digit is from 0 to 5. */
    if (code[0] && (!strchr(classes, code[0]) || code[1] > '5'))
        return mw_fail(error, MW_ERR_INPUT, "cannot use the code %s; say one like %s", code, form);
    if (strcmp(code, "421") == 0)
        return mw_fail(error, MW_ERR_INPUT, "cannot use 421, which ends the connection");
    if (enhanced[0] && (!strchr(classes, enhanced[0]) || (code[0] && code[0] != enhanced[0])))
        return mw_fail(error, MW_ERR_INPUT, "cannot use the enhanced code %s; say one like %s",
                       enhanced, form);
    return 0;
}

static int check_reply(const char *text, const char *classes, struct mw_error *error)
{
    char code[4], enhanced[12];
    const char *words = mw_reply_codes(text, code, enhanced);
    int failed = check_codes(code, enhanced, classes, error);
    if (failed == 0)
        failed = check_plain(text, "\n", error);
    if (failed == 0 && (words[0] == '\0' || isdigit((unsigned char)words[0])))
        failed =
            mw_fail(error, MW_ERR_INPUT, "must be words, as in %s (${id})",
                    strcmp(classes, "4") == 0 ? "451 4.7.1 try again later" : "550 5.7.1 refused");
    return failed != 0 ? failed : mw_template_check(text, mw_placeholders, error);
}

int mw_check_reject_text(const char *text, struct mw_error *error)
{
    return check_reply(text, "5", error);
}

int mw_check_tempfail_text(const char *text, struct mw_error *error)
{
    return check_reply(text, "4", error);
}

int mw_check_reply_text(const char *text, struct mw_error *error)
{
    return check_reply(text, "45", error);
}

/* Length of a header's name at text (RFC 5322 section 2.2, less what nobody uses). */
static size_t name_size(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) || (text[size] && strchr("-_.", text[size])))
        size++;
    return size;
}

int mw_check_prefix(const char *text, struct mw_error *error)
{
    /* A prefix that any of these begin with would remove what mail needs. */
    static const char *const needed[] = {"ARC-",           "Authentication-Results",
                                         "Content-",       "Delivered-To",
                                         "DKIM-Signature", "In-Reply-To",
                                         "List-",          "Message-Id",
                                         "MIME-Version",   "Received-SPF",
                                         "References",     "Reply-To",
                                         "Resent-From",    "Return-Path",
                                         "Subject"};
    size_t size = strlen(text);
    if (name_size(text) != size || size < PREFIX_MIN || size > PREFIX_MAX || text[size - 1] != '-')
        return mw_fail(error, MW_ERR_INPUT,
                       "'%s' is no beginning of a header such as X-Mailwitness-, from %d to %d "
                       "letters, digits and dashes with a dash at its end",
                       text, PREFIX_MIN, PREFIX_MAX);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (strncasecmp(needed[i], text, size) == 0)
            return mw_fail(error, MW_ERR_INPUT, "'%s' would remove headers such as %s", text,
                           needed[i]);
    return 0;
}

int mw_check_authserv_id(const char *text, struct mw_error *error)
{
    size_t size = name_size(text);
    return size > 0 && size <= 255 && text[size] == '\0'
               ? 0
               : mw_fail(error, MW_ERR_INPUT, "'%s' is no host name such as mx.example.org", text);
}

int mw_check_header(const char *text, struct mw_error *error)
{
    size_t size = name_size(text);
    if (size == 0 || size > 76 || text[size] != ':' ||
        text[size + 1 + strspn(text + size + 1, " ")] == '\0')
        return mw_fail(error, MW_ERR_INPUT, "'%s' is not of the form Name: value", text);
    return mw_check_words(text, error);
}

int mw_check_address(const char *text, struct mw_error *error)
{
    const char *at = strrchr(text, '@');
    bool plain = check_plain(text, "", NULL) == 0 && !strpbrk(text, " <>,;\"");
    return at && at != text && at[1] && plain
               ? 0
               : mw_fail(error, MW_ERR_INPUT, "'%s' is no address such as user@example.org", text);
}

int mw_check_network(const char *text, struct mw_error *error)
{
    struct mw_network network;
    return mw_network_parse(&network, text, error);
}

int mw_check_network_item(const char *text, struct mw_error *error)
{
    return mw_check_network(text + (text[0] == '!'), error);
}

int mw_check_rule_name(const char *text, struct mw_error *error)
{
    size_t size = name_size(text);
    return size > 0 && size <= 64 && text[size] == '\0'
               ? 0
               : mw_fail(error, MW_ERR_INPUT,
                         "'%s' must be from 1 to 64 letters, digits, dashes and dots", text);
}

/* Whether text is one of names, with "!" before it allowed. */
static int check_name(const char *text, const char *const *names, struct mw_error *error)
{
    int at = mw_names_choose(names, 0, text + (text[0] == '!'), error);
    return at < 0 ? at : 0;
}

int mw_check_verdict(const char *text, struct mw_error *error)
{
    return check_name(text, mw_verdict_names, error);
}

int mw_check_severity(const char *text, struct mw_error *error)
{
    return check_name(text, mw_severity_names, error);
}

int mw_check_host_port(const char *text, struct mw_error *error)
{
    char host[MW_HOST_SIZE], port[MW_PORT_SIZE];
    return mw_address_split(text, host, port)
               ? 0
               : mw_fail(error, MW_ERR_INPUT, "'%s' is not HOST:PORT such as 127.0.0.1:9197", text);
}

int mw_check_failure(const char *text, struct mw_error *error)
{
    const char *names[NAMES + 1] = {"any"};
    size_t count = 1;
    for (size_t i = 0; i < mw_option_count && count < NAMES; i++)
        if (strcmp(mw_options[i].section, "failure") == 0)
            names[count++] = mw_options[i].name;
    return check_name(text, names, error);
}

int mw_check_extension(const char *text, struct mw_error *error)
{
    return text[text[0] == '!'] == '.'
               ? mw_fail(error, MW_ERR_INPUT, "'%s' is to be written without its dot", text)
               : 0;
}
