/* unit_cli: times as people write them, cells of CSV, documents of ECS. */
#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "cli/export_csv.h"
#include "cli/export_ecs.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "cli/wrap.h"
#include "core/time.h"
#include "scanners/hash.h"
#include "t/unit/tap.h"
#include "worker/witness.h"

/* Tuesday, 2026-11-24 15:30:20.500 in Berlin, UTC+1. */
static const int64_t now = 1795530620500;

static void test_when(void)
{
    static const struct {
        const char *text;
        enum mw_when_edge edge;
        const char *utc;
    } cases[] = {
        {"now", MW_WHEN_END, "2026-11-24T14:30:20.500Z"},
        {"2 hours ago", MW_WHEN_START, "2026-11-24T12:30:20.500Z"},
        {"2 hours ago", MW_WHEN_END, "2026-11-24T12:30:20.500Z"},
        {"90min", MW_WHEN_START, "2026-11-24T13:00:20.500Z"},
        {"7d", MW_WHEN_START, "2026-11-17T14:30:20.500Z"},
        {"1 week 2 days ago", MW_WHEN_START, "2026-11-15T14:30:20.500Z"},
        {"1h30min", MW_WHEN_START, "2026-11-24T13:00:20.500Z"},
        {"250 ms", MW_WHEN_START, "2026-11-24T14:30:20.250Z"},
        {"1 Month", MW_WHEN_START, "2026-10-24T13:30:20.500Z"}, /* summer time then */
        {"30d", MW_WHEN_START, "2026-10-25T14:30:20.500Z"},
        {"today", MW_WHEN_START, "2026-11-23T23:00:00.000Z"},
        {"today", MW_WHEN_END, "2026-11-24T22:59:59.999Z"},
        {"yesterday", MW_WHEN_START, "2026-11-22T23:00:00.000Z"},
        {"Yesterday 14:00", MW_WHEN_START, "2026-11-23T13:00:00.000Z"},
        {"monday", MW_WHEN_START, "2026-11-22T23:00:00.000Z"},
        {"tuesday", MW_WHEN_START, "2026-11-23T23:00:00.000Z"},
        {"wednesday", MW_WHEN_START, "2026-11-17T23:00:00.000Z"},
        {"9:15", MW_WHEN_START, "2026-11-24T08:15:00.000Z"},
        {"14:05", MW_WHEN_END, "2026-11-24T13:05:59.999Z"},
        {"2026-11-01", MW_WHEN_START, "2026-10-31T23:00:00.000Z"},
        {"2026-11-01", MW_WHEN_END, "2026-11-01T22:59:59.999Z"},
        {"2026-10-25", MW_WHEN_END, "2026-10-25T22:59:59.999Z"}, /* a day of 25 hours */
        {"2026-11", MW_WHEN_END, "2026-11-30T22:59:59.999Z"},
        {"2026", MW_WHEN_START, "2025-12-31T23:00:00.000Z"},
        {"2026-11-01 14:05", MW_WHEN_END, "2026-11-01T13:05:59.999Z"},
        {"2026-11-01T14:05:30", MW_WHEN_END, "2026-11-01T13:05:30.999Z"},
        {"2026-11-01T14:05:30.250Z", MW_WHEN_END, "2026-11-01T14:05:30.250Z"},
        {"2026-11-01T14:05:30+02:00", MW_WHEN_START, "2026-11-01T12:05:30.000Z"},
        {"2026-11-01 14:05:30 -0530", MW_WHEN_START, "2026-11-01T19:35:30.000Z"},
        {"@1793000000", MW_WHEN_START, "2026-10-26T07:33:20.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_error error = {0};
        int64_t ms = -1;
        char utc[MW_WHEN_SIZE], name[128];
        int result = mw_when_parse(cases[i].text, now, cases[i].edge, &ms, &error);
        mw_time_text(ms, utc);
        snprintf(name, sizeof name, "the %s of '%s' is understood",
                 cases[i].edge == MW_WHEN_START ? "start" : "end", cases[i].text);
        tap_is(result == 0 ? utc : error.text, cases[i].utc, name);
    }
}

static void test_no_time(void)
{
    static const char *const cases[] = {
        "",
        "tomorrow",
        "7",
        "7 parsecs",
        "7m",
        "-7d",
        "d",
        "2026-13-1",
        "2026-02-30",
        "2026-11-1",
        "25:00",
        "14:60",
        "14:05 x",
        "ago",
        "@",
        "@12x",
        "2026-11-01 14:05:30 +99:00",
        "nowish",
        "7d 3",
        "2026-11-01T",
        "2026-11 14:05",
        "99999999999999999999d",
    };
    bool refused = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_error error = {0};
        int64_t ms;
        bool one = mw_when_parse(cases[i], now, MW_WHEN_START, &ms, &error) == MW_ERR_INPUT &&
                   strstr(error.text, "2 hours ago");
        if (!one)
            printf("# taken for a time: '%s'\n", cases[i]);
        refused = refused && one;
    }
    tap_ok(refused, "what is no time is refused with what is allowed");
    char local[MW_WHEN_SIZE];
    mw_when_local(now, local);
    tap_is(local, "2026-11-24 15:30:20", "tables show local time");
}

static const char *written(void (*write)(FILE *out, const void *thing), const void *thing)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof text, "w");
    write(out, thing);
    fclose(out);
    return text;
}

static void write_cell(FILE *out, const void *text)
{
    mw_csv_cell(out, text);
}

static void test_csv(void)
{
    static const struct {
        const char *text, *cell, *promise;
    } cases[] = {
        {"plain", "plain", "a plain cell stays"},
        {"a,b", "\"a,b\"", "commas are quoted"},
        {"say \"hi\"", "\"say \"\"hi\"\"\"", "quotes are doubled"},
        {"two\nlines", "\"two\nlines\"", "line ends are quoted"},
        {"=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\"", "a formula gets an apostrophe"},
        {"+1", "'+1", "so does a plus"},
        {"-1+2", "'-1+2", "and a minus"},
        {"@SUM(1)", "'@SUM(1)", "and an at sign"},
        {"\tx", "'\tx", "and a tab"},
        {"\xEF\xBC\x9D"
         "1+1",
         "'\xEF\xBC\x9D"
         "1+1",
         "and a full-width equals sign"},
        {"a=b", "a=b", "an equals sign further on is left alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tap_is(written(write_cell, cases[i].text), cases[i].cell, cases[i].promise);
}

static const char report_json[] =
    "{\"id\":\"01931f6f-0000-7000-8000-000000000000\",\"received\":\"2026-11-24T14:30:20.500Z\","
    "\"client\":{\"name\":\"mx.example\",\"address\":\"192.0.2.1\"},\"queue_id\":\"Q1\","
    "\"envelope\":{\"from\":\"a@example.com\",\"to\":[\"b@example.org\"]},"
    "\"headers\":{},\"header_names\":[],"
    "\"from\":[{\"name\":\"A\",\"address\":\"a@example.com\"}],"
    "\"to\":[{\"address\":\"b@example.org\"}],\"subject\":\"=1+1\",\"size\":10,\"text_parts\":[],"
    "\"attachments\":[{\"path\":\"2\",\"filename\":\"x.exe\",\"content_type\":\"a/b\","
    "\"file_type\":\"application/x-dosexec\",\"md5\":\"00\",\"sha256\":\"11\",\"size\":3,"
    "\"findings\":[{\"scanner\":\"yara\",\"name\":\"Bad\",\"severity\":\"malicious\"}],"
    "\"verdict\":\"malicious\"}],"
    "\"findings\":[],\"errors\":[],\"timings\":{},\"verdict\":\"malicious\",\"action\":\"reject\"}";

static void write_report(FILE *out, const void *report)
{
    struct mw_error error = {0};
    mw_csv_heading(out, &error);
    mw_csv_report(out, report, &error);
}

static const char *at(const json_t *document, const char *path)
{
    char part[64];
    while (*path) {
        size_t length = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        document = json_is_array(document) ? json_array_get(document, (size_t)atoi(part))
                                           : json_object_get(document, part);
        path += length + (path[length] == '.');
    }
    return json_string_value(document);
}

static void test_report(void)
{
    struct mw_error error = {0};
    struct mw_report *report = mw_report_from_json(mw_bytes_of(report_json), &error);
    if (!tap_ok(report != NULL, "the sample report is read: %s", error.text))
        return;
    const char *csv = written(write_report, report);
    tap_ok(strncmp(csv, "id,received,verdict,", 20) == 0, "CSV begins with the names of columns");
    const char *line = strstr(csv, "\r\n");
    tap_is(line,
           "\r\n01931f6f-0000-7000-8000-000000000000,2026-11-24T14:30:20.500Z,malicious,reject,"
           "a@example.com,b@example.org,,a@example.com,b@example.org,'=1+1,,,192.0.2.1,mx.example,"
           "Q1,10,,1,x.exe,11,yara:Bad,,,,,\r\n",
           "a report is one line with all columns");
    json_t *ecs = mw_ecs_of(report);
    tap_is(at(ecs, "@timestamp"), "2026-11-24T14:30:20.500Z", "ECS has the time of receipt");
    tap_is(at(ecs, "email.from.address.0"), "a@example.com", "addresses are arrays");
    tap_is(at(ecs, "email.attachments.0.file.name"), "x.exe", "attachments are files");
    tap_is(at(ecs, "email.attachments.0.file.hash.sha256"), "11", "... with hashes");
    tap_is(at(ecs, "email.attachments.0.file.mime_type"), "application/x-dosexec",
           "... and the detected type");
    tap_is(at(ecs, "event.kind"), "alert", "malicious mail is an alert");
    tap_is(at(ecs, "event.type.1"), "denied", "refused mail was denied");
    tap_is(at(ecs, "rule.name.0"), "Bad", "rules are named");
    tap_is(at(ecs, "related.hash.0"), "11", "hashes can be pivoted on");
    tap_is(at(ecs, "client.ip"), "192.0.2.1", "the client has its address");
    json_decref(ecs);
    mw_report_free(report);
}

struct cell {
    const char *text;
    int width;
    enum mw_cell form;
};

static void write_terminal_cell(FILE *out, const void *thing)
{
    const struct cell *cell = thing;
    mw_terminal_cell(out, cell->text, cell->width, cell->form);
}

static void write_terminal_text(FILE *out, const void *text)
{
    mw_terminal_text(out, text, "> ");
}

static void test_terminal(void)
{
    static const struct {
        struct cell cell;
        const char *shown, *promise;
    } cases[] = {
        {{"ab", 4, MW_CELL_LEFT}, "ab  ", "a cell is filled up"},
        {{"ab", 4, MW_CELL_RIGHT}, "  ab", "to the left for numbers"},
        {{"abcd", 4, MW_CELL_LEFT}, "abcd", "what fits is whole"},
        {{"abcde", 4, MW_CELL_LEFT}, "abc\xE2\x80\xA6", "what does not is cut"},
        {{"abcde", 4, MW_CELL_WHOLE}, "abcde", "unless it must be whole"},
        {{"\xE6\x97\xA5\xE6\x9C\xAC", 4, MW_CELL_LEFT},
         "\xE6\x97\xA5\xE6\x9C\xAC",
         "wide characters take two columns"},
        {{"\xE6\x97\xA5\xE6\x9C\xAC", 3, MW_CELL_LEFT},
         "\xE6\x97\xA5\xE2\x80\xA6",
         "and are cut between characters"},
        {{"a\xE2\x80\xAE"
          "b",
          12, MW_CELL_LEFT},
         "a<U+202E>b  ",
         "what would not show is spelled out"},
        {{"a\xE2\x80\xAE"
          "b",
          9, MW_CELL_LEFT},
         "a\xE2\x80\xA6       ",
         "and is cut as a whole"},
        {{"a\033[31m", 8, MW_CELL_LEFT}, "a?[31m  ", "escapes do not reach the terminal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tap_is(written(write_terminal_cell, &cases[i].cell), cases[i].shown, cases[i].promise);
    tap_is(written(write_terminal_text, "one\r\n\033]0;x\atwo\rthree\n"),
           "> one\n> ?]0;x?two?three\n", "a text is indented and cannot command the terminal");
    char size[MW_SIZE_TEXT];
    mw_terminal_size(999, size);
    tap_is(size, "999B", "small sizes are exact");
    mw_terminal_size(1536, size);
    tap_is(size, "1.5K", "others are rounded");
}

static bool comes_through(struct mw_witness *witness, struct mw_hasher *hasher,
                          struct mw_bytes data, const struct mw_wrap_facts *facts)
{
    struct mw_error error = {0};
    struct mw_bytes raw;
    struct mw_memfile *message = mw_wrap(data, facts, &error);
    if (!message || mw_memfile_map(message, &raw, &error) != 0)
        return false;
    struct mw_report *report = mw_witness_examine(witness, raw);
    const char *sha256 = mw_hasher_sha256(hasher, report->arena, data);
    const struct mw_attachment *file = mw_wrap_find(report, sha256);
    bool same_name = !facts->filename ||
                     (file && file->filename && strcmp(file->filename, facts->filename) == 0);
    bool same_sender =
        !facts->sender ||
        (report->from.count == 1 && strcmp(report->from.items[0].address, facts->sender) == 0);
    bool good = file && same_name && same_sender && file->data.size == data.size &&
                (data.size == 0 || memcmp(file->data.data, data.data, data.size) == 0);
    mw_report_free(report);
    mw_memfile_free(message);
    return good;
}

static void test_wrap(void)
{
    static const char *const texts[] = {
        "",
        "\n",
        "\r\n",
        ".",
        "\r\n.\r\nQUIT\r\n",
        "From x\n",
        "DATA\r\nx\r\n.\r\n",
        "begin 644 x\n#86)C\n`\nend\n",
        "--b\n\nx\n--b--\n",
        "Content-Type: text/plain\n\nhi",
    };
    static const struct mw_wrap_facts facts[] = {
        {NULL, NULL, NULL, NULL},
        {"a b;\"c\" \xC3\xBC.exe", "text/plain", "ana@example.com", "x\r\nTo: y"},
        {"x.eml", "message/rfc822", "ana@example.com", "\xC3\xBC"},
        {"x", "multipart/mixed; boundary=b", NULL, ""},
        {"winmail.dat", "application/ms-tnef", NULL, NULL},
        {"a.zip", "not a type\r\nX: y", NULL, NULL},
    };
    struct mw_error error = {0};
    struct mw_witness_settings settings = {0};
    mw_limits_default(&settings.limits);
    struct mw_witness *witness = mw_witness_new(&settings, &error);
    struct mw_hasher *hasher = mw_hasher_new(&error);
    unsigned char noise[3000];
    bool good = true;
    srand(1);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            if (!comes_through(witness, hasher, mw_bytes_of(texts[j]), &facts[i])) {
                printf("# facts %zu, text %zu does not come through\n", i, j);
                good = false;
            }
        for (size_t size = 0; size < sizeof noise; size += 97) {
            for (size_t k = 0; k < size; k++)
                noise[k] = (unsigned char)rand();
            good =
                good && comes_through(witness, hasher, (struct mw_bytes){noise, size}, &facts[i]);
        }
    }
    tap_ok(good, "an attachment wrapped as a message is read as the part it was");
    mw_hasher_free(hasher);
    mw_witness_free(witness);
}

int main(void)
{
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    tap_ok(setlocale(LC_CTYPE, "C.UTF-8") != NULL, "the locale C.UTF-8 is there");
    test_when();
    test_no_time();
    test_csv();
    test_report();
    test_terminal();
    test_wrap();
    return tap_done();
}
