/* merge: what is there already stays as it is. */
#include "cli/merge.h"

#include <string.h>

static int rank(enum mw_verdict verdict)
{
    return verdict == MW_CLEAN ? 0 : verdict == MW_UNSCANNED ? 1 : verdict == MW_SUSPICIOUS ? 2 : 3;
}

bool mw_verdict_rises(enum mw_verdict first, enum mw_verdict second)
{
    return rank(second) > rank(first);
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool has(const struct mw_findings *findings, const struct mw_finding *found)
{
    for (size_t i = 0; i < findings->count; i++)
        if (same(findings->items[i].scanner, found->scanner) &&
            same(findings->items[i].name, found->name))
            return true;
    return false;
}

static void add(struct mw_report *report, struct mw_attachment *file,
                const struct mw_finding *found)
{
    struct mw_finding *copy =
        mw_list_add(report->arena, &file->findings, sizeof *file->findings.items);
    copy->scanner = mw_arena_dup(report->arena, found->scanner);
    copy->name = mw_arena_dup(report->arena, found->name);
    copy->severity = found->severity;
    copy->message = mw_arena_dup(report->arena, found->message);
    copy->details = mw_arena_dup(report->arena, found->details);
    copy->path = file->path;
}

bool mw_merge_findings(struct mw_report *report, const struct mw_attachment *scanned)
{
    bool changed = false;
    for (size_t i = 0; i < report->attachments.count; i++) {
        struct mw_attachment *file = &report->attachments.items[i];
        if (!same(file->sha256, scanned->sha256))
            continue;
        for (size_t j = 0; j < scanned->findings.count; j++) {
            if (has(&file->findings, &scanned->findings.items[j]))
                continue;
            add(report, file, &scanned->findings.items[j]);
            changed = true;
        }
        bool worse = scanned->verdict != MW_UNSCANNED;
        if (worse && mw_verdict_rises(file->verdict, scanned->verdict)) {
            file->verdict = scanned->verdict;
            changed = true;
        }
        if (worse && mw_verdict_rises(report->verdict, scanned->verdict)) {
            report->verdict = scanned->verdict;
            changed = true;
        }
    }
    return changed;
}
