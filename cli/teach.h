/*
 * teach: values out of lists and old mail, into a filter.
 */
#ifndef MW_CLI_TEACH_H
#define MW_CLI_TEACH_H

#include "bloom/filter.h"
#include "bloom/source.h"
#include "cli/reach.h"
#include "conf/config.h"

/* What inputs are. AUTO: a folder is mail, a file that begins as a message or mbox does
 * is, anything else is a list; so is standard input, which is refused when it begins as
 * mail does. */
enum mw_teach_kind { MW_TEACH_AUTO, MW_TEACH_LIST, MW_TEACH_MAIL };

struct mw_teach_settings {
    struct mw_source source; /* what is taken from messages */
    enum mw_normal normal;   /* the form of values */
    bool strip_plus_tag;
    enum mw_teach_kind kind;
    bool progress;            /* on standard error */
    struct mw_config *config; /* limits and workers; its scanners are switched off */
    struct mw_reach *store;   /* open, to be read as well; NULL: it is not */
    void *user;
    /* Something could not be read or kept; the rest is done all the same. */
    void (*failed)(void *user, const struct mw_error *error);
};

struct mw_teach;

/*
 * Gets ready to read count inputs (borrowed). Mail is read by workers, which start here:
 * no thread may exist yet. NULL with error.
 */
struct mw_teach *mw_teach_new(const struct mw_teach_settings *settings, char *const *inputs,
                              int count, struct mw_error *error);
void mw_teach_free(struct mw_teach *teach);

/*
 * Reads all inputs into filter, and flushes it. Of the store, that is what memory would have
 * learned (core/learn.h): senders (source from) are those it has noted, other values come
 * from the reports that it still keeps.
 */
void mw_teach_run(struct mw_teach *teach, struct mw_filter *filter);

struct mw_teach_sum {
    uint64_t added, known, messages;
};
struct mw_teach_sum mw_teach_sum(const struct mw_teach *teach);

#endif
