/* keep: mw_store_save with a message's own time. */
#include "cli/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/when.h"
#include "core/time.h"

struct mw_keep {
    struct mw_store *store;
    const struct mw_store_settings *settings;
    size_t stored, too_old;
};

struct mw_keep *mw_keep_new(struct mw_store_settings *settings, struct mw_error *error)
{
    struct mw_keep *keep = calloc(1, sizeof *keep);
    if (!keep)
        abort();
    keep->settings = settings;
    settings->spool.folder = NULL;
    keep->store = mw_store_new(settings, error);
    if (keep->store)
        return keep;
    free(keep);
    return NULL;
}

void mw_keep_free(struct mw_keep *keep)
{
    if (keep)
        mw_store_free(keep->store);
    free(keep);
}

int64_t mw_keep_time(const struct mw_report *report, int64_t now)
{
    const char *const dates[] = {report->hops.count > 0 ? report->hops.items[0].date : NULL,
                                 report->date};
    for (size_t i = 0; i < 2; i++) {
        int64_t ms;
        if (dates[i] && mw_when_parse(dates[i], now, MW_WHEN_START, &ms, NULL) == 0 && ms > 0 &&
            ms <= now)
            return ms;
    }
    struct stat facts;
    if (report->source && stat(report->source, &facts) == 0 && facts.st_mtime * 1000 <= now)
        return facts.st_mtime * 1000 + facts.st_mtim.tv_nsec / 1000000;
    return now;
}

void mw_keep_id(const char *sha256, int64_t ms, char out[MW_ID_SIZE])
{
    static const char variants[] = "89ab";
    char digit[2] = {sha256[6], '\0'};
    /* time, version, 12 bits, variant, 62 bits: all but time and marks from the hash */
    snprintf(out, MW_ID_SIZE, "%08llx-%04llx-7%.3s-%c%.3s-%.12s",
             (unsigned long long)(ms >> 16) & 0xffffffffu, (unsigned long long)ms & 0xffffu, sha256,
             variants[strtoul(digit, NULL, 16) % 4], sha256 + 3, sha256 + 7);
}

int mw_keep_report(struct mw_keep *keep, struct mw_report *report, struct mw_error *error)
{
    char id[MW_ID_SIZE], when[MW_WHEN_SIZE];
    int64_t now = mw_time_now(), ms = mw_keep_time(report, now);
    unsigned kept_s = keep->settings->keep_messages_s;
    mw_keep_id(report->sha256, ms, id);
    mw_time_text(ms, when);
    report->id = mw_arena_dup(report->arena, id);
    report->received = mw_arena_dup(report->arena, when);
    if (kept_s > 0 && ms < now - (int64_t)kept_s * 1000) {
        keep->too_old++;
        return 0;
    }
    if (mw_store_save(keep->store, report, NULL, error) != 0)
        return error->code;
    keep->stored++;
    return 0;
}

size_t mw_keep_stored(const struct mw_keep *keep)
{
    return keep->stored;
}

size_t mw_keep_too_old(const struct mw_keep *keep)
{
    return keep->too_old;
}
