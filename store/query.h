/*
 * query: reading what the store wrote: messages, attachments, searches, events, counts.
 *
 * One thread uses a query. What is returned lies in the arena given, so that a caller who
 * takes a new arena for each page needs little memory for any number of pages.
 * Functions return 0 or a negative code: MW_ERR_MISSING when the thing is not there (any
 * more), MW_ERR_BUSY, MW_ERR_TIMEOUT or MW_ERR_SYSTEM when Redis is the matter.
 */
#ifndef MW_STORE_QUERY_H
#define MW_STORE_QUERY_H

#include "core/report.h"
#include "store/schema.h"
#include "store/settings.h"

struct mw_query;

/* Connects; settings are borrowed until mw_query_free. NULL when Redis is not reachable. */
struct mw_query *mw_query_new(const struct mw_store_settings *settings, struct mw_error *error);
void mw_query_free(struct mw_query *query);

/* A fact: a name and a text, in the order Redis has them. */
struct mw_fact {
    const char *name, *value;
};
MW_LIST_TYPE(mw_facts, struct mw_fact);

/* The value of a fact, or NULL. */
const char *mw_fact_value(const struct mw_facts *facts, const char *name);

/*
 * The findings among the facts of a message, an attachment or an event, as findings_json has
 * them; in a store of version 1 what the text in `findings`, which is cut at 1000 bytes, tells.
 * path (may be NULL) is given to those without one. Those that the list has already are left
 * out.
 */
void mw_facts_findings(struct mw_arena *arena, const struct mw_facts *facts, const char *path,
                       struct mw_findings *findings);

/* --- messages ------------------------------------------------------------------------- */

/* The ids of the messages that text names, newest first, at most `most`: our id, a queue
 * id, or a Message-ID with or without angle brackets. */
int mw_query_resolve(struct mw_query *query, struct mw_arena *arena, const char *text, size_t most,
                     struct mw_texts *ids, struct mw_error *error);

/* The facts of many messages in one flight: facts[i] of ids[i], empty when it is not there
 * any more. The report is not among them. */
int mw_query_facts(struct mw_query *query, struct mw_arena *arena, const struct mw_texts *ids,
                   struct mw_facts *facts, struct mw_error *error);

/* The report as JSON text, and as a report that the caller frees (without the bytes of its
 * attachments; verdict and findings are those of the first scan). */
int mw_query_json(struct mw_query *query, struct mw_arena *arena, const char *id,
                  struct mw_bytes *json, struct mw_error *error);
struct mw_report *mw_query_report(struct mw_query *query, const char *id, struct mw_error *error);

/* The SHA-256 of its attachments, in order. */
int mw_query_attachments_of(struct mw_query *query, struct mw_arena *arena, const char *id,
                            struct mw_texts *hashes, struct mw_error *error);

/* --- senders ----------------------------------------------------------------------------- */

/* first_seen and last_seen of the sender of From, as RFC 3339 in UTC. */
int mw_query_sender(struct mw_query *query, struct mw_arena *arena, const char *address,
                    struct mw_facts *facts, struct mw_error *error);

/*
 * Addresses of senders of whom mail was accepted, page by page: cursor is "0" before the first.
 * 1 while there may be more, 0 after the last. A sender may come twice; those whose address
 * is so long that its key has only a part of it do not.
 */
enum { MW_CURSOR_SIZE = 24 };
int mw_query_senders(struct mw_query *query, struct mw_arena *arena, char cursor[MW_CURSOR_SIZE],
                     struct mw_texts *addresses, struct mw_error *error);

/* --- attachments -------------------------------------------------------------------------- */

/* name, type, size, md5, sha1, verdict, findings, scanned, first_seen, last_seen, ... */
int mw_query_attachment(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                        struct mw_facts *facts, struct mw_error *error);

/* All names it came under, sorted. */
int mw_query_names(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                   struct mw_texts *names, struct mw_error *error);

/* Its bytes as they were in the mail; MW_ERR_MISSING also when only the facts are kept. */
int mw_query_data(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                  struct mw_bytes *bytes, struct mw_error *error);

/*
 * The bytes that those of the attachment can be unpacked from, when they are not kept
 * themselves: *holder is the SHA-256 of what has them (the attachment's own, when its bytes
 * are kept after all), its facts in facts. MW_ERR_MISSING when they are nowhere.
 */
int mw_query_holder(struct mw_query *query, struct mw_arena *arena, const char *sha256,
                    const char **holder, struct mw_facts *facts, struct mw_bytes *bytes,
                    struct mw_error *error);

/* --- searching -------------------------------------------------------------------------------- */

/* One condition: an index and a value as a person writes it. With MW_SEARCH_ATTACHMENT the
 * value is an attachment's SHA-256. */
enum { MW_SEARCH_ATTACHMENT = MW_INDEX_COUNT };
struct mw_search_term {
    int index; /* enum mw_index or MW_SEARCH_ATTACHMENT */
    const char *value;
};
MW_LIST_TYPE(mw_search_terms, struct mw_search_term);

struct mw_hit {
    const char *id;  /* of a message, or an attachment's SHA-256 */
    int64_t time_ms; /* since 1970 */
};
MW_LIST_TYPE(mw_hits, struct mw_hit);

struct mw_search;

/* Messages that fulfil all terms (none: all messages), from since_ms to until_ms
 * inclusive (0: no bound), newest first. */
struct mw_search *mw_search_new(struct mw_query *query, const struct mw_search_terms *terms,
                                int64_t since_ms, int64_t until_ms, struct mw_error *error);

/* Attachments by the time they were seen last, newest first. */
struct mw_search *mw_search_attachments(struct mw_query *query, int64_t since_ms, int64_t until_ms,
                                        struct mw_error *error);
void mw_search_free(struct mw_search *search);

/* The next hits, at most `most`: 1, or 0 when there are no more. */
int mw_search_next(struct mw_search *search, struct mw_arena *arena, size_t most,
                   struct mw_hits *hits, struct mw_error *error);

/* How many there are: exact for at most one term, else an upper bound. */
int64_t mw_search_count(const struct mw_search *search);

/* --- events and counts
 * ---------------------------------------------------------------------------- */

struct mw_event {
    const char *id; /* of the stream's entry */
    struct mw_facts facts;
};
MW_LIST_TYPE(mw_events, struct mw_event);

/* Events after the entry `after` ("0" from the beginning), oldest first, at most `most`;
 * waits up to wait_ms (0: not) for one. None is no error. */
int mw_query_events(struct mw_query *query, struct mw_arena *arena, const char *after, size_t most,
                    unsigned wait_ms, struct mw_events *events, struct mw_error *error);

/* The latest events, oldest first. */
int mw_query_last_events(struct mw_query *query, struct mw_arena *arena, size_t most,
                         struct mw_events *events, struct mw_error *error);

struct mw_query_counts {
    uint64_t messages, attachments, events, keys;
    uint64_t verdicts[MW_VERDICTS];   /* by enum mw_verdict */
    uint64_t memory_used, memory_max; /* bytes; max 0: no bound */
    char version[32];                 /* of Redis */
};
int mw_query_counts(struct mw_query *query, struct mw_query_counts *counts, struct mw_error *error);

/* --- writing back
 * ---------------------------------------------------------------------------------- */

/*
 * Writes what a later scan found of an attachment (sha256, verdict, findings, unscanned):
 * its facts are replaced, its messages are raised to the verdict when theirs is lower, get
 * the findings' names into the indexes rule and signature, and the fact "rescanned". Each of
 * them is one script, so that what goes meanwhile is not begun anew; repeating it changes
 * nothing.
 * when is RFC 3339, UTC, with milliseconds. *raised (may be NULL) counts messages.
 */
int mw_query_rescanned(struct mw_query *query, const struct mw_attachment *attachment,
                       const char *when, uint64_t *raised, struct mw_error *error);

#endif
