/*
 * report_pack: reports as bytes for another process on this machine: by the same
 * table as the JSON, but quick to write, and read in place. Not for files: the form
 * is that of this program and this machine.
 */
#ifndef MW_CORE_REPORT_PACK_H
#define MW_CORE_REPORT_PACK_H

#include "core/report.h"

/* The report as bytes; free() bytes.data. Attachments' data are not in it. */
struct mw_bytes mw_report_pack(const struct mw_report *report);

/*
 * Reads them back. What comes from elsewhere is not trusted: every length is checked,
 * texts are valid UTF-8, enums and names of problems known, counts bounded by the bytes
 * there are; what does not hold, and bytes left over, is MW_ERR_FORMAT. NULL with error.
 * Texts point into packed, which must live as long as the report.
 */
struct mw_report *mw_report_unpack(struct mw_bytes packed, struct mw_error *error);

#endif
