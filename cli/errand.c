/* errand: a memory file each, a thread for each worker. */
#include "cli/errand.h"

#include <stdlib.h>
#include <string.h>

#include "cli/lanes.h"

struct mw_errands {
    struct mw_errands_work work;
    struct mw_pool *pool;
    struct mw_lanes *lanes;
};

struct errand {
    struct mw_errand shown;
    char source[];
};

/* In a lane. */
static void run(void *user, void *item)
{
    struct mw_errands *errands = user;
    struct mw_errand *errand = &((struct errand *)item)->shown;
    if (errand->error.code == MW_OK)
        errand->report = mw_pool_examine(errands->pool, errand->message, &errand->error);
}

static int end(void *user, void *item)
{
    struct mw_errands *errands = user;
    struct mw_errand *errand = &((struct errand *)item)->shown;
    if (!errand->report) {
        const struct mw_error why = errand->error;
        mw_fail(&errand->error, why.code, "%s: %s", errand->source, why.text);
    }
    int result = errands->work.done(errands->work.user, errand);
    mw_report_free(errand->report);
    mw_memfile_free(errand->message);
    free(item);
    return result;
}

struct mw_errands *mw_errands_new(const struct mw_pool_settings *settings,
                                  const struct mw_errands_work *work, struct mw_error *error)
{
    struct mw_errands *errands = calloc(1, sizeof *errands);
    if (!errands)
        abort();
    errands->work = *work;
    errands->pool = mw_pool_new(settings, error);
    const struct mw_lanes_work lanes = {errands, run, end};
    if (errands->pool)
        errands->lanes = mw_lanes_new(settings->generation.workers, &lanes, error);
    if (errands->lanes)
        return errands;
    mw_errands_free(errands);
    return NULL;
}

void mw_errands_free(struct mw_errands *errands)
{
    if (!errands)
        return;
    mw_lanes_free(errands->lanes);
    mw_pool_free(errands->pool);
    free(errands);
}

char *mw_errands_warnings(struct mw_errands *errands)
{
    return mw_pool_warnings(errands->pool);
}

int mw_errands_send(struct mw_errands *errands, struct mw_bytes raw, const char *source)
{
    size_t size = strlen(source) + 1;
    struct errand *errand = calloc(1, sizeof *errand + size);
    if (!errand)
        abort();
    memcpy(errand->source, source, size);
    struct mw_errand *shown = &errand->shown;
    shown->source = errand->source;
    shown->message = mw_memfile_new("mailwitness-message", &shown->error);
    if (shown->message && mw_memfile_append(shown->message, raw, SIZE_MAX, &shown->error) == 0)
        mw_memfile_seal(shown->message, &shown->error);
    return mw_lanes_add(errands->lanes, errand);
}

int mw_errands_finish(struct mw_errands *errands)
{
    return mw_lanes_finish(errands->lanes);
}
