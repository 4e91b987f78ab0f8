/*
 * merge: later findings added to a report that is kept. Verdicts only rise.
 */
#ifndef MW_CLI_MERGE_H
#define MW_CLI_MERGE_H

#include "core/report.h"

/* Whether second is worse than first: clean, unscanned, suspicious, malicious. */
bool mw_verdict_rises(enum mw_verdict first, enum mw_verdict second);

/*
 * Adds to every attachment of report whose bytes are those of scanned (by SHA-256) the
 * findings it does not have (by scanner and name), and raises its verdict and the
 * report's. Texts are copied into report's arena. Returns whether anything changed.
 */
bool mw_merge_findings(struct mw_report *report, const struct mw_attachment *scanned);

#endif
