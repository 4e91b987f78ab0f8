/*
 * part: the tree of a message, as a mail client would open it.
 *
 * A part is a multipart, an attached message, or a leaf with decoded bytes.
 * The tree and everything in it lies in one arena; bytes point either into
 * the source (identity encodings) or into the arena. No network, no logging.
 */
#ifndef MW_PARSERS_PART_H
#define MW_PARSERS_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/bytes.h"
#include "core/report.h"

enum mw_part_kind {
    MW_PART_MULTIPART, /* has children and no bytes of its own */
    MW_PART_MESSAGE,   /* message/rfc822: bytes, and children when it could be opened */
    MW_PART_LEAF       /* bytes; children when something was unpacked from it */
};

struct mw_part {
    struct mw_part *parent, *first_child, *last_child, *next;
    enum mw_part_kind kind;
    const char *path;         /* "1.2.3"; "" for a multipart at the top */
    const char *content_type; /* declared, lower case; "text/plain" by default */
    const char *charset;      /* declared, or NULL */
    const char *filename;     /* decoded but not made safe; NULL when none */
    struct mw_texts names;    /* of a part of MIME: all that clients may show, filename first */
    const char *disposition;  /* lower case, or NULL */
    const char *description;
    const char *content_id;
    const char *encoding; /* lower case transfer encoding or unpacker, or NULL */
    const char *reading;  /* which other reading of the message it comes from; NULL: the first */
    struct mw_headers headers;
    struct mw_bytes data;        /* decoded bytes of a message or leaf */
    uint64_t sum;                /* of data, for telling parts apart; 0: not made yet */
    unsigned depth;              /* 0 at the top */
    unsigned children;           /* how many it has */
    bool unpacked;               /* came out of another part, not out of MIME */
    enum mw_encrypted encrypted; /* could not be opened for want of a password */
    const char *container; /* kind of container it is: "zip", "ole"; NULL: none that is known */
    size_t inside, closed; /* things found in it: those that were opened, and those that were not */
    const char *why;       /* the first of these was not opened */
};

/* A new part under parent (NULL: the top), linked in last place. */
struct mw_part *mw_part_new(struct mw_arena *arena, struct mw_part *parent, enum mw_part_kind kind);

/* Takes part, which has a parent, and all below it out of the tree. */
void mw_part_drop(struct mw_part *part);

/* Counts one thing inside part that was opened, or was not (why, borrowed); kind is what the part
 * is taken for, and stays what it was first said to be. */
void mw_part_opened(struct mw_part *part, const char *kind);
void mw_part_closed(struct mw_part *part, const char *kind, const char *why);

/* What became of what lies inside part. */
enum mw_opened mw_part_state(const struct mw_part *part);

/* The next part in document order within the tree at root; NULL at the end. */
struct mw_part *mw_part_next(const struct mw_part *part, const struct mw_part *root);

/*
 * Whether the part is an attachment: a leaf or message that has a file name,
 * or a disposition of attachment, or is neither text/plain nor text/html, or
 * was unpacked from an attachment.
 */
bool mw_part_is_attachment(const struct mw_part *part);

/* Whether the part is a leaf of type text/ that is no attachment. */
bool mw_part_is_text(const struct mw_part *part);

#endif
