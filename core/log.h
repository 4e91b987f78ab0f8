/*
 * log: one line per event, to stderr, syslog or the journal.
 *
 * Only a program's top level logs; libraries return errors. Text from outside
 * cannot forge or break a line: control characters are shown as U+FFFD.
 */
#ifndef MW_CORE_LOG_H
#define MW_CORE_LOG_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/error.h"

enum mw_log_level { MW_LOG_ERROR, MW_LOG_WARNING, MW_LOG_NOTICE, MW_LOG_INFO, MW_LOG_DEBUG };
enum mw_log_target { MW_LOG_STDERR, MW_LOG_SYSLOG, MW_LOG_JOURNAL };
enum mw_log_form { MW_LOG_TEXT, MW_LOG_JSON };

struct mw_log;

/*
 * Opens a log. program is borrowed for the log's life. Errors: the journal
 * asked for in a build without systemd, or not reachable. Thread-safe to use
 * after that.
 */
struct mw_log *mw_log_new(const char *program, enum mw_log_target target, enum mw_log_form form,
                          enum mw_log_level level, struct mw_error *error);
void mw_log_free(struct mw_log *log);

/*
 * Writes one line if level is at or above the log's. queue_id may be NULL.
 * A NULL log discards. Texts are cut at 4 KiB.
 */
void mw_log_write(struct mw_log *log, enum mw_log_level level, const char *queue_id,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One word of an event: what the text form shows behind NAME=, and the JSON form's member NAME. */
struct mw_log_word {
    const char *name;
    const char *text;  /* NULL: the text form has no such word */
    const char *value; /* the member, a string; NULL: see json */
    const char *json; /* the member as JSON: a number, a list; NULL with no value: no such member */
};

/*
 * Writes an event in words instead of a sentence: NAME=VALUE with blanks between in the text
 * form, members in the JSON form, fields MAILWITNESS_NAME in the journal. message is the JSON
 * form's member "message". The caller sees to it that a value from outside does not look like
 * another word (mw_log_word_text); what breaks a line is shown safely here. Cut at 4 KiB.
 */
void mw_log_words(struct mw_log *log, enum mw_log_level level, const char *queue_id,
                  const char *message, const struct mw_log_word *words, size_t count);

/* A text from outside as it stands between open and close in a word: both, blanks between them
 * unless close is a quotation mark, and backslashes are shown as "_". In arena; cut at most bytes.
 */
const char *mw_log_word_text(struct mw_arena *arena, char open, const char *text, char close,
                             size_t most);

/* Whether anything of that level is written, and whether as JSON: for those to whom it is work. */
bool mw_log_writes(const struct mw_log *log, enum mw_log_level level);
bool mw_log_is_json(const struct mw_log *log);

/* "error", "warning", ... and back; -1 for an unknown name. */
const char *mw_log_level_name(enum mw_log_level level);
int mw_log_level_from_name(const char *name);

#endif
