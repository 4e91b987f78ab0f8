/*
 * exec: external programs as scanners: what the configuration says of one, and how
 * one is asked. Who runs it, and how it is confined, is not known here.
 */
#ifndef MW_SCANNERS_EXEC_H
#define MW_SCANNERS_EXEC_H

#include <stdint.h>

#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"
#include "scanners/condition.h"

enum mw_exec_input { MW_EXEC_FILE, MW_EXEC_STDIN };
enum mw_exec_output { MW_EXEC_JSON, MW_EXEC_TEXT, MW_EXEC_NOTHING };

struct mw_exec_program {
    const char *name;
    struct mw_scan_condition when;
    bool attachments, texts, message; /* what it looks at */
    const char *command;              /* path of the program */
    struct mw_texts arguments;        /* with ${file} and the like in them */
    unsigned input, output;           /* enums above */
    unsigned time_ms;
    size_t memory_max, output_max; /* bytes */
    bool network;                  /* it may use the Internet */
    bool judges;                   /* finding nothing means something */
    struct mw_texts exit_codes;    /* "0=clean", "3-5=malicious", "*=failed" */
    struct mw_texts environment;   /* "NAME=value" beside the few that are always set */
    struct mw_texts paths;         /* what it may read beside the system's programs */
};
MW_LIST_TYPE(mw_exec_programs, struct mw_exec_program);

/* What an exit code means. */
enum mw_exec_meaning {
    MW_EXEC_CLEAN,
    MW_EXEC_INFO,
    MW_EXEC_SUSPICIOUS,
    MW_EXEC_MALICIOUS,
    MW_EXEC_FAILED
};

/* What program's table says of code; MW_EXEC_FAILED when it does not stand there. An
 * empty table: 0 is clean, all else has failed. */
enum mw_exec_meaning mw_exec_meaning_of(const struct mw_exec_program *program, int code);

/* What is wrong with a program's settings (a sentence in arena), or NULL. */
const char *mw_exec_mistake(const struct mw_exec_program *program, struct mw_arena *arena);

/* The facts of a part that arguments can ask for, each a short clean text. */
enum mw_exec_fact {
    MW_EXEC_FILENAME,
    MW_EXEC_EXTENSION,
    MW_EXEC_FILE_TYPE,
    MW_EXEC_CONTENT_TYPE,
    MW_EXEC_PATH,
    MW_EXEC_FACTS
};

/* One part for one program. Everything is borrowed. */
struct mw_exec_job {
    size_t program; /* place in the settings' list */
    struct mw_bytes data;
    const char *facts[MW_EXEC_FACTS]; /* never NULL */
    unsigned time_ms;                 /* left of the message's; at least 1 */
};

/*
 * One argument with its placeholders filled in: ${file} is file, the others are
 * ${filename} ${extension} ${file_type} ${content_type} ${path} and ${size}. A value
 * at the argument's beginning never starts with a dash. In arena.
 */
const char *mw_exec_argument(struct mw_arena *arena, const char *text,
                             const struct mw_exec_job *job, const char *file);

enum mw_exec_end {
    MW_EXEC_EXITED,    /* code is its exit code */
    MW_EXEC_SIGNALLED, /* code is the signal */
    MW_EXEC_TIMEOUT,
    MW_EXEC_TOO_MUCH,   /* output */
    MW_EXEC_NOT_STARTED /* said tells why */
};

struct mw_exec_result {
    enum mw_exec_end end;
    int code;
    struct mw_bytes output; /* in arena, or owned by it */
    const char *said;       /* the first line on standard error, "" when there was none */
};

/* Who runs programs. */
struct mw_exec_runner {
    /* Runs one and waits for it; MW_ERR_* when that could not even be tried. */
    int (*run)(void *user, const struct mw_exec_job *job, struct mw_arena *arena,
               struct mw_exec_result *result, struct mw_error *error);
    void *user;
};

#endif
