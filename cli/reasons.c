/* reasons: a small table of what was seen, and one of what helps. */
#include "cli/reasons.h"

#include <string.h>

#include "cli/terminal.h"

/* What begins so is changed like this. */
static const struct {
    const char *begins, *advice;
} advices[] = {
    {"no scanner is configured", "set clamav.database or yara.rules in " MW_CONFIG_FILE
                                 ", or name them with --clamav-db and --rules"},
    {"no scanner looks at such parts",
     "the types, names and sizes that clamav and yara look at leave it out: widen them"},
    {"limit.", "a bound kept it out: raise it in the section limits, or with --limit"},
    {"type.", "set scan.types, so that types are known"},
    {"archive.encrypted", "nothing opens it without its password"},
};

static const char *advice_for(const char *reason)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strncmp(reason, advices[i].begins, strlen(advices[i].begins)) == 0)
            return advices[i].advice;
    return "problems.md among the documents explains it";
}

/* Reasons read "part 2.1: what"; those about all of the message have no place. */
static const char *without_place(const char *reason)
{
    const char *end = strncmp(reason, "part ", 5) == 0 ? strstr(reason, ": ") : NULL;
    return end ? end + 2 : reason;
}

static void note_one(struct mw_reasons *reasons, const char *reason)
{
    char text[MW_REASON_SIZE];
    snprintf(text, sizeof text, "%s", reason);
    for (size_t i = 0; i < reasons->count; i++)
        if (strcmp(reasons->items[i].text, text) == 0) {
            reasons->items[i].messages++;
            return;
        }
    if (reasons->count == MW_REASONS) {
        reasons->more++;
        return;
    }
    memcpy(reasons->items[reasons->count].text, text, sizeof text);
    reasons->items[reasons->count++].messages = 1;
}

static bool came_before(const struct mw_texts *list, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(without_place(list->items[i]), without_place(list->items[index])) == 0)
            return true;
    return false;
}

void mw_reasons_note(struct mw_reasons *reasons, const struct mw_report *report)
{
    if (report->verdict != MW_UNSCANNED)
        return;
    reasons->messages++;
    for (size_t i = 0; i < report->unscanned.count && i < MW_REASONS; i++)
        if (!came_before(&report->unscanned, i))
            note_one(reasons, without_place(report->unscanned.items[i]));
}

void mw_reasons_print(const struct mw_reasons *reasons, FILE *out)
{
    if (reasons->messages == 0)
        return;
    fprintf(out, "\n%zu %s unscanned, in whole or in part:\n", reasons->messages,
            reasons->messages == 1 ? "message is" : "messages are");
    for (size_t i = 0; i < reasons->count; i++) {
        fprintf(out, "  %zu: ", reasons->items[i].messages);
        mw_terminal_text(out, reasons->items[i].text, "");
        fprintf(out, "     %s\n", advice_for(reasons->items[i].text));
    }
    if (reasons->more > 0)
        fprintf(out, "  and other reasons %zu times (--json)\n", reasons->more);
}
