/* log_journal: entries for systemd's journal, queue id in a field of its own. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <string.h>
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

static struct iovec field(struct mw_arena *arena, const char *name, const char *value)
{
    char *text = mw_arena_printf(arena, "%s=%s", name, value);
    return (struct iovec){text, strlen(text)};
}

void mw_log_journal_write(const struct mw_log_entry *entry)
{
    struct mw_arena *arena = mw_arena_new();
    const char *id = entry->queue_id ? entry->queue_id : "";
    size_t count = 0;
    struct iovec *fields = mw_arena_alloc(arena, (entry->fields.count + 4) * sizeof *fields);
    fields[count++] = field(arena, "SYSLOG_IDENTIFIER", entry->program);
    fields[count++] = field(arena, "PRIORITY", mw_arena_printf(arena, "%i", entry->priority));
    fields[count++] =
        field(arena, "MESSAGE", mw_arena_printf(arena, "%s%s%s", id, *id ? ": " : "", entry->text));
    if (*id)
        fields[count++] = field(arena, "MAILWITNESS_QUEUE_ID", id);
    for (size_t i = 0; i < entry->fields.count; i++)
        fields[count++] = (struct iovec){mw_arena_dup(arena, entry->fields.items[i]),
                                         strlen(entry->fields.items[i])};
    sd_journal_sendv(fields, (int)count);
    mw_arena_free(arena);
}
