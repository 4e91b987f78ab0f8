/*
 * record: a message as the spool keeps it: its report and the bytes of its attachments.
 *
 *     0   4  "MWR1"
 *     4   4  number of attachments the report has
 *     8   8  bytes of the report, which is JSON in a zstd frame, or plain
 *    16   8  for each attachment: bytes of its data, or 2^63 + n: the same as number n's
 *        ...  the report, then each attachment's data
 *
 * Numbers are little endian. Nothing read is trusted.
 */
#ifndef MW_STORE_RECORD_H
#define MW_STORE_RECORD_H

#include "core/report.h"

/* The pieces of the record of report, which borrow its bytes and the report's JSON.
 * Attachments of more than data_max bytes are kept without them, and those that holders (may
 * be NULL) names something for: what they were unpacked from has them. */
MW_LIST_TYPE(mw_pieces, struct mw_bytes);
void mw_record_write(struct mw_arena *arena, const struct mw_report *report, struct mw_bytes json,
                     size_t data_max, const char *const *holders, struct mw_pieces *pieces);

/*
 * The report, its attachments' data pointing into record, which must live as long;
 * *json the report's bytes as they were written, also in record. The caller frees the
 * report. NULL with MW_ERR_FORMAT when the record does not add up.
 */
struct mw_report *mw_record_read(struct mw_bytes record, struct mw_bytes *json,
                                 struct mw_error *error);

#endif
