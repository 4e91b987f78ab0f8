/* parse: bounds and counters of one message's parsing. */
#include "parsers/parse.h"

#include "core/clock.h"

#include <string.h>

/* What is kept of the message's time for bringing the report to an end: the libraries
 * that are under way when it is up do not stop at once. */
static unsigned spare_ms(const struct mw_limits *limits)
{
    enum { MOST_MS = 3000 };
    return limits->time_ms / 10 < MOST_MS ? limits->time_ms / 10 : MOST_MS;
}

void mw_parse_start(struct mw_parse *parse, struct mw_report *report,
                    const struct mw_limits *limits, size_t message)
{
    *parse = (struct mw_parse){.report = report,
                               .limits = limits,
                               .message = message,
                               .secret = (uint64_t)mw_clock_us() ^ (uint64_t)(uintptr_t)report,
                               .ambiguous = MW_SEVERITY_SUSPICIOUS};
    if (limits->time_ms > 0)
        parse->deadline_us = mw_clock_us() + (int64_t)(limits->time_ms - spare_ms(limits)) * 1000;
}

struct mw_part *mw_parse_part(struct mw_parse *parse, struct mw_part *parent,
                              enum mw_part_kind kind)
{
    const char *place = parent ? parent->path : NULL;
    if (parse->parts >= parse->limits->parts) {
        parse->bounded = true;
        if (parse->parts++ == parse->limits->parts)
            mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_PARTS, place,
                              "more than %zu parts: the rest was not opened", parse->limits->parts);
        return NULL;
    }
    if (parent && parent->depth + 1 > parse->limits->depth) {
        parse->bounded = true;
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_DEPTH, place,
                          "nested deeper than %zu levels: not opened further",
                          parse->limits->depth);
        return NULL;
    }
    parse->parts++;
    return mw_part_new(parse->report->arena, parent, kind);
}

/* How many bytes the message may unpack to by its own size. */
static size_t by_ratio(const struct mw_parse *parse)
{
    size_t ratio = parse->limits->unpack_ratio;
    size_t most =
        ratio > 0 && parse->message > SIZE_MAX / ratio ? SIZE_MAX : parse->message * ratio;
    return most > MW_PARSE_UNPACK_FREE ? most : MW_PARSE_UNPACK_FREE;
}

bool mw_parse_take(struct mw_parse *parse, const char *place, size_t size)
{
    const struct mw_limits *limits = parse->limits;
    if (size > limits->unpacked_size || parse->unpacked > limits->unpacked_size - size) {
        mw_report_problem(parse->report, limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE, place,
                          "the parts together exceed %zu bytes when unpacked: left out",
                          limits->unpacked_size);
        return false;
    }
    if (parse->unpacked + size > by_ratio(parse)) {
        mw_report_problem(parse->report, limits, MW_PROBLEM_LIMIT_UNPACK_RATIO, place,
                          "the message unpacks to more than %zu times its size: left out",
                          limits->unpack_ratio);
        return false;
    }
    parse->unpacked += size;
    return true;
}

void mw_parse_give(struct mw_parse *parse, size_t size)
{
    parse->unpacked -= size;
    parse->refused += size;
}

size_t mw_parse_scan_most(const struct mw_parse *parse)
{
    size_t most = by_ratio(parse);
    most = most > SIZE_MAX / 2 ? SIZE_MAX : most * 2;
    return most < parse->limits->unpacked_size ? most : parse->limits->unpacked_size;
}

bool mw_parse_is_spent(const struct mw_parse *parse)
{
    return parse->refused > parse->limits->unpacked_size || parse->refused > by_ratio(parse);
}

static const struct {
    const char *name, *sentence;
} readings[MW_READINGS] = {
    [MW_READING_ENCODING] = {"encoding", "mail clients undo different transfer encodings"},
    [MW_READING_DIGITS] = {"digits", "its encoded text holds what mail clients decode differently"},
    [MW_READING_TYPE] = {"type", "mail clients take it for different types"},
    [MW_READING_BOUNDARY] = {"boundary", "mail clients find different parts in it"},
    [MW_READING_HEADER] = {"header", "mail clients see its header begin or end elsewhere"},
    [MW_READING_LINE] = {"line", "some mail clients end lines at its bare carriage returns"},
    [MW_READING_NAME] = {"name", "mail clients show different names for it, of different kinds"},
    [MW_READING_OTHER] = {"other", "it can be read otherwise"},
};

const char *mw_reading_name(enum mw_reading reading)
{
    return readings[reading].name;
}

bool mw_parse_reading(struct mw_parse *parse, const char *place)
{
    if (parse->readings < parse->limits->readings) {
        parse->readings++;
        return true;
    }
    if (parse->readings++ == parse->limits->readings)
        mw_report_problem(
            parse->report, parse->limits, MW_PROBLEM_LIMIT_READINGS, place,
            "there are more than %zu other ways to read the message: the rest was not "
            "opened",
            parse->limits->readings);
    return false;
}

void mw_parse_ambiguous(struct mw_parse *parse, const char *place, enum mw_reading reading,
                        const char *detail)
{
    struct mw_findings *findings = &parse->report->findings;
    struct mw_arena *arena = parse->report->arena;
    const char *sentence = readings[reading].sentence;
    size_t length = strlen(sentence);
    const char *path = place && *place ? place : NULL;
    for (size_t i = 0; i < findings->count; i++)
        if (strncmp(findings->items[i].message, sentence, length) == 0 &&
            (findings->items[i].path == path ||
             (path && findings->items[i].path && strcmp(findings->items[i].path, path) == 0)))
            return;
    if (findings->count >= parse->limits->findings_per_part)
        return; /* All are of this kind and this severity: the message is told already. */
    struct mw_finding *found = mw_list_add(arena, findings, sizeof *found);
    found->scanner = "mime";
    found->name = "mime.ambiguous";
    found->severity = parse->ambiguous;
    found->message = detail ? mw_arena_printf(arena, "%s: %s", sentence, detail) : sentence;
    found->path = path;
}

bool mw_parse_expired(struct mw_parse *parse)
{
    if (parse->expired)
        return true;
    if (parse->deadline_us == 0 || mw_clock_us() < parse->deadline_us)
        return false;
    parse->expired = true;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_TIME, NULL,
                      "the message took longer than %u ms: the rest was not opened",
                      parse->limits->time_ms);
    return true;
}
