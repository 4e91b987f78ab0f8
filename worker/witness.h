/*
 * witness: one raw message in, one report out. What a worker does with a job,
 * and all that `mailwitness scan` needs; the only place where parsers and
 * scanners meet.
 */
#ifndef MW_WORKER_WITNESS_H
#define MW_WORKER_WITNESS_H

#include "core/bytes.h"
#include "core/limits.h"
#include "core/report.h"
#include "scanners/settings.h"

struct mw_witness;

struct mw_witness_settings {
    struct mw_limits limits;
    struct mw_scan_settings scan;
};

/* Prepares the libraries behind the parsers; NULL with error when one cannot
 * start. What settings points to must live as long as the witness. One thread
 * uses a witness at a time; GMime's own start-up is shared. */
struct mw_witness *mw_witness_new(const struct mw_witness_settings *settings,
                                  struct mw_error *error);
void mw_witness_free(struct mw_witness *witness);

/* What was loaded with reservations (an old database, a rule left out): sentences,
 * borrowed. */
const struct mw_texts *mw_witness_warnings(const struct mw_witness *witness);

/*
 * Reads one message (RFC 5322, or whatever arrived instead of one) and returns
 * its report, which the caller frees. Never fails: what could not be done is in
 * the report's errors. raw must stay readable as long as the report: the data
 * of its attachments may point into it. The caller fills in what only it
 * knows: id, received, source, client, helo, queue_id, envelope, new_values.
 */
struct mw_report *mw_witness_examine(struct mw_witness *witness, struct mw_bytes raw);

#endif
