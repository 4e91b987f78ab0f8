/* teach: lists line by line, mail by the workers that `scan` uses. */
#include "cli/teach.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/errand.h"
#include "cli/input.h"
#include "cli/values.h"
#include "core/clock.h"
#include "core/learn.h"
#include "core/names.h"
#include "core/verdict.h"
#include "worker/setup.h"

enum { SHOW_MS = 200, ARENA_MOST = 65536 };

struct mw_teach {
    struct mw_teach_settings settings;
    char *const *inputs;
    int count;
    struct mw_pool_settings pool;
    struct mw_errands *errands; /* NULL: no input is mail */
    struct mw_filter *filter;
    struct mw_teach_sum sum;
    struct mw_error trouble; /* the filter's last one */
    struct mw_arena *arena;  /* of some lines */
    bool first_line;         /* of standard input, taken for a list */
    int64_t shown_ms;
};

/* --- values ---------------------------------------------------------------------------- */

static void show(struct mw_teach *teach)
{
    int64_t ms = mw_clock_ms();
    if (!teach->settings.progress || ms - teach->shown_ms < SHOW_MS)
        return;
    teach->shown_ms = ms;
    const struct mw_teach_sum *sum = &teach->sum;
    fprintf(stderr, "\r\033[K%llu messages, %llu values added, %llu known",
            (unsigned long long)sum->messages, (unsigned long long)sum->added,
            (unsigned long long)sum->known);
}

static void take(struct mw_teach *teach, struct mw_arena *arena, const char *value)
{
    bool is_new = false;
    const char *normal =
        mw_normalise(arena, teach->settings.normal, value, teach->settings.strip_plus_tag);
    if (*normal == '\0')
        return;
    /* In memory it is in any case: what failed is told once, at the end. */
    mw_filter_add(teach->filter, mw_bytes_of(normal), &is_new, &teach->trouble);
    if (is_new)
        teach->sum.added++;
    else
        teach->sum.known++;
    if (teach->sum.messages == 0 && (teach->sum.added + teach->sum.known) % 4096 == 0)
        show(teach);
}

/* --- lists ----------------------------------------------------------------------------- */

/* "From " before a message in an mbox, or a header field with a blank behind its colon. */
static bool begins_mail(const char *text)
{
    size_t name = 0;
    if (strncmp(text, "From ", 5) == 0)
        return true;
    while (text[name] > ' ' && text[name] < 127 && text[name] != ':')
        name++;
    return name > 0 && text[name] == ':' && (text[name + 1] == ' ' || text[name + 1] == '\t');
}

static int take_line(void *user, const char *line)
{
    struct mw_teach *teach = user;
    if (teach->first_line && begins_mail(line)) {
        static const struct mw_error error = {
            MW_ERR_INPUT, "standard input begins as mail does: say --mail, or --list to have its "
                          "lines as values"};
        teach->settings.failed(teach->settings.user, &error);
        return 1;
    }
    teach->first_line = false;
    take(teach, teach->arena, line);
    if (mw_arena_used(teach->arena) > ARENA_MOST) {
        mw_arena_free(teach->arena);
        teach->arena = mw_arena_new();
    }
    return 0;
}

static void take_list(struct mw_teach *teach, const char *path)
{
    struct mw_error error = {0};
    teach->first_line = strcmp(path, "-") == 0 && teach->settings.kind == MW_TEACH_AUTO;
    if (mw_values_read(path, take_line, teach, &error) < 0)
        teach->settings.failed(teach->settings.user, &error);
}

/* --- mail ------------------------------------------------------------------------------ */

static void end_report(struct mw_teach *teach, struct mw_report *report)
{
    struct mw_texts values = {0};
    teach->sum.messages++;
    mw_source_collect(&teach->settings.source, report, report->arena, &values);
    for (size_t i = 0; i < values.count; i++)
        take(teach, report->arena, values.items[i]);
    show(teach);
}

static int end_errand(void *user, struct mw_errand *errand)
{
    struct mw_teach *teach = user;
    if (errand->report)
        end_report(teach, errand->report);
    else
        teach->settings.failed(teach->settings.user, &errand->error);
    return 0;
}

/* What stands before the first empty line: all that is needed of most messages. */
static struct mw_bytes head_of(struct mw_bytes raw)
{
    for (size_t at = 0, next; at < raw.size; at = next) {
        next = mw_bytes_next_line(raw, at);
        bool empty = next - at == 1 || (next - at == 2 && raw.data[at] == '\r');
        if (empty && at > 0)
            return mw_bytes_slice(raw, 0, next);
    }
    return raw;
}

static int take_message(void *user, struct mw_bytes raw, const char *source)
{
    struct mw_teach *teach = user;
    if (!mw_source_needs_body(&teach->settings.source))
        raw = head_of(raw);
    return mw_errands_send(teach->errands, raw, source);
}

static void mail_failed(void *user, const struct mw_error *error)
{
    const struct mw_teach *teach = user;
    teach->settings.failed(teach->settings.user, error);
}

static void take_mail(struct mw_teach *teach, const char *path)
{
    const struct mw_input input = {teach->settings.config->limits.message_size, teach, take_message,
                                   mail_failed};
    mw_input_walk(&input, path);
}

/* --- the store ------------------------------------------------------------------------- */

static int take_senders(struct mw_teach *teach, struct mw_error *error)
{
    char cursor[MW_CURSOR_SIZE] = "0";
    int more;
    do {
        struct mw_arena *arena = mw_arena_new();
        struct mw_texts addresses = {0};
        more = mw_query_senders(teach->settings.store->query, arena, cursor, &addresses, error);
        for (size_t i = 0; i < addresses.count; i++)
            take(teach, arena, addresses.items[i]);
        mw_arena_free(arena);
    } while (more > 0);
    return more;
}

/* A message may be gone by now. What was done with it stands in its facts. */
static int take_stored(struct mw_teach *teach, const char *id, const struct mw_facts *facts,
                       struct mw_error *error)
{
    struct mw_error why = {0};
    struct mw_report *report = mw_query_report(teach->settings.store->query, id, &why);
    if (!report && why.code == MW_ERR_MISSING)
        return 0;
    if (!report)
        return mw_fail(error, why.code, "%s: %s", id, why.text);
    const char *done = mw_fact_value(facts, "action");
    int action = done ? mw_names_find(mw_action_names, done) : -1;
    if (action >= 0)
        report->action = (enum mw_action)action;
    if (mw_learns_from(report))
        end_report(teach, report);
    mw_report_free(report);
    return 0;
}

static int take_page(struct mw_teach *teach, struct mw_arena *arena, const struct mw_hits *hits,
                     struct mw_error *error)
{
    struct mw_texts ids = {0};
    for (size_t i = 0; i < hits->count; i++)
        mw_texts_add(arena, &ids, hits->items[i].id);
    struct mw_facts *facts = mw_arena_alloc(arena, (ids.count + 1) * sizeof *facts);
    int result = mw_query_facts(teach->settings.store->query, arena, &ids, facts, error);
    for (size_t i = 0; i < ids.count && result == 0; i++)
        result = take_stored(teach, ids.items[i], &facts[i], error);
    return result;
}

static int take_messages(struct mw_teach *teach, struct mw_error *error)
{
    enum { PAGE = 100 };
    const struct mw_search_terms none = {0};
    struct mw_search *search = mw_search_new(teach->settings.store->query, &none, 0, 0, error);
    int more = search ? 1 : error->code;
    while (more > 0) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        more = mw_search_next(search, arena, PAGE, &hits, error);
        if (more > 0 && take_page(teach, arena, &hits, error) != 0)
            more = error->code;
        mw_arena_free(arena);
    }
    mw_search_free(search);
    return more;
}

static void take_store(struct mw_teach *teach)
{
    struct mw_error error = {0};
    int result = strcmp(mw_source_name_of(&teach->settings.source), "from") == 0
                     ? take_senders(teach, &error)
                     : take_messages(teach, &error);
    if (result < 0)
        teach->settings.failed(teach->settings.user, &error);
}

/* --- all of them ----------------------------------------------------------------------- */

static bool is_mail(const struct mw_teach *teach, const char *path)
{
    char start[1024];
    struct stat facts;
    if (teach->settings.kind != MW_TEACH_AUTO || strcmp(path, "-") == 0)
        return teach->settings.kind == MW_TEACH_MAIL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool folder = fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode);
    ssize_t size = S_ISREG(facts.st_mode) ? pread(fd, start, sizeof start - 1, 0) : 0;
    close(fd);
    start[size > 0 ? size : 0] = '\0';
    return folder || begins_mail(start);
}

static int start_workers(struct mw_teach *teach, struct mw_error *error)
{
    const struct mw_errands_work work = {teach, end_errand};
    teach->settings.config->scan = (struct mw_scan_settings){0};
    mw_setup_pool(teach->settings.config, &teach->pool);
    teach->errands = mw_errands_new(&teach->pool, &work, error);
    return teach->errands ? 0 : error->code;
}

struct mw_teach *mw_teach_new(const struct mw_teach_settings *settings, char *const *inputs,
                              int count, struct mw_error *error)
{
    struct mw_teach *teach = calloc(1, sizeof *teach);
    if (!teach) {
        mw_fail_errno(error, "cannot start");
        return NULL;
    }
    teach->arena = mw_arena_new();
    teach->settings = *settings;
    teach->inputs = inputs;
    teach->count = count;
    bool mail = false;
    for (int i = 0; i < count && !mail; i++)
        mail = is_mail(teach, inputs[i]);
    if (!mail || start_workers(teach, error) == 0)
        return teach;
    mw_teach_free(teach);
    return NULL;
}

void mw_teach_free(struct mw_teach *teach)
{
    if (!teach)
        return;
    mw_arena_free(teach->arena);
    mw_errands_free(teach->errands);
    free(teach);
}

void mw_teach_run(struct mw_teach *teach, struct mw_filter *filter)
{
    struct mw_error error = {0};
    teach->filter = filter;
    for (int i = 0; i < teach->count; i++) {
        if (teach->errands && is_mail(teach, teach->inputs[i]))
            take_mail(teach, teach->inputs[i]);
        else
            take_list(teach, teach->inputs[i]);
    }
    if (teach->settings.store)
        take_store(teach);
    if (teach->errands)
        mw_errands_finish(teach->errands);
    if (teach->settings.progress)
        fputs("\r\033[K", stderr);
    if (teach->trouble.code != MW_OK)
        teach->settings.failed(teach->settings.user, &teach->trouble);
    if (mw_filter_sync(filter, &error) != 0)
        teach->settings.failed(teach->settings.user, &error);
}

struct mw_teach_sum mw_teach_sum(const struct mw_teach *teach)
{
    return teach->sum;
}
