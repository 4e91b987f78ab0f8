/* exec: the table of exit codes, and arguments. */
#include "scanners/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const meanings[] = {"clean", "info", "suspicious", "malicious", "failed"};
enum { MEANINGS = sizeof meanings / sizeof *meanings, LAST_CODE = 255 };

/* One line of a table. */
struct line {
    int from, to;
    enum mw_exec_meaning meaning;
};

static bool read_codes(const char *text, size_t length, struct line *line)
{
    char copy[16], *end;
    if (length == 1 && text[0] == '*') {
        line->from = 0;
        line->to = LAST_CODE;
        return true;
    }
    if (length == 0 || length >= sizeof copy || text[0] < '0' || text[0] > '9')
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    line->from = line->to = (int)strtol(copy, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        line->to = (int)strtol(end + 1, &end, 10);
    return *end == '\0' && line->from <= line->to && line->to <= LAST_CODE;
}

static bool read_line(const char *text, struct line *line)
{
    size_t length = strcspn(text, "=");
    if (text[length] != '=' || !read_codes(text, length, line))
        return false;
    for (unsigned i = 0; i < MEANINGS; i++)
        if (strcmp(meanings[i], text + length + 1) == 0) {
            line->meaning = (enum mw_exec_meaning)i;
            return true;
        }
    return false;
}

enum mw_exec_meaning mw_exec_meaning_of(const struct mw_exec_program *program, int code)
{
    if (program->exit_codes.count == 0 && code == 0)
        return MW_EXEC_CLEAN;
    for (size_t i = 0; i < program->exit_codes.count; i++) {
        struct line line;
        if (read_line(program->exit_codes.items[i], &line) && code >= line.from && code <= line.to)
            return line.meaning;
    }
    return MW_EXEC_FAILED;
}

const char *mw_exec_mistake(const struct mw_exec_program *program, struct mw_arena *arena)
{
    if (!program->command)
        return "has no command";
    if (program->command[0] != '/')
        return mw_arena_printf(arena, "command: '%s' must be a whole path, as /usr/bin/NAME",
                               program->command);
    for (size_t i = 0; i < program->exit_codes.count; i++) {
        struct line line;
        if (!read_line(program->exit_codes.items[i], &line))
            return mw_arena_printf(arena,
                                   "exit_codes: '%s' must be a code, codes or *, and what they "
                                   "mean: 0=clean, 3-5=malicious, *=failed (clean, info, "
                                   "suspicious, malicious, failed)",
                                   program->exit_codes.items[i]);
    }
    for (size_t i = 0; i < program->environment.count; i++)
        if (!strchr(program->environment.items[i], '=') || program->environment.items[i][0] == '=')
            return mw_arena_printf(arena, "environment: '%s' must be NAME=value",
                                   program->environment.items[i]);
    return NULL;
}

/* The value of the placeholder at text ("${...}"), and how long that is; NULL for
 * what is none. */
static const char *value_of(struct mw_arena *arena, const char *text, const struct mw_exec_job *job,
                            const char *file, size_t *length)
{
    const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"${file}", file},
        {"${filename}", job->facts[MW_EXEC_FILENAME]},
        {"${extension}", job->facts[MW_EXEC_EXTENSION]},
        {"${file_type}", job->facts[MW_EXEC_FILE_TYPE]},
        {"${content_type}", job->facts[MW_EXEC_CONTENT_TYPE]},
        {"${path}", job->facts[MW_EXEC_PATH]},
        {"${size}", NULL},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        *length = strlen(values[i].name);
        if (strncmp(text, values[i].name, *length) == 0)
            return values[i].value ? values[i].value
                                   : mw_arena_printf(arena, "%zu", job->data.size);
    }
    return NULL;
}

const char *mw_exec_argument(struct mw_arena *arena, const char *text,
                             const struct mw_exec_job *job, const char *file)
{
    const char *filled = "";
    while (*text) {
        size_t length = strcspn(text, "$");
        if (length == 0) {
            const char *value = value_of(arena, text, job, file, &length);
            if (!value)
                value = "$", length = 1;
            /* What a sender chose must not be taken for an option. */
            bool disarm = filled[0] == '\0' && value[0] == '-';
            filled = mw_arena_printf(arena, "%s%s%s", filled, disarm ? "_" : "", value);
        } else {
            filled = mw_arena_printf(arena, "%s%.*s", filled, (int)length, text);
        }
        text += length;
    }
    return filled;
}
