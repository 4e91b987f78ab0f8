/*
 * reuse_entry: what a table of verdicts (reuse_table.h) holds about a file: digests, file
 * type, fuzzy hash, findings, and whose they are, as a packed report (report_pack.h).
 */
#ifndef MW_WORKER_REUSE_ENTRY_H
#define MW_WORKER_REUSE_ENTRY_H

#include "core/report.h"
#include "scanners/known.h"
#include "worker/reuse_table.h"

/* Bytes of a file below which it is scanned again sooner than looked up. */
enum { MW_REUSE_LEAST = 1024 };

/* A SHA-256 in hexadecimal to a key; false when it is none. */
bool mw_reuse_key(const char *sha256, unsigned char *key);

/*
 * Keeps the one attachment of report, which its engines were asked about (known.h). What
 * does not fit is left out, scanner by scanner. MW_ERR_LIMIT when nothing does.
 */
int mw_reuse_keep(struct mw_reuse_table *table, const struct mw_report *report, int64_t expires_us,
                  struct mw_error *error);

/* What the table knows about a file; NULL when it does not. In arena. */
const struct mw_known *mw_reuse_find(const struct mw_reuse_table *table, struct mw_arena *arena,
                                     const char *sha256);

#endif
