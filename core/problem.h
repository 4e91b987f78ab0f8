/*
 * problem: everything that a report can have in its errors, a row each. Whoever adds one
 * decides here what it means: for scanners, for what is done with the message, for the
 * verdict. doc/problems.md is the same table for people; a test compares the two.
 */
#ifndef MW_CORE_PROBLEM_H
#define MW_CORE_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/verdict.h"

/*
 * The named ways in which a message could not be witnessed in full. Each has an action in
 * the section "failure" of the configuration; none is ever taken for clean.
 */
enum mw_failure {
    MW_WORKER_CRASHED,
    MW_TIMED_OUT,
    MW_BAD_REPORT,         /* what the worker answered is no sound report */
    MW_QUEUE_FULL,         /* no worker or no memory was free in time */
    MW_OUT_OF_RESOURCES,   /* the system gave no descriptor, process or memory for it */
    MW_TOO_LARGE,          /* above limits.message_size: not scanned at all */
    MW_LIMITS,             /* another limit kept a part from being scanned */
    MW_UNREADABLE,         /* a part is damaged, or mail clients read it in other ways */
    MW_NOT_OPENED,         /* nobody opened a container, or not all of it */
    MW_ENGINE_MISSING,     /* none is configured, or one failed */
    MW_STORE_UNAVAILABLE,  /* neither Redis nor the spool took the result */
    MW_REFUSAL_UNRECORDED, /* so that a message would be refused without a record of it */
    MW_INTERNAL_ERROR,
    MW_FAILURE_COUNT,
    MW_NO_FAILURE = MW_FAILURE_COUNT
};

/* Whether scanners may have missed something because of it. */
enum mw_problem_effect { MW_HIDES_NOTHING, MW_HIDES };

/*
 * A row is ROW(constant, name in reports, what it hides, the failure it raises, how bad it
 * is by itself, a sentence). What hides something makes a message unscanned that would be
 * clean, and raises a failure. A severity above MW_INFO raises the verdict as a finding of
 * that severity does. Ask of a new row: would a scanner have found in another reading, or
 * in what was left out, what it did not find now? Then it hides.
 */
#define MW_PROBLEMS(ROW)                                                                           \
    ROW(ARCHIVE_DAMAGED, "archive.damaged", MW_HIDES, MW_UNREADABLE, MW_INFO,                      \
        "an archive cannot be unpacked to its end")                                                \
    ROW(CLAMAV_LIMIT, "clamav.limit", MW_HIDES, MW_LIMITS, MW_INFO,                                \
        "ClamAV stopped at a bound of its own that has no option here")                            \
    ROW(CLAMAV_MAX_FILE_SIZE, "clamav.max_file_size", MW_HIDES, MW_LIMITS, MW_INFO,                \
        "a file is larger than ClamAV scans")                                                      \
    ROW(CLAMAV_MAX_FILES, "clamav.max_files", MW_HIDES, MW_LIMITS, MW_INFO,                        \
        "a part holds more files than ClamAV scans")                                               \
    ROW(CLAMAV_MAX_RECURSION, "clamav.max_recursion", MW_HIDES, MW_LIMITS, MW_INFO,                \
        "a part is nested deeper than ClamAV follows")                                             \
    ROW(CLAMAV_MAX_SCAN_SIZE, "clamav.max_scan_size", MW_HIDES, MW_LIMITS, MW_INFO,                \
        "a part unpacks to more bytes than ClamAV scans")                                          \
    ROW(CLAMAV_MAX_SCAN_TIME, "clamav.max_scan_time", MW_HIDES, MW_LIMITS, MW_INFO,                \
        "ClamAV's time for a part was up")                                                         \
    ROW(CONTAINER_NOT_OPENED, "container.not_opened", MW_HIDES, MW_NOT_OPENED, MW_INFO,            \
        "nobody opened what lies inside a part, or not all of it")                                 \
    ROW(HEADER_DATE, "header.date", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,                      \
        "the Date field holds no date")                                                            \
    ROW(HEADER_DUPLICATE, "header.duplicate", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,            \
        "a header has Content-Type fields that differ: the part is read as each of them")          \
    ROW(HEADER_JUNK, "header.junk", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,                      \
        "a line in a header is no field: a file is read as if its content began there, too")       \
    ROW(HEADER_NO_BLANK_LINE, "header.no_blank_line", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,    \
        "no blank line ends a header: the body is read from its first line that is no field")      \
    ROW(HEADER_UNDECODABLE, "header.undecodable", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,        \
        "some bytes of a field could not be decoded")                                              \
    ROW(INDICATORS_INCOMPLETE, "indicators.incomplete", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,  \
        "the search for links and other indicators in a text was given up")                        \
    ROW(LIMIT_ADDRESS_COUNT, "limit.address_count", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,      \
        "a field has more addresses than are kept")                                                \
    ROW(LIMIT_CONTENT_FIELD, "limit.content_field", MW_HIDES, MW_LIMITS, MW_INFO,                  \
        "a field that tells how a part is built is longer than is read")                           \
    ROW(LIMIT_DEPTH, "limit.depth", MW_HIDES, MW_LIMITS, MW_INFO,                                  \
        "parts are nested deeper than they are opened")                                            \
    ROW(LIMIT_ERRORS, "limit.errors", MW_HIDES, MW_LIMITS, MW_INFO,                                \
        "there were more problems than are listed")                                                \
    ROW(LIMIT_FINDINGS_PER_PART, "limit.findings_per_part", MW_HIDES_NOTHING, MW_NO_FAILURE,       \
        MW_INFO, "a part has more findings than are kept; the worst severity is")                  \
    ROW(LIMIT_HEADER_COUNT, "limit.header_count", MW_HIDES, MW_LIMITS, MW_INFO,                    \
        "a header has more fields than are kept: its sender or subject may be among the rest")     \
    ROW(LIMIT_HEADER_LENGTH, "limit.header_length", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,      \
        "a field is longer than is kept")                                                          \
    ROW(LIMIT_INDICATORS, "limit.indicators", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,            \
        "a message has more links, domains or other indicators than are kept")                     \
    ROW(LIMIT_MESSAGE_SIZE, "limit.message_size", MW_HIDES, MW_TOO_LARGE, MW_INFO,                 \
        "the message is too large to be opened")                                                   \
    ROW(LIMIT_PARTS, "limit.parts", MW_HIDES, MW_LIMITS, MW_INFO,                                  \
        "the message has more parts than are opened")                                              \
    ROW(LIMIT_READINGS, "limit.readings", MW_HIDES, MW_LIMITS, MW_INFO,                            \
        "mail clients can read the message in more ways than are opened")                          \
    ROW(LIMIT_RECIPIENTS, "limit.recipients", MW_HIDES, MW_LIMITS, MW_INFO,                        \
        "a message has more recipients than are kept: rules for the others were not asked")        \
    ROW(LIMIT_TEXT_LENGTH, "limit.text_length", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,          \
        "a text is longer than is kept in the report; all of it is scanned")                       \
    ROW(LIMIT_TIME, "limit.time", MW_HIDES, MW_TIMED_OUT, MW_INFO,                                 \
        "the time for the message was up before all of it was opened")                             \
    ROW(LIMIT_UNPACK_RATIO, "limit.unpack_ratio", MW_HIDES, MW_LIMITS, MW_SEVERITY_SUSPICIOUS,     \
        "the message unpacks to so many times its size that it was made for that")                 \
    ROW(LIMIT_UNPACKED_SIZE, "limit.unpacked_size", MW_HIDES, MW_LIMITS, MW_INFO,                  \
        "the parts unpack to more bytes than are allowed together")                                \
    ROW(MESSAGE_EMPTY, "message.empty", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,                  \
        "the message has no bytes")                                                                \
    ROW(MIME_BOUNDARY, "mime.boundary", MW_HIDES, MW_UNREADABLE, MW_INFO,                          \
        "the boundary of a multipart is missing or does not occur in it")                          \
    ROW(MIME_ENCODING, "mime.encoding", MW_HIDES, MW_UNREADABLE, MW_INFO,                          \
        "a part has a transfer encoding that nobody knows, or that is not what it says")           \
    ROW(MIME_NO_HEADER, "mime.no_header", MW_HIDES, MW_UNREADABLE, MW_INFO,                        \
        "a message does not start with a header: read as text")                                    \
    ROW(SCANNER_FAILED, "scanner.failed", MW_HIDES, MW_ENGINE_MISSING, MW_INFO,                    \
        "a scanner failed on a part")                                                              \
    ROW(SCANNER_TIME, "scanner.time", MW_HIDES, MW_TIMED_OUT, MW_INFO,                             \
        "the time for the message was up before all of it was scanned")                            \
    ROW(TEXT_CHARSET, "text.charset", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,                    \
        "a text is not in the charset that it declares: it is read in the one that fits")          \
    ROW(TEXT_UNDECODABLE, "text.undecodable", MW_HIDES_NOTHING, MW_NO_FAILURE, MW_INFO,            \
        "some bytes of a text are not valid in its charset")                                       \
    ROW(TNEF_DAMAGED, "tnef.damaged", MW_HIDES, MW_UNREADABLE, MW_INFO,                            \
        "a winmail.dat cannot be read to its end")                                                 \
    ROW(WORKER_BUSY, "worker.busy", MW_HIDES, MW_QUEUE_FULL, MW_INFO,                              \
        "no worker, or no memory, was free in time")                                               \
    ROW(WORKER_CRASHED, "worker.crashed", MW_HIDES, MW_WORKER_CRASHED, MW_INFO,                    \
        "the worker died over the message, or none could be asked")                                \
    ROW(WORKER_REPORT, "worker.report", MW_HIDES, MW_BAD_REPORT, MW_INFO,                          \
        "what the worker answered is no sound report")                                             \
    ROW(WORKER_RESOURCES, "worker.resources", MW_HIDES, MW_OUT_OF_RESOURCES, MW_INFO,              \
        "the system had no descriptor, process or memory for having the message examined")         \
    ROW(WORKER_TIMEOUT, "worker.timeout", MW_HIDES, MW_TIMED_OUT, MW_INFO,                         \
        "the worker took longer than limits.time")

#define MW_PROBLEM_CONSTANT(constant, name, effect, failure, severity, sentence)                   \
    MW_PROBLEM_##constant,
enum mw_problem_kind { MW_PROBLEMS(MW_PROBLEM_CONSTANT) MW_PROBLEM_COUNT };
#undef MW_PROBLEM_CONSTANT

struct mw_problem_row {
    const char *name; /* "limit.parts" */
    enum mw_problem_effect effect;
    enum mw_failure failure; /* MW_NO_FAILURE: none */
    enum mw_severity severity;
    const char *sentence; /* no full stop at its end */
};

/* A kind's row, or the row of kind MW_PROBLEM_COUNT for what has no other: a name that only
 * another version knows. It hides something and raises MW_UNREADABLE. Never NULL. */
const struct mw_problem_row *mw_problem_row(enum mw_problem_kind kind);

/* The kind with this name, or MW_PROBLEM_COUNT; name may be NULL. */
enum mw_problem_kind mw_problem_find(const char *name);

/* Both in one. */
static inline const struct mw_problem_row *mw_problem_row_of(const char *name)
{
    return mw_problem_row(mw_problem_find(name));
}

#endif
