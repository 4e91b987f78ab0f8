/*
 * sums: a checksum for each page of a layer, so that a bit that was lost is found. Bits are
 * only ever set, so what is on disk may always have more bits than its checksum tells of
 * (their checksum was not written yet), and never fewer: a page with fewer has lost some.
 *
 * A checksum is one 64-bit word: 16 bits with the number of bits that are set, 48 bits of
 * the XXH3 of the page; 0 for a page without any. It stands in the file only after the data
 * it describes was flushed, whatever order the kernel writes pages in.
 */
#ifndef MW_BLOOM_SUMS_H
#define MW_BLOOM_SUMS_H

#include "bloom/filter.h"

struct mw_sums;

/*
 * For a filter that is open for writing: gives a file of version 1 its checksums, and after
 * a writer that was killed reads the file through once for pages that it left behind newer
 * than their checksum. MW_ERR_LIMIT: the disk has no room for checksums; the filter works
 * without, and the next one to open it tries again.
 */
int mw_sums_start(struct mw_filter *filter, struct mw_error *error);
void mw_sums_free(struct mw_filter *filter);

/* A layer was added: its checksums are there; the one below it is full and looked through,
 * at once, or by the thread that flushes when there is one. */
int mw_sums_add_layer(struct mw_filter *filter, unsigned layer, struct mw_error *error);

/*
 * Whoever sets bits holds the lock of their page meanwhile. The first to come since the last
 * flush checks the page: a damaged one keeps its checksum, so that it is found again.
 */
void mw_sums_lock(struct mw_filter *filter, unsigned layer, uint64_t page);
void mw_sums_unlock(struct mw_filter *filter, unsigned layer, uint64_t page);

/* Around a flush, by one thread at a time: what is about to be flushed is summed up, and
 * the sums are written when it is on disk (flushed), or else kept for the next flush. */
void mw_sums_before_flush(struct mw_filter *filter);
void mw_sums_after_flush(struct mw_filter *filter, bool flushed);

/* Marks the file as being written, on disk, before its first bit is set; and as whole, after
 * its last flush. */
int mw_sums_begin_writing(struct mw_filter *filter, struct mw_error *error);
void mw_sums_end_writing(struct mw_filter *filter);

/* Looks through some pages of a layer that is full: true while there are more. */
bool mw_sums_look(struct mw_filter *filter, size_t pages);

/* Pages found damaged since the last call, and where the first of them is in the file. */
uint64_t mw_sums_damaged(struct mw_filter *filter, uint64_t *where);

#endif
