/*
 * result: a report and the bytes of its attachments in the form in which one process
 * hands them to another. Who reads one trusts nothing in it.
 */
#ifndef MW_WORKER_RESULT_H
#define MW_WORKER_RESULT_H

#include "core/memfile.h"
#include "core/report.h"

/* A report about to be handed over: it must live as long. */
struct mw_result {
    const struct mw_report *report;
    struct mw_bytes front; /* in the report's arena; the attachments' bytes follow */
    size_t size;           /* of all */
};

struct mw_result mw_result_of(const struct mw_report *report);

/* Copies all of it to bytes, which has room for its size. */
void mw_result_copy(const struct mw_result *result, unsigned char *bytes);

/* Appends all of it to file. */
int mw_result_write(const struct mw_result *result, struct mw_memfile *file,
                    struct mw_error *error);

/* The same as a sealed memory file of its own; NULL with error. */
struct mw_memfile *mw_result_file(const struct mw_report *report, struct mw_error *error);

/*
 * Reads one. Everything is checked: sizes, offsets, the report by a strict reader
 * (report_pack.h), the SHA-256 of each attachment against its bytes; MW_ERR_FORMAT. The
 * report points into bytes, which must live as long.
 */
struct mw_report *mw_result_read(struct mw_bytes bytes, struct mw_error *error);

/* The same from a memory file that cannot change any more; the report owns it then. Takes
 * ownership of file in every case. */
struct mw_report *mw_result_read_file(struct mw_memfile *file, struct mw_error *error);

#endif
