/* log: one line, one write(2), so that lines of many threads never mix. */
#include "core/log.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

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

bool mw_log_writes(const struct mw_log *log, enum mw_log_level level)
{
    return log && level <= log->level;
}

bool mw_log_is_json(const struct mw_log *log)
{
    return log->form == MW_LOG_JSON && log->target != MW_LOG_JOURNAL;
}

/* An event on its way: text for the text form, message and words for the JSON form. */
struct event {
    enum mw_log_level level;
    const char *queue_id, *text, *message;
    const struct mw_log_word *words;
    size_t count;
};

static char *json_line(const struct mw_log *log, const struct event *event)
{
    char now[MW_TIME_SIZE];
    mw_time_text(mw_time_now(), now);
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:s*, s:s}", "time", now, "level", levels[event->level].name,
                  "program", log->program, "queue_id", event->queue_id, "message", event->message);
    for (size_t i = 0; i < event->count; i++) {
        const struct mw_log_word *word = &event->words[i];
        json_t *value = word->value  ? json_string(word->value)
                        : word->json ? json_loads(word->json, JSON_DECODE_ANY, NULL)
                                     : NULL;
        if (value)
            json_object_set_new(line, word->name, value);
    }
    char *dumped = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(line);
    return dumped;
}

static void write_stderr(char *line)
{
    struct iovec parts[] = {{line, strlen(line)}, {(char[]){"\n"}, 1}};
    /* There is nowhere left to complain to when stderr is gone. */
    ssize_t written = writev(STDERR_FILENO, parts, 2);
    (void)written;
}

/* The line as text: program and level only where the target does not add them. */
static char *text_line(const struct mw_log *log, struct mw_arena *arena, const struct event *event)
{
    const char *separator = event->queue_id ? ": " : "";
    const char *id = event->queue_id ? event->queue_id : "";
    if (log->target == MW_LOG_SYSLOG)
        return mw_arena_printf(arena, "%s%s%s", id, separator, event->text);
    return mw_arena_printf(arena, "%s: %s: %s%s%s", log->program, levels[event->level].name, id,
                           separator, event->text);
}

static void write_journal(const struct mw_log *log, struct mw_arena *arena,
                          const struct event *event)
{
    struct mw_log_entry entry = {
        log->program, levels[event->level].priority, event->queue_id, event->text, {0}};
    for (size_t i = 0; i < event->count; i++) {
        const struct mw_log_word *word = &event->words[i];
        const char *value = word->value ? word->value : word->text ? word->text : word->json;
        char *field = mw_arena_printf(arena, "MAILWITNESS_%s=%s", word->name, value ? value : "");
        for (char *c = field; *c != '='; c++)
            *c = (char)toupper((unsigned char)*c);
        if (value)
            mw_texts_add(arena, &entry.fields, field);
    }
    mw_log_journal_write(&entry);
}

static void write_event(struct mw_log *log, struct mw_arena *arena, const struct event *event)
{
    if (log->target == MW_LOG_JOURNAL) {
        write_journal(log, arena, event);
        return;
    }
    char *json = mw_log_is_json(log) ? json_line(log, event) : NULL;
    char *line = json ? json : text_line(log, arena, event);
    if (log->target == MW_LOG_SYSLOG)
        syslog(levels[event->level].priority, "%s", line);
    else
        write_stderr(line);
    free(json);
}

/* At most so many bytes of text, and nothing that breaks a line. */
static const char *safe_line(struct mw_arena *arena, const char *text)
{
    struct mw_bytes bytes = mw_bytes_of(text);
    bytes.size = mw_utf8_cut(bytes, LINE_LIMIT - 4);
    return mw_utf8_show_line(arena, bytes);
}

void mw_log_write(struct mw_log *log, enum mw_log_level level, const char *queue_id,
                  const char *format, ...)
{
    if (!mw_log_writes(log, level))
        return;
    char text[LINE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct mw_arena *arena = mw_arena_new();
    struct event event = {.level = level, .text = safe_line(arena, text)};
    event.queue_id = queue_id ? mw_utf8_show_line(arena, mw_bytes_of(queue_id)) : NULL;
    event.message = event.text;
    write_event(log, arena, &event);
    mw_arena_free(arena);
}

void mw_log_words(struct mw_log *log, enum mw_log_level level, const char *queue_id,
                  const char *message, const struct mw_log_word *words, size_t count)
{
    if (!mw_log_writes(log, level))
        return;
    struct mw_arena *arena = mw_arena_new();
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        if (words[i].text)
            text = mw_arena_printf(arena, "%s%s%s=%s", text, *text ? " " : "", words[i].name,
                                   words[i].text);
    struct event event = {.level = level,
                          .text = safe_line(arena, text),
                          .message = message,
                          .words = words,
                          .count = count};
    event.queue_id = queue_id ? mw_utf8_show_line(arena, mw_bytes_of(queue_id)) : NULL;
    write_event(log, arena, &event);
    mw_arena_free(arena);
}

const char *mw_log_word_text(struct mw_arena *arena, char open, const char *text, char close,
                             size_t most)
{
    struct mw_bytes bytes = mw_bytes_of(text);
    bool cut = bytes.size > most;
    if (cut)
        bytes.size = mw_utf8_cut(bytes, most);
    char *word = mw_arena_printf(arena, "%c%.*s%s%c", open, (int)bytes.size,
                                 (const char *)bytes.data, cut ? "..." : "", close);
    for (char *c = word + 1; *c && c[1]; c++)
        if (*c == open || *c == close || *c == '\\' || (*c == ' ' && close != '"'))
            *c = '_';
    return word;
}
