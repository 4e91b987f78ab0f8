/* tracked: the filters of a configuration. */
#include "bloom/tracked.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bloom/recent.h"
#include "bloom/source.h"
#include "core/learn.h"
#include "core/number.h"
#include "core/suggest.h"

/* A file has one writer, so one that stays is shared by those that go and those that come. */
struct shared {
    struct mw_filter *filter;
    unsigned users;
};

struct tracked {
    struct mw_tracked_settings settings;
    struct mw_source source;
    int sync_ms;
    struct shared *shared;
    struct mw_filter *filter; /* its filter */
    struct mw_recent *recent; /* NULL: what was learned is known at once */
    bool made, made_recent;   /* there was no such file */
};

struct mw_tracked {
    struct mw_arena *arena;
    struct tracked *items;
    size_t count;
};

int mw_tracked_sync(const char *text, int *sync_ms, struct mw_error *error)
{
    enum { MOST = 3600 };
    const char *end;
    double seconds;
    if (strcmp(text, "always") == 0) {
        *sync_ms = MW_FILTER_SYNC_ALWAYS;
        return 0;
    }
    if (strcmp(text, "everysec") == 0) {
        *sync_ms = 1000;
        return 0;
    }
    bool sound = mw_number_read(text, &seconds, &end);
    if (sound && strcmp(end, "s") == 0)
        end++;
    if (!sound || *end != '\0' || !(seconds >= 0.01 && seconds <= MOST))
        return mw_fail(error, MW_ERR_INPUT,
                       "'%s' is none of always, everysec, or seconds from 0.01 to %d", text, MOST);
    *sync_ms = (int)(seconds * 1000);
    return 0;
}

static void copy_settings(struct mw_arena *arena, struct mw_tracked_settings *to,
                          const struct mw_tracked_settings *from)
{
    *to = *from;
    to->name = mw_arena_dup(arena, from->name);
    to->source = mw_arena_dup(arena, from->source);
    to->file = mw_arena_dup(arena, from->file);
    to->sync = mw_arena_dup(arena, from->sync);
}

/* Two filters must not share a name, for the report, or a file, for its lock. */
static int check_apart(const struct mw_tracked *tracked, const struct tracked *one,
                       struct mw_error *error)
{
    for (const struct tracked *other = tracked->items; other < one; other++) {
        if (strcmp(other->settings.name, one->settings.name) == 0)
            return mw_fail(error, MW_ERR_INPUT, "there are two filters called '%s'",
                           one->settings.name);
        if (strcmp(other->settings.file, one->settings.file) == 0)
            return mw_fail(error, MW_ERR_INPUT,
                           "the filters '%s' and '%s' have the same file %s: give each its own",
                           other->settings.name, one->settings.name, one->settings.file);
    }
    return 0;
}

static struct shared *find_shared(const struct mw_tracked *before, const char *file)
{
    for (size_t i = 0; before && i < before->count; i++)
        if (before->items[i].shared && strcmp(before->items[i].settings.file, file) == 0)
            return before->items[i].shared;
    return NULL;
}

static struct shared *open_shared(struct tracked *one, struct mw_error *error)
{
    const struct mw_tracked_settings *settings = &one->settings;
    struct mw_filter *filter = mw_filter_open(settings->file, MW_FILTER_WRITE, one->sync_ms, error);
    if (!filter && error->code == MW_ERR_MISSING &&
        mw_filter_create(settings->file, settings->capacity, settings->fp_rate, error) == 0) {
        one->made = true;
        filter = mw_filter_open(settings->file, MW_FILTER_WRITE, one->sync_ms, error);
    }
    if (!filter)
        return NULL;
    struct shared *shared = calloc(1, sizeof *shared);
    if (!shared)
        abort();
    shared->filter = filter;
    return shared;
}

static int open_file(struct tracked *one, const struct mw_tracked *before, struct mw_error *error)
{
    const struct mw_tracked_settings *settings = &one->settings;
    struct mw_error why = {0};
    one->shared = find_shared(before, settings->file);
    if (!one->shared)
        one->shared = open_shared(one, &why);
    if (one->shared) {
        one->shared->users++;
        one->filter = one->shared->filter;
    }
    if (one->filter &&
        mw_filter_check(one->filter, settings->capacity, settings->fp_rate, &why) == 0)
        return 0;
    return mw_fail(error, why.code, "filter '%s': %s", settings->name, why.text);
}

/* Beside the one of the filters before, if that is still open: no message is at both. */
static int open_recent(struct tracked *one, struct mw_error *error)
{
    struct mw_error why = {0};
    struct mw_arena *arena = mw_arena_new();
    bool there = access(mw_recent_path(arena, one->settings.file), F_OK) == 0;
    mw_arena_free(arena);
    one->recent =
        mw_recent_open(one->settings.file, MW_FILTER_WRITE, one->settings.new_for_s, &why);
    one->made_recent = one->recent && !there;
    return one->recent ? 0
                       : mw_fail(error, why.code, "filter '%s': %s", one->settings.name, why.text);
}

static int open_one(const struct mw_tracked *tracked, struct tracked *one,
                    const struct mw_tracked *before, struct mw_error *error)
{
    struct mw_error why = {0};
    if (check_apart(tracked, one, error) != 0)
        return error->code;
    if (mw_source_find(&one->source, one->settings.source, &why) != 0)
        return mw_fail(error, why.code, "filter '%s': source %s", one->settings.name, why.text);
    if (mw_tracked_sync(one->settings.sync, &one->sync_ms, &why) != 0)
        return mw_fail(error, why.code, "filter '%s': sync %s", one->settings.name, why.text);
    if (open_file(one, before, error) != 0)
        return error->code;
    return one->settings.new_for_s > 0 ? open_recent(one, error) : 0;
}

struct mw_tracked *mw_tracked_open(const struct mw_tracked_settings *settings, size_t count,
                                   struct mw_error *error)
{
    return mw_tracked_prepare(NULL, settings, count, error);
}

struct mw_tracked *mw_tracked_prepare(struct mw_tracked *before,
                                      const struct mw_tracked_settings *settings, size_t count,
                                      struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_tracked *tracked = mw_arena_alloc(arena, sizeof *tracked);
    tracked->arena = arena;
    tracked->items = mw_arena_alloc(arena, count * sizeof *tracked->items);
    for (size_t i = 0; i < count; i++) {
        struct tracked *one = &tracked->items[tracked->count++];
        copy_settings(arena, &one->settings, &settings[i]);
        if (open_one(tracked, one, before, error) != 0) {
            mw_tracked_abandon(tracked);
            return NULL;
        }
    }
    return tracked;
}

void mw_tracked_replace(struct mw_tracked *tracked, struct mw_tracked *before)
{
    mw_tracked_close(before);
    for (size_t i = 0; i < tracked->count; i++)
        mw_filter_set_sync(tracked->items[i].filter, tracked->items[i].sync_ms);
}

void mw_tracked_abandon(struct mw_tracked *tracked)
{
    for (size_t i = 0; tracked && i < tracked->count; i++) {
        const struct tracked *one = &tracked->items[i];
        if (one->made)
            unlink(one->settings.file);
        if (one->made_recent)
            unlink(mw_recent_path(tracked->arena, one->settings.file));
    }
    mw_tracked_close(tracked);
}

void mw_tracked_close(struct mw_tracked *tracked)
{
    if (!tracked)
        return;
    for (size_t i = 0; i < tracked->count; i++) {
        struct shared *shared = tracked->items[i].shared;
        mw_recent_close(tracked->items[i].recent);
        if (!shared || --shared->users > 0)
            continue;
        mw_filter_close(shared->filter);
        free(shared);
    }
    mw_arena_free(tracked->arena);
}

/* Of one source in one form, which several filters may share. */
struct recalled_values {
    const char *source;
    bool strip_plus_tag;
    struct mw_texts values;
};

struct mw_recalled {
    MW_LIST(struct recalled_values) sources;
};

static const struct recalled_values *find_values(const struct mw_recalled *recalled,
                                                 const struct tracked *one)
{
    for (size_t i = 0; recalled && i < recalled->sources.count; i++) {
        const struct recalled_values *values = &recalled->sources.items[i];
        if (values->strip_plus_tag == one->settings.strip_plus_tag &&
            strcmp(values->source, one->settings.source) == 0)
            return values;
    }
    return NULL;
}

/* The values of a message that a filter is about, in their normal form; in arena. */
static struct mw_texts values_of(const struct tracked *one, const struct mw_report *report,
                                 struct mw_arena *arena)
{
    struct mw_texts values = {0};
    size_t kept = 0;
    mw_source_collect(&one->source, report, arena, &values);
    for (size_t i = 0; i < values.count; i++) {
        const char *value = mw_normalise(arena, mw_source_normal(&one->source), values.items[i],
                                         one->settings.strip_plus_tag);
        if (*value != '\0')
            values.items[kept++] = value;
    }
    values.count = kept;
    return values;
}

static struct mw_texts recall_values(struct mw_recalled *recalled, const struct tracked *one,
                                     const struct mw_report *report)
{
    const struct recalled_values *known = find_values(recalled, one);
    if (known)
        return known->values;
    struct recalled_values *values =
        mw_list_add(report->arena, &recalled->sources, sizeof *recalled->sources.items);
    values->source = mw_arena_dup(report->arena, one->settings.source);
    values->strip_plus_tag = one->settings.strip_plus_tag;
    values->values = values_of(one, report, report->arena);
    return values->values;
}

static void recall_one(const struct tracked *one, struct mw_recalled *recalled,
                       struct mw_report *report)
{
    struct mw_texts values = recall_values(recalled, one, report);
    bool any_new = false;
    for (size_t i = 0; i < values.count && !any_new; i++)
        any_new = mw_recent_is_new(one->filter, one->recent, mw_bytes_of(values.items[i]));
    if (values.count == 0)
        return;
    struct mw_flag *flag =
        mw_list_add(report->arena, &report->new_values, sizeof *report->new_values.items);
    *flag = (struct mw_flag){mw_arena_dup(report->arena, one->settings.name), any_new};
}

const struct mw_recalled *mw_tracked_recall(const struct mw_tracked *tracked,
                                            struct mw_report *report)
{
    struct mw_recalled *recalled = mw_arena_alloc(report->arena, sizeof *recalled);
    for (size_t i = 0; i < tracked->count; i++)
        recall_one(&tracked->items[i], recalled, report);
    return recalled;
}

static int learn_one(const struct tracked *one, struct mw_texts values, struct mw_error *error)
{
    int result = 0, learned = 0;
    for (size_t i = 0; i < values.count && learned < MW_LEARN_MOST; i++) {
        bool is_new = false;
        struct mw_bytes value = mw_bytes_of(values.items[i]);
        /* First, so that it is never known in between. */
        if (one->recent && !mw_filter_seen(one->filter, value))
            mw_recent_note(one->recent, value, time(NULL));
        int added = mw_filter_add(one->filter, value, &is_new, error);
        result = added != 0 ? added : result;
        learned += is_new;
    }
    /* What the flushing thread met since the message before. */
    return result == 0 ? mw_filter_failure(one->filter, error) : result;
}

int mw_tracked_learn(struct mw_tracked *tracked, const struct mw_report *report,
                     const struct mw_recalled *recalled, struct mw_error *error)
{
    int result = 0;
    for (size_t i = 0; mw_learns_from(report) && i < tracked->count; i++) {
        const struct tracked *one = &tracked->items[i];
        const struct recalled_values *known = find_values(recalled, one);
        int code =
            learn_one(one, known ? known->values : values_of(one, report, report->arena), error);
        result = code != 0 ? code : result;
    }
    return result;
}

int mw_tracked_seen(const struct mw_tracked *tracked, const char *name, const char *value,
                    bool *seen, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    const char **names = mw_arena_alloc(arena, (tracked->count + 1) * sizeof *names);
    const struct tracked *found = NULL;
    for (size_t i = 0; i < tracked->count; i++) {
        names[i] = tracked->items[i].settings.name;
        if (strcmp(names[i], name) == 0)
            found = &tracked->items[i];
    }
    const char *near = found ? NULL : mw_suggest(name, names, tracked->count);
    if (found)
        *seen = mw_filter_seen(found->filter,
                               mw_bytes_of(mw_normalise(arena, mw_source_normal(&found->source),
                                                        value, found->settings.strip_plus_tag)));
    else
        mw_fail(error, MW_ERR_MISSING, "there is no filter '%s'%s%s%s", name,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    mw_arena_free(arena);
    return found ? 0 : MW_ERR_MISSING;
}

size_t mw_tracked_count(const struct mw_tracked *tracked)
{
    return tracked->count;
}

void mw_tracked_get_state(const struct mw_tracked *tracked, size_t index,
                          struct mw_tracked_state *state)
{
    const struct tracked *one = &tracked->items[index];
    state->name = one->settings.name;
    state->source = one->settings.source;
    state->file = one->settings.file;
    mw_filter_get_counts(one->filter, &state->info);
}
