/*
 * snapshot: all that Redis keeps, as it was at one moment, into a file, and back from one.
 * The file is Redis' own (RDB), got as a replica gets it: no access to Redis' disk is needed.
 */
#ifndef MW_STORE_SNAPSHOT_H
#define MW_STORE_SNAPSHOT_H

#include <stdint.h>

#include "core/error.h"
#include "store/settings.h"

/* Writes the snapshot to fd. Redis' user must be allowed SYNC and REPLCONF. *size (may be NULL)
 * is bytes written. Gives up when nothing comes for idle_ms. */
int mw_store_snapshot(const struct mw_store_settings *settings, int fd, unsigned idle_ms,
                      uint64_t *size, struct mw_error *error);

struct mw_restored {
    uint64_t keys;  /* brought back */
    uint64_t there; /* left as they are, as Redis has them */
};

/*
 * Brings the keys of our prefix in the file at path back to Redis, by a redis-server of our own
 * that reads it in a folder made for it (the program must be installed). Keys that are there
 * are left as they are unless replace. The marker is not brought back: who looks for it sees
 * that Redis is not what it was.
 */
int mw_store_restore(const struct mw_store_settings *settings, const char *path, bool replace,
                     struct mw_restored *restored, struct mw_error *error);

#endif
