/*
 * header: the first page of a filter file, as doc/bloom-format.md has it: two
 * copies, each with a checksum; the newer sound one counts.
 */
#ifndef MW_BLOOM_HEADER_H
#define MW_BLOOM_HEADER_H

#include "bloom/shape.h"
#include "core/bytes.h"

enum {
    MW_BLOOM_VERSION = 2, /* as it is written; 1 is read, too: its layers have no checksums */
    MW_BLOOM_LAYERS = 32,
    MW_BLOOM_COPY_SIZE = 4096,            /* of one copy of the header */
    MW_BLOOM_COUNTS_AT = 8192,            /* values in each layer, 64 bits each; behind them when */
    MW_BLOOM_SYNCED = MW_BLOOM_LAYERS,    /* the file was last flushed, as one more of them, and */
    MW_BLOOM_SEALS = MW_BLOOM_LAYERS + 1, /* how often it was begun (odd) or ended to be written */
    MW_BLOOM_DATA_AT = 12288              /* where the first layer begins */
};

struct mw_bloom_layer {
    uint64_t offset; /* of its blocks in the file, a multiple of 4096 */
    uint64_t sums;   /* of the checksums of its pages, the same; version 1: 0, there are none */
    struct mw_bloom_shape shape;
};

struct mw_bloom_header {
    uint32_t version;
    uint64_t generation; /* of the header: the higher one is newer */
    uint64_t seed;       /* of the hash */
    uint64_t capacity;   /* of the first layer, as asked for */
    double fp_rate;      /* of all layers together */
    uint64_t created;    /* seconds since 1970 */
    uint32_t layers;
    struct mw_bloom_layer layer[MW_BLOOM_LAYERS];
};

/* The higher generation that the copies name, sound or not: how a reader notices that
 * the header was written anew. */
uint64_t mw_bloom_header_newest(const unsigned char *copies);

/* Bytes that a layer, and the checksums of its pages, take in the file. */
uint64_t mw_bloom_layer_size(const struct mw_bloom_shape *shape);
uint64_t mw_bloom_sums_size(const struct mw_bloom_shape *shape);

/* Where all that the header names ends. */
uint64_t mw_bloom_header_end(const struct mw_bloom_header *header);

/* Writes one copy (MW_BLOOM_COPY_SIZE bytes). */
void mw_bloom_header_write(const struct mw_bloom_header *header, unsigned char *copy);

/*
 * Reads the two copies at the start of bytes; file_size is checked against the
 * layers. MW_ERR_FORMAT with what is wrong: no filter, another version, both copies
 * damaged, file cut short. *damaged tells whether one of the copies was unsound.
 */
int mw_bloom_header_read(struct mw_bloom_header *header, struct mw_bytes bytes, uint64_t file_size,
                         bool *damaged, struct mw_error *error);

#endif
