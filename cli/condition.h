/*
 * condition: which messages are meant, as search and export are told, and finding them:
 * through the store's indexes as far as they go, then by looking at the messages. Needs
 * memory for a page only.
 */
#ifndef MW_CLI_CONDITION_H
#define MW_CLI_CONDITION_H

#include <getopt.h>

#include "store/query.h"

enum mw_condition_field {
    MW_CONDITION_FROM = 2000,
    MW_CONDITION_ENVELOPE_FROM,
    MW_CONDITION_TO,
    MW_CONDITION_SUBJECT,
    MW_CONDITION_FILENAME,
    MW_CONDITION_SHA256,
    MW_CONDITION_MD5,
    MW_CONDITION_TYPE,
    MW_CONDITION_VERDICT,
    MW_CONDITION_RULE,
    MW_CONDITION_SIGNATURE,
    MW_CONDITION_URL_HOST,
    MW_CONDITION_CLIENT,
    MW_CONDITION_QUEUE_ID,
    MW_CONDITION_MESSAGE_ID,
    MW_CONDITION_SINCE,
    MW_CONDITION_UNTIL
};

#define MW_CONDITION_TIMES                                                                         \
    {"since", required_argument, NULL, MW_CONDITION_SINCE},                                        \
    {                                                                                              \
        "until", required_argument, NULL, MW_CONDITION_UNTIL                                       \
    }
#define MW_CONDITION_OPTIONS                                                                       \
    {"from", required_argument, NULL, MW_CONDITION_FROM},                                          \
        {"envelope-from", required_argument, NULL, MW_CONDITION_ENVELOPE_FROM},                    \
        {"to", required_argument, NULL, MW_CONDITION_TO},                                          \
        {"subject", required_argument, NULL, MW_CONDITION_SUBJECT},                                \
        {"filename", required_argument, NULL, MW_CONDITION_FILENAME},                              \
        {"sha256", required_argument, NULL, MW_CONDITION_SHA256},                                  \
        {"md5", required_argument, NULL, MW_CONDITION_MD5},                                        \
        {"type", required_argument, NULL, MW_CONDITION_TYPE},                                      \
        {"verdict", required_argument, NULL, MW_CONDITION_VERDICT},                                \
        {"rule", required_argument, NULL, MW_CONDITION_RULE},                                      \
        {"signature", required_argument, NULL, MW_CONDITION_SIGNATURE},                            \
        {"url-host", required_argument, NULL, MW_CONDITION_URL_HOST},                              \
        {"client", required_argument, NULL, MW_CONDITION_CLIENT},                                  \
        {"queue-id", required_argument, NULL, MW_CONDITION_QUEUE_ID},                              \
        {"message-id", required_argument, NULL, MW_CONDITION_MESSAGE_ID}, MW_CONDITION_TIMES
#define MW_CONDITION_USAGE                                                                         \
    "  --from WHO       From: an address, a domain, or a pattern as in '*@example.com'\n"          \
    "  --envelope-from WHO\n"                                                                      \
    "                   the sender in MAIL FROM; '' is the null sender\n"                          \
    "  --to WHO         a recipient: To, Cc or RCPT TO\n"                                          \
    "  --subject TEXT   a part of the subject, or a pattern for all of it\n"                       \
    "  --filename NAME  of an attachment, or a pattern as in '*.exe'\n"                            \
    "  --sha256 HASH, --md5 HASH\n"                                                                \
    "                   of an attachment\n"                                                        \
    "  --type TYPE      of an attachment: application/pdf, a part of it, or a pattern\n"           \
    "  --verdict V      clean, suspicious, malicious, unscanned\n"                                 \
    "  --rule NAME, --signature NAME\n"                                                            \
    "                   that found something: of YARA, or of another scanner\n"                    \
    "  --url-host HOST  of a link\n"                                                               \
    "  --client ADDRESS of the host that sent it: an address, a network, or a pattern\n"           \
    "  --queue-id ID, --message-id ID\n"                                                           \
    "  --since TIME, --until TIME\n"                                                               \
    "                   \"2 hours ago\", yesterday, 2026-11-01, \"2026-11-01 14:05\", 7d\n"

struct mw_conditions;

/* arena (borrowed) must live as long. */
struct mw_conditions *mw_conditions_new(struct mw_arena *arena);

/* Takes an option; 1 when it was a condition, 0 when it is another, or MW_ERR_INPUT. */
int mw_conditions_option(struct mw_conditions *conditions, int option, const char *value,
                         struct mw_error *error);

/* Whether any was given. */
bool mw_conditions_any(const struct mw_conditions *conditions);

/* The bounds in milliseconds since 1970; 0: none. */
int64_t mw_conditions_since(const struct mw_conditions *conditions);
int64_t mw_conditions_until(const struct mw_conditions *conditions);

struct mw_finder;

/* Messages that fulfil all conditions (both borrowed), newest first. NULL with error. */
struct mw_finder *mw_finder_new(struct mw_query *query, struct mw_conditions *conditions,
                                struct mw_error *error);
void mw_finder_free(struct mw_finder *finder);

/* The next ones, at most `most`, in arena: 1, or 0 when there are no more. */
int mw_finder_next(struct mw_finder *finder, struct mw_arena *arena, size_t most,
                   struct mw_hits *hits, struct mw_error *error);

/* How many there are, when that is known without looking at all of them; else -1. */
int64_t mw_finder_count(const struct mw_finder *finder);

#endif
