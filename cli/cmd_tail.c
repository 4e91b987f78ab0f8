/* mailwitness tail: messages as they come. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/reach.h"
#include "cli/table.h"
#include "cli/when.h"
#include "core/names.h"

static const char usage[] =
    "usage: mailwitness tail [OPTION]...\n"
    "\n"
    "Shows each message as it is stored, from now on, until interrupted.\n"
    "\n"
    "  --last N         begin with the latest N\n"
    "  --no-follow      end after those\n"
    "  --after EVENT    begin behind this event (the field event of --json): for\n"
    "                   programs that go on where they were\n"
    "  --verdict V      only those: clean, suspicious, malicious, unscanned; may be\n"
    "                   repeated\n" MW_REACH_USAGE "\n"
    "Exit status: 0 ended in order, 2 an error.\n";

enum {
    LAST = 'l',
    NO_FOLLOW = 'n',
    AFTER = 'a',
    VERDICT = 'v',
    PAGE = 200,
    WAIT_MS = 1000,
    PAUSE_S = 1
};
enum { MOST_LAST = 1000000 };

static const struct option long_options[] = {
    {"last", required_argument, NULL, LAST},
    {"no-follow", no_argument, NULL, NO_FOLLOW},
    {"after", required_argument, NULL, AFTER},
    {"verdict", required_argument, NULL, VERDICT},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

static const struct mw_column columns[] = {
    {"VERDICT", 10, 0, false}, {"TIME", 8, 0, false},      {"ACTION", 10, 0, false},
    {"FROM", 16, 2, false},    {"TO", 12, 1, false},       {"SUBJECT", 16, 3, false},
    {"FINDINGS", 8, 2, false}, {"QUEUE ID", 15, 0, false},
};

struct tailing {
    struct mw_reach reach;
    struct mw_table *table;
    size_t last;
    bool no_follow, any_verdict;
    bool verdicts[MW_VERDICTS];
    char after[64]; /* the event shown last */
};

static int take_verdict(struct tailing *tailing, const char *name)
{
    struct mw_error error = {0};
    int at = mw_names_choose(mw_verdict_names, 0, name, &error);
    if (at < 0)
        return mw_command_fail(tailing->reach.command, "--verdict: %s", error.text);
    tailing->any_verdict = tailing->verdicts[at] = true;
    return 0;
}

static int take_option(struct tailing *tailing, int option)
{
    char *end;
    switch (option) {
    case LAST:
        tailing->last = strtoul(optarg, &end, 10);
        if (end != optarg && *end == '\0' && tailing->last <= MOST_LAST)
            return 0;
        return mw_command_fail(tailing->reach.command, "--last: '%s' is no number up to %d", optarg,
                               MOST_LAST);
    case NO_FOLLOW:
        tailing->no_follow = true;
        return 0;
    case AFTER:
        if (*optarg && strspn(optarg, "0123456789-") == strlen(optarg) &&
            strlen(optarg) < sizeof tailing->after) {
            snprintf(tailing->after, sizeof tailing->after, "%s", optarg);
            return 0;
        }
        return mw_command_fail(tailing->reach.command,
                               "--after: '%s' is no event, as in 1795530620500-0", optarg);
    default:
        return take_verdict(tailing, optarg);
    }
}

static int parse(struct tailing *tailing, int argc, char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int taken = mw_reach_option(&tailing->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken > 0)
            continue;
        if (c == '?' || c == ':')
            return mw_command_bad_option(tailing->reach.command, argv, long_options);
        if (take_option(tailing, c) != 0)
            return MW_EXIT_ERROR;
    }
    if (optind == argc)
        return 0;
    return mw_command_fail(tailing->reach.command, "'%s' is not an option", argv[optind]);
}

static int print_row(struct tailing *tailing, const struct mw_event *event, int verdict,
                     struct mw_error *error)
{
    enum { DATE = 11, TIME = 8 };
    char when[MW_WHEN_SIZE];
    mw_when_local(strtoll(event->id, NULL, 10), when);
    char *time = strlen(when) > DATE ? when + DATE : when;
    const struct mw_facts *facts = &event->facts;
    const char *from = mw_fact_value(facts, "from");
    const char *findings = mw_fact_value(facts, "findings");
    const char *const cells[] = {mw_fact_value(facts, "verdict"),
                                 time,
                                 mw_fact_value(facts, "action"),
                                 from && *from ? from : mw_fact_value(facts, "envelope_from"),
                                 mw_fact_value(facts, "envelope_to"),
                                 mw_fact_value(facts, "subject"),
                                 findings && *findings ? findings : NULL,
                                 mw_fact_value(facts, "queue_id")};
    return mw_table_row(tailing->table, cells, verdict, error);
}

static int print_event(struct tailing *tailing, const struct mw_event *event,
                       struct mw_error *error)
{
    enum mw_verdict verdict =
        mw_verdict_from_name(mw_fact_value(&event->facts, "verdict"), MW_UNSCANNED);
    snprintf(tailing->after, sizeof tailing->after, "%s", event->id);
    if (tailing->any_verdict && !tailing->verdicts[verdict])
        return 0;
    if (!tailing->reach.json)
        return print_row(tailing, event, (int)verdict, error);
    json_t *object = mw_facts_to_json(&event->facts, "");
    json_object_set_new(object, "event", json_string(event->id));
    return mw_json_line(stdout, object, error);
}

static int print_events(struct tailing *tailing, const struct mw_events *events,
                        struct mw_error *error)
{
    int result = 0;
    for (size_t i = 0; i < events->count && result == 0; i++)
        result = print_event(tailing, &events->items[i], error);
    if (result == 0 && events->count > 0 && fflush(stdout) != 0)
        return mw_fail_errno(error, "cannot write the output");
    return result;
}

/* The latest; and where to go on: behind the newest there is. */
static int begin(struct tailing *tailing, struct mw_error *error)
{
    if (tailing->after[0])
        return 0;
    struct mw_arena *arena = mw_arena_new();
    struct mw_events events = {0};
    size_t wanted = tailing->last > 0 ? tailing->last : 1;
    snprintf(tailing->after, sizeof tailing->after, "0");
    int result = mw_query_last_events(tailing->reach.query, arena, wanted, &events, error);
    if (result == 0 && tailing->last > 0)
        result = print_events(tailing, &events, error);
    else if (result == 0 && events.count > 0)
        snprintf(tailing->after, sizeof tailing->after, "%s", events.items[events.count - 1].id);
    mw_arena_free(arena);
    return result;
}

/* One wait for more. Redis may go away meanwhile: it is told once and asked again. */
static int follow(struct tailing *tailing, bool *away, size_t *count, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_events events = {0};
    unsigned wait_ms = tailing->no_follow ? 0 : WAIT_MS;
    int result =
        mw_query_events(tailing->reach.query, arena, tailing->after, PAGE, wait_ms, &events, error);
    bool down = result == MW_ERR_SYSTEM || result == MW_ERR_BUSY || result == MW_ERR_TIMEOUT;
    *count = events.count;
    if (result == 0) {
        if (*away)
            fprintf(stderr, "mailwitness tail: Redis is back\n");
        *away = false;
        result = print_events(tailing, &events, error);
    } else if (down && !tailing->no_follow) {
        if (!*away)
            mw_command_fail(tailing->reach.command, "%s: waiting until Redis is back", error->text);
        *away = true;
        *error = (struct mw_error){0};
        sleep(PAUSE_S);
        result = 0;
    }
    mw_arena_free(arena);
    return result;
}

static int tail(struct tailing *tailing)
{
    struct mw_error error = {0};
    bool away = false;
    size_t count = 1;
    tailing->table = mw_table_new(stdout, columns, sizeof columns / sizeof *columns);
    bool resumes = tailing->after[0] != '\0';
    int result = begin(tailing, &error);
    bool more = !tailing->no_follow || resumes;
    while (result == 0 && more) {
        result = follow(tailing, &away, &count, &error);
        more = !tailing->no_follow || count > 0;
    }
    mw_table_free(tailing->table);
    return result == 0 ? MW_EXIT_OK : mw_reach_fail(&tailing->reach, &error);
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct tailing tailing = {.reach = {.command = command}};
    int status = parse(&tailing, argc, argv);
    if (status == 0)
        status = mw_reach_open(&tailing.reach);
    if (status == 0)
        status = tail(&tailing);
    mw_reach_close(&tailing.reach);
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_tail = {"tail", "show messages as they come", usage, run};
