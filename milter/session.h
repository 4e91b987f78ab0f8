/*
 * session: what is known of a connection and of its message under way. One owner:
 * the connection frees its message, and whoever made the connection frees that.
 * Knows nothing of libmilter. One thread at a time uses a session.
 */
#ifndef MW_MILTER_SESSION_H
#define MW_MILTER_SESSION_H

#include "core/arena.h"
#include "core/report.h"
#include "milter/intake.h"
#include "milter/reply.h"
#include "milter/snapshot.h"

/* Facts that hold from one message to the next; texts are valid UTF-8 or NULL. */
enum mw_client_fact {
    MW_CLIENT_NAME,    /* "unknown" when it has none that is verified */
    MW_CLIENT_ADDRESS, /* without brackets; NULL for a local client */
    MW_CLIENT_PTR,     /* {client_ptr} */
    MW_CLIENT_HELO,
    MW_CLIENT_DAEMON_NAME, /* {daemon_name} */
    MW_CLIENT_DAEMON_ADDRESS,
    MW_CLIENT_FACTS
};

/* A message from its MAIL command on. */
struct mw_message {
    struct mw_arena *arena;       /* of all texts below */
    struct mw_snapshot *snapshot; /* the configuration it is treated by; a use of its own */
    struct mw_intake *intake;
    int64_t started_us; /* monotonic */
    char id[37];
    const char *queue_id; /* NULL until it is known */
    const char *from;     /* without angle brackets; "" is the null sender */
    struct mw_texts from_arguments;
    struct mw_texts to; /* without angle brackets; limits.recipients of them */
    size_t recipients;  /* how many there were */
    struct mw_rcpts to_arguments;
    struct mw_tls tls;
    struct mw_auth auth;
    bool repeated;              /* met its failure too often to be put off once more */
    bool smtputf8;              /* an argument of MAIL (RFC 6531) */
    struct mw_arrived *arrived; /* header fields that a reply may have to remove */
};

struct mw_session {
    char *facts[MW_CLIENT_FACTS];     /* owned */
    int64_t client_port, daemon_port; /* 0 when not known */
    bool negotiated;                  /* no answers are wanted before the end of a message */
    bool leading_space;               /* header values come with their leading blanks */
    bool no_more_body;                /* what is skipped need not be sent */
    struct mw_message *message;       /* owned; NULL between messages */
};

struct mw_session *mw_session_new(void);

/* Frees it with its message. NULL allowed. */
void mw_session_free(struct mw_session *session);

/* Remembers a fact; text is cleaned and cut. NULL or "" forgets it. */
void mw_session_set(struct mw_session *session, enum mw_client_fact fact, const char *text);

/*
 * Begins a message; one that was under way is dropped. arguments is what MAIL was
 * given: the address first, then ESMTP parameters, NULL at the end. Takes over the
 * use of snapshot.
 */
struct mw_message *mw_session_begin(struct mw_session *session, struct mw_snapshot *snapshot,
                                    struct mw_admission *admission, char **arguments);

/* One more recipient, as RCPT gave it. Beyond limits.recipients they are counted only, which
 * makes the message unscanned: rules for recipients were not asked about those. */
void mw_message_recipient(struct mw_message *message, char **arguments);

/* One header field, as libmilter gave it. */
void mw_message_header(const struct mw_session *session, const char *name, const char *value);

/* Drops the message under way, if there is one. */
void mw_session_end_message(struct mw_session *session);

/* Fills in what a report cannot know: id, received, client, daemon, helo, tls, auth,
 * queue_id, envelope. */
void mw_session_describe(const struct mw_session *session, struct mw_report *report);

/* Text from outside, valid UTF-8, one line, at most 1024 bytes; NULL and "" give NULL. */
const char *mw_session_text(struct mw_arena *arena, const char *text);

/* A number from outside, at most this large; 0 for anything else, NULL included. */
int64_t mw_session_number(const char *text, int64_t most);

#endif
