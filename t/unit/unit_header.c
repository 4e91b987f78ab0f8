/* unit_header: encoded words as real mail writes them. */
#include <stdlib.h>
#include <string.h>

#include "parsers/encoded_word.h"
#include "parsers/text.h"
#include "t/unit/tap.h"

static const struct {
    const char *text;
    const char *decoded;
    const char *promise;
} words[] = {
    {"plain", "plain", "text without words stays"},
    {"=?utf-8?Q?caf=C3=A9?= x", "caf\xC3\xA9 x", "a Q word is decoded"},
    {"=?utf-8?B?Y2Fmw6k=?=", "caf\xC3\xA9", "a B word is decoded"},
    {"=?utf-8*en?q?a_b?=", "a b", "a language is passed over"},
    {"=?utf-8?B?YQ==?= =?utf-8?B?Yg==?=", "ab", "padding ends a word, not the text"},
    {"=?utf-8?Q?a=C3?= =?utf-8?Q?=A4?=", "a\xC3\xA4", "a character split in two comes out whole"},
    {"=?utf-8?B?w6?= =?utf-8?B?Q=?=", "\xC3\xA4", "base64 cut in mid-group is joined"},
    {"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab", "words glued together are both decoded"},
    {"=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c", "blanks beside plain text stay"},
    {"=?utf-8?Q?a b?= c", "a b c", "blanks inside a word are taken"},
    {"=?utf-8?Q?what?=20now?=", "what? now", "a bare question mark is taken"},
    {"=?utf-8?Q?never_closed", "never closed", "a word that is never closed is decoded"},
    {"=?utf-8?Q?open =?utf-8?Q?b?=", "openb", "nor does an open one swallow the next"},
    {"=?iso-8859-1?Q?=E4?= =?utf-8?Q?=C3=A4?=", "\xC3\xA4\xC3\xA4", "charsets may change"},
    {"=?koi8-r?B?8NLJ18XU?=", "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82",
     "KOI8-R is known"},
    {"=?x-nonsense?Q?abc?=", "abc", "an unknown charset with plain letters is read"},
    {"=?utf-8?X?abc?=", "=?utf-8?X?abc?=", "an unknown encoding is left alone"},
    {"a =? b", "a =? b", "an opening without a word is text"},
    {"=??Q?a?=", "=??Q?a?=", "a word without a charset is text"},
    {"=?utf-8?Q?=ZZ=4?=", "=ZZ=4", "an escape that is none stays"},
    {"", "", "nothing stays nothing"},
};

static const struct {
    const char *text;
    const char *decoded;
    const char *promise;
} lists[] = {
    {"=?utf-8?Q?M=C3=BCller,_Hans?= <h@example.com>", "\"M\xC3\xBCller, Hans\" <h@example.com>",
     "a comma in a word is quoted"},
    {"\"=?utf-8?Q?a=22b?=\" <h@example.com>", "\"a\\\"b\" <h@example.com>",
     "a quote in a quoted word is escaped"},
    {"h@example.com (=?utf-8?Q?a=29?=)", "h@example.com (a\\))",
     "a parenthesis in a comment is escaped"},
};

/* A text of which no byte is in its charset becomes three times as long, once. */
static void test_memory(const char *charset)
{
    enum { SIZE = 2 << 20 };
    struct mw_arena *arena = mw_arena_new();
    unsigned char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = i % 9 == 0 ? 0xff : 0x7f;
    memcpy(bytes, "\x1b$B", 3);
    struct mw_text text;
    mw_text_decode(arena, (struct mw_bytes){bytes, SIZE}, charset, &text);
    size_t used = mw_arena_used(arena), length = strlen(text.text);
    if (!tap_ok(used < length + (64 << 10), "what was tried with a text is not kept: %s", charset))
        printf("# %zu bytes kept for %zu\n", used, length);
    free(bytes);
    mw_arena_free(arena);
}

int main(void)
{
    test_memory("iso-2022-jp");
    test_memory("hz-gb-2312");
    test_memory("utf-32");
    test_memory("utf-8");
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        tap_is(mw_encoded_words(arena, words[i].text, false, NULL), words[i].decoded,
               words[i].promise);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        tap_is(mw_encoded_words(arena, lists[i].text, true, NULL), lists[i].decoded,
               lists[i].promise);
    mw_arena_free(arena);
    return tap_done();
}
