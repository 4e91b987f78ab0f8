/*
 * control: a unix socket on which the daemon answers questions of an administrator:
 * one line of JSON asks, {"command": "status"}, one answers. doc/mailwitnessd.8 has
 * the commands.
 */
#ifndef MW_MILTER_CONTROL_H
#define MW_MILTER_CONTROL_H

#include "core/bytes.h"
#include "milter/daemon.h"

enum mw_control_command { MW_CONTROL_STATUS, MW_CONTROL_STATS, MW_CONTROL_RELOAD };

enum { MW_CONTROL_LINE = 4096 }; /* bytes of a question at most */

/* Reads a question, a line without its end. MW_ERR_INPUT tells what is allowed. */
int mw_control_parse(struct mw_bytes line, enum mw_control_command *command,
                     struct mw_error *error);

/* The answer to a question, one line of JSON without its end; the caller frees it.
 * {"ok": true, ...}, or {"ok": false, "error": "..."}. A reload takes its time. */
char *mw_control_answer(struct mw_daemon *daemon, struct mw_bytes line);

/* Answers on the listening socket fd (borrowed) in threads of its own, for as long as
 * the process lives or fd is open. */
int mw_control_start(struct mw_daemon *daemon, int fd, struct mw_error *error);

#endif
