/*
 * examine: from a message that has come in to a report on it, whatever happens.
 */
#ifndef MW_MILTER_EXAMINE_H
#define MW_MILTER_EXAMINE_H

#include "milter/daemon.h"

/*
 * Has the session's message examined. There is always a report: of a message that no
 * worker could read (or may, being too large) it has the facts, verdict unscanned and
 * why, and *failures (beside those a report tells of itself) says which condition that
 * is. wait's tick is called while it takes time. The caller frees the report.
 */
struct mw_report *mw_examine(struct mw_daemon *daemon, const struct mw_session *session,
                             const struct mw_pool_wait *wait, mw_failures *failures);

#endif
