/* log: one line, one write(2), so that lines of many threads never mix. */
#include "core/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/log_private.h"
#include "core/time.h"
#include "core/utf8.h"

enum { LINE_LIMIT = 4096 };

struct mw_log {
    const char *program;
    enum mw_log_target target;
    enum mw_log_form form;
    enum mw_log_level level;
};

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [MW_LOG_ERROR] = {"error", LOG_ERR},      [MW_LOG_WARNING] = {"warning", LOG_WARNING},
    [MW_LOG_NOTICE] = {"notice", LOG_NOTICE}, [MW_LOG_INFO] = {"info", LOG_INFO},
    [MW_LOG_DEBUG] = {"debug", LOG_DEBUG},
};

const char *mw_log_level_name(enum mw_log_level level)
{
    return levels[level].name;
}

int mw_log_level_from_name(const char *name)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcasecmp(name, levels[i].name) == 0)
            return (int)i;
    return -1;
}

struct mw_log *mw_log_new(const char *program, enum mw_log_target target, enum mw_log_form form,
                          enum mw_log_level level, struct mw_error *error)
{
    if (target == MW_LOG_JOURNAL && mw_log_journal_open(error) != 0)
        return NULL;
    struct mw_log *log = calloc(1, sizeof *log);
    if (!log) {
        mw_fail_errno(error, "cannot open the log");
        return NULL;
    }
    *log = (struct mw_log){program, target, form, level};
    if (target == MW_LOG_SYSLOG)
        openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
    return log;
}

void mw_log_free(struct mw_log *log)
{
    if (log && log->target == MW_LOG_SYSLOG)
        closelog();
    free(log);
}

static char *json_line(const struct mw_log *log, enum mw_log_level level, const char *queue_id,
                       const char *text)
{
    char now[MW_TIME_SIZE];
    mw_time_text(mw_time_now(), now);
    json_t *line = json_pack("{s:s, s:s, s:s, s:s*, s:s}", "time", now, "level", levels[level].name,
                             "program", log->program, "queue_id", queue_id, "message", text);
    char *dumped = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(line);
    return dumped;
}

static void write_stderr(const char *line)
{
    char out[LINE_LIMIT + 1024];
    int size = snprintf(out, sizeof out, "%s\n", line);
    if (size >= (int)sizeof out) {
        size = (int)sizeof out - 1;
        out[size - 1] = '\n';
    }
    /* There is nowhere left to complain to when stderr is gone. */
    ssize_t written = write(STDERR_FILENO, out, (size_t)size);
    (void)written;
}

/* The line as text: program and level only where the target does not add them. */
static const char *text_line(const struct mw_log *log, struct mw_arena *arena,
                             enum mw_log_level level, const char *queue_id, const char *text)
{
    const char *separator = queue_id ? ": " : "";
    const char *id = queue_id ? queue_id : "";
    if (log->target == MW_LOG_SYSLOG)
        return mw_arena_printf(arena, "%s%s%s", id, separator, text);
    return mw_arena_printf(arena, "%s: %s: %s%s%s", log->program, levels[level].name, id, separator,
                           text);
}

static void write_line(struct mw_log *log, struct mw_arena *arena, enum mw_log_level level,
                       const char *queue_id, const char *text)
{
    if (log->target == MW_LOG_JOURNAL) {
        mw_log_journal_write(log->program, levels[level].priority, queue_id, text);
        return;
    }
    char *json = log->form == MW_LOG_JSON ? json_line(log, level, queue_id, text) : NULL;
    const char *line = json ? json : text_line(log, arena, level, queue_id, text);
    if (log->target == MW_LOG_SYSLOG)
        syslog(levels[level].priority, "%s", line);
    else
        write_stderr(line);
    free(json);
}

void mw_log_write(struct mw_log *log, enum mw_log_level level, const char *queue_id,
                  const char *format, ...)
{
    if (!log || level > log->level)
        return;
    char text[LINE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes bytes = mw_bytes_of(text);
    bytes.size = mw_utf8_cut(bytes, sizeof text - 4);
    const char *id = queue_id ? mw_utf8_show_line(arena, mw_bytes_of(queue_id)) : NULL;
    write_line(log, arena, level, id, mw_utf8_show_line(arena, bytes));
    mw_arena_free(arena);
}
