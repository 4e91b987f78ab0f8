/*
 * extract: attachments as files named by their SHA-256, with an index of the
 * names they came with. Nothing from a message ever becomes a path.
 */
#ifndef MW_CLI_EXTRACT_H
#define MW_CLI_EXTRACT_H

#include "core/error.h"
#include "core/report.h"

struct mw_extract;

/* Opens (and makes, mode 0700) the folder; NULL with error. */
struct mw_extract *mw_extract_new(const char *folder, struct mw_error *error);
void mw_extract_free(struct mw_extract *extract);

/* Writes each attachment of report that is not there yet, mode 0600, whole or
 * not at all, and one line for each into index.jsonl. */
int mw_extract_report(struct mw_extract *extract, const struct mw_report *report,
                      struct mw_error *error);

#endif
