/*
 * yara_context: on what else than the bytes of a file a set of rules depends: which of
 * the external variables it asks for, and whether it asks the time.
 */
#ifndef MW_SCANNERS_YARA_CONTEXT_H
#define MW_SCANNERS_YARA_CONTEXT_H

#include "core/bytes.h"
#include "scanners/yara_rules.h"

enum { MW_YARA_VARIABLES_MOST = 32 };

struct mw_yara_context {
    bool uses[MW_YARA_VARIABLES_MOST]; /* in the order of mw_yara_variables */
    bool varies;                       /* it may find something else tomorrow */
};

/* Notes each variable whose name stands in a rule file's text as a word, comments and
 * strings included: more than are asked for, never fewer. */
void mw_yara_context_read(struct mw_yara_context *context, struct mw_bytes text);

/* Notes all of them, for rules whose text is not there. */
void mw_yara_context_all(struct mw_yara_context *context);

/* Notes whether rules import a module that knows more than the bytes (time, cuckoo). */
void mw_yara_context_ask(struct mw_yara_context *context, YR_SCANNER *scanner);

#endif
