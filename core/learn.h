/*
 * learn: from which messages memory learns: the filters, and the store's senders. One rule
 * for both, so that they agree.
 */
#ifndef MW_CORE_LEARN_H
#define MW_CORE_LEARN_H

#include "core/report.h"

/* Values that one message teaches a filter, and addresses of From that it teaches the store,
 * at most: what a single mail can plant is bounded. */
enum { MW_LEARN_MOST = 100 };

/*
 * Whether memory learns from the message: it was delivered as far as we know, that is, the
 * action done is accept (also in mode observe) or tag, or nobody decided, as with old mail
 * that is scanned from files. What was held, discarded, put off or refused teaches nothing.
 */
bool mw_learns_from(const struct mw_report *report);

#endif
