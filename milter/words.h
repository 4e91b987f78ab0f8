/*
 * words: what ${...} stands for in the texts of rules. Pure; part of policy.
 */
#ifndef MW_MILTER_WORDS_H
#define MW_MILTER_WORDS_H

#include "milter/policy.h"

struct mw_words {
    const struct mw_report *report;
    mw_failures failures;
    enum mw_action action;
    const char *by;        /* who decided */
    const char *recipient; /* whom for; may be NULL */
};

/* text filled in, in arena; NULL stays NULL. The values come from mail: they are
 * valid UTF-8 and nothing more. */
const char *mw_words_fill(struct mw_arena *arena, const struct mw_words *words, const char *text);

/* The worst finding of a report, the first of equals; NULL when there is none. *file
 * (may be NULL) is the attachment it is about, or NULL. */
const struct mw_finding *mw_worst_finding(const struct mw_report *report,
                                          const struct mw_attachment **file);

/* The names of failures with commas between, in arena; "" for none. */
const char *mw_failures_text(struct mw_arena *arena, mw_failures failures);

#endif
