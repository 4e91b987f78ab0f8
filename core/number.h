/*
 * number: a decimal number as people write it. Neither "nan" nor "inf" is one, and bounds
 * could not hold either; nor is what C writes in other ways (hexadecimal).
 */
#ifndef MW_CORE_NUMBER_H
#define MW_CORE_NUMBER_H

#include <stdbool.h>

/*
 * Reads the number that text begins with: a sign, digits with or without a point, an
 * exponent. False when there is none or it is beyond what a double holds. *rest (never NULL)
 * is what stands behind it.
 */
bool mw_number_read(const char *text, double *value, const char **rest);

#endif
