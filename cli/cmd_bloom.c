/* mailwitness bloom: making, teaching and looking after filters. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "bloom/normal.h"
#include "cli/command.h"
#include "cli/values.h"

static const char usage[] =
    "usage: mailwitness bloom create [--capacity N] [--fp-rate R] FILE\n"
    "       mailwitness bloom add [--as KIND] FILE [LIST|-]...\n"
    "       mailwitness bloom merge OUT IN...\n"
    "       mailwitness bloom info [--json] FILE...\n"
    "       mailwitness bloom verify FILE...\n"
    "       mailwitness bloom rebuild [--capacity N] [--fp-rate R] [--as KIND] OUT LIST...\n"
    "\n"
    "Looks after the filters that remember what was ever seen.\n"
    "\n"
    "  create   makes an empty filter for N values (50000000) of which R (0.001) of\n"
    "           those never seen are taken for seen; its space is reserved at once\n"
    "  add      teaches it values, one a line; those it had are counted apart\n"
    "  merge    makes OUT from the first IN and adds the others; all of one shape\n"
    "  info     tells values, fill, expected rate, size and layers\n"
    "  verify   checks that files are sound; exits 1 when one is not\n"
    "  rebuild  makes OUT, of another capacity, from lists of values\n"
    "\n"
    "  --as KIND  how to read values: address (default), domain, text\n"
    "  --help     this text\n";

static const struct option long_options[] = {
    {"capacity", required_argument, NULL, 'c'}, {"fp-rate", required_argument, NULL, 'r'},
    {"as", required_argument, NULL, 'a'},       {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

struct bloom {
    const struct mw_command *command;
    uint64_t capacity;
    double fp_rate;
    enum mw_normal kind;
    bool json;
    struct mw_filter *filter;
    uint64_t added, known;
    bool progress;
    int count;    /* of what is named on the command line, */
    char **names; /* behind the subcommand */
};

static int fail(const struct bloom *bloom, const struct mw_error *error)
{
    return mw_command_fail(bloom->command, "%s", error->text);
}

static int create(struct bloom *bloom)
{
    struct mw_error error = {0};
    if (mw_filter_create(bloom->names[0], bloom->capacity, bloom->fp_rate, &error) != 0)
        return fail(bloom, &error);
    return MW_EXIT_OK;
}

static int take(void *user, const char *value)
{
    struct bloom *bloom = user;
    struct mw_error error = {0};
    struct mw_arena *arena = mw_arena_new();
    const char *normal = mw_normalise(arena, bloom->kind, value, false);
    bool is_new = false;
    int result = mw_filter_add(bloom->filter, mw_bytes_of(normal), &is_new, &error);
    mw_arena_free(arena);
    /* Without room to grow the values are still taken. */
    if (result != 0 && result != MW_ERR_LIMIT)
        return mw_command_fail(bloom->command, "%s", error.text);
    if (is_new)
        bloom->added++;
    else
        bloom->known++;
    uint64_t taken = bloom->added + bloom->known;
    if (bloom->progress && taken % 65536 == 0)
        fprintf(stderr, "\r\033[K%" PRIu64 " values", taken);
    return 0;
}

static int teach(struct bloom *bloom, const char *path, int count, char **lists)
{
    static char standard_input[] = "-";
    char *only[] = {standard_input};
    struct mw_error error = {0};
    bloom->filter = mw_filter_open(path, MW_FILTER_WRITE, 5000, &error);
    if (!bloom->filter)
        return fail(bloom, &error);
    bloom->progress = isatty(STDERR_FILENO);
    if (count == 0) {
        lists = only;
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        int result = mw_values_read(lists[i], take, bloom, &error);
        if (result < 0)
            return fail(bloom, &error);
        if (result > 0)
            return result;
    }
    if (bloom->progress)
        fputs("\r\033[K", stderr);
    if (mw_filter_sync(bloom->filter, &error) != 0)
        return fail(bloom, &error);
    printf("%llu values added, %llu were there already\n", (unsigned long long)bloom->added,
           (unsigned long long)bloom->known);
    return MW_EXIT_OK;
}

static int add(struct bloom *bloom)
{
    return teach(bloom, bloom->names[0], bloom->count - 1, bloom->names + 1);
}

static int rebuild(struct bloom *bloom)
{
    int status = create(bloom);
    return status == MW_EXIT_OK ? add(bloom) : status;
}

static int merge_one(struct bloom *bloom, struct mw_filter *into, const char *path)
{
    struct mw_error error = {0};
    struct mw_filter *from = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    int result = from ? mw_filter_merge(into, from, &error) : MW_ERR_INPUT;
    mw_filter_close(from);
    return result == 0 ? MW_EXIT_OK : fail(bloom, &error);
}

static int merge(struct bloom *bloom)
{
    struct mw_error error = {0};
    struct mw_filter_info info;
    struct mw_filter *first = mw_filter_open(bloom->names[1], MW_FILTER_READ, 0, &error);
    if (!first)
        return fail(bloom, &error);
    mw_filter_get_info(first, &info);
    mw_filter_close(first);
    if (mw_filter_create(bloom->names[0], info.capacity, info.promised_rate, &error) != 0)
        return fail(bloom, &error);
    bloom->filter = mw_filter_open(bloom->names[0], MW_FILTER_WRITE, 5000, &error);
    if (!bloom->filter)
        return fail(bloom, &error);
    int status = MW_EXIT_OK;
    for (int i = 1; i < bloom->count && status == MW_EXIT_OK; i++)
        status = merge_one(bloom, bloom->filter, bloom->names[i]);
    if (status != MW_EXIT_OK)
        unlink(bloom->names[0]);
    return status;
}

static void print_info(const struct bloom *bloom, const char *path,
                       const struct mw_filter_info *info)
{
    if (bloom->json) {
        json_t *line =
            json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:i, s:I, s:I, s:b}", "file", path,
                      "values", (json_int_t)info->values, "estimated", (json_int_t)info->estimated,
                      "capacity", (json_int_t)info->capacity, "promised_rate", info->promised_rate,
                      "expected_rate", info->expected_rate, "fill", info->fill, "layers",
                      (int)info->layers, "file_size", (json_int_t)info->file_size, "created",
                      (json_int_t)info->created, "damaged", info->damaged);
        char *text = json_dumps(line, JSON_COMPACT);
        puts(text ? text : "null");
        free(text);
        json_decref(line);
        return;
    }
    printf("%s\n", path);
    printf("  values         %llu (from the bits: %llu) of %llu\n",
           (unsigned long long)info->values, (unsigned long long)info->estimated,
           (unsigned long long)info->capacity);
    printf("  false positives %.3g expected now, %.3g promised\n", info->expected_rate,
           info->promised_rate);
    printf("  bits set       %.1f %%\n", info->fill * 100);
    printf("  size           %.1f MiB in %u layer%s\n", (double)info->file_size / 1048576,
           info->layers, info->layers == 1 ? "" : "s");
    if (info->damaged)
        puts("  one copy of the header is damaged: it is mended at the next opening for writing");
}

static int info_of(struct bloom *bloom)
{
    int status = MW_EXIT_OK;
    for (int i = 0; i < bloom->count; i++) {
        struct mw_error error = {0};
        struct mw_filter_info info;
        struct mw_filter *filter = mw_filter_open(bloom->names[i], MW_FILTER_READ, 0, &error);
        if (!filter) {
            status = fail(bloom, &error);
            continue;
        }
        mw_filter_get_info(filter, &info);
        print_info(bloom, bloom->names[i], &info);
        mw_filter_close(filter);
    }
    return status;
}

/* A sound header, and bits that fit the number of values counted. */
static int verify(struct bloom *bloom)
{
    int status = MW_EXIT_OK;
    for (int i = 0; i < bloom->count; i++) {
        struct mw_error error = {0};
        struct mw_filter_info info;
        struct mw_filter *filter = mw_filter_open(bloom->names[i], MW_FILTER_READ, 0, &error);
        if (!filter) {
            printf("%s\n", error.text);
            status = MW_EXIT_FOUND;
            continue;
        }
        mw_filter_get_info(filter, &info);
        mw_filter_close(filter);
        double off = fabs((double)info.estimated - (double)info.values);
        bool fits = off <= (double)info.values * 0.05 + 100;
        if (!fits || info.damaged)
            status = MW_EXIT_FOUND;
        printf("%s: %s\n", bloom->names[i],
               info.damaged ? "one copy of the header is damaged"
               : fits       ? "sound"
                            : "bits and values do not fit each other (merged, or damaged)");
    }
    return status;
}

static const struct {
    const char *name;
    int least;
    int (*run)(struct bloom *bloom);
} subcommands[] = {
    {"create", 1, create}, {"add", 1, add},       {"merge", 2, merge},
    {"info", 1, info_of},  {"verify", 1, verify}, {"rebuild", 2, rebuild},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int number_option(const struct bloom *bloom, const char *name, const char *text,
                         double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(*value > 0))
        return mw_command_fail(bloom->command, "%s: '%s' is no number above 0", name, text);
    return 0;
}

static int parse(struct bloom *bloom, int argc, char **argv)
{
    double number;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int kind, status = 0;
        switch (c) {
        case 'c':
            status = number_option(bloom, "--capacity", optarg, &number);
            bloom->capacity = status == 0 && number < 1e13 ? (uint64_t)number : 0;
            break;
        case 'r':
            status = number_option(bloom, "--fp-rate", optarg, &bloom->fp_rate);
            break;
        case 'a':
            kind = mw_normal_from_name(optarg);
            if (kind < 0)
                return mw_command_fail(bloom->command,
                                       "--as: '%s' is none of address, domain, text", optarg);
            bloom->kind = (enum mw_normal)kind;
            break;
        case 'j':
            bloom->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(bloom->command, argv, long_options);
        }
        if (status != 0)
            return status;
    }
    return 0;
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
                                   name, subcommands[i].least == 1 ? "a file" : "two files");
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
    struct bloom bloom = {.command = command, .capacity = 50000000, .fp_rate = 0.001};
    int status = parse(&bloom, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    if (optind == argc)
        return mw_command_fail(command, "name a subcommand; see 'mailwitness help bloom'");
    bloom.count = argc - optind - 1;
    bloom.names = argv + optind + 1;
    status = dispatch(&bloom, argv[optind]);
    mw_filter_close(bloom.filter);
    return status;
}

const struct mw_command mw_command_bloom = {"bloom", "make, teach and look after filters", usage,
                                            run};
