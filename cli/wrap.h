/*
 * wrap: a stored attachment as a message of its own, so that workers can scan it as
 * the part it was: same bytes, same name and declared type, same sender and subject.
 */
#ifndef MW_CLI_WRAP_H
#define MW_CLI_WRAP_H

#include "core/memfile.h"
#include "core/report.h"

/* What is known of the attachment; each may be NULL. */
struct mw_wrap_facts {
    const char *filename, *content_type, *sender, *subject;
};

/* A sealed memory file with the message; NULL with error. */
struct mw_memfile *mw_wrap(struct mw_bytes data, const struct mw_wrap_facts *facts,
                           struct mw_error *error);

/* The same with what other attachments are to be unpacked from: an attached message becomes
 * the message itself. */
struct mw_memfile *mw_wrap_holder(struct mw_bytes data, const struct mw_wrap_facts *facts,
                                  struct mw_error *error);

/* Any part of such a message that has the hash. */
const struct mw_attachment *mw_wrap_find_part(const struct mw_report *report, const char *sha256);

/* The attachment in the report of such a message, or NULL when its bytes did not
 * come through: sha256 is that of data. */
const struct mw_attachment *mw_wrap_find(const struct mw_report *report, const char *sha256);

#endif
