/*
 * mbox: messages in one file, divided by "From " lines (RFC 4155).
 */
#ifndef MW_CLI_MBOX_H
#define MW_CLI_MBOX_H

#include <stdbool.h>

#include "core/bytes.h"

/* Whether bytes start with a From_ line and hold at least one more message. One
 * message with its From_ line is left to the message parser. */
bool mw_mbox_is(struct mw_bytes bytes);

/*
 * Calls each with every message, numbered from 1: without its From_ line and
 * the blank line at its end, lines quoted as ">From " unquoted (mboxo, and
 * mboxrd with one ">" less). raw is valid during the call. Stops with what
 * each returned when that is not 0.
 */
int mw_mbox_each(struct mw_bytes bytes, int (*each)(void *user, struct mw_bytes raw, size_t number),
                 void *user);

#endif
