/* mailwitness search: messages by what is known of them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/condition.h"
#include "cli/rows.h"

static const char usage[] =
    "usage: mailwitness search [CONDITION]... [OPTION]...\n"
    "\n"
    "Lists stored messages that fulfil all conditions, newest first. Patterns have *\n"
    "and ? in them; upper and lower case are the same. Exact values, and domains in\n"
    "--from, are answered by an index; patterns, subjects and types by looking at each\n"
    "message in question, so give --since with them.\n"
    "\n" MW_CONDITION_USAGE "  --limit N        so many at most (20; 0: all)\n"
    "  --count          only how many there are\n"
    "  --ids            only their ids, for show and xargs\n" MW_REACH_USAGE "\n"
    "Exit status: 0 something was found, 1 nothing, 2 an error.\n";

enum { LIMIT = 'l', COUNT = 'c', IDS = 'i', FIRST = 20, PAGE = 500 };

static const struct option long_options[] = {
    MW_CONDITION_OPTIONS,
    {"limit", required_argument, NULL, LIMIT},
    {"count", no_argument, NULL, COUNT},
    {"ids", no_argument, NULL, IDS},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct searching {
    struct mw_reach reach;
    struct mw_arena *arena;
    struct mw_conditions *conditions;
    size_t limit; /* SIZE_MAX: none */
    bool count, ids;
    size_t found;
    bool more; /* than the limit */
};

static int set_limit(struct searching *searching, const char *text)
{
    char *end;
    long limit = strtol(text, &end, 10);
    if (end == text || *end || limit < 0)
        return mw_command_fail(searching->reach.command, "--limit: '%s' is no number", text);
    searching->limit = limit == 0 ? SIZE_MAX : (size_t)limit;
    return 0;
}

static int parse(struct searching *searching, int argc, char **argv)
{
    struct mw_error error = {0};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int taken = mw_conditions_option(searching->conditions, c, optarg, &error);
        if (taken < 0)
            return mw_reach_fail(&searching->reach, &error);
        taken = taken > 0 ? taken : mw_reach_option(&searching->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken > 0)
            continue;
        if (c == LIMIT && set_limit(searching, optarg) != 0)
            return MW_EXIT_ERROR;
        searching->count = searching->count || c == COUNT;
        searching->ids = searching->ids || c == IDS;
        if (c != LIMIT && c != COUNT && c != IDS)
            return mw_command_bad_option(searching->reach.command, argv, long_options);
    }
    if (optind == argc)
        return 0;
    return mw_command_fail(searching->reach.command,
                           "'%s' is no condition; say what it is, as in --from %s", argv[optind],
                           argv[optind]);
}

static int print_hits(struct searching *searching, struct mw_rows *rows, const struct mw_hits *hits,
                      struct mw_error *error)
{
    if (searching->count)
        return 0;
    if (!searching->ids)
        return mw_rows_print(rows, hits, error);
    for (size_t i = 0; i < hits->count; i++)
        if (puts(hits->items[i].id) == EOF)
            return mw_fail_errno(error, "cannot write the output");
    return 0;
}

/* Page after page; one hit more than the limit is asked for, to know that there is one. */
static int walk(struct searching *searching, struct mw_finder *finder, struct mw_error *error)
{
    struct mw_rows *rows = mw_rows_messages(&searching->reach);
    size_t limit = searching->count ? SIZE_MAX : searching->limit;
    int result = 1;
    while (result > 0 && searching->found < limit && !searching->more) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        size_t left = limit - searching->found;
        result = mw_finder_next(finder, arena, left < PAGE ? left + 1 : PAGE, &hits, error);
        searching->more = hits.count > left;
        hits.count = searching->more ? left : hits.count;
        searching->found += hits.count;
        if (result > 0 && print_hits(searching, rows, &hits, error) != 0)
            result = error->code;
        mw_arena_free(arena);
    }
    mw_rows_free(rows);
    return result < 0 ? result : 0;
}

static int print_count(const struct searching *searching)
{
    if (searching->reach.json)
        printf("{\"count\":%zu}\n", searching->found);
    else
        printf("%zu\n", searching->found);
    return searching->found > 0 ? MW_EXIT_OK : MW_EXIT_NOTHING;
}

static int search(struct searching *searching)
{
    struct mw_error error = {0};
    struct mw_finder *finder = mw_finder_new(searching->reach.query, searching->conditions, &error);
    int result = finder ? 0 : error.code;
    int64_t known = finder && searching->count ? mw_finder_count(finder) : -1;
    if (known >= 0)
        searching->found = (size_t)known;
    else if (finder)
        result = walk(searching, finder, &error);
    mw_finder_free(finder);
    if (result != 0)
        return mw_reach_fail(&searching->reach, &error);
    if (searching->count)
        return print_count(searching);
    if (fflush(stdout) != 0)
        return mw_command_fail(searching->reach.command, "cannot write the output");
    if (searching->more)
        fprintf(stderr, "the newest %zu; there are more (--limit)\n", searching->found);
    return searching->found > 0 ? MW_EXIT_OK : MW_EXIT_NOTHING;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct searching searching = {.reach = {.command = command}, .limit = FIRST};
    searching.arena = mw_arena_new();
    searching.conditions = mw_conditions_new(searching.arena);
    int status = parse(&searching, argc, argv);
    if (status == 0)
        status = mw_reach_open(&searching.reach);
    if (status == 0)
        status = search(&searching);
    mw_reach_close(&searching.reach);
    mw_arena_free(searching.arena);
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_search = {"search", "find stored messages", usage, run};
