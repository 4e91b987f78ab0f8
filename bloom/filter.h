/*
 * filter: "was this ever seen?", in a file that is shared, monotone and survives
 * crashes. Bits are only ever set, so a torn write loses at most what was not yet
 * on disk and can corrupt nothing.
 */
#ifndef MW_BLOOM_FILTER_H
#define MW_BLOOM_FILTER_H

#include "bloom/shape.h"
#include "core/bytes.h"

struct mw_filter;

enum mw_filter_access { MW_FILTER_READ, MW_FILTER_WRITE };

/* When what was added is on disk. */
enum { MW_FILTER_SYNC_ALWAYS = 0, MW_FILTER_SYNC_NEVER = -1 };

/*
 * Makes a new file for capacity values at fp_rate, its space reserved, so that a
 * full disk is an error here and no crash later. An existing file is MW_ERR_BUSY:
 * nothing is ever overwritten.
 */
int mw_filter_create(const char *path, uint64_t capacity, double fp_rate, struct mw_error *error);

/*
 * Opens a file. One writer at a time (MW_ERR_BUSY names the file otherwise), any
 * number of readers beside it. MW_ERR_MISSING: there is no such file. sync_ms:
 * MW_FILTER_SYNC_ALWAYS acknowledges an add when it is on disk, threads sharing a flush; a positive
 * number flushes so often in a thread of its own; what is not flushed yet survives a killed
 * process, and is what a power cut may lose. NULL with error naming the file and the remedy.
 */
struct mw_filter *mw_filter_open(const char *path, enum mw_filter_access access, int sync_ms,
                                 struct mw_error *error);

/* From now on it is flushed so. Both ways, the one it was opened with and this, are not
 * MW_FILTER_SYNC_NEVER; nobody adds or asks meanwhile. */
void mw_filter_set_sync(struct mw_filter *filter, int sync_ms);

/* Flushes and closes. NULL allowed. */
void mw_filter_close(struct mw_filter *filter);

/* Whether value was (probably) added before. Lock-free; any thread. A reader sees what
 * the writer added meanwhile, also in layers that are newer than its opening. */
bool mw_filter_seen(struct mw_filter *filter, struct mw_bytes value);

/* As mw_filter_seen for count values at once, with the memory of the next ones
 * fetched ahead: seen[i] for values[i]. */
void mw_filter_seen_many(struct mw_filter *filter, const struct mw_bytes *values, size_t count,
                         bool *seen);

/*
 * Adds value unless it is there; *is_new tells exactly one of any number of threads
 * that add the same value. A filter at its capacity grows by a layer; when that
 * fails (disk full) the value is added all the same, the rate suffers, error tells
 * MW_ERR_LIMIT, and growing is tried again later. MW_ERR_SYSTEM: the flush failed,
 * the value is in memory only.
 */
int mw_filter_add(struct mw_filter *filter, struct mw_bytes value, bool *is_new,
                  struct mw_error *error);

/* Flushes what was added to disk. */
int mw_filter_sync(struct mw_filter *filter, struct mw_error *error);

/* Tells (once) that the thread that flushes failed since the last call: MW_ERR_SYSTEM or
 * MW_ERR_LIMIT. It goes on trying; nothing is lost unless the machine stops. MW_ERR_FORMAT:
 * pages were found that had lost bits. */
int mw_filter_failure(struct mw_filter *filter, struct mw_error *error);

struct mw_filter_info {
    uint64_t values;    /* added, as counted; after a merge, by the bits */
    uint64_t estimated; /* from the bits that are set */
    uint64_t capacity;
    double promised_rate, expected_rate; /* now, from the bits that are set */
    double fill;                         /* share of bits set */
    uint64_t file_size;
    uint64_t seed, created;
    uint32_t layers;
    int64_t synced;   /* seconds since 1970 of the last flush; 0: never */
    uint64_t flushes; /* by this process */
    bool damaged;     /* one copy of the header is unsound: it is mended at the next open for
                       * writing */
};

/* Counts bits: reads the whole file. The rate is that of these very bits. */
void mw_filter_get_info(struct mw_filter *filter, struct mw_filter_info *info);

/* What a comparison with the checksums found. */
struct mw_filter_sums {
    bool there;       /* false: a file of version 1, which gets them when it is next written to */
    uint64_t pages;   /* of 4096 bytes */
    uint64_t newer;   /* that a writer, one that was killed perhaps, has not summed up yet */
    uint64_t damaged; /* bits were lost: values that were added may be taken for new */
    uint64_t where;   /* in the file the first damaged page is */
};

/* Compares all pages with their checksums: reads the whole file, also beside a writer. */
void mw_filter_verify(struct mw_filter *filter, struct mw_filter_sums *found);

/* As mw_filter_get_info, from the counters: cheap; fill and expected_rate are what so many values
 * lead to, estimated is values. Any thread. */
void mw_filter_get_counts(struct mw_filter *filter, struct mw_filter_info *info);

/* Whether the filter was made for capacity and fp_rate; MW_ERR_INPUT names the file,
 * what differs and the remedy. */
int mw_filter_check(const struct mw_filter *filter, uint64_t capacity, double fp_rate,
                    struct mw_error *error);

/*
 * Adds all that count filters know to into, which was made for the same capacity and rate
 * (MW_ERR_INPUT tells what differs) and has nothing in it. Layers that together still keep
 * their rate become one; others lie side by side, and their rates add up, as
 * mw_filter_get_info tells. MW_ERR_LIMIT: there are too many layers.
 */
int mw_filter_merge(struct mw_filter *into, struct mw_filter *const *from, size_t count,
                    struct mw_error *error);

#endif
