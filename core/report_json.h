/*
 * report_json: what writing and reading reports share.
 */
#ifndef MW_CORE_REPORT_JSON_H
#define MW_CORE_REPORT_JSON_H

#include <jansson.h>

#include "core/json_out.h"
#include "core/report.h"
#include "core/report_fields.h"

/* The layout that every MW_LIST has. */
MW_LIST_TYPE(mw_any_list, void);

/* report_headers.c: a header list as the members headers, header_names and
 * headers_raw of the object under way. */
void mw_headers_to_json(struct mw_json_out *out, const struct mw_headers *headers);

/* report_headers.c: back again; removes the three members from object. */
int mw_headers_from_json(struct mw_arena *arena, json_t *object, struct mw_headers *headers,
                         struct mw_error *error);

#endif
