/* condition: fnmatch(3) over a part's facts. */
#include "scanners/condition.h"

#include <fnmatch.h>

#include "core/name.h"
#include "scanners/scanner.h"

static bool matches(const struct mw_texts *patterns, const char *text)
{
    for (size_t i = 0; text && i < patterns->count; i++)
        if (fnmatch(patterns->items[i], text, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

static bool passes(const struct mw_texts *wanted, const struct mw_texts *unwanted, const char *text)
{
    return (wanted->count == 0 || matches(wanted, text)) && !matches(unwanted, text);
}

/* A name fits as it came and as the system that opens the file takes it. */
static bool name_matches(const struct mw_texts *patterns, const char *name)
{
    char effective[MW_NAME_SIZE];
    return matches(patterns, name) ||
           (patterns->count > 0 && name && matches(patterns, mw_name_effective(name, effective)));
}

/* A part is wanted under any of its names, and unwanted only under all. */
static bool name_passes(const struct mw_scan_condition *condition, const char *name)
{
    return (condition->names.count == 0 || name_matches(&condition->names, name)) &&
           !name_matches(&condition->skip_names, name);
}

static bool some_name_passes(const struct mw_scan_condition *condition,
                             const struct mw_scan_part *part)
{
    bool passed = name_passes(condition, part->filename);
    for (size_t i = 0; !passed && part->names && i < part->names->count; i++)
        passed = name_passes(condition, part->names->items[i]);
    return passed;
}

bool mw_condition_holds(const struct mw_scan_condition *condition, const struct mw_scan_part *part)
{
    const char *type = part->file_type ? part->file_type : part->content_type;
    return part->data.size >= condition->size_min &&
           (condition->size_max == 0 || part->data.size <= condition->size_max) &&
           passes(&condition->types, &condition->skip_types, type) &&
           some_name_passes(condition, part);
}
