/*
 * reply: a decision as the mail server is told it. First a plan, which is pure: header
 * edits, recipients, the answer; every text made safe. Then mw_reply_carry_out, the
 * only function of mailwitness that edits mail.
 */
#ifndef MW_MILTER_REPLY_H
#define MW_MILTER_REPLY_H

#include "milter/policy.h"

/* Header fields as they arrived, as far as a reply may have to change or remove them.
 * One a message; not thread-safe. */
struct mw_arrived;

struct mw_arrived *mw_arrived_new(struct mw_arena *arena);

/* Notes one field, in order of arrival; name and value as libmilter gave them. policy
 * must be the one the plan is made with. */
void mw_arrived_note(struct mw_arrived *arrived, const struct mw_policy *policy, const char *name,
                     const char *value);

enum mw_edit_kind {
    MW_EDIT_INSERT_HEADER, /* at the top */
    MW_EDIT_APPEND_HEADER,
    MW_EDIT_CHANGE_HEADER, /* the index-th of that name, counted from 1 */
    MW_EDIT_REMOVE_HEADER,
    MW_EDIT_ADD_RECIPIENT,
    MW_EDIT_REMOVE_RECIPIENT,
    MW_EDIT_QUARANTINE
};

struct mw_edit {
    enum mw_edit_kind kind;
    int index;
    const char *name;  /* of a header */
    const char *value; /* a header's, without a leading blank; an address; a reason */
};
MW_LIST_TYPE(mw_edits, struct mw_edit);

struct mw_reply {
    struct mw_edits edits; /* in the order to carry them out */
    enum mw_action end;    /* MW_ACTION_ACCEPT, _TEMPFAIL, _REJECT or _DISCARD */
    char code[4];          /* of tempfail and reject: "550" */
    char enhanced[12];     /* "5.7.1" */
    struct mw_texts lines; /* at least one; printable, bounded */
};

/* What this message's connection allows. */
struct mw_reply_terms {
    bool smtputf8; /* MAIL FROM had SMTPUTF8 (RFC 6531) */
};

/* Plans the reply; in arena. arrived may be NULL when no header came. Never NULL. */
const struct mw_reply *mw_reply_plan(const struct mw_policy *policy,
                                     const struct mw_decision *decision,
                                     const struct mw_report *report,
                                     const struct mw_arrived *arrived,
                                     const struct mw_reply_terms *terms, struct mw_arena *arena);

/* The SMFIF_ flags that a connection must have negotiated for any reply. */
unsigned long mw_reply_rights(void);

struct smfi_str; /* SMFICTX of libmilter/mfapi.h */

/*
 * Carries a reply out at end of message and returns the sfsistat to answer with
 * (SMFIS_ACCEPT, _TEMPFAIL, _REJECT, _DISCARD). leading_space: SMFIP_HDR_LEADSPC was
 * negotiated. When an edit is refused error is filled and SMFIS_TEMPFAIL returned:
 * a message is never passed with half of its edits.
 */
int mw_reply_carry_out(struct smfi_str *context, const struct mw_reply *reply, bool leading_space,
                       struct mw_error *error);

#endif
