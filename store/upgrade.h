/*
 * upgrade: brings what Redis keeps to the version that this program writes (see
 * MW_SCHEMA_VERSION), while daemons go on. May be repeated, also after it was cut short: the
 * key PREFIX schema:upgrade is there from the beginning to the end of one.
 */
#ifndef MW_STORE_UPGRADE_H
#define MW_STORE_UPGRADE_H

#include "store/query.h"

struct mw_upgrade {
    unsigned from, to;              /* versions */
    bool resumed;                   /* an upgrade before this one was cut short */
    uint64_t messages, attachments; /* looked at */
    uint64_t changed, unreadable;   /* of both; messages whose report cannot be read */
};

typedef void mw_upgrade_progress(void *user, const struct mw_upgrade *upgrade);

/* wait_ms is how long daemons may take to see the new version, before which what they wrote
 * in the old form could be overlooked. */
int mw_store_upgrade(struct mw_query *query, unsigned wait_ms, mw_upgrade_progress *progress,
                     void *user, struct mw_upgrade *upgrade, struct mw_error *error);

#endif
