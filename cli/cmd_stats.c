/* mailwitness stats: how much, of what, from whom; and how full everything is. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "cli/card.h"
#include "cli/configured.h"
#include "cli/control.h"
#include "cli/print.h"
#include "cli/reach.h"
#include "cli/tally.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "core/time.h"

static const char usage[] =
    "usage: mailwitness stats [OPTION]...\n"
    "\n"
    "Counts of the store, of the latest messages, and of the daemon since its start:\n"
    "verdicts, actions, scanners, rules, senders, file types; spool, filters, Redis'\n"
    "memory, the age of ClamAV's database. What cannot be asked is told as such.\n"
    "\n"
    "  --last N         how many of the latest messages (and attachments) are looked\n"
    "                   at for the lists (10000)\n"
    "  --watch          again and again, until interrupted\n"
    "  --interval S     seconds between (2)\n"
    "  --socket PATH    only what the daemon at this control socket counted\n" MW_REACH_USAGE "\n"
    "Exit status: 0, or 2 when neither Redis nor the daemon could be asked.\n";

enum {
    LAST = 'l',
    WATCH = 'w',
    INTERVAL = 'i',
    SOCKET = 's',
    TOP = 10,
    PAGE = 500,
    MOST = 1000000
};

static const struct option long_options[] = {
    {"last", required_argument, NULL, LAST},
    {"watch", no_argument, NULL, WATCH},
    {"interval", required_argument, NULL, INTERVAL},
    {"socket", required_argument, NULL, SOCKET},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct stats {
    struct mw_reach reach;
    size_t last;
    bool watch;
    unsigned interval_s;
    const char *socket;
};

static int number(const struct stats *stats, const char *name, unsigned long *value)
{
    char *end;
    *value = strtoul(optarg, &end, 10);
    if (end != optarg && *end == '\0' && *value >= 1 && *value <= MOST)
        return 0;
    return mw_command_fail(stats->reach.command, "--%s: '%s' is no number from 1 to %d", name,
                           optarg, MOST);
}

static int parse(struct stats *stats, int argc, char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int taken = mw_reach_option(&stats->reach, c, optarg);
        unsigned long value = 0;
        if (taken < 0)
            return -1;
        if (taken > 0)
            continue;
        if (c == LAST || c == INTERVAL) {
            if (number(stats, c == LAST ? "last" : "interval", &value) != 0)
                return MW_EXIT_ERROR;
            if (c == LAST)
                stats->last = value;
            else
                stats->interval_s = (unsigned)value;
        } else if (c == WATCH) {
            stats->watch = true;
        } else if (c == SOCKET) {
            stats->socket = optarg;
        } else {
            return mw_command_bad_option(stats->reach.command, argv, long_options);
        }
    }
    return optind == argc
               ? 0
               : mw_command_fail(stats->reach.command, "'%s' is not an option", argv[optind]);
}

/* --- what Redis knows ------------------------------------------------------------------ */

static json_t *store_counts(struct stats *stats, struct mw_error *error)
{
    struct mw_query_counts counts;
    json_t *verdicts = json_object();
    if (mw_query_counts(stats->reach.query, &counts, error) != 0) {
        json_decref(verdicts);
        return NULL;
    }
    for (int v = MW_CLEAN; v <= MW_UNSCANNED; v++)
        json_object_set_new(verdicts, mw_verdict_name((enum mw_verdict)v),
                            json_integer((json_int_t)counts.verdicts[v]));
    return json_pack("{s:I, s:I, s:I, s:o, s:{s:s, s:I, s:I, s:I}}", "messages",
                     (json_int_t)counts.messages, "attachments", (json_int_t)counts.attachments,
                     "events", (json_int_t)counts.events, "verdicts", verdicts, "redis", "version",
                     counts.version, "keys", (json_int_t)counts.keys, "memory_used",
                     (json_int_t)counts.memory_used, "memory_max", (json_int_t)counts.memory_max);
}

/* What the latest events tell. */
struct latest {
    struct mw_tally *verdicts, *actions, *senders, *scanners, *findings, *types;
    size_t messages, attachments;
};

static void add_findings(struct latest *latest, struct mw_arena *arena,
                         const struct mw_facts *facts)
{
    struct mw_findings findings = {0};
    mw_facts_findings(arena, facts, NULL, &findings);
    for (size_t i = 0; i < findings.count; i++) {
        mw_tally_add(latest->scanners, findings.items[i].scanner);
        if (findings.items[i].severity != MW_INFO)
            mw_tally_add(latest->findings,
                         mw_arena_printf(arena, "%s: %s", findings.items[i].scanner,
                                         findings.items[i].name));
    }
}

static int look_at_events(struct stats *stats, struct latest *latest, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_events events = {0};
    int result = mw_query_last_events(stats->reach.query, arena, stats->last, &events, error);
    for (size_t i = 0; i < events.count; i++) {
        const struct mw_facts *facts = &events.items[i].facts;
        const char *from = mw_fact_value(facts, "from");
        mw_tally_add(latest->verdicts, mw_fact_value(facts, "verdict"));
        mw_tally_add(latest->actions, mw_fact_value(facts, "action"));
        mw_tally_add(latest->senders, from && *from ? from : mw_fact_value(facts, "envelope_from"));
        add_findings(latest, arena, facts);
    }
    latest->messages = events.count;
    mw_arena_free(arena);
    return result;
}

static int look_at_attachments(struct stats *stats, struct latest *latest, struct mw_error *error)
{
    struct mw_search *search = mw_search_attachments(stats->reach.query, 0, 0, error);
    int result = search ? 1 : error->code;
    while (result > 0 && latest->attachments < stats->last) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        size_t left = stats->last - latest->attachments;
        result = mw_search_next(search, arena, left < PAGE ? left : PAGE, &hits, error);
        for (size_t i = 0; i < hits.count && result > 0; i++) {
            struct mw_facts facts = {0};
            int got =
                mw_query_attachment(stats->reach.query, arena, hits.items[i].id, &facts, error);
            if (got != 0 && got != MW_ERR_MISSING)
                result = got;
            mw_tally_add(latest->types, mw_fact_value(&facts, "type"));
        }
        latest->attachments += hits.count;
        mw_arena_free(arena);
    }
    mw_search_free(search);
    return result < 0 ? result : 0;
}

static json_t *latest_counts(struct stats *stats, struct mw_error *error)
{
    struct latest latest = {mw_tally_new(),
                            mw_tally_new(),
                            mw_tally_new(),
                            mw_tally_new(),
                            mw_tally_new(),
                            mw_tally_new(),
                            0,
                            0};
    json_t *object = NULL;
    if (look_at_events(stats, &latest, error) == 0 &&
        look_at_attachments(stats, &latest, error) == 0)
        object = json_pack(
            "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "messages", (json_int_t)latest.messages,
            "attachments", (json_int_t)latest.attachments, "verdicts",
            mw_tally_top(latest.verdicts, TOP), "actions", mw_tally_top(latest.actions, TOP),
            "scanners", mw_tally_top(latest.scanners, TOP), "findings",
            mw_tally_top(latest.findings, TOP), "senders", mw_tally_top(latest.senders, TOP),
            "types", mw_tally_top(latest.types, TOP));
    mw_tally_free(latest.verdicts);
    mw_tally_free(latest.actions);
    mw_tally_free(latest.senders);
    mw_tally_free(latest.scanners);
    mw_tally_free(latest.findings);
    mw_tally_free(latest.types);
    return object;
}

/* The engines that looked at the newest message. */
static json_t *engines(struct stats *stats)
{
    json_t *array = json_array();
    struct mw_arena *arena = mw_arena_new();
    struct mw_hits hits = {0};
    struct mw_search_terms none = {0};
    struct mw_error ignored = {0}; /* without a message nothing is known of engines */
    struct mw_search *search = mw_search_new(stats->reach.query, &none, 0, 0, &ignored);
    struct mw_report *report = NULL;
    if (search && mw_search_next(search, arena, 1, &hits, &ignored) == 1)
        report = mw_query_report(stats->reach.query, hits.items[0].id, &ignored);
    for (size_t i = 0; report && i < report->engines.count; i++) {
        const struct mw_engine *one = &report->engines.items[i];
        int64_t ms = 0;
        json_t *engine = json_pack("{s:s*, s:s*, s:s*, s:s*}", "name", one->name, "version",
                                   one->version, "database", one->database, "date", one->date);
        if (one->date && mw_when_parse(one->date, 0, MW_WHEN_START, &ms, NULL) == 0)
            json_object_set_new(engine, "age_days", json_integer((mw_time_now() - ms) / 86400000));
        json_array_append_new(array, engine);
    }
    mw_report_free(report);
    mw_search_free(search);
    mw_arena_free(arena);
    return array;
}

/* --- filters and daemon -------------------------------------------------------------------- */

static json_t *filters(const struct stats *stats)
{
    json_t *object = json_object();
    for (size_t i = 0; i < stats->reach.config->filters.count; i++) {
        const struct mw_tracked_settings *one = &stats->reach.config->filters.items[i];
        struct mw_error error = {0};
        struct mw_filter_info info;
        struct mw_filter *filter =
            mw_filter_open(one->file, MW_FILTER_READ, MW_FILTER_SYNC_NEVER, &error);
        if (filter) {
            mw_filter_get_counts(filter, &info);
            json_object_set_new(
                object, one->name,
                json_pack("{s:I, s:I, s:f, s:f, s:i, s:I}", "values", (json_int_t)info.values,
                          "capacity", (json_int_t)info.capacity, "fill", info.fill, "expected_rate",
                          info.expected_rate, "layers", (int)info.layers, "file_size",
                          (json_int_t)info.file_size));
        } else {
            json_object_set_new(object, one->name, json_pack("{s:s}", "error", error.text));
        }
        mw_filter_close(filter);
    }
    return object;
}

/* The daemon's own counts, and how its spool is. */
static json_t *daemon_counts(const struct stats *stats, struct mw_error *error)
{
    const char *path = stats->socket ? stats->socket : stats->reach.config->milter.control;
    if (!path || !*path) {
        mw_fail(error, MW_ERR_MISSING, "no control socket is configured");
        return NULL;
    }
    json_t *answer = mw_control_ask(path, "stats", error);
    json_t *state = answer ? mw_control_ask(path, "status", error) : NULL;
    json_t *store = json_object_get(state, "store");
    if (store)
        json_object_set(answer, "store", store);
    json_decref(state);
    return answer;
}

/* Everything; parts that could not be asked have the reason in their place. */
static json_t *collect(struct stats *stats, bool *any)
{
    struct mw_error store = {0}, daemon = {0};
    json_t *counts = stats->reach.query ? store_counts(stats, &store) : NULL;
    json_t *latest = counts ? latest_counts(stats, &store) : NULL;
    json_t *running = daemon_counts(stats, &daemon);
    *any = counts || running;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "store",
                     counts ? counts : json_pack("{s:s}", "error", store.text), "latest",
                     latest ? latest : json_object(), "engines",
                     counts ? engines(stats) : json_array(), "filters", filters(stats), "daemon",
                     running ? running : json_pack("{s:s}", "error", daemon.text));
}

/* --- for people ------------------------------------------------------------------------------- */

static json_int_t integer(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mw_card_line(stdout, name, text);
}

static void print_store(const json_t *store)
{
    const json_t *redis = json_object_get(store, "redis");
    json_t *verdicts = json_object_get(store, "verdicts");
    const char *error = json_string_value(json_object_get(store, "error"));
    char used[MW_SIZE_TEXT], most[MW_SIZE_TEXT];
    mw_card_heading(stdout, "Store");
    mw_card_line(stdout, "unknown", error);
    if (error)
        return;
    line("messages", "%lld", (long long)integer(store, "messages"));
    for (void *at = json_object_iter(verdicts); at; at = json_object_iter_next(verdicts, at))
        line("", "%-10s %lld", json_object_iter_key(at),
             (long long)json_integer_value(json_object_iter_value(at)));
    line("attachments", "%lld", (long long)integer(store, "attachments"));
    line("events", "%lld", (long long)integer(store, "events"));
    mw_terminal_size(integer(redis, "memory_used"), used);
    mw_terminal_size(integer(redis, "memory_max"), most);
    line("Redis", "%s, %s of %s used, %lld keys",
         json_string_value(json_object_get(redis, "version")), used,
         integer(redis, "memory_max") > 0 ? most : "no bound", (long long)integer(redis, "keys"));
}

static void print_list(const char *name, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        line(i == 0 ? name : "", "%7lld  %s", (long long)integer(entry, "count"),
             json_string_value(json_object_get(entry, "value")));
    }
}

static void print_latest(const json_t *latest)
{
    static const char *const names[] = {"verdicts", "actions", "scanners",
                                        "findings", "senders", "types"};
    if (integer(latest, "messages") == 0 && integer(latest, "attachments") == 0)
        return;
    char heading[96];
    snprintf(heading, sizeof heading, "Latest %lld messages, %lld attachments",
             (long long)integer(latest, "messages"), (long long)integer(latest, "attachments"));
    mw_card_heading(stdout, heading);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        print_list(names[i], json_object_get(latest, names[i]));
}

static void print_engines(const json_t *list)
{
    if (json_array_size(list) > 0)
        mw_card_heading(stdout, "Engines of the newest message");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *version = json_string_value(json_object_get(one, "version"));
        const char *database = json_string_value(json_object_get(one, "database"));
        char age[64] = "";
        if (json_object_get(one, "age_days"))
            snprintf(age, sizeof age, ", %lld days old", (long long)integer(one, "age_days"));
        line(json_string_value(json_object_get(one, "name")), "%s%s%s%s", version ? version : "",
             database ? ", database " : "", database ? database : "", age);
    }
}

/* How often a filter is wrong, as far as a number of people can say it. */
static void print_filter(const char *name, const json_t *one)
{
    char wrong[96] = "";
    double rate = json_real_value(json_object_get(one, "expected_rate"));
    if (rate > 1e-9)
        snprintf(wrong, sizeof wrong, ", 1 unknown in %.0f taken for known", 1 / rate);
    line(name, "%lld of %lld values, %.1f %% of bits set%s", (long long)integer(one, "values"),
         (long long)integer(one, "capacity"), json_real_value(json_object_get(one, "fill")) * 100,
         wrong);
}

static void print_filters(json_t *object)
{
    if (json_object_size(object) > 0)
        mw_card_heading(stdout, "Filters");
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *one = json_object_iter_value(at);
        const char *error = json_string_value(json_object_get(one, "error"));
        if (error)
            mw_card_line(stdout, name, error);
        else
            print_filter(name, one);
    }
}

static void print_daemon(const json_t *daemon)
{
    const char *error = json_string_value(json_object_get(daemon, "error"));
    mw_card_heading(stdout, "Daemon, since its start");
    mw_card_line(stdout, "unknown", error);
    if (!error)
        mw_control_print(daemon);
}

static void print_all(const json_t *all)
{
    print_store(json_object_get(all, "store"));
    print_latest(json_object_get(all, "latest"));
    print_engines(json_object_get(all, "engines"));
    print_filters(json_object_get(all, "filters"));
    print_daemon(json_object_get(all, "daemon"));
}

static int show_once(struct stats *stats)
{
    bool any = true;
    struct mw_error error = {0};
    json_t *all = stats->socket ? daemon_counts(stats, &error) : collect(stats, &any);
    if (!all)
        return mw_reach_fail(&stats->reach, &error);
    if (stats->watch && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    if (stats->reach.json) {
        if (mw_json_line(stdout, json_incref(all), &error) != 0)
            any = false;
    } else if (stats->socket) {
        mw_control_print(all);
    } else {
        print_all(all);
    }
    json_decref(all);
    if (fflush(stdout) != 0)
        return mw_command_fail(stats->reach.command, "cannot write the output");
    return any ? MW_EXIT_OK : MW_EXIT_ERROR;
}

/* A store that is away is told among the rest: a daemon may answer all the same. */
static void open_store(struct stats *stats)
{
    struct mw_error error = {0};
    struct mw_redis_settings *redis = &stats->reach.config->store.redis;
    if (stats->reach.redis) {
        redis->address = stats->reach.redis;
        redis->sentinels.count = 0;
    }
    if (!redis->address && redis->sentinels.count == 0)
        return;
    stats->reach.query = mw_query_new(&stats->reach.config->store, &error);
    if (!stats->reach.query)
        mw_reach_fail(&stats->reach, &error);
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct stats stats = {.reach = {.command = command}, .last = 10000, .interval_s = 2};
    int status = parse(&stats, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    if (!stats.socket) {
        stats.reach.config = mw_configured(command, stats.reach.config_file);
        if (!stats.reach.config)
            return MW_EXIT_ERROR;
        open_store(&stats);
    }
    do {
        status = show_once(&stats);
    } while (stats.watch && status == MW_EXIT_OK && sleep(stats.interval_s) == 0);
    mw_reach_close(&stats.reach);
    return status;
}

const struct mw_command mw_command_stats = {"stats", "counts of store, latest mail and daemon",
                                            usage, run};
