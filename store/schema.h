/*
 * schema: a report as Redis keeps it (doc/redis-schema.md): names of keys, values of
 * indexes, and the commands that write a message. Writing a message twice changes
 * nothing. Needs Redis 7.
 */
#ifndef MW_STORE_SCHEMA_H
#define MW_STORE_SCHEMA_H

#include "core/report.h"
#include "store/flight.h"
#include "store/settings.h"
#include "store/squeeze.h"

/*
 * The version of what is in Redis, as the key PREFIX schema has it; a store without that key
 * is of version 1. Each change of keys or their fields raises it, with a row in
 * doc/redis-schema.md, and `mailwitness store upgrade` brings older stores to it. An older
 * store is written as it is until then.
 *
 *     2  findings_json; data tells also what holds the bytes
 *     3  recipients
 *     4  of attachments: opened, not_opened
 */
enum { MW_SCHEMA_VERSION = 4 };

/* What decided (the report's decided_by) when the mail server did not take the answer. Such a
 * report is saved a second time, and in whatever order both come its action is the one kept. */
#define MW_DECIDED_ANEW "reply.refused"

/* Names an attachment is known by at most. */
enum { MW_SCHEMA_NAMES = 1000 };

/* Indexes a message belongs in at most, half of it in those of one field. */
enum { MW_SCHEMA_INDEXES = 2000 };

/* The script that commands refer to: it must be loaded before they are sent. */
extern const char mw_schema_script[];

/* Fields that messages can be searched by. */
enum mw_index {
    MW_INDEX_FROM,
    MW_INDEX_TO,
    MW_INDEX_ENVELOPE_FROM,
    MW_INDEX_DOMAIN,
    MW_INDEX_CLIENT,
    MW_INDEX_FILENAME,
    MW_INDEX_URL_HOST,
    MW_INDEX_RULE,
    MW_INDEX_SIGNATURE,
    MW_INDEX_VERDICT,
    MW_INDEX_QUEUE_ID,
    MW_INDEX_MESSAGE_ID,
    MW_INDEX_COUNT
};

/* "from", "to", "envelope-from", ... and back; -1 for an unknown name. */
const char *mw_index_name(enum mw_index index);
int mw_index_from_name(const char *name);

/*
 * A value as indexes have it: ASCII letters lower case (but for rule, signature, queue-id
 * and message-id), white space trimmed; one above 160 bytes is its first 80 bytes, "~",
 * and the first 32 hexadecimal digits of its SHA-256. In arena.
 */
const char *mw_index_value(struct mw_arena *arena, enum mw_index index, const char *text);

/* PREFIX index:FIELD:VALUE, for a value as mw_index_value gives it. */
const char *mw_index_key(struct mw_arena *arena, const char *prefix, enum mw_index index,
                         const char *value);

/* Size from which attachments are asked for before they are sent. */
enum { MW_SCHEMA_LARGE = 32768 };

/* A message on its way into Redis. */
struct mw_schema_message {
    const struct mw_store_settings *settings;
    const char *script_hash; /* SHA-1 of mw_schema_script, hexadecimal */
    const struct mw_report *report;
    int64_t time_ms;            /* of its id */
    int64_t now_ms;             /* by the older of our clock and Redis'; 0: by ours */
    unsigned version;           /* of the store; 0: the newest */
    struct mw_bytes json;       /* the report, in a zstd frame or plain */
    const bool *known;          /* by attachment: Redis has its bytes; NULL: not known of any */
    const char *const *holders; /* mw_schema_holders */
};

/*
 * Which attachments' bytes are not kept, as the message would have more of them than
 * settings->message_data_max: by attachment the SHA-256 of what it was unpacked from, the
 * outermost whose bytes are kept; "" where there is none, so that only its facts are kept;
 * NULL for one that is kept. Those that were attached as they are always are, up to data_max.
 * NULL when all are kept. Told by the report alone, so that a repetition does the same.
 */
const char *const *mw_schema_holders(struct mw_arena *arena,
                                     const struct mw_store_settings *settings,
                                     const struct mw_report *report);

/* The version that the key PREFIX schema names; MW_ERR_FORMAT when we do not know it. */
int mw_schema_version(const char *text, unsigned *version, struct mw_error *error);

/* Fills in time_ms; MW_ERR_INPUT when the report's id is none of ours. */
int mw_schema_check(struct mw_schema_message *message, struct mw_error *error);

/* Whether the time that the message is to be kept is over already, after mw_schema_check. */
bool mw_schema_is_past(const struct mw_schema_message *message);

/* The attachments whose bytes are worth asking for first: a command each. */
bool mw_schema_asks(const struct mw_schema_message *message, size_t index);
void mw_schema_ask(struct mw_flight *flight, struct mw_arena *arena,
                   const struct mw_store_settings *settings, const struct mw_attachment *one);

/* All commands that write the message; squeezer is for the bytes of attachments. */
void mw_schema_write(struct mw_flight *flight, struct mw_arena *arena,
                     const struct mw_schema_message *message, struct mw_squeezer *squeezer);

/* The facts of the message's hash that come from its report and never change: names and
 * values in turn, *count words in all; in arena. */
const struct mw_bytes *mw_schema_facts(struct mw_arena *arena,
                                       const struct mw_schema_message *message, size_t *count);

/* The same of an attachment of the message: of its hash, as this message would begin it. */
const struct mw_bytes *mw_schema_part_facts(struct mw_arena *arena,
                                            const struct mw_schema_message *message, size_t index,
                                            size_t *count);

/* The keys of all indexes the message belongs in, but for its verdict's; sorted, each
 * once; in arena. */
const struct mw_texts *mw_schema_index_keys(struct mw_arena *arena, const char *prefix,
                                            const struct mw_report *report);

/* "yara/Rule=malicious, clamav/Eicar=malicious": findings in one line. */
const char *mw_schema_findings(struct mw_arena *arena, const struct mw_findings *findings);

/* Seconds that index entries are kept; 0: for ever. */
unsigned mw_schema_keep_indexes(const struct mw_store_settings *settings);

#endif
