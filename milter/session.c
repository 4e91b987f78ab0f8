/* session: texts from outside are cleaned once, here. */
#include "milter/session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/utf8.h"
#include "parsers/parse.h"

enum { TEXT_MAX = 1024, ARGUMENTS_MAX = 64 };

const char *mw_session_text(struct mw_arena *arena, const char *text)
{
    if (!text)
        return NULL;
    struct mw_bytes bytes = mw_bytes_of(text);
    bytes.size = mw_utf8_cut(bytes, TEXT_MAX);
    return mw_utf8_clean_line(arena, bytes, NULL);
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
    const char *clean = mw_session_text(arena, text);
    free(session->facts[fact]);
    session->facts[fact] = clean ? strdup(clean) : NULL;
    mw_arena_free(arena);
}

/* An address of MAIL or RCPT without its angle brackets. */
static const char *address_text(struct mw_arena *arena, const char *argument)
{
    const char *text = mw_session_text(arena, argument ? argument : "");
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '<' && text[length - 1] == '>')
        return mw_arena_dup_bytes(arena, text + 1, length - 2);
    return text;
}

static void take_arguments(struct mw_message *message, char **arguments)
{
    message->from = address_text(message->arena, arguments[0]);
    for (size_t i = 1; arguments[0] && arguments[i] && i <= ARGUMENTS_MAX; i++) {
        const char *argument = mw_session_text(message->arena, arguments[i]);
        mw_texts_add(message->arena, &message->from_arguments, argument);
        if (strcasecmp(argument, "SMTPUTF8") == 0)
            message->smtputf8 = true;
    }
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
    mw_texts_add(message->arena, &message->to, address_text(message->arena, arguments[0]));
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

void mw_session_describe(const struct mw_session *session, struct mw_report *report)
{
    const struct mw_message *message = session->message;
    struct mw_arena *arena = report->arena;
    report->id = mw_arena_dup(arena, message->id);
    mw_report_received_now(report);
    report->client.name = mw_arena_dup(arena, session->facts[MW_CLIENT_NAME]);
    report->client.address = mw_arena_dup(arena, session->facts[MW_CLIENT_ADDRESS]);
    report->helo = mw_arena_dup(arena, session->facts[MW_CLIENT_HELO]);
    report->queue_id = mw_arena_dup(arena, message->queue_id);
    report->envelope.from = mw_arena_dup(arena, message->from);
    report->envelope.to = (struct mw_texts){0};
    for (size_t i = 0; i < message->to.count; i++)
        mw_texts_add(arena, &report->envelope.to, mw_arena_dup(arena, message->to.items[i]));
}
