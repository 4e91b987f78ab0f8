/*
 * control: asking a running mailwitnessd over its control socket.
 */
#ifndef MW_CLI_CONTROL_H
#define MW_CLI_CONTROL_H

#include <jansson.h>

#include "core/error.h"

/* The daemon's answer to name ("status", "stats", "reload"), a new reference, or NULL with
 * error when none came. An answer may be a refusal: its member ok is then false. */
json_t *mw_control_ask(const char *path, const char *name, struct mw_error *error);

/* Prints an answer for people, a line a fact. */
void mw_control_print(const json_t *answer);

/* The same for the answers to "status", what is wrong first, and to "reload". */
void mw_control_print_status(const json_t *answer);
void mw_control_print_reload(const json_t *answer);

#endif
