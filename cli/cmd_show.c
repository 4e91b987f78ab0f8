/* mailwitness show: all that is known of a stored message. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/card.h"
#include "cli/reach.h"
#include "core/json_out.h"

static const char usage[] =
    "usage: mailwitness show [OPTION]... MESSAGE...\n"
    "\n"
    "Shows stored messages. MESSAGE is an id, the mail server's queue id, or a\n"
    "Message-ID; when several messages have it, all are shown, the newest first.\n"
    "\n"
    "  --headers        every header field\n"
    "  --body           the whole text, not only its beginning\n"
    "  --html           the source of the HTML body\n" MW_REACH_USAGE "\n"
    "What later scans (hunt, rescan) found is added to what is shown; --json prints\n"
    "the report in one line, with it.\n"
    "\n"
    "Exit status: 0 all were found, 1 at least one was not, 2 an error.\n";

enum { HEADERS = 'h', BODY = 'b', HTML = 'm', SEVERAL = 20 };

static const struct option long_options[] = {
    {"headers", no_argument, NULL, HEADERS},
    {"body", no_argument, NULL, BODY},
    {"html", no_argument, NULL, HTML},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct showing {
    struct mw_reach reach;
    unsigned parts;
    size_t shown;
};

static int parse(struct showing *showing, int argc, char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int taken = mw_reach_option(&showing->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken > 0)
            continue;
        if (c == HEADERS)
            showing->parts |= MW_CARD_HEADERS;
        else if (c == BODY)
            showing->parts |= MW_CARD_BODY;
        else if (c == HTML)
            showing->parts |= MW_CARD_HTML;
        else
            return mw_command_bad_option(showing->reach.command, argv, long_options);
    }
    if (optind == argc)
        return mw_command_fail(showing->reach.command, "name a message: an id, a queue id or a "
                                                       "Message-ID");
    return 0;
}

static int print_one(struct showing *showing, const struct mw_report *report, const char *rescanned,
                     struct mw_error *error)
{
    if (!showing->reach.json) {
        if (showing->shown++ > 0)
            puts("\n");
        mw_card_line(stdout, "rescanned", rescanned);
        return mw_card_print(stdout, report, showing->parts, error);
    }
    char *text = mw_json_show(mw_report_to_json(report, MW_JSON_LINE, error));
    if (!text)
        return error->code;
    int written = puts(text);
    free(text);
    return written < 0 ? mw_fail_errno(error, "cannot write the output") : 0;
}

/* The messages that name means. */
static int show(struct showing *showing, const char *name, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts ids = {0};
    int result = mw_query_resolve(showing->reach.query, arena, name, SEVERAL, &ids, error);
    for (size_t i = 0; result == 0 && i < ids.count; i++) {
        const char *rescanned;
        struct mw_report *report =
            mw_reach_report(&showing->reach, ids.items[i], &rescanned, error);
        result = report ? print_one(showing, report, rescanned, error) : error->code;
        mw_report_free(report);
    }
    mw_arena_free(arena);
    return result;
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct showing showing = {.reach = {.command = command}};
    int status = parse(&showing, argc, argv);
    if (status == 0)
        status = mw_reach_open(&showing.reach);
    for (int i = optind; i < argc && (status == MW_EXIT_OK || status == MW_EXIT_NOTHING); i++) {
        struct mw_error error = {0};
        int result = show(&showing, argv[i], &error);
        if (result == 0)
            continue;
        mw_reach_fail(&showing.reach, &error);
        status = result == MW_ERR_MISSING ? MW_EXIT_NOTHING : MW_EXIT_ERROR;
    }
    mw_reach_close(&showing.reach);
    if (fflush(stdout) != 0)
        return mw_command_fail(command, "cannot write the output");
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_show = {"show", "all that is known of a stored message", usage,
                                           run};
