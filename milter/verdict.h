/*
 * verdict: what happens at the end of a message: examine, ask the filters,
 * decide, store, edit the mail, teach the filters, answer, in this order.
 */
#ifndef MW_MILTER_VERDICT_H
#define MW_MILTER_VERDICT_H

#include "milter/daemon.h"

struct smfi_str; /* SMFICTX of libmilter/mfapi.h */

/* Does all of it for the session's message and returns the sfsistat to answer with. */
int mw_verdict_carry_out(struct mw_daemon *daemon, struct mw_session *session,
                         const struct mw_pool_wait *wait, struct smfi_str *context);

/* The SMFIF_ rights that may be needed for it. */
unsigned long mw_verdict_rights(void);

#endif
