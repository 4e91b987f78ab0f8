/* log_no_journal: the backend of a build without libsystemd. */
#include "core/log_private.h"

int mw_log_journal_open(struct mw_error *error)
{
    return mw_fail(error, MW_ERR_MISSING,
                   "built without systemd: log to stderr or syslog, or configure --with-systemd");
}

void mw_log_journal_write(const struct mw_log_entry *entry)
{
    (void)entry;
}
