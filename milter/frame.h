/*
 * frame: what a mail server sends to a milter: a length, a letter, and data whose form the
 * letter tells. Looked at before libmilter sees it, which trusts some of it too far
 * (doc/libmilter.md). Pure but for who is told.
 */
#ifndef MW_MILTER_FRAME_H
#define MW_MILTER_FRAME_H

#include "core/bytes.h"

enum {
    MW_FRAME_HEAD = 5,        /* four bytes of length, most significant first, and the letter */
    MW_FRAME_DATA_MAX = 65535 /* bytes of data; libmilter takes no more */
};

/* How many bytes of data follow a head: the length less the letter; -1 when the length is
 * none that a frame may have. */
long mw_frame_data_size(const unsigned char head[MW_FRAME_HEAD]);

/* NULL for a frame that may go to libmilter, else what is wrong with it (static). */
const char *mw_frame_wrong(char letter, struct mw_bytes data);

/*
 * A frame was refused, and its connection is closed: told to who wants to know. user goes to
 * the function, which any thread may call. One listener a process, set before there are
 * connections.
 */
typedef void mw_frame_listener(void *user, char letter, const char *why);
void mw_frame_on_refused(mw_frame_listener *listener, void *user);
void mw_frame_refuse(char letter, const char *why);

#endif
