/*
 * bloom_info: what a filter's file holds, told to people and programs.
 */
#ifndef MW_CLI_BLOOM_INFO_H
#define MW_CLI_BLOOM_INFO_H

#include <stdbool.h>

#include "core/error.h"

/* Prints what is in the file at path, or one line of JSON. */
int mw_bloom_info_print(const char *path, bool json, struct mw_error *error);

/* MW_ERR_FORMAT with what is wrong when the file is not sound: its header, its size, a page
 * that does not fit its checksum, or bits that do not fit the number of values counted.
 * *summed: whether there are checksums, which files of version 1 lack. */
int mw_bloom_info_verify(const char *path, bool *summed, struct mw_error *error);

#endif
