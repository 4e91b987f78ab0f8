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
    const char *by;                    /* who decided */
    const char *recipient;             /* whom for; may be NULL */
    const struct mw_config_when *when; /* of the rule that decided: what is named is what fits
                                        * these conditions; NULL: whatever is worst */
};

/* text filled in, in arena; NULL stays NULL. The values come from mail: they are
 * valid UTF-8 and nothing more. */
const char *mw_words_fill(struct mw_arena *arena, const struct mw_words *words, const char *text);

/* A finding and the attachment it is about; NULL: the message. */
struct mw_found {
    const struct mw_finding *finding;
    const struct mw_attachment *file;
};
MW_LIST_TYPE(mw_found_list, struct mw_found);

/* All findings of a report, the worst first; among equals those of what lies deeper come before
 * those of what holds it, else in the report's order. In arena; at most most of them. */
struct mw_found_list mw_worst_findings(struct mw_arena *arena, const struct mw_report *report,
                                       size_t most);

/* How many findings a report has, its attachments' included. */
size_t mw_count_findings(const struct mw_report *report);

/* The names of failures with commas between, in arena; "" for none. */
const char *mw_failures_text(struct mw_arena *arena, mw_failures failures);

#endif
