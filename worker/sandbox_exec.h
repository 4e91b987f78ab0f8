/*
 * sandbox_exec: what the second kind of worker gives up, which runs programs, and
 * what each program gives up beyond that.
 */
#ifndef MW_WORKER_SANDBOX_EXEC_H
#define MW_WORKER_SANDBOX_EXEC_H

#include "scanners/exec.h"
#include "worker/sandbox.h"

/*
 * Confines the calling process for good: the user, no new privileges, and files: the
 * system's programs and libraries, what programs ask for in paths, and the folder
 * settings->scratch. It may start programs; it dies with its parent. With
 * MW_SANDBOX_OFF nothing is done, but the limits hold for programs all the same.
 */
int mw_sandbox_enter_runner(const struct mw_sandbox_settings *settings,
                            const struct mw_exec_programs *programs, struct mw_error *error);

/*
 * Confines a program's process before it is started: its memory and time; files:
 * the system's programs and libraries, its own paths, input to read, home to write;
 * and system calls: no sockets (with network: those of IPv4 and IPv6), nothing that
 * reaches another process or changes the system. Those fail with EPERM, as programs
 * often try what they do not need.
 */
int mw_sandbox_enter_program(const struct mw_sandbox_settings *settings,
                             const struct mw_exec_program *program, const char *input,
                             const char *home, struct mw_error *error);

#endif
