/* What schema.c asks of schema_index.c. */
#ifndef MW_STORE_SCHEMA_PRIVATE_H
#define MW_STORE_SCHEMA_PRIVATE_H

#include "store/schema.h"

/* The texts up to NULL one behind the other, in arena: keys are made by the dozen for each
 * message, and printf would take longer than all else. */
const char *mw_schema_join(struct mw_arena *arena, ...) __attribute__((sentinel));

#endif
