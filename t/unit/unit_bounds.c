/* unit_bounds: what GMime gets to see of mail that would cost it too much. */
#include <stdlib.h>

#include "parsers/boundary.h"
#include "parsers/bounds.h"
#include "t/unit/tap.h"

struct sample {
    struct mw_report *report;
    struct mw_limits limits;
    struct mw_parse parse;
    char *text;
    size_t size, room;
    struct mw_bytes readable;
};

static struct sample new_sample(const char *start)
{
    struct sample sample = {.report = mw_report_new(), .room = 64 << 20};
    mw_limits_default(&sample.limits);
    sample.limits.time_ms = 0;
    sample.text = malloc(sample.room);
    sample.size = (size_t)sprintf(sample.text, "%s", start);
    return sample;
}

static void add(struct sample *sample, const char *text, unsigned times)
{
    size_t size = strlen(text);
    for (unsigned i = 0; i < times; i++, sample->size += size)
        memcpy(sample->text + sample->size, text, size + 1);
}

static void apply(struct sample *sample)
{
    mw_parse_start(&sample->parse, sample->report, &sample->limits, sample->size);
    sample->readable = (struct mw_bytes){(unsigned char *)sample->text, sample->size};
    mw_bounds_apply(&sample->parse, NULL, &sample->readable);
}

static bool is_unchanged(const struct sample *sample)
{
    return sample->readable.data == (unsigned char *)sample->text &&
           sample->readable.size == sample->size && sample->report->errors.count == 0;
}

static size_t count(struct mw_bytes bytes, const char *text)
{
    size_t found = 0;
    struct mw_bytes needle = mw_bytes_of(text);
    for (size_t at = 0; (at = mw_bytes_find(bytes, at, needle)) < bytes.size; at++)
        found++;
    return found;
}

/* The only problem there is. */
static const char *problem_of(const struct sample *sample)
{
    return sample->report->errors.count == 1 ? sample->report->errors.items[0].name
                                             : "none or many";
}

static void done(struct sample *sample)
{
    mw_report_free(sample->report);
    free(sample->text);
}

static void test_usual(void)
{
    struct sample usual = new_sample("From: a@b.c\r\nTo: g: a@b.c, d@e.f;, x@y.z\r\n"
                                     "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    add(&usual, "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n", 500);
    add(&usual, "-- \r\nA signature: with a colon\r\n", 300);
    apply(&usual);
    tap_ok(is_unchanged(&usual), "usual mail is not copied and nothing is said of it");
    done(&usual);
    struct sample text = new_sample("From: a@b.c\r\n\r\n");
    add(&text, "-- a comment\n", 100000);
    apply(&text);
    tap_ok(is_unchanged(&text), "nor is a text of lines with dashes, however many");
    done(&text);
    struct sample lines = new_sample("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n-- \n");
    add(&lines, "a line: of a text\n", 100000);
    add(&lines, "--b\nX: v\nContent-Type: text/plain\n\nx\n", 1000);
    apply(&lines);
    tap_ok(is_unchanged(&lines), "nor do the lines of a text count as fields");
    done(&lines);
    struct sample list = new_sample("From: a@b.c\r\n\r\n--c\r\n");
    add(&list, "a:;", 100000);
    add(&list, "\r\nTo: x\r\n", 20000);
    apply(&list);
    tap_ok(is_unchanged(&list), "what only looks like a header, behind no boundary, has no bounds");
    done(&list);
}

static void test_parts(void)
{
    struct sample parts = new_sample("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n");
    add(&parts, "--b\r\n\r\n", 1000000);
    apply(&parts);
    tap_ok(count(parts.readable, "--b") <= 2 * parts.limits.parts + 2,
           "of a million empty parts GMime sees no more than are opened");
    tap_is(problem_of(&parts), "limit.parts", "and that is said");
    done(&parts);
    struct sample pieces =
        new_sample("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n");
    add(&pieces, "--ab\n\n", 1000000);
    apply(&pieces);
    tap_ok(count(pieces.readable, "--ab") <= 2 * pieces.limits.parts + 2,
           "also where the boundary is named in pieces");
    done(&pieces);
}

static void test_fields(void)
{
    struct sample fields = new_sample("From: a@b.c\r\n");
    add(&fields, "X: v\r\n", 100000);
    add(&fields, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n", 1);
    apply(&fields);
    tap_ok(count(fields.readable, "X: v") <= fields.limits.header_count + 1,
           "of many fields as many as are kept are seen");
    tap_is_number((long long)count(fields.readable, "Content-Type: multipart/mixed; boundary=b"), 1,
                  "and with them what tells how the message is built");
    tap_is_number((long long)fields.readable.size, (long long)fields.size, "in their places");
    done(&fields);
    struct sample headers = new_sample("Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (unsigned i = 0; i < 1900; i++) {
        add(&headers, "--b\r\n", 1);
        add(&headers, "X: v\r\n", 1000);
        add(&headers, "Content-Type: text/html\r\n\r\nx\r\n", 1);
    }
    apply(&headers);
    tap_ok(count(headers.readable, "X: v") < 40000, "all headers together have a bound on fields");
    tap_is_number((long long)count(headers.readable, "text/html"), 1900, "but for what matters");
    tap_is(headers.report->errors.items[0].name, "limit.header_count", "and that is said");
    done(&headers);
    struct sample field = new_sample("X: ");
    add(&field, "a", 10000000);
    add(&field, "\r\nTo: a@b.c\r\n\r\nx", 1);
    apply(&field);
    tap_ok(count(field.readable, "aaaaaaaaaa") < field.limits.header_length + 2048,
           "a long field has blanks for its end");
    tap_is_number((long long)count(field.readable, "\r\nTo: a@b.c\r\n"), 1,
                  "the next one is whole");
    done(&field);
    struct sample parameters = new_sample("Content-Type: application/pdf");
    add(&parameters, "; p=v", 5000);
    add(&parameters, "\r\n\r\nx", 1);
    apply(&parameters);
    tap_ok(count(parameters.readable, ";") <= 1000,
           "a field has no more parameters than are needed");
    tap_is(problem_of(&parameters), "limit.content_field", "which hides something, and is said");
    done(&parameters);
}

static void test_addresses(void)
{
    struct sample groups = new_sample("From: ");
    add(&groups, "g:", 30000);
    add(&groups, "a@b.c;\r\n\r\nx", 1);
    apply(&groups);
    tap_ok(count(groups.readable, ":") <= 1000, "groups within groups end at a bound");
    tap_is(problem_of(&groups), "limit.address_count", "and that is said");
    done(&groups);
    struct sample many = new_sample("From: a@b.c\r\n");
    add(&many, "To: a@b.c\r\n", 5000);
    add(&many, "\r\nx", 1);
    apply(&many);
    tap_ok(count(many.readable, "To:") <= 100, "and so do fields of addresses");
    done(&many);
}

static void test_guess(void)
{
    static const struct {
        const char *content, *boundary, *promise;
    } cases[] = {
        {"a\n--x\nb\n--y\nc\n--x--\n", "x", "a boundary that comes again as the last is guessed"},
        {"a\n--x\nb\n--y\nc\n--y\n--x\n", "x", "of two, the first"},
        {"a\n--x\n--y\n", "", "what stands there once is none"},
        {"a\n-----\nb\n-----\n", "---", "dashes may be one"},
        {"--x--\nb\n--x\n", "", "what ends a multipart does not begin it"},
        {"--a\"b\n--a\"b\n", "", "what cannot be named is none"},
        {"", "", "nothing has none"},
    };
    struct sample sample = new_sample("");
    apply(&sample);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_bytes found = mw_boundary_guess(&sample.parse, mw_bytes_of(cases[i].content));
        tap_is(mw_arena_dup_bytes(sample.report->arena, found.data ? (const char *)found.data : "",
                                  found.size),
               cases[i].boundary, cases[i].promise);
    }
    done(&sample);
}

static void test_arena(void)
{
    struct mw_arena *arena = mw_arena_new();
    unsigned char *bytes = mw_arena_alloc_raw(arena, 100), *first = bytes;
    memset(bytes, 'a', 100);
    bytes = mw_arena_resize(arena, bytes, 100, 2000);
    tap_ok(bytes == first, "the last thing handed out grows where it is");
    mw_arena_alloc(arena, 8);
    bytes = mw_arena_resize(arena, bytes, 2000, 4000);
    bool same = bytes != first;
    for (size_t i = 0; i < 100; i++)
        same = same && bytes[i] == 'a';
    tap_ok(same, "what is no more the last moves with its bytes");
    size_t size = 4000;
    for (; size < (size_t)16 << 20; size *= 2) {
        bytes = mw_arena_resize(arena, bytes, size, size * 2);
        bytes[size * 2 - 1] = 'z';
        mw_arena_alloc(arena, 64);
    }
    tap_ok(bytes[0] == 'a' && bytes[99] == 'a', "and keeps them however large it grows");
    tap_ok(mw_arena_used(arena) < size + (512 << 10), "what grew large left no copies behind");
    bytes = mw_arena_resize(arena, bytes, size, (size_t)1 << 20);
    tap_ok(mw_arena_used(arena) < ((size_t)1 << 20) + (512 << 10), "and shrinks");
    MW_LIST(int) list = {0};
    for (int i = 0; i < 100000; i++)
        *(int *)mw_list_add(arena, &list, sizeof(int)) += i;
    bool good = true;
    for (int i = 0; i < 100000; i++)
        good = good && list.items[i] == i;
    tap_ok(good, "a list that grows has what was added, each zeroed before");
    mw_arena_free(arena);
}

int main(void)
{
    test_usual();
    test_parts();
    test_fields();
    test_addresses();
    test_guess();
    test_arena();
    return tap_done();
}
