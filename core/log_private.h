/* What log.c asks of the journal's backend: one file with libsystemd, one without. */
#ifndef MW_CORE_LOG_PRIVATE_H
#define MW_CORE_LOG_PRIVATE_H

#include "core/log.h"

/* 0, or why the journal cannot be used. */
int mw_log_journal_open(struct mw_error *error);

/* What is behind one entry's text; each of fields is "NAME=value". queue_id may be NULL. */
struct mw_log_entry {
    const char *program;
    int priority; /* as for syslog(3) */
    const char *queue_id;
    const char *text;
    struct mw_texts fields;
};

void mw_log_journal_write(const struct mw_log_entry *entry);

#endif
