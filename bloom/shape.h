/*
 * shape: how large a blocked Bloom filter must be for a promised rate.
 *
 * A value lives in one block of 512 bits (a cache line) and sets a few bits in each
 * of its eight words. How many values a block gets varies (Poisson), and crowded
 * blocks err more: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient
 * Bloom Filters" (2007), section 3. The size pays for that.
 */
#ifndef MW_BLOOM_SHAPE_H
#define MW_BLOOM_SHAPE_H

#include <stdint.h>

#include "core/error.h"

enum { MW_BLOOM_BLOCK_BITS = 512, MW_BLOOM_BLOCK_SIZE = 64, MW_BLOOM_WORDS = 8 };

/* Values that a layer can be made for at most. */
#define MW_BLOOM_MOST ((uint64_t)1 << 40)

struct mw_bloom_shape {
    uint64_t blocks;
    uint64_t capacity; /* values it is made for */
    double fp_rate;    /* at that many */
    uint32_t bits;     /* set in each word for a value: 1 or 2 */
};

/*
 * The smallest shape whose expected false-positive rate at capacity values is at
 * most fp_rate. capacity from 1 to 2^40, fp_rate from 1e-9 to 0.5; MW_ERR_INPUT
 * names what is out of bounds.
 */
int mw_bloom_shape_for(struct mw_bloom_shape *shape, uint64_t capacity, double fp_rate,
                       struct mw_error *error);

/* The expected rate of a shape that holds so many values. */
double mw_bloom_expected_rate(const struct mw_bloom_shape *shape, uint64_t values);

/*
 * The rate promised to layer number index (0 is the first) so that all layers
 * together keep rate: the first gets most of it, each later one half of what is
 * left. Scalable Bloom filters: Almeida et al. (2007).
 */
double mw_bloom_layer_rate(double rate, unsigned index);

#endif
