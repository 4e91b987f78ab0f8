/*
 * judge: scanners over everything a report lists, and the verdicts that follow.
 */
#ifndef MW_WORKER_JUDGE_H
#define MW_WORKER_JUDGE_H

#include "core/report.h"
#include "scanners/scanners.h"

/* Why all of a message is unscanned when there is nothing to scan with. */
#define MW_NO_SCANNER "no scanner is configured"

/*
 * Scans each attachment, each text and the raw message, and fills findings and
 * verdicts. An attachment's verdict is the worst of its findings; unscanned when
 * something failed and nothing bad was found. The message's is the worst of all.
 * Without scanners everything stays unscanned. deadline_us is on the monotonic
 * clock, 0 for none.
 */
void mw_judge(struct mw_scanners *scanners, const struct mw_limits *limits,
              struct mw_report *report, struct mw_bytes raw, int64_t deadline_us);

#endif
