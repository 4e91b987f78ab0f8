/* log_journal: entries for systemd's journal, queue id in a field of its own. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "core/log_private.h"

static const char journal_socket[] = "/run/systemd/journal/socket";

int mw_log_journal_open(struct mw_error *error)
{
    if (access(journal_socket, W_OK) == 0)
        return 0;
    return mw_fail_errno(error, "cannot reach the journal at %s: log to stderr or syslog",
                         journal_socket);
}

void mw_log_journal_write(const char *program, int priority, const char *queue_id, const char *text)
{
    if (queue_id)
        sd_journal_send("SYSLOG_IDENTIFIER=%s", program, "PRIORITY=%i", priority,
                        "MAILWITNESS_QUEUE_ID=%s", queue_id, "MESSAGE=%s: %s", queue_id, text,
                        NULL);
    else
        sd_journal_send("SYSLOG_IDENTIFIER=%s", program, "PRIORITY=%i", priority, "MESSAGE=%s",
                        text, NULL);
}
