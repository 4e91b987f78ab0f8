/*
 * export_ecs: reports as documents of the Elastic Common Schema, version 8.11:
 * email.*, event.*, client.*, related.*, rule.*, error.*, with what it has no field
 * for under mailwitness.*.
 */
#ifndef MW_CLI_EXPORT_ECS_H
#define MW_CLI_EXPORT_ECS_H

#include <jansson.h>

#include "core/report.h"

/* A new reference, the caller's. Empty fields are left out. */
json_t *mw_ecs_of(const struct mw_report *report);

#endif
