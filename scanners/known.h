/*
 * known: what scanners found in the very same bytes before, taken instead of looking
 * again. Only for scanners that find what they find by the bytes alone, or by the bytes
 * and a context that can be told.
 */
#ifndef MW_SCANNERS_KNOWN_H
#define MW_SCANNERS_KNOWN_H

#include "scanners/scanner.h"

/* One file that was scanned before. Borrowed by who scans, with the report's arena. */
struct mw_known {
    const struct mw_attachment *facts; /* digests, file type, fuzzy hash, findings */
    const struct mw_engines *engines;  /* whose findings: name, and as version the context */
};

/* What else than its bytes a scanner's findings in part depend on, as a text: "" for
 * nothing, NULL when they cannot be known beforehand. In arena. */
const char *mw_known_context(const struct mw_scanner *scanner, const void *engine,
                             const struct mw_scan_part *part, struct mw_arena *arena);

/* Gives part the findings of scanner that are known of it (part->known), and says so in
 * the attachment; false when it has to look itself. */
bool mw_known_take(const struct mw_scanner *scanner, const void *engine,
                   const struct mw_scan_part *part, struct mw_scan_result *result);

#endif
