/* yara_context: words of the rules' text, and the modules YARA says it imports. */
#include "scanners/yara_context.h"

#include <ctype.h>
#include <string.h>

static void note_word(struct mw_yara_context *context, struct mw_bytes word)
{
    for (size_t i = 0; i < mw_yara_variable_count; i++) {
        struct mw_bytes name = mw_bytes_of(mw_yara_variables[i].name);
        if (name.size == word.size && memcmp(name.data, word.data, name.size) == 0)
            context->uses[i] = true;
    }
}

static bool is_word(unsigned char c)
{
    return c == '_' || isalnum(c);
}

void mw_yara_context_read(struct mw_yara_context *context, struct mw_bytes text)
{
    size_t start = 0;
    for (size_t at = 0; at <= text.size; at++) {
        if (at < text.size && is_word(text.data[at]))
            continue;
        note_word(context, mw_bytes_slice(text, start, at - start));
        start = at + 1;
    }
}

void mw_yara_context_all(struct mw_yara_context *context)
{
    for (size_t i = 0; i < mw_yara_variable_count; i++)
        context->uses[i] = true;
}

/* Of the modules there are, these know what a file's bytes do not tell. */
static int on_event(YR_SCAN_CONTEXT *scan, int event, void *data, void *user)
{
    struct mw_yara_context *context = user;
    const YR_MODULE_IMPORT *module = data;
    (void)scan;
    if (event == CALLBACK_MSG_IMPORT_MODULE &&
        (strcmp(module->module_name, "time") == 0 || strcmp(module->module_name, "cuckoo") == 0))
        context->varies = true;
    return CALLBACK_CONTINUE;
}

void mw_yara_context_ask(struct mw_yara_context *context, YR_SCANNER *scanner)
{
    static const uint8_t nothing[1];
    yr_scanner_set_callback(scanner, on_event, context);
    if (yr_scanner_scan_mem(scanner, nothing, 0) != ERROR_SUCCESS)
        context->varies = true;
}
