/* parse: bounds and counters of one message's parsing. */
#include "parsers/parse.h"

#include "core/clock.h"

#include <time.h>

void mw_parse_start(struct mw_parse *parse, struct mw_report *report,
                    const struct mw_limits *limits)
{
    *parse = (struct mw_parse){.report = report, .limits = limits};
    if (limits->time_ms > 0)
        parse->deadline_us = mw_clock_us() + (int64_t)limits->time_ms * 1000;
}

struct mw_part *mw_parse_part(struct mw_parse *parse, struct mw_part *parent,
                              enum mw_part_kind kind)
{
    const char *place = parent ? parent->path : NULL;
    if (parse->parts >= parse->limits->parts) {
        if (parse->parts++ == parse->limits->parts)
            mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_PARTS, place,
                              "more than %zu parts: the rest was not opened", parse->limits->parts);
        return NULL;
    }
    if (parent && parent->depth + 1 > parse->limits->depth) {
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_DEPTH, place,
                          "nested deeper than %zu levels: not opened further",
                          parse->limits->depth);
        return NULL;
    }
    parse->parts++;
    return mw_part_new(parse->report->arena, parent, kind);
}

bool mw_parse_take(struct mw_parse *parse, const char *place, size_t size, size_t packed)
{
    const struct mw_limits *limits = parse->limits;
    if (size > limits->unpacked_size || parse->unpacked > limits->unpacked_size - size) {
        mw_report_problem(parse->report, limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE, place,
                          "the parts together exceed %zu bytes when unpacked: left out",
                          limits->unpacked_size);
        return false;
    }
    if (packed > 0 && size / packed > limits->unpack_ratio) {
        mw_report_problem(parse->report, limits, MW_PROBLEM_LIMIT_UNPACK_RATIO, place,
                          "unpacks to more than %zu times its size: left out",
                          limits->unpack_ratio);
        return false;
    }
    parse->unpacked += size;
    return true;
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
