/*
 * keep: messages that ended a worker, set aside for study.
 */
#ifndef MW_WORKER_KEEP_H
#define MW_WORKER_KEEP_H

#include "core/bytes.h"
#include "core/error.h"

/*
 * Writes raw to folder/SHA256.eml, readable by its owner only, unless it is there
 * already or the folder has most such files. 0 when it was written, 1 when it was
 * not wanted, MW_ERR_SYSTEM.
 */
int mw_keep_message(const char *folder, unsigned most, const char *sha256, struct mw_bytes raw,
                    struct mw_error *error);

#endif
