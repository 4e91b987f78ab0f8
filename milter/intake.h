/*
 * intake: a message's bytes on their way from the mail server into a memory file,
 * exactly as they were sent: "Name:value" lines, CRLF, a blank line, the body.
 * One message, one intake; one thread at a time.
 */
#ifndef MW_MILTER_INTAKE_H
#define MW_MILTER_INTAKE_H

#include <stdint.h>

#include "core/memfile.h"
#include "milter/admission.h"

enum mw_intake_state {
    MW_INTAKE_WHOLE,     /* every byte is there */
    MW_INTAKE_TOO_LARGE, /* more than max: only the header block was kept */
    MW_INTAKE_FULL,      /* the daemon holds too much mail already: nothing was kept */
    MW_INTAKE_FAILED     /* the system had no memory file for it: nothing was kept */
};

struct mw_intake;

/* A message of at most max bytes, counted in admission (borrowed). */
struct mw_intake *mw_intake_new(size_t max, struct mw_admission *admission);

/* Frees it with its memory file and gives the bytes back. NULL allowed. */
void mw_intake_free(struct mw_intake *intake);

/*
 * One header field. leading_space: value begins with the blanks that stood behind
 * the colon (SMFIP_HDR_LEADSPC); without, one blank is put there. Lines of a folded
 * value end in LF or CRLF, and become CRLF.
 */
void mw_intake_header(struct mw_intake *intake, const char *name, const char *value,
                      bool leading_space);

/* A piece of the body, as sent. */
void mw_intake_body(struct mw_intake *intake, struct mw_bytes bytes);

/* Nothing more comes: the memory file is complete and sealed. */
void mw_intake_finish(struct mw_intake *intake);

enum mw_intake_state mw_intake_get_state(const struct mw_intake *intake);

/* Why, when the state is MW_INTAKE_FAILED. */
const struct mw_error *mw_intake_error(const struct mw_intake *intake);

/* Bytes that came, kept or not. */
uint64_t mw_intake_size(const struct mw_intake *intake);

/* What was kept, after mw_intake_finish; borrowed, NULL when nothing was. */
struct mw_memfile *mw_intake_file(const struct mw_intake *intake);

#endif
