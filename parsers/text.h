/*
 * text: bytes in a declared, wrong or unknown charset to UTF-8, as a mail
 * client would show them.
 */
#ifndef MW_PARSERS_TEXT_H
#define MW_PARSERS_TEXT_H

#include "core/arena.h"
#include "core/bytes.h"

struct mw_text {
    const char *text;    /* valid UTF-8, in the arena */
    const char *charset; /* what it was decoded as, lower case */
    size_t replaced;     /* bytes that could not be decoded, shown as U+FFFD */
    bool guessed;        /* the charset is not the one declared */
};

/*
 * Decodes bytes. charset (may be NULL) is tried first, under the names that
 * mail uses for it; a byte order mark wins over it; when it is unknown or does
 * not fit, valid UTF-8 is taken as such, then what libuchardet detects, then
 * windows-1252, which always fits. Thread-safe.
 */
void mw_text_decode(struct mw_arena *arena, struct mw_bytes bytes, const char *charset,
                    struct mw_text *text);

/*
 * Loads the converters of the charsets that mail is written in and keeps them
 * loaded: iconv(3) reads them from files, which a confined process cannot open.
 * One in a process is enough. Freed by mw_text_converters_free.
 */
struct mw_text_converters;
struct mw_text_converters *mw_text_converters_new(void);
void mw_text_converters_free(struct mw_text_converters *converters);

#endif
