/*
 * server: what is known of the Redis last written to, by which one that forgot is told from
 * one that did not: the id of its run, the history its data belongs to (its replication id)
 * and the place in that, and a marker of ours, a key with a random value. Kept in a file, as
 * what was written to Redis is told again also by the next process.
 */
#ifndef MW_STORE_SERVER_H
#define MW_STORE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

enum { MW_SERVER_ID = 64 };

/* "" and -1: not known. */
struct mw_server {
    char run_id[MW_SERVER_ID], replid[MW_SERVER_ID], marker[MW_SERVER_ID];
    int64_t offset;
};

/* Nothing is known. */
void mw_server_clear(struct mw_server *server);

/* Reads the file at path; what it does not say stays unknown, as all does without a file. */
void mw_server_load(struct mw_server *server, const char *path);

/* Writes it, under another name first: a process killed meanwhile leaves the old one. */
int mw_server_save(const struct mw_server *server, const char *path, struct mw_error *error);

/* Takes what INFO's sections server and replication say; *clock_ms, milliseconds since 1970
 * on the server's clock, stays as it is when they do not tell. */
void mw_server_read_info(struct mw_server *server, const char *info, int64_t *clock_ms);

/* Why the server, now known as `now`, may have forgotten what was written to the one known
 * as `before`; NULL when it has not. What is unknown of one of them tells nothing. */
const char *mw_server_forgot(const struct mw_server *before, const struct mw_server *now);

/* A new random value for the marker. */
void mw_server_new_marker(char marker[MW_SERVER_ID]);

#endif
