/*
 * reuse_table: what is known of files that came before, by their SHA-256, in memory that
 * one process writes and others can only read.
 *
 * A table has a fixed number of places. One process makes and fills it; the kernel is
 * told to let nobody else write to it, ever (F_SEAL_FUTURE_WRITE). Readers take no lock:
 * a value that is being replaced is not there.
 */
#ifndef MW_WORKER_REUSE_TABLE_H
#define MW_WORKER_REUSE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/error.h"

enum {
    MW_REUSE_KEY = 32,         /* bytes of a key: a SHA-256 */
    MW_REUSE_SLOT = 4096,      /* bytes a place takes */
    MW_REUSE_VALUE_MOST = 4024 /* bytes of a value */
};

struct mw_reuse_table;

/* An empty table with room for about so many values (rounded up); NULL with error, also
 * where the kernel cannot keep others from writing. One thread writes. */
struct mw_reuse_table *mw_reuse_table_new(unsigned places, struct mw_error *error);

/* Its descriptor (borrowed), to be passed to those who read. */
int mw_reuse_table_fd(const struct mw_reuse_table *table);

/* A table to read, of a descriptor, which it takes in every case. MW_ERR_FORMAT when it
 * is none. Any number of threads and of children forked afterwards read it. */
struct mw_reuse_table *mw_reuse_table_open(int fd, struct mw_error *error);

/* Unmaps and closes; others keep theirs. NULL is allowed. */
void mw_reuse_table_free(struct mw_reuse_table *table);

/*
 * Keeps a value until expires_us on the monotonic clock, in place of the key's old one,
 * of one that has expired, or of the one that would expire first. The writer's only.
 * MW_ERR_LIMIT when it is larger than MW_REUSE_VALUE_MOST.
 */
int mw_reuse_table_put(struct mw_reuse_table *table, const unsigned char *key,
                       struct mw_bytes value, int64_t expires_us, struct mw_error *error);

/* Copies a value that is good at now_us to value, which has room for
 * MW_REUSE_VALUE_MOST bytes; its size, or 0 when there is none. */
size_t mw_reuse_table_get(const struct mw_reuse_table *table, const unsigned char *key,
                          int64_t now_us, unsigned char *value);

#endif
