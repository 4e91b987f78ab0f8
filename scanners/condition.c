/* condition: fnmatch(3) over a part's facts. */
#include "scanners/condition.h"

#include <fnmatch.h>

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

bool mw_condition_holds(const struct mw_scan_condition *condition, const struct mw_scan_part *part)
{
    const char *type = part->file_type ? part->file_type : part->content_type;
    return part->data.size >= condition->size_min &&
           (condition->size_max == 0 || part->data.size <= condition->size_max) &&
           passes(&condition->types, &condition->skip_types, type) &&
           passes(&condition->names, &condition->skip_names, part->filename);
}
