/*
 * keep: reports of message files into the store, as if they had come by mail when they
 * did. A message is stored once, however often: its id follows from its time and bytes.
 */
#ifndef MW_CLI_KEEP_H
#define MW_CLI_KEEP_H

#include "core/id.h"
#include "store/store.h"

struct mw_keep;

/* Connects after settings (borrowed, and changed: the daemon's spool is not touched). No
 * process may be forked afterwards. NULL with error. */
struct mw_keep *mw_keep_new(struct mw_store_settings *settings, struct mw_error *error);
void mw_keep_free(struct mw_keep *keep);

/* When the message came, in milliseconds since 1970: its newest Received field, else its
 * Date, else its file's last change, else (or when that is not past) now. */
int64_t mw_keep_time(const struct mw_report *report, int64_t now);

/* The id of a message of those bytes and that time, a UUIDv7 (RFC 9562). */
void mw_keep_id(const char *sha256, int64_t ms, char out[MW_ID_SIZE]);

/* Sets id and received, and saves. A message that is older than the store keeps is counted,
 * not saved. */
int mw_keep_report(struct mw_keep *keep, struct mw_report *report, struct mw_error *error);

size_t mw_keep_stored(const struct mw_keep *keep);
size_t mw_keep_too_old(const struct mw_keep *keep);

#endif
