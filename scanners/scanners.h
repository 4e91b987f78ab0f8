/*
 * scanners: all the engines the settings ask for, loaded once and run in order.
 */
#ifndef MW_SCANNERS_SCANNERS_H
#define MW_SCANNERS_SCANNERS_H

#include "scanners/scanner.h"
#include "scanners/settings.h"

struct mw_scanners;

/*
 * Loads every engine; NULL with error when one cannot be loaded. Warnings are
 * read by mw_scanners_warnings until mw_scanners_free. Fork after this to share
 * what was loaded. One thread uses it at a time.
 */
struct mw_scanners *mw_scanners_load(const struct mw_scan_settings *settings,
                                     struct mw_error *error);
void mw_scanners_free(struct mw_scanners *scanners);

/* Sentences about what was loaded with reservations; borrowed. */
const struct mw_texts *mw_scanners_warnings(const struct mw_scanners *scanners);

/* What is loaded, one for each engine that has a version, in order. Texts lie in
 * arena or live as long as scanners. */
void mw_scanners_engines(const struct mw_scanners *scanners, struct mw_arena *arena,
                         struct mw_engines *engines);

/* In each process that will scan, after the fork: folder (or NULL) is its own for
 * temporary files. */
int mw_scanners_start(struct mw_scanners *scanners, const char *folder, struct mw_error *error);

/* Whether any engine is loaded that can tell clean from malicious. */
bool mw_scanners_any(const struct mw_scanners *scanners);

/*
 * Runs every engine that wants part's kind, in the settings' order, where its
 * condition holds. Findings are bounded by
 * limits.findings_per_part; an engine that fails, or a deadline that passes,
 * leaves why in result->unscanned.
 */
void mw_scanners_run(struct mw_scanners *scanners, struct mw_scan_part *part,
                     struct mw_scan_result *result);

/*
 * Runs those engines only whose findings depend on the bytes of part, an attachment, and
 * on what can be told, each into engines with that (known.h). Whether all went well and
 * whole is seen in result->unscanned and in the report's errors.
 */
void mw_scanners_run_by_bytes(struct mw_scanners *scanners, struct mw_scan_part *part,
                              struct mw_scan_result *result, struct mw_engines *engines);

/*
 * What the findings of engines in part, an attachment, depend on beside its bytes: one engine
 * each, for those whose findings depend on no more than can be told (known.h).
 */
void mw_scanners_contexts(const struct mw_scanners *scanners, const struct mw_scan_part *part,
                          struct mw_arena *arena, struct mw_engines *engines);

/* Adds a finding unless the bound is reached (which is then recorded). Texts are
 * borrowed: they must live as long as the report. */
struct mw_finding *mw_scan_finding(struct mw_scan_result *result, const struct mw_scan_part *part,
                                   const char *scanner, const char *name,
                                   enum mw_severity severity);

extern const struct mw_scanner mw_scanner_type, mw_scanner_fuzzy, mw_scanner_exec;
extern const struct mw_scanner mw_scanner_yara, mw_scanner_pe; /* when built with YARA */
extern const struct mw_scanner mw_scanner_clamav;              /* when built with ClamAV */

#endif
