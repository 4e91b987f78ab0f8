/* words: one function a placeholder. */
#include "milter/words.h"

#include <string.h>

#include "core/template.h"

/* What the functions are told. */
struct filling {
    struct mw_arena *arena;
    const struct mw_words *words;
    const struct mw_finding *finding; /* the worst, or NULL */
    const struct mw_attachment *file; /* the one it is about, or NULL */
};

static void take_worst(const struct mw_findings *findings, const struct mw_attachment *file,
                       const struct mw_finding **worst, const struct mw_attachment **of)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (*worst && findings->items[i].severity <= (*worst)->severity)
            continue;
        *worst = &findings->items[i];
        *of = file;
    }
}

const struct mw_finding *mw_worst_finding(const struct mw_report *report,
                                          const struct mw_attachment **file)
{
    const struct mw_finding *worst = NULL;
    const struct mw_attachment *of = NULL;
    take_worst(&report->findings, NULL, &worst, &of);
    for (size_t i = 0; i < report->attachments.count; i++)
        take_worst(&report->attachments.items[i].findings, &report->attachments.items[i], &worst,
                   &of);
    if (file)
        *file = of;
    return worst;
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

static const struct {
    const char *name;
    const char *(*value)(const struct filling *filling);
} values[] = {{"id", id},
              {"queue_id", queue_id},
              {"verdict", verdict},
              {"action", action},
              {"rule", rule},
              {"failure", failure},
              {"finding", finding},
              {"scanner", scanner},
              {"signature", signature},
              {"sender", sender},
              {"recipient", recipient},
              {"attachment", attachment},
              {"client", client},
              {"size", size}};

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
    filling.finding = mw_worst_finding(words->report, &filling.file);
    return mw_template_fill(arena, text, value_of, &filling);
}
