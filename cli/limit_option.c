/* limit_option: one table of limits by name. */
#include "cli/limit_option.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/command.h"

enum unit { COUNT, SIZE, TIME };

static const struct {
    const char *name;
    size_t offset;
    enum unit unit;
    size_t most;
} table[] = {
    {"message_size", offsetof(struct mw_limits, message_size), SIZE, (size_t)2 << 30},
    {"header_count", offsetof(struct mw_limits, header_count), COUNT, 1000000},
    {"header_length", offsetof(struct mw_limits, header_length), SIZE, (size_t)64 << 20},
    {"parts", offsetof(struct mw_limits, parts), COUNT, 1000000},
    {"readings", offsetof(struct mw_limits, readings), COUNT, 1000000},
    {"depth", offsetof(struct mw_limits, depth), COUNT, 100},
    {"unpacked_size", offsetof(struct mw_limits, unpacked_size), SIZE, (size_t)64 << 30},
    {"unpack_ratio", offsetof(struct mw_limits, unpack_ratio), COUNT, 1000000},
    {"text_length", offsetof(struct mw_limits, text_length), SIZE, (size_t)256 << 20},
    {"address_count", offsetof(struct mw_limits, address_count), COUNT, 1000000},
    {"findings_per_part", offsetof(struct mw_limits, findings_per_part), COUNT, 100000},
    {"indicators", offsetof(struct mw_limits, indicators), COUNT, 1000000},
    {"errors", offsetof(struct mw_limits, errors), COUNT, 100000},
    {"time_ms", offsetof(struct mw_limits, time_ms), TIME, 86400000},
};
enum { LIMITS = sizeof table / sizeof *table };

/* What the letters behind the number multiply it by; 0 when they are wrong. */
static size_t factor(const char *suffix, enum unit unit)
{
    static const struct {
        const char *suffix;
        enum unit unit;
        size_t factor;
    } units[] = {
        {"k", SIZE, 1 << 10},  {"m", SIZE, 1 << 20},  {"g", SIZE, 1 << 30}, {"kb", SIZE, 1 << 10},
        {"mb", SIZE, 1 << 20}, {"gb", SIZE, 1 << 30}, {"ms", TIME, 1},      {"s", TIME, 1000},
    };
    if (*suffix == '\0')
        return 1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].unit == unit && strcasecmp(suffix, units[i].suffix) == 0)
            return units[i].factor;
    return 0;
}

static int set(struct mw_limits *limits, size_t index, const char *value, struct mw_error *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    size_t times = factor(end, table[index].unit);
    if (end == value || *value == '-' || errno != 0 || times == 0)
        return mw_fail(error, MW_ERR_INPUT, "limit %s: '%s' is not a %s", table[index].name, value,
                       table[index].unit == SIZE   ? "size such as 25m"
                       : table[index].unit == TIME ? "time such as 30s"
                                                   : "whole number");
    if (number < 1 || number > table[index].most / times)
        return mw_fail(error, MW_ERR_INPUT, "limit %s: '%s' is not between 1 and %zu",
                       table[index].name, value, table[index].most);
    size_t result = (size_t)number * times;
    unsigned char *member = (unsigned char *)limits + table[index].offset;
    unsigned narrow = (unsigned)result;
    if (table[index].unit == TIME)
        memcpy(member, &narrow, sizeof narrow);
    else
        memcpy(member, &result, sizeof result);
    return 0;
}

int mw_limit_option(struct mw_limits *limits, const char *text, struct mw_error *error)
{
    const char *names[LIMITS];
    size_t length = strcspn(text, "=");
    for (size_t i = 0; i < LIMITS; i++) {
        names[i] = table[i].name;
        if (strlen(table[i].name) == length && strncmp(table[i].name, text, length) == 0 &&
            text[length] == '=')
            return set(limits, i, text + length + 1, error);
    }
    if (text[length] == '\0')
        return mw_fail(error, MW_ERR_INPUT, "limit '%s' has no value: write NAME=VALUE", text);
    char typed[64];
    size_t copied = length < sizeof typed - 1 ? length : sizeof typed - 1;
    memcpy(typed, text, copied);
    typed[copied] = '\0';
    const char *near = mw_suggest(typed, names, LIMITS);
    return mw_fail(error, MW_ERR_INPUT, "'%s' is not a limit; %s%s%s", typed,
                   near ? "did you mean '" : "see 'mailwitness help scan'", near ? near : "",
                   near ? "'?" : "");
}
