/*
 * check: walks all keys of the store and finds what does not fit together. Each message's
 * report is the measure: every index, list and fact that it gives is compared, and made again
 * when it is missing, before anything is removed. Then goes what belongs to nothing: entries
 * of messages that are gone, bytes that no message names. Nothing of that is written by the
 * store itself; keys deleted by hand, evicted by Redis or brought back from half a backup do it.
 */
#ifndef MW_STORE_CHECK_H
#define MW_STORE_CHECK_H

#include "store/query.h"

struct mw_check {
    uint64_t keys, messages, attachments; /* looked at */
    uint64_t unindexed;  /* messages and attachments that some index does not have */
    uint64_t wrong;      /* messages with facts, lists or attachments not as their reports say */
    uint64_t dangling;   /* entries of indexes and lists whose message or attachment is gone */
    uint64_t dataless;   /* attachments said to have bytes that are gone: told, no mistake */
    uint64_t orphans;    /* bytes, names, lists whose attachment or message is gone */
    uint64_t unreadable; /* messages without a report that can be read: left as they are */
    uint64_t timeless;   /* keys that would never expire, although all should */
    uint64_t mended;     /* of all these */
};

/* Called now and then with what was found so far. */
typedef void mw_check_progress(void *user, const struct mw_check *check);

/* Looks through everything, in batches; with mend, also mends. May run beside daemons: what
 * is removed is looked at once more in the same moment, and bytes only get an hour to live, in
 * which a message that names them keeps them. */
int mw_store_check(struct mw_query *query, bool mend, mw_check_progress *progress, void *user,
                   struct mw_check *check, struct mw_error *error);

#endif
