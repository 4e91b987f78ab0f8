/* mailwitness bloom: making, teaching and looking after filters. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "bloom/tracked.h"
#include "cli/bloom_info.h"
#include "cli/command.h"
#include "cli/configured.h"
#include "cli/teach.h"
#include "core/number.h"

static const char usage[] =
    "usage: mailwitness bloom create [--capacity N] [--fp-rate R] FILE\n"
    "       mailwitness bloom add [OPTION]... FILE [LIST|MBOX|MAILDIR|-]...\n"
    "       mailwitness bloom add [OPTION]... --filter NAME [LIST|MBOX|MAILDIR|-]...\n"
    "       mailwitness bloom merge OUT IN...\n"
    "       mailwitness bloom info [--json] NAME|FILE...\n"
    "       mailwitness bloom verify NAME|FILE...\n"
    "       mailwitness bloom rebuild [--capacity N] [--fp-rate R] [OPTION]... OUT\n"
    "                         [--store] [LIST|MBOX|MAILDIR|-]...\n"
    "\n"
    "Looks after the filters that remember what was ever seen.\n"
    "\n"
    "  create   makes an empty filter for N values (50m) of which R (0.001) of those\n"
    "           never seen are taken for seen; its space is reserved at once\n"
    "  add      teaches it values: lines of a list (standard input when none is named),\n"
    "           or what messages show in a mailbox, a Maildir or any folder of mail\n"
    "  merge    makes OUT with all that the INs know; they must be of one capacity and\n"
    "           rate. Rates of full ones add up\n"
    "  info     tells values, fill, expected rate, size, layers and last flush of a\n"
    "           filter of the configuration, by its NAME, or of a file\n"
    "  verify   checks that files are sound\n"
    "  rebuild  makes OUT, of any capacity, from lists or mail, or from what is stored\n"
    "\n"
    "  --filter NAME     a filter of the configuration: its source and form of values;\n"
    "                    add: its file, which is made when it is not there; rebuild: its\n"
    "                    capacity and rate, where none is given\n"
    "  --store           rebuild: also from what Redis knows of accepted mail\n"
    "  --redis ADDRESS   the same, from Redis at unix:PATH or HOST:PORT\n"
    "  --config FILE     the configuration (default: " MW_CONFIG_FILE ")\n"
    "  --source SOURCE   what is taken from messages, and so the form of values: from\n"
    "                    (default), envelope-from, sender-domain, filename, url-host ...\n"
    "  --as KIND         the form of values: address, domain, caseless, text\n"
    "  --strip-plus-tag  user+tag@domain is user@domain\n"
    "  --list, --mail    what inputs are, where it cannot be told from how they begin\n"
    "  --json            one JSON object a file\n"
    "  --help            this text\n"
    "\n"
    "Exit status: 0 done, 1 verify found a file that is not sound, 2 an error.\n";

static const struct option long_options[] = {
    {"capacity", required_argument, NULL, 'c'}, {"fp-rate", required_argument, NULL, 'r'},
    {"filter", required_argument, NULL, 'f'},   {"config", required_argument, NULL, 'C'},
    {"source", required_argument, NULL, 's'},   {"as", required_argument, NULL, 'a'},
    {"strip-plus-tag", no_argument, NULL, 'p'}, {"list", no_argument, NULL, 'L'},
    {"mail", no_argument, NULL, 'M'},           {"json", no_argument, NULL, 'j'},
    {"store", no_argument, NULL, 'S'},          {"redis", required_argument, NULL, 'R'},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

enum { SYNC_MS = 5000 };

struct bloom {
    const struct mw_command *command;
    uint64_t capacity; /* 0: not given */
    double fp_rate;    /* the same */
    const char *filter_name, *config_file, *source_name;
    int kind; /* enum mw_normal; -1: as the source */
    bool json, store;
    struct mw_reach reach; /* to Redis, with --store */
    struct mw_teach_settings teach;
    struct mw_filter *filter;
    int status;
    int count;    /* of what is named on the command line, */
    char **names; /* behind the subcommand */
};

static int fail(const struct bloom *bloom, const struct mw_error *error)
{
    return mw_command_fail(bloom->command, "%s", error->text);
}

/* What nobody said. */
static void settle_size(struct bloom *bloom)
{
    static const uint64_t capacity = 50000000;
    static const double fp_rate = 0.001;
    bloom->capacity = bloom->capacity > 0 ? bloom->capacity : capacity;
    bloom->fp_rate = bloom->fp_rate > 0 ? bloom->fp_rate : fp_rate;
}

static int create(struct bloom *bloom)
{
    int status = MW_EXIT_OK;
    settle_size(bloom);
    for (int i = 0; i < bloom->count; i++) {
        struct mw_error error = {0};
        if (mw_filter_create(bloom->names[i], bloom->capacity, bloom->fp_rate, &error) != 0)
            status = fail(bloom, &error);
    }
    return status;
}

/* --- teaching -------------------------------------------------------------------------- */

static void failed(void *user, const struct mw_error *error)
{
    struct bloom *bloom = user;
    if (bloom->teach.progress)
        fputs("\r\033[K", stderr);
    bloom->status = fail(bloom, error);
}

/* Takes over what the configuration says of --filter; *file is its file. */
static int take_configured(struct bloom *bloom, const char **file)
{
    const struct mw_tracked_settings *settings =
        mw_configured_filter(bloom->command, bloom->teach.config, bloom->filter_name);
    if (!settings)
        return MW_EXIT_ERROR;
    *file = settings->file;
    bloom->capacity = bloom->capacity > 0 ? bloom->capacity : settings->capacity;
    bloom->fp_rate = bloom->fp_rate > 0 ? bloom->fp_rate : settings->fp_rate;
    bloom->teach.strip_plus_tag = settings->strip_plus_tag;
    if (!bloom->source_name)
        bloom->source_name = settings->source;
    return MW_EXIT_OK;
}

/* How values are taken and read. */
static int settle_source(struct bloom *bloom)
{
    struct mw_error error = {0};
    if (mw_source_find(&bloom->teach.source, bloom->source_name ? bloom->source_name : "from",
                       &error) != 0)
        return mw_command_fail(bloom->command, "--source: %s", error.text);
    bloom->teach.normal =
        bloom->kind >= 0 ? (enum mw_normal)bloom->kind : mw_source_normal(&bloom->teach.source);
    bloom->teach.progress = isatty(STDERR_FILENO);
    bloom->teach.user = bloom;
    bloom->teach.failed = failed;
    return MW_EXIT_OK;
}

static int open_filter(struct bloom *bloom, const char *file)
{
    struct mw_error error = {0};
    bloom->filter = mw_filter_open(file, MW_FILTER_WRITE, SYNC_MS, &error);
    if (!bloom->filter && error.code == MW_ERR_MISSING && bloom->filter_name &&
        mw_filter_create(file, bloom->capacity, bloom->fp_rate, &error) == 0)
        bloom->filter = mw_filter_open(file, MW_FILTER_WRITE, SYNC_MS, &error);
    return bloom->filter ? MW_EXIT_OK : fail(bloom, &error);
}

static int teach(struct bloom *bloom, const char *file, char **inputs, int count)
{
    static char standard_input[] = "-";
    char *only[] = {standard_input};
    struct mw_error error = {0};
    if (count == 0 && !bloom->store) {
        inputs = only;
        count = 1;
    }
    /* Workers start before the filter does, whose flushing is a thread. */
    struct mw_teach *teach = mw_teach_new(&bloom->teach, inputs, count, &error);
    if (!teach)
        return fail(bloom, &error);
    if (open_filter(bloom, file) != MW_EXIT_OK) {
        mw_teach_free(teach);
        return MW_EXIT_ERROR;
    }
    mw_teach_run(teach, bloom->filter);
    struct mw_teach_sum sum = mw_teach_sum(teach);
    mw_teach_free(teach);
    if (sum.messages > 0)
        printf("%llu messages read: ", (unsigned long long)sum.messages);
    printf("%llu values added, %llu were there already\n", (unsigned long long)sum.added,
           (unsigned long long)sum.known);
    return bloom->status;
}

/* The configuration, and what it says of --filter; *file is NULL without that. */
static int prepare(struct bloom *bloom, const char **file)
{
    *file = NULL;
    bloom->teach.config = mw_configured(bloom->command, bloom->config_file);
    if (!bloom->teach.config)
        return MW_EXIT_ERROR;
    if (bloom->filter_name && take_configured(bloom, file) != MW_EXIT_OK)
        return MW_EXIT_ERROR;
    settle_size(bloom);
    return settle_source(bloom);
}

static int add(struct bloom *bloom)
{
    const char *file;
    if (bloom->store)
        return mw_command_fail(bloom->command, "add: --store is for rebuild");
    if (prepare(bloom, &file) != MW_EXIT_OK)
        return MW_EXIT_ERROR;
    if (!file && bloom->count == 0)
        return mw_command_fail(bloom->command, "add: name the filter's file, or --filter NAME");
    int skip = file ? 0 : 1;
    return teach(bloom, file ? file : bloom->names[0], bloom->names + skip, bloom->count - skip);
}

static int open_store(struct bloom *bloom)
{
    bloom->reach.command = bloom->command;
    bloom->reach.config_file = bloom->config_file;
    bloom->teach.store = &bloom->reach;
    return mw_reach_open(&bloom->reach);
}

static int rebuild(struct bloom *bloom)
{
    struct mw_error error = {0};
    const char *configured, *out = bloom->names[0];
    if (bloom->count == 1 && !bloom->store)
        return mw_command_fail(bloom->command,
                               "rebuild: name lists or mail to make it from, or say --store");
    if (prepare(bloom, &configured) != MW_EXIT_OK ||
        (bloom->store && open_store(bloom) != MW_EXIT_OK))
        return MW_EXIT_ERROR;
    if (mw_filter_create(out, bloom->capacity, bloom->fp_rate, &error) != 0)
        return fail(bloom, &error);
    int status = teach(bloom, out, bloom->names + 1, bloom->count - 1);
    /* What lacks something it should know is not left for somebody to use. */
    if (status != MW_EXIT_OK)
        unlink(out);
    return status;
}

/* --- merging --------------------------------------------------------------------------- */

/* What it costs to lay full filters side by side. */
static void tell_rate(const struct bloom *bloom, const char *path)
{
    struct mw_filter_info info;
    mw_filter_get_info(bloom->filter, &info);
    if (info.expected_rate > info.promised_rate)
        printf("%s: %.3g of the values never seen are taken for seen, not %.3g: rates add up when "
               "full filters are merged; 'mailwitness bloom rebuild' keeps to it\n",
               path, info.expected_rate, info.promised_rate);
}

static int merge_all(struct bloom *bloom, struct mw_filter **from, size_t count)
{
    struct mw_error error = {0};
    struct mw_filter_info info;
    const char *out = bloom->names[0];
    for (size_t i = 0; i < count; i++)
        if (!(from[i] = mw_filter_open(bloom->names[i + 1], MW_FILTER_READ, 0, &error)))
            return fail(bloom, &error);
    mw_filter_get_counts(from[0], &info);
    if (mw_filter_create(out, info.capacity, info.promised_rate, &error) != 0)
        return fail(bloom, &error);
    bloom->filter = mw_filter_open(out, MW_FILTER_WRITE, SYNC_MS, &error);
    if (bloom->filter && mw_filter_merge(bloom->filter, from, count, &error) == 0) {
        tell_rate(bloom, out);
        return MW_EXIT_OK;
    }
    unlink(out);
    return fail(bloom, &error);
}

static int merge(struct bloom *bloom)
{
    size_t count = (size_t)bloom->count - 1;
    struct mw_filter **from = calloc(count, sizeof *from);
    if (!from)
        abort();
    int status = merge_all(bloom, from, count);
    for (size_t i = 0; i < count; i++)
        mw_filter_close(from[i]);
    free(from);
    return status;
}

/* --- looking --------------------------------------------------------------------------- */

/* A path, or a file that is there, is that file; another name a filter's of the
 * configuration. NULL after telling that there is none. */
static const char *file_of(struct bloom *bloom, const char *name)
{
    if (strchr(name, '/') || access(name, F_OK) == 0)
        return name;
    if (!bloom->teach.config)
        bloom->teach.config = mw_configured(bloom->command, bloom->config_file);
    const struct mw_tracked_settings *settings =
        bloom->teach.config ? mw_configured_filter(bloom->command, bloom->teach.config, name)
                            : NULL;
    return settings ? settings->file : NULL;
}

static int info_one(struct bloom *bloom, const char *path)
{
    struct mw_error error = {0};
    return mw_bloom_info_print(path, bloom->json, &error) == 0 ? MW_EXIT_OK : fail(bloom, &error);
}

static int verify_one(struct bloom *bloom, const char *path)
{
    struct mw_error error = {0};
    bool summed = true;
    int result = mw_bloom_info_verify(path, &summed, &error);
    if (result == MW_ERR_FORMAT) {
        puts(error.text);
        return MW_EXIT_FOUND;
    }
    if (result != 0)
        return fail(bloom, &error);
    printf("%s: sound%s\n", path,
           summed ? "" : ", but without checksums: it gets them when it is next written to");
    return MW_EXIT_OK;
}

/* All of them, whatever becomes of one; the worst status. */
static int each(struct bloom *bloom, int (*one)(struct bloom *bloom, const char *path))
{
    int worst = MW_EXIT_OK;
    for (int i = 0; i < bloom->count; i++) {
        const char *path = file_of(bloom, bloom->names[i]);
        int status = path ? one(bloom, path) : MW_EXIT_ERROR;
        worst = status > worst ? status : worst;
    }
    return worst;
}

static int info(struct bloom *bloom)
{
    return each(bloom, info_one);
}

static int verify(struct bloom *bloom)
{
    return each(bloom, verify_one);
}

/* --- the command line ------------------------------------------------------------------- */

static const struct {
    const char *name;
    int least;
    int (*run)(struct bloom *bloom);
    const char *needs;
} subcommands[] = {
    {"create", 1, create, "a file"},
    {"add", 0, add, NULL},
    {"merge", 2, merge, "a file to make and files to merge"},
    {"info", 1, info, "a filter's name or file"},
    {"verify", 1, verify, "a filter's name or file"},
    {"rebuild", 1, rebuild, "a file to make"},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

/* A number above 0, with k, m or g for thousands, millions and so on. */
static int number_option(const struct bloom *bloom, const char *name, const char *text,
                         double *value)
{
    static const char units[] = "kmg";
    const char *end;
    bool sound = mw_number_read(text, value, &end);
    const char *unit = sound && *end ? strchr(units, *end) : NULL;
    for (int i = 0; unit && i <= unit - units; i++)
        *value *= 1000;
    if (!sound || end[unit ? 1 : 0] != '\0' || !(*value > 0))
        return mw_command_fail(bloom->command, "%s: '%s' is no number above 0", name, text);
    return 0;
}

static int kind_option(struct bloom *bloom, const char *text)
{
    bloom->kind = mw_normal_from_name(text);
    if (bloom->kind >= 0)
        return 0;
    return mw_command_fail(bloom->command, "--as: '%s' is none of address, domain, caseless, text",
                           text);
}

/* One option; 0, -1 to end well, or an exit status. */
static int set_option(struct bloom *bloom, int option, char **argv)
{
    double number = 0;
    int status = 0;
    switch (option) {
    case 'c':
        status = number_option(bloom, "--capacity", optarg, &number);
        bloom->capacity = number < 1e13 ? (uint64_t)number : UINT64_MAX;
        return status;
    case 'r':
        return number_option(bloom, "--fp-rate", optarg, &bloom->fp_rate);
    case 'f':
        bloom->filter_name = optarg;
        return 0;
    case 'C':
        bloom->config_file = optarg;
        return 0;
    case 's':
        bloom->source_name = optarg;
        return 0;
    case 'a':
        return kind_option(bloom, optarg);
    case 'p':
        bloom->teach.strip_plus_tag = true;
        return 0;
    case 'L':
        bloom->teach.kind = MW_TEACH_LIST;
        return 0;
    case 'M':
        bloom->teach.kind = MW_TEACH_MAIL;
        return 0;
    case 'j':
        bloom->json = true;
        return 0;
    case 'R':
        bloom->reach.redis = optarg;
        bloom->store = true;
        return 0;
    case 'S':
        bloom->store = true;
        return 0;
    case 'h':
        fputs(usage, stdout);
        return -1;
    default:
        return mw_command_bad_option(bloom->command, argv, long_options);
    }
}

static int dispatch(struct bloom *bloom, const char *name)
{
    const char *names[SUBCOMMANDS];
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
        if (strcmp(name, names[i]) != 0)
            continue;
        if (bloom->count < subcommands[i].least)
            return mw_command_fail(bloom->command, "%s: needs %s; see 'mailwitness help bloom'",
                                   name, subcommands[i].needs);
        return subcommands[i].run(bloom);
    }
    const char *near = mw_suggest(name, names, SUBCOMMANDS);
    if (near)
        return mw_command_fail(bloom->command, "'%s' is no subcommand; did you mean '%s'?", name,
                               near);
    return mw_command_fail(bloom->command, "'%s' is no subcommand; see 'mailwitness help bloom'",
                           name);
}

static int run(const struct mw_command *command, int argc, char **argv)
{
    struct bloom bloom = {.command = command, .kind = -1};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int status = set_option(&bloom, c, argv);
        if (status != 0)
            return status < 0 ? MW_EXIT_OK : status;
    }
    if (optind == argc)
        return mw_command_fail(command, "name a subcommand; see 'mailwitness help bloom'");
    bloom.count = argc - optind - 1;
    bloom.names = argv + optind + 1;
    int status = dispatch(&bloom, argv[optind]);
    mw_filter_close(bloom.filter);
    mw_reach_close(&bloom.reach);
    mw_config_free(bloom.teach.config);
    return status;
}

const struct mw_command mw_command_bloom = {"bloom", "make, teach and look after filters", usage,
                                            run};
