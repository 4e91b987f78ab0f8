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

/* The memory of senders, where there is one; read only. */
struct mw_sender_filter {
    /* 1 when address was never seen before, 0 when it was, -1 when nobody knows. */
    int (*is_new)(void *user, const char *address);
    /* Opens what is_new needs, in each worker before it is confined; may be NULL. */
    int (*reopen)(void *user, struct mw_error *error);
    void *user;
};

struct mw_witness_settings {
    struct mw_limits limits;
    struct mw_scan_settings scan;
    struct mw_sender_filter sender_filter; /* is_new NULL: there is none */
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

/* The engines that were loaded, as a JSON list of objects as in a report; in arena. */
const char *mw_witness_engines(const struct mw_witness *witness, struct mw_arena *arena);

/* In each process that will examine, after the fork: folder (or NULL) is its own for
 * temporary files. */
int mw_witness_start(struct mw_witness *witness, const char *folder, struct mw_error *error);

/* From now on what table knows of a file (reuse_entry.h) is taken instead of scanning it;
 * borrowed, NULL for none. */
struct mw_reuse_table;
void mw_witness_reuse(struct mw_witness *witness, const struct mw_reuse_table *table);

/*
 * Scans the first attachment of asked, of which only From, subject and that attachment are
 * read, by the engines whose findings depend on its bytes, and never asks a table. The
 * answer, which the caller frees, has one attachment, with those findings, and those
 * engines; it is whole when nothing stands in its errors and unscanned. Its texts may
 * point into asked.
 */
struct mw_report *mw_witness_verify(struct mw_witness *witness, const struct mw_report *asked);

/*
 * Reads one message (RFC 5322, or whatever arrived instead of one) and returns
 * its report, which the caller frees. Never fails: what could not be done is in
 * the report's errors. raw must stay readable as long as the report: the data
 * of its attachments may point into it. The caller fills in what only it
 * knows: id, received, source, client, helo, queue_id, envelope, new_values.
 */
struct mw_report *mw_witness_examine(struct mw_witness *witness, struct mw_bytes raw);

#endif
