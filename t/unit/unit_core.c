/* unit_core: ids, UTF-8, errors, sealed memory files, reports and their JSON. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/address.h"
#include "core/ascii.h"
#include "core/id.h"
#include "core/json_out.h"
#include "core/log.h"
#include "core/memfile.h"
#include "core/name.h"
#include "core/names.h"
#include "core/report.h"
#include "core/time.h"
#include "core/url.h"
#include "core/utf8.h"
#include "t/unit/tap.h"

static void test_ids(void)
{
    struct mw_id_source *source = mw_id_source_new();
    char before[MW_ID_SIZE], after[MW_ID_SIZE];
    mw_id_next_at(source, 1000, before);
    bool rising = true;
    for (int i = 0; i < 10000; i++) {
        mw_id_next_at(source, i % 7 == 0 ? 999 : 1000, after);
        rising = rising && strcmp(before, after) < 0;
        memcpy(before, after, sizeof before);
    }
    tap_ok(rising, "ids rise although the clock stands still or steps back");
    uint64_t ms = 0;
    mw_id_next_at(source, 1700000000123u, after);
    tap_ok(mw_id_parse(after, &ms) && ms == 1700000000123u, "an id tells its time");
    tap_ok(!mw_id_parse("018bcfe5-687b-4000-8000-000000000000", NULL),
           "an id of another version is refused");
    mw_id_source_free(source);
}

static void test_utf8(void)
{
    static const struct {
        const char *bytes;
        const char *clean;
        const char *promise;
    } cases[] = {
        {"plain", "plain", "ASCII stays"},
        {"\xC3\xA4", "\xC3\xA4", "a well-formed character stays"},
        {"\xC3", "\xEF\xBF\xBD", "a character cut off is replaced"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD", "an overlong form is replaced"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "a surrogate is replaced"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
         "a code above U+10FFFF is replaced"},
    };
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tap_is(mw_utf8_clean(arena, mw_bytes_of(cases[i].bytes), NULL), cases[i].clean,
               cases[i].promise);
    size_t replaced = 0;
    mw_utf8_clean_line(arena, mw_bytes_of("a\r\nb\x1b[31m"), &replaced);
    tap_is_number((long long)replaced, 3, "each control character in a line is counted");
    tap_is(mw_utf8_safe_filename(arena, "..\\..\xE2\x80\xAEgpj.exe", 255),
           "\xEF\xBF\xBD..\xEF\xBF\xBDgpj.exe", "separators and direction marks are shown");
    tap_is(mw_utf8_safe_filename(arena, "aaaaaaaaaa.exe", 8), "aaaa.exe",
           "a name too long keeps its extension");
    mw_arena_free(arena);
}

static void test_memfiles(void)
{
    struct mw_error error = {0};
    struct mw_memfile *file = mw_memfile_new("test", &error);
    tap_is_number(mw_memfile_append(file, mw_bytes_of("hello"), 8, &error), 0,
                  "a memory file takes bytes");
    tap_is_number(mw_memfile_append(file, mw_bytes_of("world"), 8, &error), MW_ERR_LIMIT,
                  "but not more than allowed");
    struct mw_memfile *early = mw_memfile_receive(dup(mw_memfile_fd(file)), 100, &error);
    tap_ok(!early && error.code == MW_ERR_FORMAT, "an unsealed one is refused by its receiver");
    mw_memfile_seal(file, &error);
    tap_ok(write(mw_memfile_fd(file), "x", 1) < 0, "a sealed one cannot be written");
    struct mw_memfile *copy = mw_memfile_receive(dup(mw_memfile_fd(file)), 100, &error);
    struct mw_bytes bytes = {0};
    tap_ok(copy && mw_memfile_map(copy, &bytes, &error) == 0 && bytes.size == 5 &&
               memcmp(bytes.data, "hello", 5) == 0,
           "its receiver reads what was written");
    tap_ok(!mw_memfile_receive(dup(mw_memfile_fd(file)), 4, &error) && error.code == MW_ERR_LIMIT,
           "one above the bound is refused");
    mw_memfile_free(copy);
    mw_memfile_free(file);
}

static void test_urls(void)
{
    static const struct {
        const char *url, *host;
    } urls[] = {
        {"http://www.example.com", "www.example.com"},
        {"http://www.example.com:8080/x", "www.example.com"},
        {"ftp://user:p@ss@www.example.com?q", "www.example.com"},
        {"http://www.example.com./x", "www.example.com"},
        {"http://www.example.com\\@other.example/", "www.example.com"},
        {"http://[2001:db8::1]/", "2001:db8::1"},
        {"http://[2001:DB8:0:0::1]:8080/", "2001:db8::1"},
        {"http://u@[2001:db8::1]:8080#x", "2001:db8::1"},
        {"http://[2001:db8::1", "[2001"},
        {"http://:80/", NULL},
        {"http:///x", NULL},
        {"http://", NULL},
        {"mailto:a@example.com", NULL},
    };
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        tap_is(mw_url_host(arena, urls[i].url), urls[i].host, urls[i].url);
    tap_is(mw_url_host_form(arena, "[2001:DB8::1]"), "2001:db8::1",
           "a host that is asked for has the same form");
    tap_is(mw_url_host_form(arena, "Example.com."), "Example.com", "... and may end in a dot");
    tap_is(mw_url_host_form(arena, ""), "", "... or be nothing");
    mw_arena_free(arena);
}

static void test_addresses(void)
{
    static const char *const good[][3] = {{"127.0.0.1:9197", "127.0.0.1", "9197"},
                                          {"redis.example.org:6379", "redis.example.org", "6379"},
                                          {"[2001:db8::1]:0", "2001:db8::1", "0"},
                                          {"x:65535", "x", "65535"}};
    static const char *const bad[] = {"",         ":1",    "x:",   "x",        "x:65536", "x:-1",
                                      "x:1a",     "::1:1", "[]:1", "[::1]",    "[::1:1",  "a]:1",
                                      "x:000001", "a:b:1", "x: 1", "[[::1]]:1"};
    char host[MW_HOST_SIZE], port[MW_PORT_SIZE], many[400];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        tap_ok(mw_address_split(good[i][0], host, port), "%s has a host and a port", good[i][0]);
        tap_is(host, good[i][1], "... the host");
        tap_is(port, good[i][2], "... and the port");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tap_ok(!mw_address_split(bad[i], host, port), "'%s' has not", bad[i]);
    snprintf(many, sizeof many, "%0256d:1", 0);
    tap_ok(!mw_address_split(many, host, port) && mw_address_split(many + 1, host, port),
           "a host has at most 255 bytes");
}

static void test_times(void)
{
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {1793541900123, "2026-11-01T14:05:00.123Z"},
                 {-1, "1969-12-31T23:59:59.999Z"}};
    char text[MW_TIME_SIZE];
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        mw_time_text(times[i].ms, text);
        tap_is(text, times[i].text, "a time is written as RFC 3339 has it");
    }
    mw_time_seconds_text(1793541900, text);
    tap_is(text, "2026-11-01T14:05:00Z", "... also without milliseconds");
    tap_ok(mw_time_now() > 1700000000000, "the time of day is in milliseconds");
}

static void test_ascii(void)
{
    char text[] = "AZaz\xC3\x84[`@{", digits[9];
    tap_is(mw_ascii_lower_text(text), "azaz\xC3\x84[`@{", "only ASCII letters become lower case");
    tap_ok(mw_ascii_lower_text(NULL) == NULL, "... and no text stays none");
    mw_hex_write(digits, "\x00\x7f\x80\xff", 4);
    tap_is(digits, "007f80ff", "bytes are written as digits");
    tap_ok(mw_hex_is("007F80ff", 8) && !mw_hex_is("007f80ff", 7) && !mw_hex_is("007f80ff", 9) &&
               !mw_hex_is("007f80fg", 8) && mw_hex_is("", 0),
           "digits are counted");
    tap_ok(mw_hex_value('a') == 10 && mw_hex_value('F') == 15 && mw_hex_value('g') == -1 &&
               mw_hex_value('\0') == -1 && mw_hex_value('/') == -1 && mw_hex_value(':') == -1,
           "a digit has a value, and what is none has not");
}

static void test_hidden(void)
{
    struct mw_arena *arena = mw_arena_new();
    static const char *const hidden[] = {
        "\xD8\x9C",     "\xE2\x80\x8B", "\xE2\x80\x8D",     "\xE2\x80\x8E", "\xE2\x80\x8F",
        "\xE2\x80\xAA", "\xE2\x80\xAE", "\xE2\x81\xA0",     "\xE2\x81\xA6", "\xE2\x81\xA9",
        "\xEF\xBB\xBF", "\xC2\xAD",     "\xF3\xA0\x80\xA1", "\xE1\xA0\x8E", "\xE3\x85\xA4"};
    static const char *const plain[] = {"a",
                                        "\xC3\xA4",
                                        "\xE2\x80\x90",
                                        "\xE2\x80\xA6",
                                        "\xEF\xB8\x8F",
                                        "\xF0\x9F\x98\x80",
                                        "\xE3\x81\x82"};
    uint32_t code;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        struct mw_bytes bytes = mw_bytes_of(hidden[i]);
        size_t length = mw_utf8_character(bytes, &code);
        const char *wanted = mw_arena_printf(arena, "a<U+%04X>b", code);
        tap_ok(length == bytes.size && mw_utf8_is_hidden(code), "U+%04X does not show", code);
        tap_is(mw_utf8_show_line(arena, mw_bytes_of(mw_arena_printf(arena, "a%sb", hidden[i]))),
               wanted, "... and is spelled out for people");
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        tap_ok(mw_utf8_character(mw_bytes_of(plain[i]), &code) == strlen(plain[i]) &&
                   !mw_utf8_is_hidden(code),
               "U+%04X shows", code);
    char *many = mw_arena_alloc(arena, 3 * 1000 + 1);
    for (size_t i = 0; i < 1000; i++)
        memcpy(many + 2 * i, "\xC2\xAD", 2);
    tap_ok(strlen(mw_utf8_show_line(arena, mw_bytes_of(many))) == 1000 * strlen("<U+00AD>"),
           "however many there are");
    char *json = mw_json_show(strdup("{\"a\":\"\xE2\x80\xAE\xF3\xA0\x80\xA1\xC3\xA4\"}"));
    tap_is(json, "{\"a\":\"\\u202e\\udb40\\udc21\xC3\xA4\"}", "JSON for people has escapes");
    free(json);
    json = strdup("{\"a\":\"\xC3\xA4\"}");
    tap_ok(mw_json_show(json) == json && mw_json_show(NULL) == NULL, "... where there is need");
    free(json);
    mw_arena_free(arena);
}

static void test_names(void)
{
    static const struct {
        const char *name, *effective;
    } names[] = {
        {"Invoice.PDF.exe", "invoice.pdf.exe"},
        {"invoice.pdf.exe.", "invoice.pdf.exe"},
        {"invoice.pdf.exe ", "invoice.pdf.exe"},
        {"invoice.pdf.exe. . ", "invoice.pdf.exe"},
        {"invoice.pdf.exe\t\x01", "invoice.pdf.exe"},
        {"invoice.pdf.exe::$DATA", "invoice.pdf.exe"},
        {"invoice.pdf.exe::$data. ", "invoice.pdf.exe"},
        {"invoice.pdf.exe\xE2\x80\x8B", "invoice.pdf.exe"},
        {"invoice.pdf.e\xE2\x80\x8Dx\xEF\xBB\xBF"
         "e",
         "invoice.pdf.exe"},
        {"invoice\xE2\x80\xAE.pdf.exe\xE2\x81\xA9", "invoice.pdf.exe"},
        {"C:\\folder\\invoice.pdf.exe", "invoice.pdf.exe"},
        {"folder.d/invoice.pdf.exe/", "invoice.pdf.exe"},
        {"\xC3\x84rger.PDF.exe", "\xC3\x84rger.pdf.exe"},
        {"not \xFF UTF-8.pdf.EXE", "not \xFF utf-8.pdf.exe"},
    };
    char room[MW_NAME_SIZE], many[3 * MW_NAME_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tap_is(mw_name_effective(names[i].name, room), names[i].effective,
               "a name is taken as the system that opens the file takes it");
        tap_is(mw_name_extension(names[i].name, room), "exe", "... and its extension with it");
    }
    tap_ok(!mw_name_extension("readme", room) && !mw_name_extension("v1.2/readme", room) &&
               !mw_name_extension(NULL, room) && !mw_name_extension(". .", room),
           "what has no extension has none");
    memset(many, '.', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    tap_is(mw_name_effective(many, room), "", "a name of nothing but dots is none");
    memset(many, 'a', sizeof many - 1);
    memcpy(many + sizeof many - 6, ".EXE.", 5);
    tap_ok(strlen(mw_name_effective(many, room)) == MW_NAME_SIZE - 1, "a long name is cut");
    tap_is(mw_name_extension(many, room), "exe", "... and keeps its end");
}

static void test_verdicts(void)
{
    static const enum mw_verdict rising[] = {MW_CLEAN, MW_UNSCANNED, MW_SUSPICIOUS, MW_MALICIOUS};
    static const enum mw_action stricter[] = {MW_ACTION_ACCEPT,     MW_ACTION_TAG,
                                              MW_ACTION_QUARANTINE, MW_ACTION_DISCARD,
                                              MW_ACTION_TEMPFAIL,   MW_ACTION_REJECT};
    struct mw_error error = {0};
    for (unsigned i = 0; i < MW_VERDICTS; i++) {
        const char *name = mw_verdict_name(rising[i]);
        tap_ok(mw_verdict_from_name(name, MW_CLEAN) == rising[i], "%s is read by its name", name);
        for (unsigned j = 0; j < MW_VERDICTS; j++)
            tap_ok(mw_verdict_worse(rising[i], rising[j]) == rising[i > j ? i : j],
                   "of %s and %s the worse is taken", name, mw_verdict_name(rising[j]));
    }
    for (unsigned i = 1; i < sizeof stricter / sizeof *stricter; i++)
        tap_ok(mw_action_rank(stricter[i]) > mw_action_rank(stricter[i - 1]),
               "%s is stricter than %s", mw_action_name(stricter[i]),
               mw_action_name(stricter[i - 1]));
    for (unsigned i = 0; i < MW_SEVERITIES; i++)
        tap_ok(mw_severity_from_name(mw_severity_name((enum mw_severity)i), MW_INFO) ==
                   (enum mw_severity)i,
               "%s is read by its name", mw_severity_name((enum mw_severity)i));
    tap_ok(mw_severity_from_name("Malicious", MW_INFO) == MW_SEVERITY_MALICIOUS,
           "names are read without regard to case");
    tap_ok(mw_verdict_from_name("fine", MW_UNSCANNED) == MW_UNSCANNED &&
               mw_verdict_from_name(NULL, MW_UNSCANNED) == MW_UNSCANNED,
           "what has no such name is the fallback");
    tap_ok(mw_names_choose(mw_action_names, MW_ACTION_TAG, "tag", &error) == MW_ACTION_TAG &&
               mw_names_choose(mw_action_names, MW_ACTION_TAG, "accept", &error) == MW_ERR_INPUT,
           "a choice may begin behind the first names");
    tap_is(error.text, "'accept' is none of tag, quarantine, tempfail, reject, discard",
           "... and the error says what there is");
}

/*
 * memfile asks for a size by fstat. In this program that is ours: what a process that still
 * holds the file would do at the worst moment is done right behind the answer.
 */
static off_t size_afterwards = -1;

int fstat(int fd, struct stat *facts)
{
    int result = fstatat(fd, "", facts, AT_EMPTY_PATH);
    off_t size = size_afterwards;
    size_afterwards = -1;
    if (size >= 0 && ftruncate(fd, size) != 0)
        size = -1; /* it is sealed */
    return result;
}

/* Reads a file of size bytes that becomes other_size behind our back; 1 when it was read, 2
 * when it was refused, the signal that ended us with 100 added. */
static int read_changing(size_t size, off_t other_size)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct mw_error error = {0};
        struct mw_bytes bytes = {0};
        unsigned sum = 0;
        struct mw_memfile *file = mw_memfile_new("test", &error);
        if (ftruncate(mw_memfile_fd(file), (off_t)size) != 0)
            _exit(9);
        size_afterwards = other_size;
        if (mw_memfile_settle(file, SIZE_MAX, &error) != 0 ||
            mw_memfile_map(file, &bytes, &error) != 0)
            _exit(error.code == MW_ERR_FORMAT ? 2 : 8);
        for (size_t i = 0; i < bytes.size; i++)
            sum += bytes.data[i];
        _exit(sum == 0 ? 1 : 7);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_changing_memfiles(void)
{
    tap_is_number(read_changing(1000000, 10), 1,
                  "a large file that shrinks before it was sealed is read as far as it goes");
    tap_is_number(read_changing(1000000, 500000), 1, "... also when it stays large");
    tap_is_number(read_changing(1000, 10), 2, "a small one that shrinks is refused");
    tap_is_number(read_changing(1000, 1000000), 1, "one that grows is read as it was");
}

static void test_report_problems(void)
{
    struct mw_limits limits;
    mw_limits_default(&limits);
    limits.errors = 2;
    struct mw_report *report = mw_report_new();
    for (int i = 0; i < 5; i++)
        mw_report_problem(report, &limits, MW_PROBLEM_HEADER_JUNK, NULL, "number %d\nforged", i);
    tap_is_number((long long)report->errors.count, 3, "problems are bounded");
    tap_is(report->errors.items[2].name, "limit.errors", "and the last one says so");
    tap_is(report->errors.items[0].detail,
           "number 0\xEF\xBF\xBD"
           "forged",
           "a problem stays on one line");
    mw_report_free(report);
}

static void test_json(void)
{
    static const struct {
        const char *json;
        const char *promise;
    } bad[] = {
        {"", "nothing is no report"},
        {"[]", "an array is no report"},
        {"{}", "missing fields are refused"},
        {"{\"surprise\":1}", "an unknown field is refused"},
    };
    struct mw_report *report = mw_report_new();
    report->subject = "\xE2\x82\xAC and \"quotes\"";
    struct mw_error error = {0};
    char *text = mw_report_to_json(report, MW_JSON_LINE, &error);
    struct mw_report *back = mw_report_from_json(mw_bytes_of(text), &error);
    char *again = back ? mw_report_to_json(back, MW_JSON_LINE, &error) : NULL;
    tap_is(again, text, "a report read back writes the same JSON");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error.code = 0;
        struct mw_report *none = mw_report_from_json(mw_bytes_of(bad[i].json), &error);
        tap_ok(!none && error.code == MW_ERR_FORMAT && error.text[0], "%s", bad[i].promise);
    }
    bool refused = true;
    for (size_t size = 0; size < strlen(text); size++) {
        struct mw_report *part =
            mw_report_from_json((struct mw_bytes){(unsigned char *)text, size}, &error);
        refused = refused && !part;
        mw_report_free(part);
    }
    tap_ok(refused, "every truncated report is refused");
    report->subject = "\xFF";
    tap_ok(!mw_report_to_json(report, MW_JSON_LINE, &error), "text that is not UTF-8 never leaves");
    free(again);
    free(text);
    mw_report_free(back);
    mw_report_free(report);
}

/* What a log wrote to stderr, in a buffer of the caller's. */
static void logged(enum mw_log_form form, const char *queue_id, const char *text, char *out,
                   size_t size)
{
    struct mw_error error = {0};
    int pipe_ends[2], saved = dup(STDERR_FILENO);
    if (pipe(pipe_ends) != 0)
        return;
    dup2(pipe_ends[1], STDERR_FILENO);
    struct mw_log *log = mw_log_new("test", MW_LOG_STDERR, form, MW_LOG_INFO, &error);
    mw_log_write(log, MW_LOG_DEBUG, NULL, "not at this level");
    mw_log_write(log, MW_LOG_WARNING, queue_id, "%s", text);
    mw_log_free(log);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipe_ends[1]);
    ssize_t got = read(pipe_ends[0], out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    close(pipe_ends[0]);
}

static void test_log(void)
{
    char out[8192];
    logged(MW_LOG_TEXT, "4F1", "hello\nforged: line", out, sizeof out);
    tap_is(out,
           "test: warning: 4F1: hello\xEF\xBF\xBD"
           "forged: line\n",
           "a log line names program, level and queue id, and cannot be broken");
    logged(MW_LOG_TEXT, "4F1\xE2\x80\xAE",
           "exe\xE2\x80\xAE"
           "fdp\xE2\x80\x8B.",
           out, sizeof out);
    tap_is(out, "test: warning: 4F1<U+202E>: exe<U+202E>fdp<U+200B>.\n",
           "nothing turns a log line around or hides in it");
    logged(MW_LOG_JSON, NULL, "say \"hi\"", out, sizeof out);
    tap_ok(strstr(out, "\"message\":\"say \\\"hi\\\"\"") && !strstr(out, "queue_id"),
           "a log line can be JSON");
    tap_ok(mw_log_level_from_name("notice") == MW_LOG_NOTICE &&
               mw_log_level_from_name("loud") == -1,
           "levels have names, and only those");
}

static void test_log_words(void)
{
    struct mw_arena *arena = mw_arena_new();
    tap_is(mw_log_word_text(arena, '<', "a@x> verdict=clean <b", '>', 100),
           "<a@x__verdict=clean__b>", "a value cannot look like another word");
    tap_is(mw_log_word_text(arena, '"', "a \"b\\c", '"', 100), "\"a _b_c\"", "... nor in quotes");
    tap_is(mw_log_word_text(arena, '<', "abcdef", '>', 3), "<abc...>", "... and is cut");
    mw_arena_free(arena);
}

/* A list that grows where it is, from a block that it shares into one of its own. */
static void test_list_growth(void)
{
    size_t wrong = 0;
    for (int before = 500; before < 600; before++) {
        struct mw_arena *arena = mw_arena_new();
        for (int i = 0; i < before; i++)
            mw_arena_alloc(arena, 3000);
        MW_LIST(size_t) list = {0};
        for (size_t i = 0; i < 50000; i++)
            *(size_t *)mw_list_add(arena, &list, sizeof i) = i;
        for (size_t i = 0; i < list.count; i++)
            wrong += list.items[i] != i;
        mw_arena_free(arena);
    }
    tap_ok(wrong == 0, "a list keeps its items as it grows out of a block that it shares");
}

int main(void)
{
    test_list_growth();
    test_ids();
    test_utf8();
    test_memfiles();
    test_urls();
    test_addresses();
    test_times();
    test_ascii();
    test_hidden();
    test_names();
    test_verdicts();
    test_changing_memfiles();
    test_report_problems();
    test_json();
    test_log();
    test_log_words();
    return tap_done();
}
