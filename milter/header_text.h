/*
 * header_text: any text as the value of a header field. Whatever goes in, what comes
 * out is printable ASCII in lines of at most 78 characters (RFC 5322 section 2.1.1; a
 * first word of up to 60 is not broken for that). The only line breaks are "\n "
 * before another word.
 */
#ifndef MW_MILTER_HEADER_TEXT_H
#define MW_MILTER_HEADER_TEXT_H

#include <stddef.h>

#include "core/arena.h"

/*
 * text (any bytes) as an unstructured value (RFC 5322 section 2.2.1) for a header whose
 * name takes up column characters of the first line. Words that are not plain ASCII
 * become RFC 2047 encoded words; blanks become single ones; longer than limit bytes is
 * cut with "..." at the end. In arena. Decoding the value gives the text back, less
 * what was cut, with U+FFFD for control characters and for what is not UTF-8, and with
 * characters that do not show spelled out (mw_utf8_show_line).
 */
const char *mw_header_text(struct mw_arena *arena, const char *text, size_t column, size_t limit);

/*
 * As mw_header_text, for text that is put before a header's own value: its last blank
 * is kept, inside the encoded word where there is one, so that it is shown also when
 * the value begins with an encoded word (RFC 2047 section 6.2).
 */
const char *mw_header_prefix(struct mw_arena *arena, const char *text, size_t column, size_t limit);

#endif
