/* callbacks: negotiate what is needed, gather, and answer once, at the end. */
#include "milter/callbacks.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "milter/engine.h"
#include "milter/frame.h"
#include "milter/reader.h"
#include "milter/verdict.h"
#include "parsers/parse.h"

enum { MOST_PORT = 65535, MOST_BITS = 65536 };
enum { PROGRESS_US = 10000000, NUDGE_MS = 20, NUDGE_MOST_MS = 2000 };

/* Set once, before libmilter has threads: it gives callbacks no pointer of ours. */
static struct mw_daemon *the_daemon;

/* How many wait for a scan. */
static atomic_uint waiting;

/*
 * Every callback gets its session here: the one that the connection has, or a new one, as
 * a client need not negotiate before it says anything else. NULL when there is no memory
 * for it: the answer is to come again.
 */
static struct mw_session *session_of(SMFICTX *context)
{
    mw_engine_heard();
    struct mw_session *session = smfi_getpriv(context);
    if (session)
        return session;
    session = mw_session_new();
    if (!session || smfi_setpriv(context, session) != MI_SUCCESS) {
        mw_session_free(session);
        return NULL;
    }
    atomic_fetch_add(&the_daemon->counters.connections, 1);
    atomic_fetch_add(&the_daemon->counters.connections_open, 1);
    return session;
}

/* For the steps before the end: no answer where that was agreed on. */
static sfsistat go_on(const struct mw_session *session)
{
    return session->negotiated ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Macros by a name that libmilter does not take as const. */
static const char *macro(SMFICTX *context, const char *name)
{
    return smfi_getsymval(context, (char *)(uintptr_t)name);
}

static void ask_for_macros(SMFICTX *context)
{
    static const struct {
        int stage;
        const char *names;
    } wanted[] = {
        {SMFIM_CONNECT, "{client_ptr} {daemon_name} {daemon_addr} {daemon_port}"},
        {SMFIM_HELO, "{tls_version}"}, /* not used: see on_mail */
        {SMFIM_ENVFROM, "{auth_authen} {auth_type} {auth_author} {tls_version} {cipher} "
                        "{cipher_bits} {cert_subject} {cert_issuer}"},
        {SMFIM_ENVRCPT, "{rcpt_addr}"}, /* not used: the least there can be */
        {SMFIM_EOM, "i"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        smfi_setsymlist(context, wanted[i].stage, (char *)(uintptr_t)wanted[i].names);
}

/* Whether frames are looked at before libmilter uses them. It is another one than we were
 * built for when not: rather no mail than that. */
static bool frames_are_ours(void)
{
    if (!mw_reader_is_built() || mw_reader_command() != '\0')
        return true;
    mw_log_write(the_daemon->log, MW_LOG_ERROR, NULL,
                 "libmilter is another one than this program was built for and reads frames "
                 "itself: connection refused; build it again");
    return false;
}

static void on_refused(void *user, char letter, const char *why)
{
    const struct mw_daemon *daemon = user;
    mw_log_write(daemon->log, MW_LOG_WARNING, NULL,
                 "a client of the milter socket sent what is no frame of the protocol (%c: %s): "
                 "connection closed",
                 letter > ' ' && letter < 0x7f ? letter : '?', why);
}

/*
 * Nothing is answered before the end of a message, so that the mail server need not
 * wait for us at each step (libmilter answers for us where a server cannot do without);
 * DATA, end of header and unknown commands tell us nothing.
 */
static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long steps,
                             unsigned long unused1, unsigned long unused2,
                             unsigned long *actions_out, unsigned long *steps_out,
                             unsigned long *unused3, unsigned long *unused4)
{
    (void)unused1;
    (void)unused2;
    struct mw_session *session = session_of(context);
    if (!session || !frames_are_ours())
        return SMFIS_REJECT;
    if (actions & SMFIF_SETSYMLIST)
        ask_for_macros(context);
    session->negotiated = true;
    session->leading_space = (steps & SMFIP_HDR_LEADSPC) != 0;
    *actions_out = actions & mw_verdict_rights();
    *steps_out =
        steps & (SMFIP_HDR_LEADSPC | SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT |
                 SMFIP_NR_HDR | SMFIP_NR_BODY | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOEOH);
    *unused3 = *unused4 = 0;
    return SMFIS_CONTINUE;
}

static int64_t port_of(const _SOCK_ADDR *address)
{
    if (address && address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address && address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address)
{
    struct mw_session *session = session_of(context);
    char text[INET6_ADDRSTRLEN];
    const char *shown = NULL;
    if (address && address->sa_family == AF_INET)
        shown = inet_ntop(AF_INET, &((struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address && address->sa_family == AF_INET6)
        shown =
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    if (!session)
        return SMFIS_TEMPFAIL;
    mw_session_set(session, MW_CLIENT_NAME, name);
    mw_session_set(session, MW_CLIENT_ADDRESS, shown);
    session->client_port = port_of(address);
    mw_session_set(session, MW_CLIENT_PTR, macro(context, "{client_ptr}"));
    mw_session_set(session, MW_CLIENT_DAEMON_NAME, macro(context, "{daemon_name}"));
    mw_session_set(session, MW_CLIENT_DAEMON_ADDRESS, macro(context, "{daemon_addr}"));
    session->daemon_port = mw_session_number(macro(context, "{daemon_port}"), MOST_PORT);
    return go_on(session);
}

static sfsistat on_helo(SMFICTX *context, char *name)
{
    struct mw_session *session = session_of(context);
    if (!session)
        return SMFIS_TEMPFAIL;
    mw_session_set(session, MW_CLIENT_HELO, name);
    return go_on(session);
}

static void end_message(struct mw_session *session)
{
    if (!session->message)
        return;
    mw_session_end_message(session);
    atomic_fetch_sub(&the_daemon->counters.messages_open, 1);
    mw_daemon_leave(the_daemon);
}

/*
 * TLS is asked for here and not at HELO, as clients need not greet (again): a server that
 * chooses itself what it tells says it at HELO, and libmilter still knows it here.
 */
static void take_login(SMFICTX *context, struct mw_message *message)
{
    struct mw_arena *arena = message->arena;
    message->tls = (struct mw_tls){
        .version = mw_session_text(arena, macro(context, "{tls_version}")),
        .cipher = mw_session_text(arena, macro(context, "{cipher}")),
        .cipher_bits = mw_session_number(macro(context, "{cipher_bits}"), MOST_BITS),
        .cert_subject = mw_session_text(arena, macro(context, "{cert_subject}")),
        .cert_issuer = mw_session_text(arena, macro(context, "{cert_issuer}")),
    };
    message->auth = (struct mw_auth){
        .name = mw_session_text(arena, macro(context, "{auth_authen}")),
        .type = mw_session_text(arena, macro(context, "{auth_type}")),
        .author = mw_session_text(arena, macro(context, "{auth_author}")),
    };
}

static sfsistat on_mail(SMFICTX *context, char **arguments)
{
    struct mw_session *session = session_of(context);
    if (!session)
        return SMFIS_TEMPFAIL;
    end_message(session);
    if (!mw_daemon_enter(the_daemon))
        return go_on(session);
    atomic_fetch_add(&the_daemon->counters.messages_open, 1);
    struct mw_message *message = mw_session_begin(session, mw_daemon_snapshot(the_daemon),
                                                  &the_daemon->admission, arguments);
    atomic_fetch_add(&the_daemon->counters.messages, 1);
    mw_id_next(the_daemon->ids, message->id);
    take_login(context, message);
    return go_on(session);
}

static sfsistat on_recipient(SMFICTX *context, char **arguments)
{
    struct mw_session *session = session_of(context);
    if (!session)
        return SMFIS_TEMPFAIL;
    if (session->message)
        mw_message_recipient(session->message, arguments);
    return go_on(session);
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    struct mw_session *session = session_of(context);
    if (!session)
        return SMFIS_TEMPFAIL;
    if (session->message)
        mw_message_header(session, name, value);
    return go_on(session);
}

static sfsistat on_body(SMFICTX *context, unsigned char *data, size_t size)
{
    struct mw_session *session = session_of(context);
    if (!session)
        return SMFIS_TEMPFAIL;
    if (session->message)
        mw_intake_body(session->message->intake, (struct mw_bytes){data, size});
    return go_on(session);
}

/* A thread that waits for a scan. */
struct patience {
    SMFICTX *context;
    int64_t told_us;
};

/* The mail server is told now and then that we are still at it. One that does not read what it was
 * told before would hold us up, and the worker that we have or wait for. */
static void keep_alive(void *user)
{
    struct patience *patience = user;
    int64_t now_us = mw_clock_us();
    mw_engine_nudge();
    if (now_us - patience->told_us < PROGRESS_US)
        return;
    patience->told_us = now_us;
    if (mw_reader_is_heard())
        smfi_progress(patience->context);
}

static sfsistat on_end_of_message(SMFICTX *context)
{
    struct mw_session *session = session_of(context);
    struct patience patience = {context, mw_clock_us()};
    if (!session || !session->message)
        return SMFIS_TEMPFAIL;
    session->message->queue_id = mw_session_text(session->message->arena, macro(context, "i"));
    /* The more wait, the less often each of them looks. */
    unsigned tick_ms = NUDGE_MS * (atomic_fetch_add(&waiting, 1) + 1);
    struct mw_pool_wait wait = {session->facts[MW_CLIENT_ADDRESS],
                                tick_ms < NUDGE_MOST_MS ? tick_ms : NUDGE_MOST_MS, keep_alive,
                                &patience};
    sfsistat answer = mw_verdict_carry_out(the_daemon, session, &wait, context);
    atomic_fetch_sub(&waiting, 1);
    end_message(session);
    return answer;
}

static sfsistat on_abort(SMFICTX *context)
{
    struct mw_session *session = smfi_getpriv(context);
    mw_engine_heard();
    if (session && session->message)
        atomic_fetch_add(&the_daemon->counters.aborted, 1);
    if (session)
        end_message(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *context)
{
    struct mw_session *session = smfi_getpriv(context);
    mw_engine_heard();
    mw_reader_close();
    if (!session)
        return SMFIS_CONTINUE;
    end_message(session);
    smfi_setpriv(context, NULL);
    mw_session_free(session);
    atomic_fetch_sub(&the_daemon->counters.connections_open, 1);
    return SMFIS_CONTINUE;
}

int mw_callbacks_register(struct mw_daemon *daemon, struct mw_error *error)
{
    static char name[] = "mailwitnessd";
    struct smfiDesc filter = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = mw_verdict_rights(),
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_recipient,
        .xxfi_header = on_header,
        .xxfi_body = on_body,
        .xxfi_eom = on_end_of_message,
        .xxfi_abort = on_abort,
        .xxfi_close = on_close,
        .xxfi_negotiate = on_negotiate,
    };
    the_daemon = daemon;
    mw_frame_on_refused(on_refused, daemon);
    if (smfi_register(filter) != MI_SUCCESS)
        return mw_fail(error, MW_ERR_INTERNAL, "libmilter does not take our callbacks");
    return 0;
}
