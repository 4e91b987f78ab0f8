/* condition: what an index answers is asked there; the rest of the facts, then the report. */
#include "cli/condition.h"

#include <fnmatch.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "cli/when.h"
#include "core/ascii.h"
#include "core/names.h"
#include "core/network.h"
#include "core/time.h"
#include "core/url.h"

enum { PAGE = 200, MD5_DIGITS = 32, SHA256_DIGITS = 64, FACT_WHOLE = 900 };

/* How a condition is answered: in this order of cost. */
enum way { WAY_INDEX, WAY_PATTERN, WAY_NETWORK };

struct condition {
    int field; /* enum mw_condition_field */
    enum way way;
    int index;         /* of WAY_INDEX */
    const char *value; /* as given, or the pattern in folded case */
    struct mw_network network;
};

struct mw_conditions {
    struct mw_arena *arena;
    MW_LIST(struct condition) list;
    int64_t since, until;
};

struct mw_conditions *mw_conditions_new(struct mw_arena *arena)
{
    struct mw_conditions *conditions = mw_arena_alloc(arena, sizeof *conditions);
    conditions->arena = arena;
    return conditions;
}

bool mw_conditions_any(const struct mw_conditions *conditions)
{
    return conditions->list.count > 0 || conditions->since > 0 || conditions->until > 0;
}

int64_t mw_conditions_since(const struct mw_conditions *conditions)
{
    return conditions->since;
}

int64_t mw_conditions_until(const struct mw_conditions *conditions)
{
    return conditions->until;
}

/* --- options ---------------------------------------------------------------------------- */

/* The index behind each option; -1: there is none. */
static const struct {
    int field, index;
    const char *option;
} fields[] = {
    {MW_CONDITION_FROM, MW_INDEX_FROM, "from"},
    {MW_CONDITION_ENVELOPE_FROM, MW_INDEX_ENVELOPE_FROM, "envelope-from"},
    {MW_CONDITION_TO, MW_INDEX_TO, "to"},
    {MW_CONDITION_SUBJECT, -1, "subject"},
    {MW_CONDITION_FILENAME, MW_INDEX_FILENAME, "filename"},
    {MW_CONDITION_SHA256, MW_SEARCH_ATTACHMENT, "sha256"},
    {MW_CONDITION_MD5, MW_SEARCH_ATTACHMENT, "md5"},
    {MW_CONDITION_TYPE, -1, "type"},
    {MW_CONDITION_VERDICT, MW_INDEX_VERDICT, "verdict"},
    {MW_CONDITION_RULE, MW_INDEX_RULE, "rule"},
    {MW_CONDITION_SIGNATURE, MW_INDEX_SIGNATURE, "signature"},
    {MW_CONDITION_URL_HOST, MW_INDEX_URL_HOST, "url-host"},
    {MW_CONDITION_CLIENT, MW_INDEX_CLIENT, "client"},
    {MW_CONDITION_QUEUE_ID, MW_INDEX_QUEUE_ID, "queue-id"},
    {MW_CONDITION_MESSAGE_ID, MW_INDEX_MESSAGE_ID, "message-id"},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const char *folded(struct mw_arena *arena, const char *text)
{
    char *own = g_utf8_validate(text, -1, NULL) ? g_utf8_casefold(text, -1) : NULL;
    const char *copy = mw_arena_dup(arena, own ? own : text);
    g_free(own);
    return copy;
}

static bool is_pattern(const char *value)
{
    return strpbrk(value, "*?") != NULL;
}

/* A pattern for texts that have value somewhere in them. */
static const char *containing(struct mw_arena *arena, const char *value)
{
    char *pattern = mw_arena_alloc(arena, strlen(value) * 2 + 3), *end = pattern;
    *end++ = '*';
    for (; *value; value++) {
        if (strchr("[]\\", *value))
            *end++ = '\\';
        *end++ = *value;
    }
    *end = '*';
    return pattern;
}

static int check_hash(const char *option, const char *value, size_t digits, struct mw_error *error)
{
    if (mw_hex_is(value, digits))
        return 0;
    return mw_fail(error, MW_ERR_INPUT, "--%s: '%s' is not %zu hexadecimal digits", option, value,
                   digits);
}

static int check_verdict(const char *value, struct mw_error *error)
{
    struct mw_error why = {0};
    if (mw_names_choose(mw_verdict_names, 0, value, &why) >= 0)
        return 0;
    return mw_fail(error, MW_ERR_INPUT, "--verdict: %s", why.text);
}

static void make_pattern(struct mw_arena *arena, struct condition *condition, const char *pattern)
{
    condition->way = WAY_PATTERN;
    condition->value = folded(arena, pattern);
}

/* An address has an @; what has none is a domain. */
static void make_address(struct mw_arena *arena, struct condition *condition)
{
    const char *value = condition->value;
    if (is_pattern(value))
        make_pattern(arena, condition, value);
    else if (*value && !strchr(value, '@') && strcmp(value, "<>") != 0)
        make_pattern(arena, condition, mw_arena_printf(arena, "*@%s", value));
}

static int make(struct mw_arena *arena, struct condition *condition, const char *option,
                struct mw_error *error)
{
    const char *value = condition->value;
    switch (condition->field) {
    case MW_CONDITION_FROM:
        if (*value && !is_pattern(value) && !strchr(value, '@')) {
            /* The index has the envelope's domain too: what it finds is looked at. */
            make_address(arena, condition);
            condition->index = MW_INDEX_DOMAIN;
            return 0;
        }
        make_address(arena, condition);
        return 0;
    case MW_CONDITION_ENVELOPE_FROM:
    case MW_CONDITION_TO:
        make_address(arena, condition);
        return 0;
    case MW_CONDITION_SUBJECT:
    case MW_CONDITION_TYPE:
        make_pattern(arena, condition, is_pattern(value) ? value : containing(arena, value));
        return 0;
    case MW_CONDITION_SHA256:
        return check_hash(option, value, SHA256_DIGITS, error);
    case MW_CONDITION_MD5:
        return check_hash(option, value, MD5_DIGITS, error);
    case MW_CONDITION_VERDICT:
        return check_verdict(value, error);
    case MW_CONDITION_CLIENT:
        if (strchr(value, '/')) {
            condition->way = WAY_NETWORK;
            return mw_network_parse(&condition->network, value, error);
        }
        break;
    case MW_CONDITION_URL_HOST:
        if (!is_pattern(value))
            condition->value = value = mw_url_host_form(arena, value);
        break;
    default:
        break;
    }
    if (is_pattern(value))
        make_pattern(arena, condition, value);
    return 0;
}

static int take_time(struct mw_conditions *conditions, int option, const char *value,
                     struct mw_error *error)
{
    bool since = option == MW_CONDITION_SINCE;
    struct mw_error why = {0};
    if (mw_when_parse(value, mw_time_now(), since ? MW_WHEN_START : MW_WHEN_END,
                      since ? &conditions->since : &conditions->until, &why) != 0)
        return mw_fail(error, MW_ERR_INPUT, "--%s: %s", since ? "since" : "until", why.text);
    if (conditions->since > 0 && conditions->until > 0 && conditions->since > conditions->until)
        return mw_fail(error, MW_ERR_INPUT, "--since lies behind --until: nothing can match");
    return 1;
}

int mw_conditions_option(struct mw_conditions *conditions, int option, const char *value,
                         struct mw_error *error)
{
    if (option == MW_CONDITION_SINCE || option == MW_CONDITION_UNTIL)
        return take_time(conditions, option, value, error);
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].field != option)
            continue;
        struct condition condition = {
            .field = option, .way = WAY_INDEX, .index = fields[i].index, .value = value};
        if (make(conditions->arena, &condition, fields[i].option, error) != 0)
            return error->code;
        struct condition *slot =
            mw_list_add(conditions->arena, &conditions->list, sizeof *conditions->list.items);
        *slot = condition;
        return 1;
    }
    return 0;
}

/* --- looking at a message ------------------------------------------------------------------ */

/* One value against a condition. */
static bool fits(const struct condition *condition, const char *text)
{
    if (!text)
        return false;
    if (condition->way == WAY_NETWORK)
        return mw_network_has(&condition->network, text);
    char *own = g_utf8_validate(text, -1, NULL) ? g_utf8_casefold(text, -1) : NULL;
    bool result = fnmatch(condition->value, own ? own : text, 0) == 0;
    g_free(own);
    return result;
}

static bool any_address(const struct condition *condition, const struct mw_addresses *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (fits(condition, list->items[i].address))
            return true;
    return false;
}

static bool any_text(const struct condition *condition, const struct mw_texts *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (fits(condition, list->items[i]))
            return true;
    return false;
}

static bool any_host(const struct condition *condition, const struct mw_report *report)
{
    bool found = false;
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < report->indicators.urls.count && !found; i++)
        found = fits(condition, mw_url_host(arena, report->indicators.urls.items[i]));
    mw_arena_free(arena);
    return found;
}

static bool any_finding(const struct condition *condition, const struct mw_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        bool rule = findings->items[i].scanner && strcmp(findings->items[i].scanner, "yara") == 0;
        if (rule == (condition->field == MW_CONDITION_RULE) &&
            fits(condition, findings->items[i].name))
            return true;
    }
    return false;
}

static bool any_attachment(const struct condition *condition, const struct mw_report *report)
{
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *file = &report->attachments.items[i];
        bool found = condition->field == MW_CONDITION_FILENAME ? fits(condition, file->filename)
                     : condition->field == MW_CONDITION_TYPE
                         ? fits(condition, file->file_type) || fits(condition, file->content_type)
                         : any_finding(condition, &file->findings);
        if (found)
            return true;
    }
    return false;
}

static bool report_fits(const struct condition *condition, const struct mw_report *report)
{
    switch (condition->field) {
    case MW_CONDITION_FROM:
        return any_address(condition, &report->from);
    case MW_CONDITION_ENVELOPE_FROM:
        return fits(condition, report->envelope.from);
    case MW_CONDITION_TO:
        return any_address(condition, &report->to) || any_address(condition, &report->cc) ||
               any_text(condition, &report->envelope.to);
    case MW_CONDITION_SUBJECT:
        return fits(condition, report->subject ? report->subject : "");
    case MW_CONDITION_CLIENT:
        return fits(condition, report->client.address) || fits(condition, report->client.name);
    case MW_CONDITION_QUEUE_ID:
        return fits(condition, report->queue_id);
    case MW_CONDITION_MESSAGE_ID:
        return fits(condition, report->message_id);
    case MW_CONDITION_URL_HOST:
        return any_host(condition, report);
    case MW_CONDITION_RULE:
    case MW_CONDITION_SIGNATURE:
        return any_finding(condition, &report->findings) || any_attachment(condition, report);
    default:
        return any_attachment(condition, report);
    }
}

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_UNKNOWN };

/* Facts hold lists joined by ", ", cut when they are very long. */
static bool joined_fits(const struct condition *condition, const char *joined)
{
    bool found = false;
    char **items = g_strsplit(joined, ", ", -1);
    for (size_t i = 0; items[i] && !found; i++)
        found = fits(condition, items[i]);
    g_strfreev(items);
    return found;
}

/* What the facts alone tell. */
static enum answer facts_fit(const struct condition *condition, const struct mw_facts *facts)
{
    const char *name = condition->field == MW_CONDITION_FROM            ? "from"
                       : condition->field == MW_CONDITION_ENVELOPE_FROM ? "envelope_from"
                       : condition->field == MW_CONDITION_TO            ? "to"
                       : condition->field == MW_CONDITION_SUBJECT       ? "subject"
                       : condition->field == MW_CONDITION_QUEUE_ID      ? "queue_id"
                       : condition->field == MW_CONDITION_MESSAGE_ID    ? "message_id"
                       : condition->field == MW_CONDITION_CLIENT        ? "client"
                                                                        : NULL;
    const char *value = name ? mw_fact_value(facts, name) : NULL;
    if (!name || (value && strlen(value) > FACT_WHOLE))
        return ANSWER_UNKNOWN;
    bool list = condition->field == MW_CONDITION_FROM || condition->field == MW_CONDITION_TO;
    if (value && (list ? joined_fits(condition, value) : fits(condition, value)))
        return ANSWER_YES;
    if (condition->field == MW_CONDITION_CLIENT)
        return fits(condition, mw_fact_value(facts, "client_name")) ? ANSWER_YES : ANSWER_NO;
    if (condition->field == MW_CONDITION_TO) /* Cc is in the report only */
        return ANSWER_UNKNOWN;
    if (condition->field == MW_CONDITION_SUBJECT && !value && fits(condition, ""))
        return ANSWER_YES;
    return ANSWER_NO;
}

/* --- the walk --------------------------------------------------------------------------------- */

struct mw_finder {
    struct mw_query *query;
    struct mw_conditions *conditions;
    struct mw_search *search; /* NULL: nothing can match */
    bool looks;               /* some conditions need a look at the message */
    bool ended;
    struct mw_arena *arena; /* of what was found and not yet given out */
    struct mw_hits found;
    size_t given;
};

/* MD5s are not in an index: they are looked for among the attachments. */
static int resolve_md5(struct mw_query *query, struct condition *condition, struct mw_arena *keep,
                       bool *found, struct mw_error *error)
{
    struct mw_search *search = mw_search_attachments(query, 0, 0, error);
    int result = search ? 1 : error->code;
    *found = false;
    while (result > 0 && !*found) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        result = mw_search_next(search, arena, PAGE, &hits, error);
        for (size_t i = 0; result > 0 && i < hits.count && !*found; i++) {
            struct mw_facts facts = {0};
            int got = mw_query_attachment(query, arena, hits.items[i].id, &facts, error);
            const char *md5 = mw_fact_value(&facts, "md5");
            result = got == 0 || got == MW_ERR_MISSING ? result : got;
            if (md5 && strcasecmp(md5, condition->value) == 0) {
                *found = true;
                condition->value = mw_arena_dup(keep, hits.items[i].id);
            }
        }
        mw_arena_free(arena);
    }
    mw_search_free(search);
    return result < 0 ? result : 0;
}

/* The domain that a "*@domain" made from a domain stands for. */
static const char *index_value(const struct condition *condition)
{
    return condition->index == MW_INDEX_DOMAIN ? condition->value + 2 : condition->value;
}

static int begin(struct mw_finder *finder, struct mw_error *error)
{
    struct mw_search_terms terms = {0};
    struct mw_conditions *conditions = finder->conditions;
    for (size_t i = 0; i < conditions->list.count; i++) {
        struct condition *one = &conditions->list.items[i];
        bool found = true;
        if (one->field == MW_CONDITION_MD5 &&
            resolve_md5(finder->query, one, conditions->arena, &found, error) != 0)
            return error->code;
        if (!found) {
            return 0; /* without a search nothing is found */
        }
        finder->looks = finder->looks || one->way != WAY_INDEX;
        if (one->way != WAY_INDEX && one->index != MW_INDEX_DOMAIN)
            continue;
        struct mw_search_term *term = mw_list_add(conditions->arena, &terms, sizeof *term);
        *term = (struct mw_search_term){one->index, index_value(one)};
    }
    finder->search =
        mw_search_new(finder->query, &terms, conditions->since, conditions->until, error);
    return finder->search ? 0 : error->code;
}

struct mw_finder *mw_finder_new(struct mw_query *query, struct mw_conditions *conditions,
                                struct mw_error *error)
{
    struct mw_finder *finder = calloc(1, sizeof *finder);
    if (!finder)
        abort();
    finder->query = query;
    finder->conditions = conditions;
    if (begin(finder, error) == 0)
        return finder;
    mw_finder_free(finder);
    return NULL;
}

void mw_finder_free(struct mw_finder *finder)
{
    if (!finder)
        return;
    mw_search_free(finder->search);
    mw_arena_free(finder->arena);
    free(finder);
}

int64_t mw_finder_count(const struct mw_finder *finder)
{
    if (!finder->search)
        return 0;
    return finder->looks || finder->conditions->list.count > 1 ? -1
                                                               : mw_search_count(finder->search);
}

/* All conditions that no index answered; 1 or 0, negative on error. */
static int look(struct mw_finder *finder, const char *id, const struct mw_facts *facts,
                struct mw_error *error)
{
    struct mw_report *report = NULL;
    int result = facts->count > 0; /* of a message that is gone only indexes know */
    for (size_t i = 0; i < finder->conditions->list.count && result == 1; i++) {
        const struct condition *one = &finder->conditions->list.items[i];
        enum answer answer = one->way == WAY_INDEX ? ANSWER_YES : facts_fit(one, facts);
        if (answer == ANSWER_UNKNOWN && !report) {
            report = mw_query_report(finder->query, id, error);
            if (!report)
                return error->code == MW_ERR_MISSING ? 0 : error->code;
        }
        if (answer == ANSWER_UNKNOWN)
            answer = report_fits(one, report) ? ANSWER_YES : ANSWER_NO;
        result = answer == ANSWER_YES;
    }
    mw_report_free(report);
    return result;
}

/* Keeps those of the page's hits that fit. */
static int look_at_all(struct mw_finder *finder, struct mw_arena *own, const struct mw_hits *page,
                       struct mw_error *error)
{
    struct mw_texts ids = {0};
    struct mw_facts *facts = mw_arena_alloc(own, (page->count + 1) * sizeof *facts);
    for (size_t i = 0; i < page->count; i++)
        mw_texts_add(own, &ids, page->items[i].id);
    if (mw_query_facts(finder->query, own, &ids, facts, error) != 0)
        return error->code;
    for (size_t i = 0; i < page->count; i++) {
        int fit = look(finder, page->items[i].id, &facts[i], error);
        if (fit < 0)
            return fit;
        if (fit == 0)
            continue;
        struct mw_hit *hit = mw_list_add(finder->arena, &finder->found, sizeof *hit);
        *hit =
            (struct mw_hit){mw_arena_dup(finder->arena, page->items[i].id), page->items[i].time_ms};
    }
    return 0;
}

/* Looks at the next page. */
static int find_more(struct mw_finder *finder, struct mw_error *error)
{
    struct mw_arena *own = mw_arena_new();
    struct mw_hits page = {0};
    mw_arena_free(finder->arena);
    finder->arena = mw_arena_new();
    finder->found = (struct mw_hits){0};
    finder->given = 0;
    int result = mw_search_next(finder->search, own, PAGE, &page, error);
    finder->ended = result <= 0;
    if (result > 0)
        result = look_at_all(finder, own, &page, error);
    mw_arena_free(own);
    return result < 0 ? result : 0;
}

int mw_finder_next(struct mw_finder *finder, struct mw_arena *arena, size_t most,
                   struct mw_hits *hits, struct mw_error *error)
{
    if (!finder->search)
        return 0;
    if (!finder->looks)
        return mw_search_next(finder->search, arena, most, hits, error);
    while (hits->count < most) {
        if (finder->given < finder->found.count) {
            const struct mw_hit *found = &finder->found.items[finder->given++];
            struct mw_hit *hit = mw_list_add(arena, hits, sizeof *hit);
            *hit = (struct mw_hit){mw_arena_dup(arena, found->id), found->time_ms};
        } else if (finder->ended) {
            break;
        } else if (find_more(finder, error) != 0) {
            return error->code;
        }
    }
    return hits->count > 0;
}
