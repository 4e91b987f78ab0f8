/*
 * unit_cost: input of twice the size costs twice the work, whatever the input is: for each
 * parser and each kind of indicator, with the bounds so wide that they help nobody.
 */
#include <stdlib.h>

#include "t/unit/count_work.h"
#include "t/unit/tap.h"
#include "worker/witness.h"

enum { SMALL = 128 << 10, START = 200000 };

/* A message that grows: what stands before, what is repeated (with its number for %u), what
 * stands behind. */
static const struct made {
    const char *promise, *before, *again, *behind;
    unsigned parts; /* instead of repeating it within one: so many texts. 0: one */
} all[] = {
#define HEAD "From: a@example.com\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
#define TEXT HEAD "Content-Type: text/plain\r\n\r\n"
#define PAGE HEAD "Content-Type: text/html\r\n\r\n"
    /* indicators */
    {"links that begin within links", TEXT, "http://", "", 0},
    {"links that begin within links, in disguise", TEXT, "hxxp[:]//a[.]", "", 0},
    {"links in links by their user", TEXT, "http://a@", "", 0},
    {"a link of users", TEXT "http://", "a@", "", 0},
    {"a link that is one user", TEXT "http://", "a", "", 0},
    {"a link of labels", TEXT "http://", "a.", "", 0},
    {"a link of labels with dashes", TEXT "http://", "a-", "", 0},
    {"links in brackets", TEXT, "http://[", "", 0},
    {"a link to one long address", TEXT "http://[", "1:", "", 0},
    {"a link with what ends sentences", TEXT "http://a.example/", ")", "", 0},
    {"a link with brackets and points", TEXT "http://a.example/(", ".)", "", 0},
    {"links", TEXT, "http://h%u.example/p ", "", 0},
    {"the same link", TEXT, "http://h.example/p ", "", 0},
    {"links in a page", PAGE, "<a href=\"http://x%u.example/", "", 0},
    {"one long name before an @", TEXT, "a", "@example.com", 0},
    {"one long name behind an @", TEXT "a@", "a", "", 0},
    {"addresses in addresses", TEXT, "a@", "", 0},
    {"addresses of all lengths to one long host", TEXT, "aaaaaaaaaaaaaaaa@aaaaaaaaaaaaaaaa", "", 0},
    {"addresses", TEXT, "u%u@h.example ", "", 0},
    {"domains in domains", TEXT, "a.", "", 0},
    {"domains of dashes", TEXT, "a-", ".example", 0},
    {"domains of underscores", TEXT, "a_.", "", 0},
    {"domains in brackets", TEXT, "a[.]", "", 0},
    {"open brackets", TEXT, "[", "", 0},
    {"open parentheses", TEXT, "a(", "", 0},
    {"domains of bytes that are no ASCII", TEXT, "\xC3\xA4.", "", 0},
    {"numbers with points", TEXT, "1.", "", 0},
    {"IPv4 addresses", TEXT, "10.0.%u.1 ", "", 0},
    {"numbers with colons", TEXT, "a:", "", 0},
    {"colons", TEXT, ":", "", 0},
    {"hashes without an end", TEXT, "a1", "", 0},
    {"hashes", TEXT, "d41d8cd98f00b204e9800998ecf8427e ", "", 0},
    {"MAC addresses in MAC addresses", TEXT, "00-", "", 0},
    {"MAC addresses", TEXT, "00:11:22:33:44:55 ", "", 0},
    /* headers */
    {"fields", HEAD, "X-%u: v\r\n", "\r\nx\r\n", 0},
    {"fields of one name", HEAD, "X: v\r\n", "\r\nx\r\n", 0},
    {"a field in folds", HEAD "X: a\r\n", " \r\n", "\r\nx\r\n", 0},
    {"a long field", HEAD "X: ", "a", "\r\n\r\nx\r\n", 0},
    {"lines in a header that are no field", HEAD, "no field\r\nX: v\r\n", "\r\nx\r\n", 0},
    {"Content-Type fields", HEAD, "Content-Type: text/plain\r\n", "\r\nx\r\n", 0},
    {"fields of addresses", HEAD, "To: a@b.example\r\n", "\r\nx\r\n", 0},
    {"addresses in a field", "From: a@b.example", ",\r\n u%u@x.example", "\r\n\r\nx\r\n", 0},
    {"groups in groups", "From: ", "g:", "a@b.c;\r\n\r\nx", 0},
    {"comments in comments", "From: ", "(", "a@b.c\r\n\r\nx", 0},
    {"quotes in quotes", "From: \"", "\\\"", "\" <a@b.c>\r\n\r\nx", 0},
    {"brackets in brackets", "From: ", "<", "a@b.c>\r\n\r\nx", 0},
    {"routes", "From: <", "@a,", ":a@b.c>\r\n\r\nx", 0},
    {"encoded words", "Subject: a", "\r\n =?utf-8?q?a?=", "\r\n\r\nx", 0},
    {"encoded words without an end", "Subject: ", "=?utf-8?q?", "\r\n\r\nx", 0},
    {"encoded words with question marks", "Subject: =?utf-8?q?a", "?=20", "?=\r\n\r\nx", 0},
    {"words of base64 that never come to an end",
     "Subject: =?utf-8?b?Y?=", "\r\n =?utf-8?b?YWJj?=", "\r\n\r\nx", 0},
    {"words of base64 with one digit", "Subject: a", "\r\n =?utf-8?b?Y?=", "\r\n\r\nx", 0},
    {"words of many charsets", "Subject: a", "\r\n =?utf-8?q?a?=\r\n =?koi8-r?q?=c1?=", "\r\n\r\nx",
     0},
    {"encoded words in a list", "To: a@b.c", ",\r\n =?utf-8?q?a,?= <a@b.c>", "\r\n\r\nx", 0},
    {"parameters", HEAD "Content-Type: application/pdf", ";\r\n p%u=v", "\r\n\r\nx\r\n", 0},
    {"pieces of a parameter", HEAD "Content-Type: application/pdf", ";\r\n name*%u*=a",
     "\r\n\r\nx\r\n", 0},
    {"Received fields", "",
     "Received: from a (b [192.0.2.1]) by c with d id e for <f>; Mon, 1 Jan 2024 00:00:00 "
     "+0000\r\n",
     HEAD "\r\nx", 0},
    {"a Received field of clauses", "Received: ", "from a by b with c id d ", "\r\n" HEAD "\r\nx",
     0},
    {"a Received field of comments", "Received: from ", "(", "\r\n" HEAD "\r\nx", 0},
    {"references", "References: ", "<a%u@b> ", "\r\n" HEAD "\r\nx", 0},
    /* structure */
    {"parts", HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\n", "", 0},
    {"parts with a header", HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     "--b\r\nContent-Type: application/pdf\r\n\r\nx\r\n", "", 0},
    {"parts in parts", HEAD, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n",
     "\r\nx\r\n", 0},
    {"headers that run into their bodies", HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
     "--b\r\nX: v\r\nno field\r\n", "", 0},
    {"lines that look like headers without a boundary", TEXT, "--c%u\r\nX: v\r\nno field\r\n\r\n",
     "", 0},
    {"boundaries that are named", TEXT, "--c%u\r\nX: boundary=c%u\r\nno field\r\n\r\n", "", 0},
    {"boundaries that nobody named", HEAD "Content-Type: multipart/mixed; boundary=none\r\n\r\n",
     "--c%u\r\nX: v\r\n\r\nx\r\n", "", 0},
    {"lines of dashes", TEXT, "--\n", "", 0},
    {"equals signs", TEXT, "boundary=", "", 0},
    {"blanks before equals signs", TEXT, "boundary                                =", "", 0},
    {"messages in messages", HEAD "Content-Type: message/rfc822\r\n\r\n",
     "From: a@b.c\r\nContent-Type: message/rfc822\r\n\r\n", "x", 0},
    {"lines of mbox files", "", "From a@b Mon\r\n", "\r\nx", 0},
    {"an SMTP session", "EHLO a\r\nMAIL FROM:<a@b.c>\r\n", "RCPT TO:<u%u@b.c>\r\n",
     "DATA\r\n" HEAD "\r\nx\r\n.\r\n", 0},
    {"carriage returns without line feeds", "From: a@b.c\r", "X: v\r", "\rx", 0},
    {"NULs", TEXT, "", "", 1},
    /* encodings and charsets */
    {"soft line breaks", HEAD "Content-Transfer-Encoding: quoted-printable\r\n\r\n", "=\r\n", "",
     0},
    {"blanks behind soft line breaks", HEAD "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
     "= ", "", 0},
    {"ends of base64 in base64",
     HEAD "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n", "QQ==", "",
     0},
    {"uuencoded lines that say more than they hold",
     HEAD "Content-Type: application/pdf\r\nContent-Transfer-Encoding: "
          "x-uuencode\r\n\r\nbegin 644 x\r\n",
     "_\n", "", 0},
    {"uuencoded files that never end", TEXT, "begin 644 x\r\n", "", 0},
    {"uuencoded files without content", TEXT, "begin 644 x\r\n`\r\nend\r\n", "", 0},
    {"yEnc files", TEXT "begin \r\n", "=ybegin line=128 size=1 name=x\r\n=yend size=1\r\n", "", 0},
    {"changes of alphabet", HEAD "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n",
     "\x1b$B\x1b(B", "", 0},
    {"UTF-7", HEAD "Content-Type: text/plain; charset=utf-7\r\n\r\n", "+AGE-", "", 0},
    {"bytes that are no UTF-8", HEAD "Content-Type: text/plain; charset=utf-8\r\n\r\n", "\xff", "",
     0},
    {"GB18030", HEAD "Content-Type: text/plain; charset=gb18030\r\n\r\n", "\x81\x30\x81\x30", "",
     0},
    {"winmail.dat",
     HEAD "Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgEA",
     "AgKQBgAAAAAAAAA", "", 0},
/* archives, in base64: units of as many bytes as it has in whole letters */
#define FILE_OF(name)                                                                              \
    HEAD "Content-Type: application/octet-stream; name=" name                                      \
         "\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    {"files in a zip", FILE_OF("a.zip"), "UEsDBBQAAAAAAAAAAAAAAAAAAAAAAAAAAAADAAAAYWJj", "", 0},
    {"files in a zip that is cut", FILE_OF("a.zip"), "UEsDBBQAAAAAAAAAAAAAAAAAAAAAAAAAAAADAAAAYWJj",
     "UEsDBBQA", 0},
    {"members of a gzip file", FILE_OF("a.gz"),
     "H4sIAAAAAAAAAwMAAAAAAAAAAAAfiwgAAAAAAAADAwAAAAAAAAAAAB+LCAAAAAAAAAMDAAAAAAAAAAAA", "", 0},
    {"members of a gzip file with junk behind", FILE_OF("a.gz"),
     "H4sIAAAAAAAAAwMAAAAAAAAAAAAfiwgAAAAAAAADAwAAAAAAAAAAAB+LCAAAAAAAAAMDAAAAAAAAAAAA", "////", 0},
    {"frames of LZ4", FILE_OF("a.lz4"), "BCJNGGBAggAAAAAEIk0YYECCAAAAAAQiTRhgQIIAAAAA", "", 0},
    {"files in an ar", HEAD "Content-Type: application/octet-stream\r\n\r\n!<arch>\n",
     "%-16u0           0     0     644     0         `\n", "", 0},
    {"names in an ar",
     HEAD "Content-Type: application/octet-stream\r\n\r\n!<arch>\n//              0           0    "
          " 0     644     90000     `\n",
     "a%u/\n", "", 0},
    /* containers */
    {"files of a zip without a directory",
     HEAD "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "UEsDBBQAAAAAAAAAAAAPGOH4AgAAAAIAAAABAAAAYXh4", "", 0},
    {"files of a zip that cannot be unpacked",
     HEAD "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "UEsDBBQAAAAIAAAAAAABAAAAAgAAAAIAAAABAAAAYXh4", "", 0},
    {"ends of zips",
     HEAD "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAAAA", "", 0},
    {"beginnings of RARs",
     HEAD "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "UmFyIRoHAQDFGjMyAwEAAAAA", "", 0},
    {"files in a calendar", HEAD "Content-Type: text/calendar\r\n\r\n",
     "ATTACH;ENCODING=BASE64:QQ==\r\n", "", 0},
    {"colons in a calendar", HEAD "Content-Type: text/calendar\r\n\r\nATTACH", ";a=\":\"", "", 0},
    {"names of a PDF", HEAD "Content-Type: application/pdf\r\n\r\n%%PDF-1.4\r\n", "/EncryptX ", "",
     0},
    {"marks of PGP within a line", TEXT, "-----BEGIN PGP MESSAGE-----", "", 0},
};

/* Repeats what is repeated, numbers filled in, until there are size bytes. */
static char *make(const struct made *made, size_t size, size_t *length)
{
    char *text = malloc(size + 4096), one[512];
    size_t used = (size_t)sprintf(text, "%s", made->before);
    for (unsigned i = 0; used < size; i++) {
        if (made->parts > 0) {
            text[used++] = '\0';
            continue;
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
        int n = snprintf(one, sizeof one, made->again, i, i);
#pragma GCC diagnostic pop
        memcpy(text + used, one, (size_t)n);
        used += (size_t)n;
    }
    *length = used + (size_t)sprintf(text + used, "%s", made->behind);
    return text;
}

static uint64_t cost_of(struct mw_witness *witness, const struct made *made, size_t size)
{
    size_t length;
    char *text = make(made, size, &length);
    uint64_t before = mw_work_counted;
    struct mw_report *report =
        mw_witness_examine(witness, (struct mw_bytes){(unsigned char *)text, length});
    uint64_t cost = mw_work_counted - before;
    mw_report_free(report);
    free(text);
    return cost;
}

/* Bounds that nothing here reaches, and no clock. */
static struct mw_witness *new_witness(void)
{
    struct mw_error error = {0};
    struct mw_witness_settings settings = {0};
    mw_scan_settings_default(&settings.scan);
    settings.scan.type.enabled = settings.scan.fuzzy.enabled = settings.scan.pe.enabled = false;
    const size_t many = 1000000;
    settings.limits = (struct mw_limits){
        .message_size = 1 << 30,
        .header_count = many,
        .header_length = 16 << 20,
        .parts = many,
        .depth = 100,
        .unpacked_size = 1 << 30,
        .unpack_ratio = 1000,
        .text_length = 16 << 20,
        .address_count = many,
        .findings_per_part = many,
        .indicators = many,
        .errors = 200,
    };
    struct mw_witness *witness = mw_witness_new(&settings, &error);
    if (!witness)
        printf("Bail out! %s\n", error.text);
    return witness;
}

int main(int count, char **arguments)
{
    struct mw_witness *witness = new_witness();
    if (!witness)
        return 1;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (count > 1 && strcmp(arguments[1], all[i].promise) != 0)
            continue;
        uint64_t once = cost_of(witness, &all[i], SMALL),
                 twice = cost_of(witness, &all[i], 2 * SMALL);
        if (!tap_ok(twice * 10 <= once * 23 + START, "twice the input costs twice the work: %s",
                    all[i].promise))
            printf("# %llu blocks and bytes, then %llu\n", (unsigned long long)once,
                   (unsigned long long)twice);
    }
    mw_witness_free(witness);
    return tap_done();
}
