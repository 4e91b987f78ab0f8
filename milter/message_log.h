/*
 * message_log: a message's line in the log. With no store it is all that is kept of what was
 * found and done, so it says both.
 */
#ifndef MW_MILTER_MESSAGE_LOG_H
#define MW_MILTER_MESSAGE_LOG_H

#include "milter/daemon.h"

/* What the end of a message consists of, in this order. */
enum mw_stage {
    MW_STAGE_RECEIVE, /* from the MAIL command on */
    MW_STAGE_EXAMINE,
    MW_STAGE_DECIDE, /* with the filters asked */
    MW_STAGE_STORE,
    MW_STAGE_ANSWER,
    MW_STAGE_LEARN,
    MW_STAGES
};

/* Microseconds that each took. */
struct mw_stages {
    int64_t us[MW_STAGES];
};

/* Writes the line. doc/mailwitnessd.8 lists its words: their order stays as it is, new ones come
 * last. */
void mw_message_log(struct mw_daemon *daemon, const struct mw_session *session,
                    const struct mw_report *report, const struct mw_decision *decision,
                    const struct mw_stages *stages);

#endif
