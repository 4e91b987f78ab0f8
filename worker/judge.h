/*
 * judge: scanners over everything a report lists, and the verdicts that follow.
 */
#ifndef MW_WORKER_JUDGE_H
#define MW_WORKER_JUDGE_H

#include "core/report.h"
#include "scanners/known.h"
#include "scanners/scanners.h"

/* Why all of a message is unscanned when there is nothing to scan with. */
#define MW_NO_SCANNER "no scanner is configured"

struct mw_judge {
    struct mw_scanners *scanners;
    const struct mw_limits *limits;
    int sender_new;      /* 1, 0, or -1 when nobody knows */
    int64_t deadline_us; /* on the monotonic clock, 0 for none */
    /* What is known of each attachment's bytes from before, or NULL; NULL: of none. */
    const struct mw_known *const *known;
    /* For each attachment the first one with the same bytes, itself when it is that; what was
     * found in that one is taken over. NULL: no two are known to be the same. */
    const size_t *firsts;
    const struct mw_texts *may_stay_closed; /* scan.may_stay_closed; NULL: nothing */
    size_t unpack_most; /* bytes that engines may unpack of the whole message; 0: any number */
};

/* Whether a container of this kind, or of this detected type (both may be NULL), is trusted
 * although nobody opened it. */
bool mw_judge_trusts(const struct mw_texts *may_stay_closed, const char *kind, const char *type);

/*
 * Scans each attachment, each text and the raw message, and fills findings and
 * verdicts. An attachment's verdict is the worst of its findings; unscanned when
 * something failed and nothing bad was found, when no scanner that knows malware looked
 * at it, when it is a container that nobody opened, or when parsing could not show all of it
 * (core/problem.h says which problems hide something). The message's is the worst of all, the
 * severities of its problems included. Without scanners everything stays unscanned.
 */
void mw_judge(const struct mw_judge *judge, struct mw_report *report, struct mw_bytes raw);

/*
 * Scans file, an attachment of asked, by the engines whose findings depend on its bytes
 * (mw_scanners_run_by_bytes), as if for asked, into the only attachment of report and its
 * engines; what went wrong is in its errors and unscanned.
 */
void mw_judge_by_bytes(const struct mw_judge *judge, const struct mw_report *asked,
                       const struct mw_attachment *file, struct mw_report *report);

#endif
