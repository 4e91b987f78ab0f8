/* words: one function a placeholder. */
#include "milter/words.h"

#include <string.h>

#include "core/template.h"
#include "milter/match.h"

/* What the functions are told. */
struct filling {
    struct mw_arena *arena;
    const struct mw_words *words;
    const struct mw_finding *finding; /* the worst that the rule is about, or NULL */
    const struct mw_attachment *file; /* the one it is about, or NULL */
};

/* Whether inner was found in outer, at whatever depth. */
static bool lies_in(const struct mw_attachment *inner, const struct mw_attachment *outer)
{
    size_t size = outer && outer->path ? strlen(outer->path) : 0;
    return size > 0 && inner && inner->path && strncmp(inner->path, outer->path, size) == 0 &&
           inner->path[size] == '.';
}

/* An archive is found to be what the file within is: that file is the one to name. */
static bool comes_before(const struct mw_found *one, const struct mw_found *other)
{
    if (one->finding->severity != other->finding->severity)
        return one->finding->severity > other->finding->severity;
    return lies_in(one->file, other->file);
}

/* Keeps the first most; what comes later takes the last place that it comes before. */
static void put_found(struct mw_arena *arena, struct mw_found_list *list, struct mw_found one,
                      size_t most)
{
    size_t at = list->count;
    while (at > 0 && comes_before(&one, &list->items[at - 1]))
        at--;
    if (at >= most)
        return;
    if (list->count < most)
        mw_list_add(arena, list, sizeof *list->items);
    memmove(&list->items[at + 1], &list->items[at], (list->count - 1 - at) * sizeof *list->items);
    list->items[at] = one;
}

static void put_findings(struct mw_arena *arena, struct mw_found_list *list,
                         const struct mw_findings *findings, const struct mw_attachment *file,
                         size_t most)
{
    for (size_t i = 0; i < findings->count; i++)
        put_found(arena, list, (struct mw_found){&findings->items[i], file}, most);
}

struct mw_found_list mw_worst_findings(struct mw_arena *arena, const struct mw_report *report,
                                       size_t most)
{
    struct mw_found_list list = {0};
    put_findings(arena, &list, &report->findings, NULL, most);
    for (size_t i = 0; i < report->attachments.count; i++)
        put_findings(arena, &list, &report->attachments.items[i].findings,
                     &report->attachments.items[i], most);
    return list;
}

size_t mw_count_findings(const struct mw_report *report)
{
    size_t count = report->findings.count;
    for (size_t i = 0; i < report->attachments.count; i++)
        count += report->attachments.items[i].findings.count;
    return count;
}

static void take_worst(const struct mw_config_when *when, const struct mw_findings *findings,
                       const struct mw_attachment *file, struct mw_found *worst)
{
    for (size_t i = 0; i < findings->count; i++) {
        struct mw_found one = {&findings->items[i], file};
        if ((!when || mw_match_finding(when, one.finding)) &&
            (!worst->finding || comes_before(&one, worst)))
            *worst = one;
    }
}

/* The worst finding that the rule's conditions on findings fit, and the file: the one that its
 * conditions on attachments fit, or the one that the finding is about. */
static void find_worst(struct filling *filling)
{
    const struct mw_report *report = filling->words->report;
    const struct mw_config_when *when = filling->words->when;
    struct mw_found worst = {0};
    take_worst(when, &report->findings, NULL, &worst);
    for (size_t i = 0; i < report->attachments.count; i++)
        take_worst(when, &report->attachments.items[i].findings, &report->attachments.items[i],
                   &worst);
    filling->finding = worst.finding;
    filling->file = worst.file;
    if (!when || !mw_match_asks_attachments(when))
        return;
    filling->file = worst.file && mw_match_attachment(when, worst.file) ? worst.file : NULL;
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *file = &report->attachments.items[i];
        if (mw_match_attachment(when, file) && (!filling->file || lies_in(file, filling->file)))
            filling->file = file;
    }
}

const char *mw_failures_text(struct mw_arena *arena, mw_failures failures)
{
    const char *text = "";
    for (enum mw_failure i = 0; i < MW_FAILURE_COUNT; i++)
        if (failures & mw_failure_bit(i))
            text = mw_arena_printf(arena, "%s%s%s", text, *text ? ", " : "", mw_failure_name(i));
    return text;
}

static const char *id(const struct filling *filling)
{
    return filling->words->report->id;
}
static const char *queue_id(const struct filling *filling)
{
    return filling->words->report->queue_id;
}
static const char *verdict(const struct filling *filling)
{
    return mw_verdict_name(filling->words->report->verdict);
}
static const char *action(const struct filling *filling)
{
    return mw_action_name(filling->words->action);
}
static const char *rule(const struct filling *filling)
{
    return filling->words->by;
}
static const char *failure(const struct filling *filling)
{
    const char *text = mw_failures_text(filling->arena, filling->words->failures);
    return *text ? text : NULL;
}
static const char *finding(const struct filling *filling)
{
    return filling->finding ? filling->finding->message : NULL;
}
static const char *scanner(const struct filling *filling)
{
    return filling->finding ? filling->finding->scanner : NULL;
}
static const char *signature(const struct filling *filling)
{
    return filling->finding ? filling->finding->name : NULL;
}
static const char *sender(const struct filling *filling)
{
    const char *from = filling->words->report->envelope.from;
    return from && *from == '\0' ? "<>" : from;
}
static const char *recipient(const struct filling *filling)
{
    return filling->words->recipient;
}
static const char *attachment(const struct filling *filling)
{
    return filling->file ? filling->file->filename : NULL;
}
static const char *client(const struct filling *filling)
{
    return filling->words->report->client.address;
}
static const char *size(const struct filling *filling)
{
    return mw_arena_printf(filling->arena, "%lld", (long long)filling->words->report->size);
}

/* In few words what is behind the decision: a finding, what failed, what was not scanned, the
 * rule; and the file, when there is one. */
static const char *why(const struct filling *filling)
{
    const struct mw_report *report = filling->words->report;
    const char *failures = mw_failures_text(filling->arena, filling->words->failures);
    bool unscanned = report->verdict == MW_UNSCANNED && report->unscanned.count > 0;
    const char *what = filling->finding ? filling->finding->name
                       : *failures      ? failures
                       : unscanned      ? report->unscanned.items[0]
                                        : filling->words->by;
    const char *name = filling->file ? filling->file->filename : NULL;
    return name && what ? mw_arena_printf(filling->arena, "%s in %s", what, name) : what;
}

static const struct {
    const char *name;
    const char *(*value)(const struct filling *filling);
} values[] = {{"id", id},           {"queue_id", queue_id},   {"verdict", verdict},
              {"action", action},   {"rule", rule},           {"failure", failure},
              {"finding", finding}, {"scanner", scanner},     {"signature", signature},
              {"sender", sender},   {"recipient", recipient}, {"attachment", attachment},
              {"client", client},   {"size", size},           {"why", why}};

static const char *value_of(void *user, const char *name)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(values[i].name, name) == 0)
            return values[i].value(user);
    return NULL;
}

const char *mw_words_fill(struct mw_arena *arena, const struct mw_words *words, const char *text)
{
    if (!text)
        return NULL;
    struct filling filling = {.arena = arena, .words = words};
    find_worst(&filling);
    return mw_template_fill(arena, text, value_of, &filling);
}
