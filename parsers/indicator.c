/* indicator: one PCRE2 pattern a kind, each match checked by what knows better. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "parsers/indicator.h"

#include <arpa/inet.h>
#include <glib.h>
#include <libpsl.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/ascii.h"
#include "core/url.h"
#include "core/utf8.h"

#define DOT "(?:\\.|\\[\\.\\]|\\(\\.\\)|\\[dot\\])"
/* Runs are possessive: what they took is never given back, so that no text makes the
 * search go over itself. */
#define LABEL "[a-z0-9\\x80-\\xff]++(?:[_-]++[a-z0-9\\x80-\\xff]++)*+"
#define LAST_LABEL "[a-z\\x80-\\xff][a-z0-9\\x80-\\xff-]{1,188}"
#define HOST "(?:" LABEL DOT "){1,10}" LAST_LABEL
/* The same behind many places that a mail address may begin at: a label has its dot near, or
 * each of them would have it read to its end. */
#define MAIL_HOST "(?:(?=[a-z0-9_\\x80-\\xff-]{1,189}+" DOT ")" LABEL DOT "){1,10}" LAST_LABEL
#define OCTET "(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)"
#define ADDRESS OCTET "(?:" DOT OCTET "){3}"

enum kind { URL, EMAIL, DOMAIN, IPV4, IPV6, HASH, MAC, KINDS };

/* In bytes; longer labels than 63 characters (RFC 5890) of three bytes are no host's. */
/* CLOCK_EVERY: matches between two looks at the deadline. */
enum { LABEL_MAX = 189, MAIL_USER_MAX = 64, CLOCK_EVERY = 64 };

/* A match holds one of marks, the first one at most reach bytes behind its start: only
 * there it is looked for. Without marks it is looked for everywhere. */
static const struct {
    const char *name;
    const char *pattern;
    const char *marks;
    size_t reach;
} kinds[KINDS] = {
    [URL] = {"urls",
             "\\b(?:h(?:tt|xx)ps?|ftp)(?::|\\[:\\])//"
             "(?:[^\\s<>\"'/?#@\\x00-\\x1f]*+@)*+(?:" HOST "|" ADDRESS
             "|\\[[0-9a-f:.]++\\]|[a-z0-9-]++)(?::\\d{1,5})?"
             "(?:[/?#][^\\s<>\"'`\\\\{}|\\x00-\\x1f]*)?",
             ":", sizeof "https["},
    [EMAIL] = {"emails", "[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}+(?:@|\\[@\\]|\\[at\\])" MAIL_HOST,
               "@[", MAIL_USER_MAX},
    [DOMAIN] = {"domains", "(?<![a-z0-9_.@\\x80-\\xff-])" HOST "(?![a-z0-9_\\x80-\\xff-])", ".[(",
                LABEL_MAX},
    [IPV4] = {"ipv4", "(?<![\\d.])" ADDRESS "(?![\\d]|\\.\\d)", ".[(", 3},
    [IPV6] = {"ipv6", "(?<![0-9a-f:.])(?:[0-9a-f]{0,4}+:){2,7}[0-9a-f]{0,4}(?![0-9a-f:.])", ":", 4},
    [HASH] = {"hashes", "(?<![0-9a-z])[0-9a-f]{32}(?:[0-9a-f]{8}(?:[0-9a-f]{24})?+)?+(?![0-9a-z])",
              NULL, 0},
    [MAC] = {"mac",
             "(?<![0-9a-f:-])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\\1[0-9a-f]{2}){4}"
             "(?![0-9a-f:-])",
             ":-", 2},
};

enum { LISTS = sizeof(struct mw_indicators) / sizeof(struct mw_texts) };

struct mw_indicator {
    pcre2_code *codes[KINDS];
    pcre2_match_data *match;
    pcre2_match_context *context;
    const psl_ctx_t *suffixes;
    GHashTable *known[LISTS]; /* what a report's lists hold already; borrowed texts */
};

struct mw_indicator *mw_indicator_new(struct mw_error *error)
{
    struct mw_indicator *indicator = calloc(1, sizeof *indicator);
    if (!indicator) {
        mw_fail_errno(error, "cannot prepare indicators");
        return NULL;
    }
    for (size_t i = 0; i < LISTS; i++)
        indicator->known[i] = g_hash_table_new(g_str_hash, g_str_equal);
    for (int i = 0; i < KINDS; i++) {
        int code;
        PCRE2_SIZE at;
        indicator->codes[i] =
            pcre2_compile((PCRE2_SPTR)kinds[i].pattern, PCRE2_ZERO_TERMINATED,
                          PCRE2_CASELESS | PCRE2_USE_OFFSET_LIMIT, &code, &at, NULL);
        if (!indicator->codes[i]) {
            mw_fail(error, MW_ERR_INTERNAL, "the pattern of %s is wrong at %zu", kinds[i].name,
                    (size_t)at);
            mw_indicator_free(indicator);
            return NULL;
        }
        /* Without the JIT it is slower, and right all the same. */
        pcre2_jit_compile(indicator->codes[i], PCRE2_JIT_COMPLETE);
    }
    indicator->match = pcre2_match_data_create(4, NULL);
    indicator->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(indicator->context, 1000000);
    indicator->suffixes = psl_builtin();
    return indicator;
}

void mw_indicator_free(struct mw_indicator *indicator)
{
    if (!indicator)
        return;
    for (int i = 0; i < KINDS; i++)
        pcre2_code_free(indicator->codes[i]);
    for (size_t i = 0; i < LISTS; i++)
        g_hash_table_destroy(indicator->known[i]);
    pcre2_match_data_free(indicator->match);
    pcre2_match_context_free(indicator->context);
    free(indicator);
}

/* Hashes differ by their length alone. */
static struct mw_texts *hashes_of(struct mw_indicators *all, size_t length)
{
    return length == 32 ? &all->md5 : length == 40 ? &all->sha1 : &all->sha256;
}

static struct mw_texts *list_of(struct mw_indicators *all, enum kind kind, const char *text)
{
    switch (kind) {
    case URL:
        return &all->urls;
    case EMAIL:
        return &all->emails;
    case DOMAIN:
        return &all->domains;
    case IPV4:
        return &all->ipv4;
    case IPV6:
        return &all->ipv6;
    case MAC:
        return &all->mac;
    default:
        return hashes_of(all, strlen(text));
    }
}

/* What stands for one character in an address that must not be clicked on. */
static const struct {
    const char *from;
    size_t size;
    char to;
} disguises[] = {{"[.]", 3, '.'}, {"(.)", 3, '.'}, {"[dot]", 5, '.'},
                 {"[:]", 3, ':'}, {"[@]", 3, '@'}, {"[at]", 4, '@'}};

/* The character that stands at the start of text, and in *size how long it is there. */
static char undisguise_one(struct mw_bytes text, size_t *size)
{
    char first = (char)text.data[0];
    *size = 1;
    if (first != '[' && first != '(')
        return first;
    for (size_t i = 0; i < sizeof disguises / sizeof *disguises; i++) {
        if (!mw_bytes_has_prefix_nocase(text, disguises[i].from))
            continue;
        *size = disguises[i].size;
        return disguises[i].to;
    }
    return first;
}

/* The match without its disguise: [.] (.) [dot] to ".", hxxp to http, [:] and [at]. */
static char *undisguise(struct mw_arena *arena, struct mw_bytes match)
{
    char *out = mw_arena_alloc(arena, match.size + 1);
    size_t size = 0, step;
    for (size_t i = 0; i < match.size; i += step)
        out[size++] = undisguise_one(mw_bytes_slice(match, i, match.size), &step);
    if (strncasecmp(out, "hxxp", 4) == 0)
        memcpy(out, "http", 4);
    return out;
}

/* What ends a sentence does not end a URL; a bracket does when it opened in it. */
static void trim_url(char *url)
{
    size_t size = strlen(url);
    bool round = strchr(url, '('), square = strchr(url, '[');
    while (size > 0) {
        char last = url[size - 1];
        bool closing = (last == ')' && !round) || (last == ']' && !square);
        if (!closing && !strchr(".,;:!?*", last))
            break;
        url[--size] = '\0';
    }
}

static bool is_public(const struct mw_indicator *indicator, const char *domain)
{
    const char *dot = strrchr(domain, '.');
    if (!indicator->suffixes || !dot || dot[1] == '\0')
        return false;
    return psl_is_public_suffix2(indicator->suffixes, dot + 1,
                                 PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) &&
           psl_registrable_domain(indicator->suffixes, domain) != NULL;
}

/* An address in its one form, where that has room: two ways to write it are one address. */
static bool is_ipv6(char *text)
{
    struct in6_addr binary;
    char form[INET6_ADDRSTRLEN];
    if (strlen(text) <= 2 || inet_pton(AF_INET6, text, &binary) != 1)
        return false;
    if (inet_ntop(AF_INET6, &binary, form, sizeof form) && strlen(form) <= strlen(text))
        memcpy(text, form, strlen(form) + 1);
    return true;
}

/* Whether a match is what it looks like; may shorten it. */
static bool is_sound(const struct mw_indicator *indicator, enum kind kind, char *text)
{
    struct in_addr binary;
    switch (kind) {
    case URL:
        trim_url(text);
        return strlen(text) > strlen("ftp://");
    case EMAIL:
        return is_public(indicator, strchr(text, '@') + 1);
    case DOMAIN:
        mw_ascii_lower_text(text);
        return is_public(indicator, text);
    case IPV4:
        return inet_pton(AF_INET, text, &binary) == 1;
    case IPV6:
        mw_ascii_lower_text(text);
        return is_ipv6(text);
    default:
        mw_ascii_lower_text(text);
        return true;
    }
}

/* Where what list holds already is kept. */
static GHashTable *known_of(const struct mw_indicator *indicator, const struct mw_report *report,
                            const struct mw_texts *list)
{
    const struct mw_texts *first = (const struct mw_texts *)&report->indicators;
    return indicator->known[list - first];
}

/* Whether text is in list already; the next time it is. A list that is empty is
 * another report's. */
static bool note_known(const struct mw_indicator *indicator, const struct mw_report *report,
                       const struct mw_texts *list, const char *text)
{
    GHashTable *known = known_of(indicator, report, list);
    if (list->count == 0)
        g_hash_table_remove_all(known);
    return !g_hash_table_add(known, (void *)(uintptr_t)text);
}

static void add(struct mw_indicator *indicator, struct mw_parse *parse, enum kind kind,
                const char *place, const char *text)
{
    struct mw_report *report = parse->report;
    const struct mw_limits *limits = parse->limits;
    struct mw_texts *list = list_of(&report->indicators, kind, text);
    if (list->count >= limits->indicators || note_known(indicator, report, list, text))
        return;
    mw_texts_add(report->arena, list, text);
    if (list->count == limits->indicators)
        mw_report_problem(report, limits, MW_PROBLEM_LIMIT_INDICATORS, place,
                          "%zu %s were found: more are left out", list->count, kinds[kind].name);
}

/* The host of a URL as a domain or address of its own. */
static void add_host(struct mw_indicator *indicator, struct mw_parse *parse, const char *place,
                     const char *url)
{
    char *name = mw_url_host(parse->report->arena, url);
    if (!name)
        return;
    if (is_sound(indicator, IPV4, name))
        add(indicator, parse, IPV4, place, name);
    else if (is_sound(indicator, IPV6, name))
        add(indicator, parse, IPV6, place, name);
    else if (is_sound(indicator, DOMAIN, name))
        add(indicator, parse, DOMAIN, place, name);
}

/* Where a match may start next, from at on: up to *last; text.size when nowhere. */
static size_t next_start(enum kind kind, struct mw_bytes text, size_t at, size_t *last)
{
    *last = text.size;
    if (!kinds[kind].marks)
        return at;
    *last = at + strcspn((const char *)text.data + at, kinds[kind].marks);
    if (*last == text.size)
        return text.size;
    return *last - at > kinds[kind].reach ? *last - kinds[kind].reach : at;
}

static void take_match(struct mw_indicator *indicator, struct mw_parse *parse, enum kind kind,
                       const char *place, struct mw_bytes match)
{
    struct mw_report *report = parse->report;
    char *plain = undisguise(report->arena, match);
    const struct mw_texts *list = list_of(&report->indicators, kind, plain);
    /* Most of a newsletter's links are repetitions: these need no second look. */
    if (list->count > 0 && g_hash_table_contains(known_of(indicator, report, list), plain))
        return;
    if (!is_sound(indicator, kind, plain))
        return;
    add(indicator, parse, kind, place, plain);
    if (kind == URL)
        add_host(indicator, parse, place, plain);
}

static void find_kind(struct mw_indicator *indicator, struct mw_parse *parse, enum kind kind,
                      const char *place, struct mw_bytes text)
{
    struct mw_report *report = parse->report;
    const struct mw_limits *limits = parse->limits;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(indicator->match);
    size_t taken = 0, last;
    unsigned tries = 0;
    for (size_t at = next_start(kind, text, 0, &last); at < text.size;
         at = next_start(kind, text, taken, &last)) {
        if (kind != HASH && list_of(&report->indicators, kind, "")->count >= limits->indicators)
            return;
        /* A match takes microseconds, asking the clock about as long. */
        if (tries++ % CLOCK_EVERY == 0 && mw_parse_expired(parse))
            return;
        pcre2_set_offset_limit(indicator->context, last);
        int found = pcre2_match(indicator->codes[kind], text.data, text.size, at,
                                PCRE2_NO_UTF_CHECK, indicator->match, indicator->context);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
            mw_report_problem(report, limits, MW_PROBLEM_INDICATORS_INCOMPLETE, place,
                              "the search for %s was given up behind byte %zu", kinds[kind].name,
                              at);
            return;
        }
        taken = last + 1;
        if (found < 0)
            continue;
        /* Patterns count bytes: a match may end within a character. */
        size_t end = mw_utf8_cut(text, bounds[1]);
        take_match(indicator, parse, kind, place, mw_bytes_slice(text, bounds[0], end - bounds[0]));
        taken = bounds[1];
    }
}

void mw_indicator_find(struct mw_indicator *indicator, struct mw_parse *parse, const char *place,
                       const char *text)
{
    for (int kind = 0; text && kind < KINDS; kind++)
        find_kind(indicator, parse, (enum kind)kind, place, mw_bytes_of(text));
}
