/*
 * limit_option: "NAME=VALUE" on the command line to a bound in mw_limits.
 */
#ifndef MW_CLI_LIMIT_OPTION_H
#define MW_CLI_LIMIT_OPTION_H

#include "core/error.h"
#include "core/limits.h"

/*
 * Sets one limit. Sizes take k, m or g behind the number (1024 each), time_ms
 * takes ms or s. MW_ERR_INPUT names what is wrong and the nearest name.
 */
int mw_limit_option(struct mw_limits *limits, const char *text, struct mw_error *error);

#endif
