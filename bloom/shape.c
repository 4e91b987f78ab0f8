/* shape: the expected rate, and its inverse by bisection. */
#include "bloom/shape.h"

#include <math.h>

/* Of the promised rate, what the first layer may use: a filter that never grows
 * pays little for those that do. */
static const double first_share = 0.7;

/* Probability that bits given positions of a word are all set after n bits were set
 * in it at random. */
static double word_full(double n, uint32_t bits)
{
    double one = pow(63.0 / 64, n);
    return bits == 1 ? 1 - one : 1 - 2 * one + pow(62.0 / 64, n);
}

/* The expected rate with load values a block on average. */
static double rate_at(double load, uint32_t bits)
{
    double sum = 0;
    int last = (int)(load + 40 * sqrt(load) + 50);
    for (int i = 0; i <= last; i++) {
        double values = i;
        double probability = exp(values * log(load) - load - lgamma(values + 1));
        sum += probability * pow(word_full(values * bits, bits), MW_BLOOM_WORDS);
    }
    return sum;
}

/* The largest load that keeps the rate. */
static double load_for(double rate, uint32_t bits)
{
    double low = 0.01, high = 200;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (rate_at(middle, bits) > rate)
            high = middle;
        else
            low = middle;
    }
    return low;
}

int mw_bloom_shape_for(struct mw_bloom_shape *shape, uint64_t capacity, double fp_rate,
                       struct mw_error *error)
{
    if (capacity < 1 || capacity > MW_BLOOM_MOST)
        return mw_fail(error, MW_ERR_INPUT,
                       "a filter's capacity must be from 1 to 1099511627776 values");
    if (!(fp_rate >= 1e-9 && fp_rate <= 0.5))
        return mw_fail(error, MW_ERR_INPUT,
                       "a filter's false-positive rate must be from 1e-9 to 0.5, not %g", fp_rate);
    double one = load_for(fp_rate, 1), two = load_for(fp_rate, 2);
    shape->bits = one >= two ? 1 : 2;
    shape->blocks = (uint64_t)ceil((double)capacity / (one >= two ? one : two));
    shape->capacity = capacity;
    shape->fp_rate = fp_rate;
    return 0;
}

double mw_bloom_expected_rate(const struct mw_bloom_shape *shape, uint64_t values)
{
    /* So many in a block leave no bit of it unset. */
    const double brim = 4096;
    double load = (double)values / (double)shape->blocks;
    return load > brim ? 1 : values == 0 ? 0 : rate_at(load, shape->bits);
}

double mw_bloom_layer_rate(double rate, unsigned index)
{
    return index == 0 ? rate * first_share : rate * (1 - first_share) / pow(2, index);
}
