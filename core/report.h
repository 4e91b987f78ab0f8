/*
 * report: everything one message showed, in one struct with one JSON form.
 *
 * All of it lies in one arena. Text is valid UTF-8; NULL means "not there"
 * and is left out of the JSON. The JSON form is doc/report.schema.json; it is
 * written and read from one table of fields (report_json.c), so JSON -> report
 * -> JSON is the identity. Not thread-safe: one thread owns a report.
 */
#ifndef MW_CORE_REPORT_H
#define MW_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/bytes.h"
#include "core/container.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/problem.h"
#include "core/verdict.h"

/* One header field, as it came. */
struct mw_header {
    const char *name;  /* as written */
    const char *value; /* decoded and unfolded */
    const char *raw;   /* as it came, when decoding or cleaning changed it */
};

/* One mailbox, or a group without members (address NULL then). */
struct mw_address {
    const char *name;    /* decoded display name */
    const char *address; /* local@domain as given, or what stood there instead */
    const char *group;   /* the group it was listed in */
};

/* One Received field (RFC 5321 section 4.4), newest first as in the message. */
struct mw_hop {
    const char *from;    /* the name the client gave */
    const char *address; /* the client's IP address, when one is written */
    const char *by;
    const char *with;
    const char *id;
    const char *recipient; /* "for" */
    const char *date;      /* RFC 3339 */
};

/* What an engine, or a parser, has to say. */
struct mw_finding {
    const char *scanner;
    const char *name; /* rule or signature */
    enum mw_severity severity;
    const char *message; /* a sentence for people */
    const char *path;    /* part it is about; NULL for the whole message */
    const char *details; /* a JSON object as text, or NULL */
};

/* Something that could not be done, or was cut short. */
struct mw_problem {
    const char *name;  /* of core/problem.h; of another version in a report from elsewhere */
    const char *place; /* part path, header name, or NULL for the message */
    const char *detail;
};

MW_LIST_TYPE(mw_headers, struct mw_header);
MW_LIST_TYPE(mw_addresses, struct mw_address);
MW_LIST_TYPE(mw_hops, struct mw_hop);
MW_LIST_TYPE(mw_findings, struct mw_finding);
MW_LIST_TYPE(mw_problems, struct mw_problem);

/* A text part: the chosen bodies and every other text in the message. */
struct mw_text_part {
    const char *path;
    const char *content_type;
    const char *charset;      /* as declared */
    const char *charset_used; /* as decoded */
    const char *role;         /* "body", "body_html" or "other" */
    int64_t size;             /* bytes before charset conversion */
    const char *sha256;       /* of those bytes */
    const char *reading;      /* which other reading of the message it comes from */
    const char *text;         /* for role "other": body texts stand in the report */
    struct mw_bytes whole;    /* all of the text, UTF-8; not in the JSON */
};

/* An engine that looked, and how fresh what it knows is. */
struct mw_engine {
    const char *name;
    const char *version;
    const char *database; /* version of its database */
    const char *date;     /* when that was made, RFC 3339 */
    int64_t signatures;   /* or rules */
};
MW_LIST_TYPE(mw_engines, struct mw_engine);

struct mw_attachment {
    const char *path;
    const char *parent;       /* path of the part it was found in */
    const char *filename;     /* decoded, safe to show */
    const char *filename_raw; /* decoded, when making it safe changed it */
    struct mw_texts names;    /* decoded, all that clients may show, when there are several */
    const char *reading;      /* which other reading of the message it comes from */
    const char *content_type; /* declared */
    const char *file_type;    /* detected */
    enum mw_opened opened;    /* what lies inside of it */
    const char *not_opened;   /* why not, or not all of it */
    const char *opened_by;    /* the engine that handed out what is inside */
    const char *disposition;
    const char *description;
    const char *content_id; /* without angle brackets */
    const char *encoding;   /* Content-Transfer-Encoding or the unpacker's name */
    const char *md5, *sha1, *sha256, *sha512;
    const char *fuzzy;
    int64_t size;
    struct mw_headers headers; /* of the part: names, values, raws */
    struct mw_findings findings;
    enum mw_verdict verdict;
    const char *unscanned;  /* why, when verdict is MW_UNSCANNED */
    struct mw_texts reused; /* scanners that knew the very same bytes already */
    struct mw_bytes data;   /* the decoded bytes; not in the JSON, as what follows */
    const char *container;  /* which kind of container parsers take it for, or NULL */
    size_t closed;          /* things inside of it that parsers could not open */
};

/* A named fact of type bool, or a named number. */
struct mw_flag {
    const char *name;
    bool value;
};
struct mw_number {
    const char *name;
    int64_t value;
};

MW_LIST_TYPE(mw_text_parts, struct mw_text_part);
MW_LIST_TYPE(mw_attachments, struct mw_attachment);
MW_LIST_TYPE(mw_flags, struct mw_flag);
MW_LIST_TYPE(mw_numbers, struct mw_number);

/* What RCPT said of one recipient besides its address. */
struct mw_rcpt {
    const char *address;
    struct mw_texts arguments; /* "NOTIFY=NEVER", "ORCPT=rfc822;..." (RFC 3461) */
};
MW_LIST_TYPE(mw_rcpts, struct mw_rcpt);

struct mw_envelope {
    const char *from;               /* "" is the null sender */
    struct mw_texts from_arguments; /* "SIZE=1000", "BODY=8BITMIME", as MAIL gave them */
    struct mw_texts to;
    struct mw_rcpts to_arguments; /* of those recipients that had any */
};

/* A number that is 0 is not known. */
struct mw_client {
    const char *name;    /* verified: name to address and back; "unknown" without one */
    const char *address; /* IP */
    const char *ptr;     /* what its address claims to be called */
    int64_t port;
};

/* Which of its services the mail server took the message by. */
struct mw_daemon_facts {
    const char *name;
    const char *address;
    int64_t port;
};

struct mw_tls {
    const char *version; /* NULL: not encrypted */
    const char *cipher;
    int64_t cipher_bits;
    const char *cert_subject, *cert_issuer; /* common names in the client's certificate */
};

/* A login (RFC 4954). */
struct mw_auth {
    const char *name;   /* NULL: none */
    const char *type;   /* "PLAIN" */
    const char *author; /* AUTH= of MAIL: who is said to have submitted it first */
};

struct mw_indicators {
    struct mw_texts urls, domains, ipv4, ipv6, emails, md5, sha1, sha256, mac;
};

/* What became of one recipient. */
struct mw_fate {
    const char *address;
    enum mw_action action;   /* what was done for it */
    enum mw_action intended; /* what would have been done, when only observing */
    const char *by;          /* as decided_by */
    const char *moved_to;    /* who gets the message instead, joined with ", " */
    const char *added_for;   /* it was no recipient: whose rule, or removal, brought it in */
};
MW_LIST_TYPE(mw_fates, struct mw_fate);

struct mw_report {
    struct mw_arena *arena; /* owned: mw_report_free frees it */

    const char *id;       /* UUIDv7 */
    const char *received; /* when we saw it, RFC 3339 UTC with milliseconds */
    const char *source;   /* file it came from, for scans from the command line */
    struct mw_client client;
    struct mw_daemon_facts daemon;
    const char *helo;
    struct mw_tls tls;
    struct mw_auth auth;
    const char *queue_id;
    struct mw_envelope envelope;

    struct mw_headers headers;
    struct mw_addresses from, sender, reply_to, to, cc, bcc;
    const char *subject;
    const char *date;       /* RFC 3339 */
    const char *date_given; /* as written */
    const char *message_id; /* without angle brackets */
    struct mw_texts in_reply_to, references;
    struct mw_hops hops;

    int64_t size;
    const char *md5, *sha1, *sha256, *sha512;

    const char *body;
    const char *body_html;
    struct mw_text_parts text_parts;

    struct mw_flags new_values; /* "new" in JSON */
    struct mw_indicators indicators;
    struct mw_attachments attachments;
    struct mw_findings findings; /* about the message as a whole */
    enum mw_verdict verdict;
    struct mw_engines engines;  /* that were asked */
    struct mw_texts unscanned;  /* reasons why something was not scanned */
    enum mw_action action;      /* what was done */
    enum mw_action intended;    /* what would have been done, when only observing */
    const char *decided_by;     /* "policy.NAME", "milter.malicious", "failure.timed_out" */
    struct mw_fates recipients; /* all of the envelope's, and those that were added */
    struct mw_problems errors;
    struct mw_numbers timings; /* microseconds */
};

/* A new empty report with its own arena. Freed by mw_report_free. */
struct mw_report *mw_report_new(void);
void mw_report_free(struct mw_report *report);

/* Sets received to this moment (RFC 3339). */
void mw_report_received_now(struct mw_report *report);

/*
 * Records a problem, at most limits->errors of them (one last entry then says
 * "limit.errors"). place may be NULL; the detail is cleaned.
 */
void mw_report_problem(struct mw_report *report, const struct mw_limits *limits,
                       enum mw_problem_kind kind, const char *place, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether a recipient fared otherwise than the message as a whole. */
bool mw_fate_differs(const struct mw_report *report, const struct mw_fate *fate);

/* Those that did, for people: "bob@x=reject by policy.p, moved to watch@x", with separator between
 * them; "" for none. In arena, at most 4096 bytes: then "..." follows. */
const char *mw_fates_text(struct mw_arena *arena, const struct mw_report *report,
                          const char *separator);

/* All recipients fare as the message does by now, and none was added. */
void mw_fates_follow(struct mw_report *report);

/* The worst that findings make of what they are about; MW_CLEAN for none. */
enum mw_verdict mw_verdict_of_findings(const struct mw_findings *findings);

/* The first value of a header, names compared without case; NULL if absent. */
const char *mw_report_header(const struct mw_report *report, const char *name);

enum mw_json_form { MW_JSON_LINE, MW_JSON_PRETTY };

/* The report as JSON text, no newline at its end; free() it. NULL with error
 * only when the report breaks its own rules (text that is not UTF-8). */
char *mw_report_to_json(const struct mw_report *report, enum mw_json_form form,
                        struct mw_error *error);

/* Engines as a JSON list, as they stand in a report; free() it. */
char *mw_engines_to_json(const struct mw_engines *engines);

/* Findings in the same way; and read back into a list, with all that mw_report_from_json checks. */
char *mw_findings_to_json(const struct mw_findings *findings);
int mw_findings_from_json(struct mw_arena *arena, struct mw_bytes json,
                          struct mw_findings *findings, struct mw_error *error);

/*
 * Reads a report back. Everything is checked: unknown, missing or mistyped
 * fields, a header list that does not add up, and anything after the object
 * are MW_ERR_FORMAT with the field named. NULL on error.
 */
struct mw_report *mw_report_from_json(struct mw_bytes json, struct mw_error *error);

#endif
