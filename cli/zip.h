/*
 * zip: one file in a zip archive under a password, so that neither mail gateways nor
 * desktop scanners nor a double click act on it. The old ZIP encryption is no
 * secret, but every unzip opens it.
 */
#ifndef MW_CLI_ZIP_H
#define MW_CLI_ZIP_H

#include "core/bytes.h"
#include "core/error.h"

/* Writes to the open descriptor fd, which stays open. MW_ERR_SYSTEM names target,
 * which is how people call it. */
int mw_zip_write(int fd, const char *target, const char *name, struct mw_bytes data,
                 const char *password, struct mw_error *error);

#endif
