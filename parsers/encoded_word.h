/*
 * encoded_word: RFC 2047 words in one line of header text, also in the broken
 * forms found in real mail.
 */
#ifndef MW_PARSERS_ENCODED_WORD_H
#define MW_PARSERS_ENCODED_WORD_H

#include "core/arena.h"
#include "core/bytes.h"

/*
 * The text with every encoded word decoded to UTF-8, in the arena. text must be
 * valid UTF-8 on one line (unfolded); the result is valid UTF-8 and may hold
 * control characters that were encoded. White space between adjacent words goes
 * (RFC 2047 section 6.2); adjacent words of one charset are converted together,
 * so that a character split between them comes out whole. Words with blanks
 * inside, without their closing "?=" at the end of the text, glued together, or
 * with base64 cut in mid-group are decoded as well. *replaced (may be NULL) is
 * increased by the number of bytes that fit no charset.
 *
 * The caller wants list syntax kept: with quote set, each decoded run that
 * stands outside quotes and comments is written as a quoted-string (RFC 5322
 * section 3.2.4), so that a comma in it splits no address list.
 */
const char *mw_encoded_words(struct mw_arena *arena, const char *text, bool quote,
                             size_t *replaced);

#endif
