/*
 * scanner: an engine that looks at one part and says what it found. Adding
 * one: a file scan_NAME.c with a struct mw_scanner, and a line in scanners.c's
 * registry.
 */
#ifndef MW_SCANNERS_SCANNER_H
#define MW_SCANNERS_SCANNER_H

#include "core/report.h"

/* What of a message is being scanned; a scanner names those it wants. */
enum mw_scan_kind { MW_SCAN_ATTACHMENT = 1, MW_SCAN_TEXT = 2, MW_SCAN_MESSAGE = 4 };

struct mw_known;

/* One part, with what is known about it and the message it came in. Texts may
 * be NULL. Everything is borrowed for the call. */
struct mw_scan_part {
    enum mw_scan_kind kind;
    struct mw_bytes data;
    const char *path;
    const char *filename;
    const char *extension;        /* of filename, lower case, without the dot */
    const struct mw_texts *names; /* all that clients may show, filename among them; or NULL */
    const char *content_type;     /* declared */
    const char *file_type;        /* detected, set by the type scanner */
    const char *sender;           /* first From address */
    const char *sender_domain;    /* lower case */
    const char *subject;
    int sender_new;               /* 1, 0, or -1 when nobody asked a filter */
    int64_t deadline_us;          /* on the monotonic clock (mw_clock_us); 0: none */
    const struct mw_known *known; /* of the same bytes from before (known.h), or NULL */
    /* Bytes that engines may still unpack of the whole message; they take away what they
     * unpacked. NULL: as many as their settings allow. */
    size_t *unpack_left;
};

/* Where a scanner writes. Memory comes from the report's arena. */
struct mw_scan_result {
    struct mw_report *report; /* borrowed: arena, and problems */
    const struct mw_limits *limits;
    struct mw_attachment *attachment; /* the part's entry, or NULL for text and message */
    struct mw_findings *findings;     /* the part's list */
    const char *unscanned;            /* set to why the part could not be scanned */
    bool skipped;                     /* set by a scanner that did not look at the part after all */
    bool judged;                      /* a scanner that knows malware has looked */
};

/* What an engine is, for reports and statistics. Texts may be NULL. */
struct mw_scan_engine {
    const char *version;
    int64_t database;   /* version of its database; 0: has none */
    int64_t made;       /* when the newest part of it was made, seconds since 1970; 0: unknown */
    int64_t signatures; /* or rules that are loaded */
};

struct mw_scan_settings;

struct mw_scanner {
    const char *name;
    unsigned kinds;     /* enum mw_scan_kind, or-ed */
    bool judges;        /* finding nothing means something: it knows malware */
    bool by_bytes;      /* what it finds depends on a part's bytes, and on its context, alone */
    const char *fields; /* what its findings' details hold, for people */

    /*
     * Loads rules or databases, once per generation, before workers are forked.
     * *engine is NULL with 0 returned when the settings leave the scanner out.
     * Warnings (a broken rule file among good ones, an old database) go to
     * warnings as sentences, from arena.
     */
    int (*load)(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error);

    /* Scans one part within its deadline; 0, or an error when it could not,
     * which makes the part unscanned. One thread uses an engine at a time. */
    int (*scan)(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error);

    void (*unload)(void *engine);

    /* What follows may be NULL. */

    /* In each process that will scan, after the fork: folder is its own for
     * temporary files. */
    int (*start)(void *engine, const char *folder, struct mw_error *error);

    /* Fills in what is known. */
    void (*describe)(const void *engine, struct mw_scan_engine *facts);

    /* With by_bytes: what else its findings depend on, as a short text, or NULL when that
     * cannot be told. In arena. Without it they depend on the bytes alone. */
    const char *(*context)(const void *engine, const struct mw_scan_part *part,
                           struct mw_arena *arena);

    /* Whether its findings depend on the part's name: it then sees each. */
    bool (*by_name)(const void *engine);

    /* Takes over what it had written into the part's entry beside its findings. */
    void (*recall)(const struct mw_attachment *facts, struct mw_scan_result *result);
};

#endif
