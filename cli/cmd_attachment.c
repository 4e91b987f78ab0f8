/* mailwitness attachment: what came with the mail. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/card.h"
#include "cli/condition.h"
#include "cli/print.h"
#include "cli/rows.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "cli/wrap.h"
#include "cli/zip.h"
#include "core/ascii.h"
#include "scanners/hash.h"
#include "worker/setup.h"

static const char usage[] =
    "usage: mailwitness attachment list [OPTION]... [MESSAGE]...\n"
    "       mailwitness attachment show [OPTION]... SHA256...\n"
    "       mailwitness attachment get [-o FILE] [--zip [--password WORD]] SHA256\n"
    "\n"
    "  list     attachments, those seen last first; of messages when these are named\n"
    "           (by id, queue id or Message-ID)\n"
    "  show     facts, names, and who received it and when\n"
    "  get      writes the bytes, checked against the hash, to FILE (- is standard\n"
    "           output, which is never a terminal; default: the hash's name in this\n"
    "           folder). FILE is new, readable by you only, and never executable.\n"
    "\n"
    "  --since TIME, --until TIME\n"
    "                   list: seen last between these\n"
    "  --verdict V      list: clean, suspicious, malicious or unscanned only\n"
    "  --limit N        list: so many attachments (20), show: messages (10); 0: all\n"
    "  -o, --output FILE\n"
    "  --zip            get: in a zip archive under a password, which desktop scanners\n"
    "                   and mail filters leave alone\n"
    "  --password WORD  of the archive (infected)\n" MW_REACH_USAGE "\n"
    "Exit status: 0 something was found, 1 nothing, 2 an error.\n";

enum { LIMIT = 'l', ZIP = 'z', PASSWORD = 'p', VERDICT = 'v', PAGE = 200, DIGITS = 64 };
enum { LISTED = 20, MESSAGES = 10 };

static const struct option long_options[] = {
    MW_CONDITION_TIMES,
    {"limit", required_argument, NULL, LIMIT},
    {"verdict", required_argument, NULL, VERDICT},
    {"output", required_argument, NULL, 'o'},
    {"zip", no_argument, NULL, ZIP},
    {"password", required_argument, NULL, PASSWORD},
    MW_REACH_OPTIONS,
    {NULL, 0, NULL, 0},
};

struct asking {
    struct mw_reach reach;
    struct mw_arena *arena;
    struct mw_conditions *times;
    const char *verdict, *output, *password;
    bool zip, limited;
    size_t limit; /* SIZE_MAX: none */
    int count;    /* of what is named behind the subcommand */
    char **names;
    size_t found;
};

static int fail(const struct asking *asking, const struct mw_error *error)
{
    return mw_reach_fail(&asking->reach, error);
}

/* The hash in lower case, in the arena; NULL with error when it is none. */
static const char *check_hash(struct asking *asking, const char *text, struct mw_error *error)
{
    if (mw_hex_is(text, DIGITS))
        return mw_ascii_lower_text(mw_arena_dup(asking->arena, text));
    mw_fail(error, MW_ERR_INPUT, "'%s' is no SHA-256: %d hexadecimal digits", text, DIGITS);
    return NULL;
}

/* --- list ------------------------------------------------------------------------------- */

static bool has_verdict(const struct asking *asking, const char *verdict)
{
    return !asking->verdict || (verdict && strcmp(asking->verdict, verdict) == 0);
}

/* Keeps those of the wanted verdict. */
static int keep_wanted(struct asking *asking, struct mw_arena *arena, struct mw_hits *hits,
                       struct mw_error *error)
{
    size_t kept = 0;
    for (size_t i = 0; asking->verdict && i < hits->count; i++) {
        struct mw_facts facts = {0};
        int result =
            mw_query_attachment(asking->reach.query, arena, hits->items[i].id, &facts, error);
        if (result != 0 && result != MW_ERR_MISSING)
            return result;
        if (has_verdict(asking, mw_fact_value(&facts, "verdict")))
            hits->items[kept++] = hits->items[i];
    }
    hits->count = asking->verdict ? kept : hits->count;
    return 0;
}

static int list_all(struct asking *asking, struct mw_rows *rows, struct mw_error *error)
{
    struct mw_search *search =
        mw_search_attachments(asking->reach.query, mw_conditions_since(asking->times),
                              mw_conditions_until(asking->times), error);
    int result = search ? 1 : error->code;
    while (result > 0 && asking->found < asking->limit) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        size_t left = asking->limit - asking->found;
        size_t page = asking->verdict || left > PAGE ? PAGE : left;
        result = mw_search_next(search, arena, page, &hits, error);
        if (result > 0 && keep_wanted(asking, arena, &hits, error) != 0)
            result = error->code;
        hits.count = hits.count > left ? left : hits.count;
        if (result > 0 && mw_rows_print(rows, &hits, error) != 0)
            result = error->code;
        asking->found += hits.count;
        mw_arena_free(arena);
    }
    mw_search_free(search);
    return result < 0 ? result : 0;
}

/* The time an attachment was seen last, as milliseconds. */
static int64_t last_seen(struct asking *asking, struct mw_arena *arena, const char *hash)
{
    struct mw_facts facts = {0};
    struct mw_error ignored = {0}; /* the row itself will tell */
    int64_t ms = 0;
    if (mw_query_attachment(asking->reach.query, arena, hash, &facts, &ignored) == 0) {
        const char *when = mw_fact_value(&facts, "last_seen");
        if (when)
            mw_when_parse(when, 0, MW_WHEN_START, &ms, NULL);
    }
    return ms;
}

static int list_of(struct asking *asking, struct mw_rows *rows, const char *name,
                   struct mw_error *error)
{
    enum { SEVERAL = 20 };
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts ids = {0}, hashes = {0};
    struct mw_hits hits = {0};
    struct mw_query *query = asking->reach.query;
    int result = mw_query_resolve(query, arena, name, SEVERAL, &ids, error);
    for (size_t i = 0; result == 0 && i < ids.count; i++)
        result = mw_query_attachments_of(query, arena, ids.items[i], &hashes, error);
    for (size_t i = 0; result == 0 && i < hashes.count; i++) {
        struct mw_hit *hit = mw_list_add(arena, &hits, sizeof *hit);
        *hit = (struct mw_hit){hashes.items[i], last_seen(asking, arena, hashes.items[i])};
    }
    if (result == 0)
        result = keep_wanted(asking, arena, &hits, error);
    if (result == 0)
        result = mw_rows_print(rows, &hits, error);
    asking->found += hits.count;
    mw_arena_free(arena);
    return result;
}

static int list(struct asking *asking)
{
    struct mw_error error = {0};
    asking->limit = asking->limited ? asking->limit : LISTED;
    struct mw_rows *rows = mw_rows_attachments(&asking->reach);
    int result = asking->count == 0 ? list_all(asking, rows, &error) : 0, status = MW_EXIT_OK;
    for (int i = 0; i < asking->count && (result == 0 || result == MW_ERR_MISSING); i++) {
        result = list_of(asking, rows, asking->names[i], &error);
        if (result == MW_ERR_MISSING)
            fail(asking, &error);
        status = result == 0 ? status : MW_EXIT_NOTHING;
    }
    mw_rows_free(rows);
    if (result != 0 && result != MW_ERR_MISSING)
        return fail(asking, &error);
    return asking->found == 0 ? MW_EXIT_NOTHING : status;
}

/* --- show --------------------------------------------------------------------------------- */

static void show_facts(const char *hash, const struct mw_facts *facts, const struct mw_texts *names)
{
    char size[MW_SIZE_TEXT];
    mw_card_line(stdout, "sha256", hash);
    for (size_t i = 0; i < facts->count; i++) {
        const struct mw_fact *fact = &facts->items[i];
        if (strcmp(fact->name, "size") == 0) {
            mw_terminal_size(strtoll(fact->value, NULL, 10), size);
            mw_card_line(stdout, "size", size);
        } else if (strcmp(fact->name, "name") != 0) {
            mw_card_line(stdout, fact->name, fact->value);
        }
    }
    for (size_t i = 0; i < names->count; i++)
        mw_card_line(stdout, i == 0 ? "names" : "", names->items[i]);
}

static json_t *texts_to_json(const struct mw_texts *texts)
{
    json_t *array = json_array();
    for (size_t i = 0; i < texts->count; i++)
        json_array_append_new(array, json_string(texts->items[i]));
    return array;
}

static int show_json(struct asking *asking, const char *hash, const struct mw_facts *facts,
                     const struct mw_texts *names, const struct mw_hits *hits,
                     struct mw_error *error)
{
    json_t *messages = mw_rows_to_json(&asking->reach, hits, error);
    if (!messages)
        return error->code;
    json_t *object = mw_facts_to_json(facts, " size ");
    json_object_set_new(object, "sha256", json_string(hash));
    json_object_set_new(object, "names", texts_to_json(names));
    json_object_set_new(object, "messages", messages);
    return mw_json_line(stdout, object, error);
}

static int show_one(struct asking *asking, const char *hash, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_facts facts = {0};
    struct mw_texts names = {0};
    struct mw_hits hits = {0};
    int64_t all = 0;
    int result = mw_query_attachment(asking->reach.query, arena, hash, &facts, error);
    if (result == 0)
        result = mw_query_names(asking->reach.query, arena, hash, &names, error);
    if (result == 0)
        result = mw_rows_receivers(&asking->reach, arena, hash, asking->limit, &hits, &all, error);
    if (result == 0 && asking->reach.json) {
        result = show_json(asking, hash, &facts, &names, &hits, error);
    } else if (result == 0) {
        if (asking->found > 0)
            puts("");
        show_facts(hash, &facts, &names);
        mw_card_heading(stdout, "Messages");
        struct mw_rows *rows = mw_rows_messages(&asking->reach);
        result = mw_rows_print(rows, &hits, error);
        mw_rows_free(rows);
        if ((int64_t)hits.count < all)
            printf("... and %lld more (--limit)\n", (long long)all - (long long)hits.count);
    }
    asking->found += result == 0;
    mw_arena_free(arena);
    return result;
}

static int show(struct asking *asking)
{
    int status = MW_EXIT_OK;
    asking->limit = asking->limited ? asking->limit : MESSAGES;
    for (int i = 0; i < asking->count; i++) {
        struct mw_error error = {0};
        const char *hash = check_hash(asking, asking->names[i], &error);
        int result = hash ? show_one(asking, hash, &error) : error.code;
        if (result == 0)
            continue;
        fail(asking, &error);
        if (result != MW_ERR_MISSING)
            return MW_EXIT_ERROR;
        status = MW_EXIT_NOTHING;
    }
    return status;
}

/* --- get ------------------------------------------------------------------------------------ */

static int write_all(int fd, const char *target, struct mw_bytes bytes, struct mw_error *error)
{
    while (bytes.size > 0) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mw_fail_errno(error, "cannot write %s", target);
        bytes = mw_bytes_slice(bytes, (size_t)n, bytes.size);
    }
    return 0;
}

static int write_to(const struct asking *asking, int fd, const char *target, const char *hash,
                    struct mw_bytes bytes, struct mw_error *error)
{
    return asking->zip ? mw_zip_write(fd, target, hash, bytes, asking->password, error)
                       : write_all(fd, target, bytes, error);
}

/* Has a worker unpack what holds the bytes, which are copied. */
static int unpack(struct asking *asking, const char *hash, struct mw_bytes held,
                  const struct mw_facts *facts, struct mw_bytes *bytes, struct mw_error *error)
{
    struct mw_pool_settings settings;
    const struct mw_wrap_facts wrap = {.filename = mw_fact_value(facts, "name"),
                                       .content_type = mw_fact_value(facts, "type")};
    mw_setup_pool(asking->reach.config, &settings);
    settings.generation.workers = 1;
    struct mw_memfile *message = mw_wrap_holder(held, &wrap, error);
    struct mw_pool *pool = message ? mw_pool_new(&settings, error) : NULL;
    struct mw_report *report = pool ? mw_pool_examine(pool, message, error) : NULL;
    const struct mw_attachment *part = report ? mw_wrap_find_part(report, hash) : NULL;
    if (part)
        *bytes =
            (struct mw_bytes){(const void *)mw_arena_dup_bytes(
                                  asking->arena, (const char *)part->data.data, part->data.size),
                              part->data.size};
    else if (report)
        mw_fail(error, MW_ERR_FORMAT,
                "%s was unpacked from what is kept, and is not found there any more: limits.* may "
                "be lower than when it came",
                hash);
    mw_report_free(report);
    mw_pool_free(pool);
    mw_memfile_free(message);
    return part ? 0 : error->code;
}

/* The bytes; never other ones than the hash says. */
static int fetch(struct asking *asking, const char *hash, struct mw_bytes *bytes,
                 struct mw_error *error)
{
    const char *holder;
    struct mw_facts facts;
    if (mw_query_holder(asking->reach.query, asking->arena, hash, &holder, &facts, bytes, error) !=
            0 ||
        (strcmp(holder, hash) != 0 && unpack(asking, hash, *bytes, &facts, bytes, error) != 0))
        return error->code;
    struct mw_hasher *hasher = mw_hasher_new(error);
    if (!hasher)
        return error->code;
    const char *is = mw_hasher_sha256(hasher, asking->arena, *bytes);
    mw_hasher_free(hasher);
    if (strcmp(is, hash) == 0)
        return 0;
    return mw_fail(error, MW_ERR_FORMAT,
                   "the bytes Redis keeps of %s have the SHA-256 %s: they were changed, and are "
                   "not written",
                   hash, is);
}

static int write_file(struct asking *asking, const char *target, const char *hash,
                      struct mw_bytes bytes, struct mw_error *error)
{
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot make %s%s", target,
                             errno == EEXIST ? " (name another with -o)" : "");
    int result = write_to(asking, fd, target, hash, bytes, error);
    if (close(fd) != 0 && result == 0)
        result = mw_fail_errno(error, "cannot write %s", target);
    if (result != 0)
        unlink(target);
    return result;
}

static int get(struct asking *asking)
{
    struct mw_error error = {0};
    struct mw_bytes bytes = {0};
    bool standard = asking->output && strcmp(asking->output, "-") == 0;
    if (asking->count != 1)
        return mw_command_fail(asking->reach.command, "get: name one attachment by its SHA-256");
    if (standard && isatty(STDOUT_FILENO))
        return mw_command_fail(asking->reach.command,
                               "get: an attachment is not written to a terminal; name a file with "
                               "-o");
    const char *hash = check_hash(asking, asking->names[0], &error);
    if (!hash || fetch(asking, hash, &bytes, &error) != 0) {
        fail(asking, &error);
        return error.code == MW_ERR_MISSING ? MW_EXIT_NOTHING : MW_EXIT_ERROR;
    }
    const char *target = standard         ? "standard output"
                         : asking->output ? asking->output
                         : asking->zip    ? mw_arena_printf(asking->arena, "%s.zip", hash)
                                          : hash;
    int result = standard ? write_to(asking, STDOUT_FILENO, target, hash, bytes, &error)
                          : write_file(asking, target, hash, bytes, &error);
    if (result != 0)
        return fail(asking, &error);
    if (!standard)
        printf("%s\n", target);
    return MW_EXIT_OK;
}

/* --- options ---------------------------------------------------------------------------------- */

static int set_limit(struct asking *asking)
{
    char *end;
    long limit = strtol(optarg, &end, 10);
    if (end == optarg || *end || limit < 0)
        return mw_command_fail(asking->reach.command, "--limit: '%s' is no number", optarg);
    asking->limited = true;
    asking->limit = limit == 0 ? SIZE_MAX : (size_t)limit;
    return 0;
}

static int set_verdict(struct asking *asking)
{
    for (int v = MW_CLEAN; v <= MW_UNSCANNED; v++)
        if (strcmp(mw_verdict_name((enum mw_verdict)v), optarg) == 0) {
            asking->verdict = optarg;
            return 0;
        }
    return mw_command_fail(asking->reach.command,
                           "--verdict: '%s' is none of clean, suspicious, malicious, unscanned",
                           optarg);
}

static int take_option(struct asking *asking, int option, char **argv)
{
    switch (option) {
    case LIMIT:
        return set_limit(asking);
    case VERDICT:
        return set_verdict(asking);
    case 'o':
        asking->output = optarg;
        return 0;
    case ZIP:
        asking->zip = true;
        return 0;
    case PASSWORD:
        asking->password = optarg;
        return 0;
    default:
        return mw_command_bad_option(asking->reach.command, argv, long_options);
    }
}

static int parse(struct asking *asking, int argc, char **argv)
{
    struct mw_error error = {0};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:", long_options, NULL)) != -1;) {
        int taken = mw_conditions_option(asking->times, c, optarg, &error);
        if (taken < 0)
            return fail(asking, &error);
        taken = taken > 0 ? taken : mw_reach_option(&asking->reach, c, optarg);
        if (taken < 0)
            return -1;
        if (taken == 0 && take_option(asking, c, argv) != 0)
            return MW_EXIT_ERROR;
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct asking *asking);
    bool named; /* needs something named */
} subcommands[] = {{"list", list, false}, {"show", show, true}, {"get", get, true}};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int dispatch(struct asking *asking, const char *name)
{
    const char *names[SUBCOMMANDS];
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
        if (strcmp(name, names[i]) != 0)
            continue;
        if (subcommands[i].named && asking->count == 0)
            return mw_command_fail(asking->reach.command, "%s: name an attachment by its SHA-256",
                                   name);
        int status = mw_reach_open(&asking->reach);
        return status == 0 ? subcommands[i].run(asking) : status;
    }
    const char *near = mw_suggest(name, names, SUBCOMMANDS);
    return mw_command_fail(asking->reach.command, "'%s' is no subcommand; %s'%s'%s", name,
                           near ? "did you mean " : "see ",
                           near ? near : "mailwitness help attachment", near ? "?" : "");
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct asking asking = {.reach = {.command = command}, .password = "infected"};
    asking.arena = mw_arena_new();
    asking.times = mw_conditions_new(asking.arena);
    int status = parse(&asking, argc, argv);
    if (status == 0 && optind == argc)
        status = mw_command_fail(command, "name a subcommand: list, show or get");
    if (status == 0) {
        asking.count = argc - optind - 1;
        asking.names = argv + optind + 1;
        status = dispatch(&asking, argv[optind]);
    }
    mw_reach_close(&asking.reach);
    mw_arena_free(asking.arena);
    if (status >= 0 && fflush(stdout) != 0)
        return mw_command_fail(command, "cannot write the output");
    return status < 0 ? MW_EXIT_OK : status;
}

const struct mw_command mw_command_attachment = {
    "attachment", "list, show or get stored attachments", usage, run};
