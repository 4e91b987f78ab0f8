/*
 * utf8: whatever reaches a report is valid UTF-8 (RFC 3629) without NUL.
 */
#ifndef MW_CORE_UTF8_H
#define MW_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/bytes.h"

/* Whether bytes are well-formed UTF-8 without NUL (RFC 3629 section 4). */
bool mw_utf8_valid(struct mw_bytes bytes);

/* Length of the longest prefix of bytes that is well-formed and has no NUL. */
size_t mw_utf8_valid_prefix(struct mw_bytes bytes);

/* Length of the well-formed character that bytes begin with, and its code; 0 for none. */
size_t mw_utf8_character(struct mw_bytes bytes, uint32_t *code);

/*
 * Whether a character takes no room where it is shown, or changes the direction of what
 * stands around it: bidirectional controls (U+202E turns what follows around), zero-width
 * blanks and joiners, marks of order, tags and fillers. What people read shows them
 * escaped, and in names of files they do not count.
 */
bool mw_utf8_is_hidden(uint32_t code);

/* How a hidden character is shown to people: "<U+202E>", with a NUL; returns its length. */
enum { MW_HIDDEN_TEXT = 12 };
size_t mw_utf8_hidden_text(uint32_t code, char out[MW_HIDDEN_TEXT]);

/* Largest length <= limit at which bytes can be cut between characters. */
size_t mw_utf8_cut(struct mw_bytes bytes, size_t limit);

/*
 * A NUL-terminated copy in the arena in which every byte that is not part of a
 * well-formed character, and every NUL, is shown as U+FFFD. *replaced (may be
 * NULL) is increased by the number of bytes so replaced.
 */
char *mw_utf8_clean(struct mw_arena *arena, struct mw_bytes bytes, size_t *replaced);

/*
 * For one-line text (header values, names): as mw_utf8_clean, and control
 * characters (C0 but tab, DEL, C1, U+2028, U+2029) are shown as U+FFFD too and
 * counted; tab stays.
 */
char *mw_utf8_clean_line(struct mw_arena *arena, struct mw_bytes bytes, size_t *replaced);

/* As mw_utf8_clean_line, and hidden characters are shown as mw_utf8_hidden_text has them:
 * what every line for people goes through, be it of a log, a header or a reply. */
char *mw_utf8_show_line(struct mw_arena *arena, struct mw_bytes bytes);

/*
 * A file name that is safe to show and to write: text as mw_utf8_clean_line,
 * then path separators (/ and \) and hidden characters (mw_utf8_is_hidden; not joiners,
 * which some languages spell with) become U+FFFD, leading dots and
 * surrounding white space are dropped, at most limit bytes (its end, with the
 * extension, is kept). An empty result is NULL. Returns text itself when
 * nothing had to change.
 */
const char *mw_utf8_safe_filename(struct mw_arena *arena, const char *text, size_t limit);

#endif
