/* What the daemon is made of, without a mail server: bytes coming in, sockets, questions. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/control.h"
#include "milter/frame.h"
#include "milter/intake.h"
#include "milter/listen.h"
#include "milter/session.h"
#include "t/unit/tap.h"

static struct mw_admission admission = {.max = 10000000};

static const char *content(struct mw_intake *intake)
{
    struct mw_error error = {0};
    struct mw_bytes bytes = {0};
    static char text[200];
    struct mw_memfile *file = mw_intake_file(intake);
    if (!file || mw_memfile_map(file, &bytes, &error) != 0)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)bytes.size, (const char *)bytes.data);
    return text;
}

static void test_lines(void)
{
    struct mw_intake *intake = mw_intake_new(1000, &admission);
    mw_intake_header(intake, "Subject", " a\n\tb\r\n c", true);
    mw_intake_header(intake, "X", "y", false);
    mw_intake_body(intake, mw_bytes_of("one\r\n"));
    mw_intake_body(intake, mw_bytes_of("two"));
    mw_intake_finish(intake);
    tap_is(content(intake), "Subject: a\r\n\tb\r\n c\r\nX: y\r\n\r\none\r\ntwo",
           "header lines end in CRLF, the body follows as it came");
    tap_ok(mw_intake_get_state(intake) == MW_INTAKE_WHOLE && mw_intake_size(intake) == 36,
           "all of it is there");
    mw_intake_free(intake);
    intake = mw_intake_new(1000, &admission);
    mw_intake_finish(intake);
    tap_is(content(intake), "\r\n", "a message of nothing is an empty header");
    mw_intake_free(intake);
    tap_is_number((long long)admission.held, 0, "what was counted is given back");
}

static void test_too_large(void)
{
    static char chunk[50000];
    memset(chunk, 'x', sizeof chunk - 1);
    struct mw_intake *intake = mw_intake_new(120000, &admission);
    mw_intake_header(intake, "Subject", " kept", true);
    for (int i = 0; i < 4; i++)
        mw_intake_body(intake, (struct mw_bytes){(unsigned char *)chunk, sizeof chunk});
    mw_intake_finish(intake);
    tap_ok(mw_intake_get_state(intake) == MW_INTAKE_TOO_LARGE, "too many bytes are noticed");
    tap_is(content(intake), "Subject: kept\r\n\r\n", "... only the header is kept");
    tap_is_number((long long)mw_intake_size(intake), 200017, "... all bytes are counted");
    mw_intake_free(intake);
    intake = mw_intake_new(100, &admission);
    mw_intake_header(intake, "Subject", chunk, true);
    mw_intake_finish(intake);
    tap_ok(mw_intake_get_state(intake) == MW_INTAKE_TOO_LARGE, "a header too large is too large");
    tap_ok(!content(intake) || *content(intake) == '\0', "... and not shown in part");
    mw_intake_free(intake);
    tap_is_number((long long)admission.held, 0, "... and all is given back");
}

static void test_full(void)
{
    static char chunk[60000];
    struct mw_admission small = {.max = 100000};
    struct mw_intake *one = mw_intake_new(1000000, &small);
    mw_intake_body(one, (struct mw_bytes){(unsigned char *)chunk, sizeof chunk});
    struct mw_intake *other = mw_intake_new(1000000, &small);
    mw_intake_body(other, (struct mw_bytes){(unsigned char *)chunk, sizeof chunk});
    mw_intake_finish(one);
    mw_intake_finish(other);
    tap_ok(mw_intake_get_state(one) == MW_INTAKE_WHOLE &&
               mw_intake_get_state(other) == MW_INTAKE_FULL && !mw_intake_file(other),
           "beyond the memory allowed nothing is kept");
    mw_intake_free(one);
    mw_intake_free(other);
    tap_is_number((long long)small.held, 0, "... and all is given back");
}

static void test_frames(void)
{
#define FRAME(letter, text)                                                                        \
    {                                                                                              \
        letter,                                                                                    \
        {                                                                                          \
            (const unsigned char *)(text), sizeof(text) - 1                                        \
        }                                                                                          \
    }
    static const struct {
        char letter;
        struct mw_bytes data;
    } good[] = {FRAME('A', ""),
                FRAME('B', "x"),
                FRAME('C', "h\0U"),
                FRAME('C', "h\0004\0\031192.0.2.1\0"),
                FRAME('C', "h\0L\0\0/run/s\0"),
                FRAME('D', "M"),
                FRAME('D', "Mi\0Q\0"),
                FRAME('D', "Ui\0\0j\0\0"),
                FRAME('E', ""),
                FRAME('H', "\0"),
                FRAME('L', "a\0\0"),
                FRAME('L', "a\0b\0"),
                FRAME('M', "<>\0SIZE=1\0"),
                FRAME('O', "0123456789ab"),
                FRAME('R', "<a>\0"),
                FRAME('U', "NOOP\0")},
      bad[] = {FRAME('B', ""),
               FRAME('C', ""),
               FRAME('C', "h\0"),
               FRAME('C', "h\0004\0\031"),
               FRAME('C', "h\0004\0\0311\0002\0"),
               FRAME('D', ""),
               FRAME('D', "Mi\0"),
               FRAME('D', "Mi\0Q"),
               FRAME('D', "?i\0Q\0"),
               FRAME('H', "a\0b\0"),
               FRAME('K', ""),
               FRAME('L', "a\0b\0c\0"),
               FRAME('L', "\0a\0"),
               FRAME('L', "a\0b"),
               FRAME('M', ""),
               FRAME('O', "0123456789a"),
               FRAME('Q', "x"),
               FRAME('\0', ""),
               FRAME('l', "a\0b\0")};
    static const unsigned char none[] = {0, 0, 0, 0, 'H'}, one[] = {0, 0, 0, 1, 'A'},
                               most[] = {0, 1, 0, 0, 'B'}, beyond[] = {0, 1, 0, 1, 'B'},
                               negative[] = {0xff, 0xff, 0xff, 0xff, 'B'};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        tap_ok(!mw_frame_wrong(good[i].letter, good[i].data), "a sound frame %c of %zu bytes",
               good[i].letter, good[i].data.size);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = mw_frame_wrong(bad[i].letter, bad[i].data);
        tap_ok(why != NULL, "%s", why ? why : "refused");
    }
    tap_ok(mw_frame_data_size(one) == 0 && mw_frame_data_size(most) == MW_FRAME_DATA_MAX,
           "the length counts the letter");
    tap_ok(mw_frame_data_size(none) < 0 && mw_frame_data_size(beyond) < 0 &&
               mw_frame_data_size(negative) < 0,
           "no length is nothing, or more than there may be");
}

static void test_listen(void)
{
    char long_path[200] = "unix:/";
    memset(long_path + 6, 'x', 150);
    static const char *const good[] = {"unix:/run/x",     "local:/run/x", "inet:8891@127.0.0.1",
                                       "inet:8891",       "inet6:25@::1", "inet:127.0.0.1:8891",
                                       "inet6:[::1]:8891"};
    const char *const bad[] = {"",       "unix:x",     "tcp:1",
                               "inet:",  "inet:x@h",   "inet:99999@::1",
                               "/run/x", "inet:1:2:x", long_path};
    struct mw_error error = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        tap_ok(mw_listen_check(good[i], &error) == 0, "%s is a socket", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tap_ok(mw_listen_check(bad[i], &error) == MW_ERR_INPUT, "'%.20s' is none", bad[i]);
    const struct mw_listen_settings odd = {"0888", NULL}, strange = {"0600", "no-such-group"};
    tap_ok(mw_listen_is_everywhere("inet:8891") && mw_listen_is_everywhere("inet6:25") &&
               !mw_listen_is_everywhere("inet:8891@127.0.0.1") &&
               !mw_listen_is_everywhere("unix:/run/x"),
           "a port without an address is one on all addresses");
    tap_ok(mw_listen_check_settings(&odd, &error) == MW_ERR_INPUT, "0888 is no mode");
    tap_ok(mw_listen_check_settings(&strange, &error) == MW_ERR_INPUT, "a group must exist");
}

static void test_stale(void)
{
    char folder[] = "/tmp/mw-unit-XXXXXX", name[64];
    struct mw_error error = {0};
    struct mw_listener one, two;
    const struct mw_listen_settings settings = {"0600", NULL};
    tap_ok(mkdtemp(folder) != NULL, "a folder for sockets");
    snprintf(name, sizeof name, "unix:%s/s", folder);
    tap_ok(mw_listen_open(name, &settings, &one, &error) == 0, "a socket is opened");
    tap_ok(mw_listen_open(name, &settings, &two, &error) == MW_ERR_BUSY,
           "one in use is not taken away");
    close(one.fd);
    one.fd = -1;
    tap_ok(mw_listen_open(name, &settings, &two, &error) == 0, "one that nobody uses is");
    mw_listen_close(&two);
    tap_ok(access(name + 5, F_OK) != 0, "one's own is removed");
    rmdir(folder);
}

static void test_recipients(void)
{
    struct mw_error error = {0};
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_config *config = mw_config_load(NULL, arena, &mistakes);
    config->limits.recipients = 3;
    struct mw_snapshot *snapshot = mw_snapshot_new(config, &error);
    struct mw_session *session = mw_session_new();
    char from[] = "<ana@example.com>", to[] = "<bob@example.org>", notify[] = "NOTIFY=NEVER";
    char *mail[] = {from, NULL}, *rcpt[] = {to, notify, NULL};
    for (size_t count = 3; count <= 4; count++) {
        struct mw_message *message =
            mw_session_begin(session, mw_snapshot_use(snapshot), &admission, mail);
        for (size_t i = 0; i < count; i++)
            mw_message_recipient(message, rcpt);
        struct mw_report *report = mw_report_new();
        mw_session_describe(session, report);
        bool told = report->errors.count == 1 &&
                    strcmp(report->errors.items[0].name, "limit.recipients") == 0 &&
                    report->verdict == MW_UNSCANNED && report->unscanned.count == 1;
        tap_ok(report->envelope.to.count == 3 && report->envelope.to_arguments.count == 3 &&
                   told == (count > 3),
               "of %zu recipients three are kept%s", count,
               count > 3 ? ", and that there were more makes the message unscanned" : "");
        mw_report_free(report);
    }
    mw_session_free(session);
    mw_snapshot_release(snapshot);
    mw_arena_free(arena);
}

static void test_session(void)
{
    struct mw_error error = {0};
    struct mw_arena *arena = mw_arena_new();
    struct mw_texts mistakes = {0};
    struct mw_snapshot *snapshot = mw_snapshot_new(mw_config_load(NULL, arena, &mistakes), &error);
    struct mw_session *session = mw_session_new();
    char from[] = "<ana@example.com>", size[] = "SIZE=10", utf8[] = "smtputf8",
         odd[] = "<a\xff\nb>";
    char notify[] = "NOTIFY=NEVER", orcpt[] = "ORCPT=\xff\n";
    char *arguments[] = {from, size, utf8, NULL}, *rcpt[] = {odd, notify, orcpt, NULL};
    mw_session_set(session, MW_CLIENT_HELO, "one");
    mw_session_set(session, MW_CLIENT_HELO, "two");
    tap_is(session->facts[MW_CLIENT_HELO], "two", "a fact said again is the new one");
    struct mw_message *message =
        mw_session_begin(session, mw_snapshot_use(snapshot), &admission, arguments);
    mw_message_recipient(message, rcpt);
    tap_is(message->from, "ana@example.com", "an address loses its brackets");
    tap_ok(message->smtputf8 && message->from_arguments.count == 2, "ESMTP arguments are known");
    tap_is(message->to.items[0],
           "a\xef\xbf\xbd\xef\xbf\xbd"
           "b",
           "odd bytes are shown as such");
    tap_ok(message->to_arguments.count == 1 && message->to_arguments.items[0].arguments.count == 2,
           "arguments of a recipient are known");
    tap_is(message->to_arguments.items[0].arguments.items[1], "ORCPT=\xef\xbf\xbd\xef\xbf\xbd",
           "... odd bytes in them are shown as such");
    mw_session_begin(session, mw_snapshot_use(snapshot), &admission, arguments);
    tap_is_number((long long)session->message->to.count, 0, "a new message has no recipients");
    mw_session_free(session);
    mw_snapshot_release(snapshot);
    mw_arena_free(arena);
    tap_is_number((long long)admission.held, 0, "a session leaves nothing behind");
}

/* Whatever is said, what is kept is bounded, and no number is invented. */
static void test_bounds(void)
{
    struct mw_session *session = mw_session_new();
    struct mw_arena *arena = mw_arena_new();
    char *many[200], argument[] = "X", *text = malloc(5000);
    memset(text, 'y', 4999);
    text[4999] = '\0';
    for (size_t i = 0; i < 199; i++)
        many[i] = argument;
    many[199] = NULL;
    struct mw_error error = {0};
    struct mw_texts mistakes = {0};
    struct mw_snapshot *snapshot = mw_snapshot_new(mw_config_load(NULL, arena, &mistakes), &error);
    struct mw_message *message = mw_session_begin(session, snapshot, &admission, many);
    mw_message_recipient(message, many);
    tap_ok(message->from_arguments.count == 64 &&
               message->to_arguments.items[0].arguments.count == 8,
           "no more than so many arguments are kept");
    tap_is_number((long long)strlen(mw_session_text(arena, text)), 1024, "a long text is cut");
    tap_ok(!mw_session_text(arena, "") && !mw_session_text(arena, NULL), "an empty fact is none");
    tap_ok(mw_session_number("65535", 65535) == 65535 && mw_session_number("1", 1) == 1,
           "a number within its bound is one");
    static const char *const bad[] = {"", "65536", "-1", "12x", " 1", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tap_ok(mw_session_number(bad[i], 65535) == 0, "'%s' is no port", bad[i]);
    mw_session_free(session);
    mw_arena_free(arena);
    free(text);
}

static void test_control(void)
{
    struct mw_error error = {0};
    enum mw_control_command command = MW_CONTROL_STATUS;
    tap_ok(mw_control_parse(mw_bytes_of("{\"command\": \"reload\"}"), &command, &error) == 0 &&
               command == MW_CONTROL_RELOAD,
           "a question is understood");
    static const char *const bad[] = {"",
                                      "status",
                                      "[]",
                                      "{\"command\": 1}",
                                      "{\"command\": \"x\"}",
                                      "{\"command\": \"status\"} x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tap_ok(mw_control_parse(mw_bytes_of(bad[i]), &command, &error) == MW_ERR_INPUT,
               "'%s' is refused", bad[i]);
}

int main(void)
{
    test_lines();
    test_too_large();
    test_full();
    test_frames();
    test_listen();
    test_stale();
    test_recipients();
    test_session();
    test_bounds();
    test_control();
    return tap_done();
}
