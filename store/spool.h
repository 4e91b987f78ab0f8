/*
 * spool: records on disk, in the order they came, each with a checksum.
 *
 * A spool is a series of files KIND-NUMBER.spool in a folder. A file begins with a head of
 * 24 bytes, twice, so that one damaged place leaves the other:
 *
 *     0   8  "MWSPOOL2"
 *     8   8  a random seed
 *    16   8  XXH3-64 of bytes 0-15
 *
 * (Files of older versions have "MWSPOOL1" and the seed only; they are read, never written.)
 * A series of records follows, each behind a head of 32 bytes, numbers little endian:
 *
 *     0   4  "MWSP"
 *     4   1  'N' new, or 'D' done (set in place; not under the checksums)
 *     8   8  bytes of the record
 *    16   8  XXH3-64 of them
 *    24   4  seconds since 1970 when it was written
 *    28   4  XXH3-64 of bytes 0-3 and 8-27, its low half
 *
 * Hashes are seeded, so that no attachment can hold what would pass for a record where
 * the reader looks for the next one behind a damaged place.
 *
 * What a killed writer left unfinished at a file's end, which is never more than the
 * beginning of one record, is cut off when the spool is opened. All else that is not sound
 * was written whole and changed later: it is skipped, counted, and its file kept for study
 * as KIND-NUMBER.spool.damaged. A new writer starts a new file. Only one process writes a folder
 * (mw_spool_lock). Thread-safe, but for readers: one thread has a reader.
 */
#ifndef MW_STORE_SPOOL_H
#define MW_STORE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"

struct mw_spool;

struct mw_spool_options {
    const char *folder, *kind; /* copied */
    size_t size_max;           /* bytes of all files; 0: no bound */
    bool drop_oldest;          /* make room by dropping the oldest file; else refuse */
    bool sync;                 /* on disk before mw_spool_append returns (fdatasync) */
    unsigned file_s;           /* a file takes records for so long at most; 0: no bound */
};

/* Takes the folder (made when missing) for this process: the descriptor that holds the
 * lock until it is closed, or negative; MW_ERR_BUSY when another has it. */
int mw_spool_lock(const char *folder, struct mw_error *error);

/* Opens what is there and mends what a killed writer left. */
struct mw_spool *mw_spool_open(const struct mw_spool_options *options, struct mw_error *error);
void mw_spool_close(struct mw_spool *spool);

/* From now on with other bounds: size_max, drop_oldest and file_s as in the options. */
void mw_spool_set_bounds(struct mw_spool *spool, size_t size_max, bool drop_oldest,
                         unsigned file_s);

/*
 * Appends one record made of pieces. 0 only when all of it is written, and on disk when
 * the spool syncs; threads that come together share one flush. MW_ERR_LIMIT when the spool
 * or the disk is full.
 */
int mw_spool_append(struct mw_spool *spool, const struct mw_bytes *pieces, size_t count,
                    struct mw_error *error);

struct mw_spool_state {
    uint64_t entries, bytes; /* waiting; bytes of the files */
    uint64_t dropped;        /* records dropped to make room, since opening */
    uint64_t damaged;        /* places that were skipped, since opening */
    uint64_t damaged_files;  /* files kept as *.damaged in the folder */
    uint64_t torn;           /* bytes cut off when opening */
    int64_t oldest;          /* when the oldest file was begun, seconds since 1970; 0: none */
};
void mw_spool_get_state(struct mw_spool *spool, struct mw_spool_state *state);

/* Removes files begun more than age seconds ago, but not the current; now (seconds since 1970)
 * counts for those that another process began. */
void mw_spool_forget(struct mw_spool *spool, int64_t now, int64_t age);

/* Ends the current file, so that all records now there can be read and removed. Their files
 * have numbers below the one returned. */
uint64_t mw_spool_turn(struct mw_spool *spool);

/* After a reader went through all files with numbers below the one given, and all that is
 * sound there was marked as done: what still waits in them cannot be read. Those files are
 * kept as *.damaged; how many records were given up. */
uint64_t mw_spool_give_up(struct mw_spool *spool, uint64_t below);

/* The names of kind's files (NULL: of any kind) that were kept as *.damaged, sorted. */
int mw_spool_list_damaged(const char *folder, const char *kind, struct mw_arena *arena,
                          struct mw_texts *names, struct mw_error *error);

/* --- reading --------------------------------------------------------------------------- */

struct mw_spool_reader;

struct mw_spool_entry {
    struct mw_bytes record; /* borrowed until the next call on the reader */
    int64_t written;        /* seconds since 1970 */
    bool done;
    uint64_t file, at; /* where it is */
};

/* Reads what is in folder now, in order, without needing the lock or a struct mw_spool. */
struct mw_spool_reader *mw_spool_reader_new(const char *folder, const char *kind,
                                            struct mw_error *error);
void mw_spool_reader_free(struct mw_spool_reader *reader);

/* The next record that is sound: 1, or 0 at the end. Skips what is damaged; negative when
 * a file cannot be read. */
int mw_spool_next(struct mw_spool_reader *reader, struct mw_spool_entry *entry,
                  struct mw_error *error);

/* Places skipped so far. */
uint64_t mw_spool_reader_damaged(const struct mw_spool_reader *reader);

/* Marks an entry as done; a file with nothing else in it, and not the current one, is
 * removed, or kept as *.damaged when something in it could not be read. */
int mw_spool_done(struct mw_spool *spool, const struct mw_spool_entry *entry,
                  struct mw_error *error);

/* Finds the next sound record in bytes at or after *at: its head's place is *at then.
 * False at the end. *damaged counts places skipped. For readers and the fuzzer. */
bool mw_spool_find(struct mw_bytes bytes, size_t *at, struct mw_bytes *record, bool check,
                   uint64_t *damaged);

#endif
