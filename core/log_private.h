/* What log.c asks of the journal's backend: one file with libsystemd, one without. */
#ifndef MW_CORE_LOG_PRIVATE_H
#define MW_CORE_LOG_PRIVATE_H

#include "core/log.h"

/* 0, or why the journal cannot be used. */
int mw_log_journal_open(struct mw_error *error);

/* One entry; priority as for syslog(3), queue_id may be NULL. */
void mw_log_journal_write(const char *program, int priority, const char *queue_id,
                          const char *text);

#endif
