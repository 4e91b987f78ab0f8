/* when: a small grammar over GLib's calendar. */
#include "cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/ascii.h"
#include "core/number.h"

/* How long what was written lasts. */
enum span { SPAN_MS, SPAN_SECOND, SPAN_MINUTE, SPAN_DAY, SPAN_MONTH, SPAN_YEAR };

static int64_t ms_of(GDateTime *time)
{
    return g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000;
}

/* The last millisecond of the span that begins at start. */
static int64_t end_of(GDateTime *start, enum span span)
{
    GDateTime *next = span == SPAN_YEAR     ? g_date_time_add_years(start, 1)
                      : span == SPAN_MONTH  ? g_date_time_add_months(start, 1)
                      : span == SPAN_DAY    ? g_date_time_add_days(start, 1)
                      : span == SPAN_MINUTE ? g_date_time_add_minutes(start, 1)
                      : span == SPAN_SECOND ? g_date_time_add_seconds(start, 1)
                                            : g_date_time_add(start, 1000);
    int64_t ms = next ? ms_of(next) - 1 : ms_of(start);
    if (next)
        g_date_time_unref(next);
    return ms;
}

static const char *skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* Exactly count digits; -1 when they are not there. */
static int digits(const char **text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*text)[i]))
            return -1;
        value = value * 10 + (*text)[i] - '0';
    }
    *text += count;
    return value;
}

struct moment {
    int year, month, day, hour, minute;
    double second;
    enum span span;
    char zone[16]; /* "", "Z" or an offset */
};

/* Z, +02:00 or +0200. */
static bool read_zone(const char **text, struct moment *moment)
{
    const char *at = skip_blanks(*text);
    if (*at == 'Z' || *at == 'z') {
        memcpy(moment->zone, "Z", 2);
        *text = at + 1;
        return true;
    }
    if (*at != '+' && *at != '-')
        return true;
    char sign = *at++;
    int hours = digits(&at, 2);
    at += *at == ':';
    int minutes = digits(&at, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    snprintf(moment->zone, sizeof moment->zone, "%c%02d:%02d", sign, hours, minutes);
    *text = at;
    return true;
}

/* 14:05, 14:05:30, 14:05:30.250, and a zone. */
static bool read_clock(const char **text, struct moment *moment)
{
    const char *at = *text;
    moment->hour = digits(&at, isdigit((unsigned char)at[0]) && at[1] == ':' ? 1 : 2);
    if (moment->hour < 0 || *at++ != ':' || (moment->minute = digits(&at, 2)) < 0)
        return false;
    moment->span = SPAN_MINUTE;
    if (*at == ':') {
        at++;
        int second = digits(&at, 2);
        if (second < 0)
            return false;
        moment->second = second;
        moment->span = SPAN_SECOND;
        double place = 0.1;
        if (*at == '.' && isdigit((unsigned char)at[1]))
            for (at++, moment->span = SPAN_MS; isdigit((unsigned char)*at); at++, place /= 10)
                moment->second += place * (*at - '0');
    }
    *text = at;
    return read_zone(text, moment);
}

static GDateTime *make(const struct moment *moment)
{
    GTimeZone *zone =
        moment->zone[0] ? g_time_zone_new_identifier(moment->zone) : g_time_zone_new_local();
    if (!zone)
        return NULL;
    /* Half a millisecond, so that .250 is not 249 after its way through a double. */
    double second = moment->span == SPAN_MS ? moment->second + 0.0005 : moment->second;
    GDateTime *time = g_date_time_new(zone, moment->year, moment->month, moment->day, moment->hour,
                                      moment->minute, second);
    g_time_zone_unref(zone);
    return time;
}

static bool set_day(struct moment *moment, GDateTime *day)
{
    if (!day)
        return false;
    g_date_time_get_ymd(day, &moment->year, &moment->month, &moment->day);
    g_date_time_unref(day);
    moment->span = SPAN_DAY;
    return true;
}

/* today, yesterday, a weekday: behind it in *text. */
static bool read_day_name(const char **text, GDateTime *now, struct moment *moment)
{
    static const char *const names[] = {"today",    "yesterday", "monday",   "tuesday", "wednesday",
                                        "thursday", "friday",    "saturday", "sunday"};
    size_t length = strspn(*text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strlen(names[i]) != length || strncasecmp(*text, names[i], length) != 0)
            continue;
        int back = i < 2 ? i : (g_date_time_get_day_of_week(now) - (i - 1) + 7) % 7;
        *text += length;
        return set_day(moment, g_date_time_add_days(now, -back));
    }
    return false;
}

/* 2026, 2026-11, 2026-11-01. */
static bool read_date(const char **text, struct moment *moment)
{
    const char *at = *text;
    moment->year = digits(&at, 4);
    moment->span = SPAN_YEAR;
    if (moment->year < 0 || isdigit((unsigned char)*at))
        return false;
    if (*at == '-') {
        at++;
        moment->month = digits(&at, 2);
        moment->span = SPAN_MONTH;
    }
    if (*at == '-') {
        at++;
        moment->day = digits(&at, 2);
        moment->span = SPAN_DAY;
    }
    *text = at;
    return moment->month > 0 && moment->day > 0;
}

static bool parse_moment(const char *text, GDateTime *now, enum mw_when_edge edge, int64_t *ms)
{
    struct moment moment = {.month = 1, .day = 1};
    const char *at = text;
    if (strchr(text, ':') == text + 1 || strchr(text, ':') == text + 2) {
        set_day(&moment, g_date_time_ref(now));
        if (!read_clock(&at, &moment))
            return false;
    } else {
        if (!read_day_name(&at, now, &moment) && !read_date(&at, &moment))
            return false;
        bool separated = moment.span == SPAN_DAY && (*at == 'T' || *at == 't' || *at == ' ');
        if (separated) {
            at = skip_blanks(at + 1);
            if (!read_clock(&at, &moment))
                return false;
        }
    }
    GDateTime *start = *skip_blanks(at) == '\0' ? make(&moment) : NULL;
    if (!start)
        return false;
    *ms = edge == MW_WHEN_END ? end_of(start, moment.span) : ms_of(start);
    g_date_time_unref(start);
    return true;
}

static const struct unit {
    const char *names; /* between blanks */
    GDateTime *(*add)(GDateTime *time, gint count);
    GTimeSpan span; /* microseconds, where the calendar does not matter */
} units[] = {
    {" ms msec millisecond milliseconds ", NULL, 1000},
    {" s sec secs second seconds ", NULL, G_TIME_SPAN_SECOND},
    {" min mins minute minutes ", NULL, G_TIME_SPAN_MINUTE},
    {" h hr hour hours ", NULL, G_TIME_SPAN_HOUR},
    {" d day days ", g_date_time_add_days, 0},
    {" w wk week weeks ", g_date_time_add_weeks, 0},
    {" month months mon ", g_date_time_add_months, 0},
    {" y yr year years ", g_date_time_add_years, 0},
};

static const struct unit *find_unit(const char *text, size_t length)
{
    char name[16];
    if (length == 0 || length > sizeof name - 3)
        return NULL;
    snprintf(name, sizeof name, " %.*s ", (int)length, text);
    mw_ascii_lower_text(name);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strstr(units[i].names, name))
            return &units[i];
    return NULL;
}

/* One step back by "2 hours"; NULL when the text is none. Takes time. */
static GDateTime *step_back(GDateTime *time, const char **text)
{
    char *end;
    errno = 0;
    long count = strtol(*text, &end, 10);
    const char *at = skip_blanks(end);
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const struct unit *unit = find_unit(at, length);
    bool good = isdigit((unsigned char)**text) && errno == 0 && unit && count <= 1000000000;
    GDateTime *back = !good       ? NULL
                      : unit->add ? unit->add(time, (gint)-count)
                                  : g_date_time_add(time, -count * unit->span);
    g_date_time_unref(time);
    *text = skip_blanks(at + length);
    return back;
}

/* "7d", "1 week 2 days ago". */
static bool parse_distance(const char *text, GDateTime *now, int64_t *ms)
{
    GDateTime *time = g_date_time_ref(now);
    const char *at = text;
    do {
        time = step_back(time, &at);
    } while (time && *at && strcasecmp(at, "ago") != 0);
    if (!time)
        return false;
    *ms = ms_of(time);
    g_date_time_unref(time);
    return true;
}

static bool parse_epoch(const char *text, int64_t *ms)
{
    const char *end;
    double seconds;
    if (*text != '@' || !isdigit((unsigned char)text[1]) ||
        !mw_number_read(text + 1, &seconds, &end) || *end != '\0' || seconds >= 1e11)
        return false;
    *ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

static GDateTime *local_time(int64_t ms)
{
    GDateTime *second = g_date_time_new_from_unix_local(ms / 1000);
    GDateTime *time = second ? g_date_time_add(second, ms % 1000 * 1000) : NULL;
    if (second)
        g_date_time_unref(second);
    return time;
}

int mw_when_parse(const char *text, int64_t now, enum mw_when_edge edge, int64_t *ms,
                  struct mw_error *error)
{
    GDateTime *today = local_time(now);
    const char *start = skip_blanks(text);
    bool good = strcasecmp(start, "now") == 0;
    if (good)
        *ms = now;
    if (!good && today)
        good = parse_epoch(start, ms) || parse_moment(start, today, edge, ms) ||
               parse_distance(start, today, ms);
    if (today)
        g_date_time_unref(today);
    if (good)
        return 0;
    return mw_fail(error, MW_ERR_INPUT,
                   "'%s' is no time; write 2026-11-01, \"2026-11-01 14:05\", yesterday, monday, "
                   "14:05, 7d or \"2 hours ago\" (ms, s, min, h, d, w, month, year)",
                   text);
}

void mw_when_local(int64_t ms, char out[MW_WHEN_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    out[0] = '\0';
    if (localtime_r(&seconds, &parts))
        strftime(out, MW_WHEN_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
}
