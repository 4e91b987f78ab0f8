/* session: texts from outside are cleaned once, here. */
#include "milter/session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/utf8.h"
#include "parsers/parse.h"

enum { TEXT_MAX = 1024, MAIL_ARGUMENTS = 64, RCPT_ARGUMENTS = 8 };

static const char *clean(struct mw_arena *arena, const char *text)
{
    struct mw_bytes bytes = mw_bytes_of(text);
    bytes.size = mw_utf8_cut(bytes, TEXT_MAX);
    return mw_utf8_clean_line(arena, bytes, NULL);
}

const char *mw_session_text(struct mw_arena *arena, const char *text)
{
    return text && *text ? clean(arena, text) : NULL;
}

int64_t mw_session_number(const char *text, int64_t most)
{
    int64_t number = 0;
    if (!text)
        return 0;
    for (; *text >= '0' && *text <= '9' && number <= most; text++)
        number = number * 10 + (*text - '0');
    return *text == '\0' && number <= most ? number : 0;
}

struct mw_session *mw_session_new(void)
{
    return calloc(1, sizeof(struct mw_session));
}

void mw_session_free(struct mw_session *session)
{
    if (!session)
        return;
    mw_session_end_message(session);
    for (size_t i = 0; i < MW_CLIENT_FACTS; i++)
        free(session->facts[i]);
    free(session);
}

void mw_session_set(struct mw_session *session, enum mw_client_fact fact, const char *text)
{
    const char *kept = session->facts[fact];
    if (kept && text && strcmp(kept, text) == 0)
        return;
    struct mw_arena *arena = mw_arena_new();
    const char *cleaned = mw_session_text(arena, text);
    free(session->facts[fact]);
    session->facts[fact] = cleaned ? strdup(cleaned) : NULL;
    mw_arena_free(arena);
}

/* An address of MAIL or RCPT without its angle brackets. */
static const char *address_text(struct mw_arena *arena, const char *argument)
{
    const char *text = clean(arena, argument ? argument : "");
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '<' && text[length - 1] == '>')
        return mw_arena_dup_bytes(arena, text + 1, length - 2);
    return text;
}

/* The ESMTP parameters behind an address, at most so many. */
static struct mw_texts parameters(struct mw_arena *arena, char **arguments, size_t most)
{
    struct mw_texts texts = {0};
    for (size_t i = 1; arguments[0] && arguments[i] && i <= most; i++)
        mw_texts_add(arena, &texts, clean(arena, arguments[i]));
    return texts;
}

static void take_arguments(struct mw_message *message, char **arguments)
{
    message->from = address_text(message->arena, arguments[0]);
    message->from_arguments = parameters(message->arena, arguments, MAIL_ARGUMENTS);
    for (size_t i = 0; i < message->from_arguments.count; i++)
        if (strcasecmp(message->from_arguments.items[i], "SMTPUTF8") == 0)
            message->smtputf8 = true;
}

struct mw_message *mw_session_begin(struct mw_session *session, struct mw_snapshot *snapshot,
                                    struct mw_admission *admission, char **arguments)
{
    mw_session_end_message(session);
    struct mw_arena *arena = mw_arena_new();
    struct mw_message *message = mw_arena_alloc(arena, sizeof *message);
    message->arena = arena;
    message->snapshot = snapshot;
    message->started_us = mw_clock_us();
    message->intake = mw_intake_new(mw_snapshot_config(snapshot)->limits.message_size, admission);
    message->arrived = mw_arrived_new(arena);
    take_arguments(message, arguments);
    session->message = message;
    return message;
}

void mw_message_recipient(struct mw_message *message, char **arguments)
{
    const struct mw_limits *limits = &mw_snapshot_config(message->snapshot)->limits;
    if (message->recipients++ >= limits->recipients)
        return;
    const char *address = address_text(message->arena, arguments[0]);
    struct mw_texts texts = parameters(message->arena, arguments, RCPT_ARGUMENTS);
    mw_texts_add(message->arena, &message->to, address);
    if (texts.count == 0)
        return;
    struct mw_rcpt *recipient =
        mw_list_add(message->arena, &message->to_arguments, sizeof *message->to_arguments.items);
    *recipient = (struct mw_rcpt){address, texts};
}

void mw_message_header(const struct mw_session *session, const char *name, const char *value)
{
    struct mw_message *message = session->message;
    mw_arrived_note(message->arrived, mw_snapshot_policy(message->snapshot), name, value);
    mw_intake_header(message->intake, name, value, session->leading_space);
}

void mw_session_end_message(struct mw_session *session)
{
    struct mw_message *message = session->message;
    if (!message)
        return;
    session->message = NULL;
    mw_intake_free(message->intake);
    mw_snapshot_release(message->snapshot);
    mw_arena_free(message->arena);
}

static struct mw_texts copy_texts(struct mw_arena *arena, const struct mw_texts *from)
{
    struct mw_texts to = {0};
    for (size_t i = 0; i < from->count; i++)
        mw_texts_add(arena, &to, mw_arena_dup(arena, from->items[i]));
    return to;
}

static void describe_envelope(const struct mw_message *message, struct mw_report *report)
{
    struct mw_arena *arena = report->arena;
    struct mw_envelope *envelope = &report->envelope;
    *envelope = (struct mw_envelope){
        .from = mw_arena_dup(arena, message->from),
        .from_arguments = copy_texts(arena, &message->from_arguments),
        .to = copy_texts(arena, &message->to),
    };
    for (size_t i = 0; i < message->to_arguments.count; i++) {
        const struct mw_rcpt *from = &message->to_arguments.items[i];
        struct mw_rcpt *to =
            mw_list_add(arena, &envelope->to_arguments, sizeof *envelope->to_arguments.items);
        to->address = mw_arena_dup(arena, from->address);
        to->arguments = copy_texts(arena, &from->arguments);
    }
}

/* Who is not known cannot be thought of by rules: the message is not what it would be. */
static void describe_rest(const struct mw_message *message, struct mw_report *report)
{
    const struct mw_limits *limits = &mw_snapshot_config(message->snapshot)->limits;
    if (message->recipients <= message->to.count)
        return;
    mw_report_problem(report, limits, MW_PROBLEM_LIMIT_RECIPIENTS, NULL,
                      "the message has %zu recipients, the first %zu are kept", message->recipients,
                      message->to.count);
    report->verdict = mw_verdict_worse(report->verdict, MW_UNSCANNED);
    mw_texts_add(report->arena, &report->unscanned,
                 mw_problem_row(MW_PROBLEM_LIMIT_RECIPIENTS)->name);
}

static void describe_client(const struct mw_session *session, struct mw_report *report)
{
    struct mw_arena *arena = report->arena;
    report->client = (struct mw_client){
        .name = mw_arena_dup(arena, session->facts[MW_CLIENT_NAME]),
        .ptr = mw_arena_dup(arena, session->facts[MW_CLIENT_PTR]),
        .address = mw_arena_dup(arena, session->facts[MW_CLIENT_ADDRESS]),
        .port = session->client_port,
    };
    report->daemon = (struct mw_daemon_facts){
        .name = mw_arena_dup(arena, session->facts[MW_CLIENT_DAEMON_NAME]),
        .address = mw_arena_dup(arena, session->facts[MW_CLIENT_DAEMON_ADDRESS]),
        .port = session->daemon_port,
    };
    report->helo = mw_arena_dup(arena, session->facts[MW_CLIENT_HELO]);
}

static void describe_login(const struct mw_message *message, struct mw_report *report)
{
    struct mw_arena *arena = report->arena;
    report->tls = (struct mw_tls){
        .version = mw_arena_dup(arena, message->tls.version),
        .cipher = mw_arena_dup(arena, message->tls.cipher),
        .cipher_bits = message->tls.cipher_bits,
        .cert_subject = mw_arena_dup(arena, message->tls.cert_subject),
        .cert_issuer = mw_arena_dup(arena, message->tls.cert_issuer),
    };
    report->auth = (struct mw_auth){
        .name = mw_arena_dup(arena, message->auth.name),
        .type = mw_arena_dup(arena, message->auth.type),
        .author = mw_arena_dup(arena, message->auth.author),
    };
}

void mw_session_describe(const struct mw_session *session, struct mw_report *report)
{
    const struct mw_message *message = session->message;
    report->id = mw_arena_dup(report->arena, message->id);
    mw_report_received_now(report);
    report->queue_id = mw_arena_dup(report->arena, message->queue_id);
    describe_client(session, report);
    describe_login(message, report);
    describe_envelope(message, report);
    describe_rest(message, report);
}
