/*
 * wire: what goes between the asking side and the workers: small fixed messages
 * over SOCK_SEQPACKET with descriptors beside them, and results in sealed memory
 * files. The asking side trusts nothing that comes back.
 */
#ifndef MW_WORKER_WIRE_H
#define MW_WORKER_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/memfile.h"
#include "core/report.h"

enum { MW_WIRE_FDS = 3, MW_WIRE_TEXT = 1024 };

enum mw_wire_kind {
    MW_WIRE_JOB = 1, /* to a worker: message and what answer.h needs beside it */
    MW_WIRE_LOAD,    /* to the zygote: job and control sockets beside it, and where
                      * verdicts are reused their table */
    MW_WIRE_READY,   /* from a generation: number is how many workers it has, flags how
                      * many ms a message may take, text its warnings, a line each */
    MW_WIRE_FAILED,  /* from it: text tells why it could not load */
    MW_WIRE_KILL,    /* to it: number is the worker to end */
    MW_WIRE_ENGINES, /* before that: text has its engines as a JSON list */
    MW_WIRE_VERIFY,  /* to a generation: a file for a verifier (verifier.h) and what answer.h
                      * needs beside it */
    MW_WIRE_RUN,     /* to a runner: number is the program, flags has a count above and the ms
                      * it may take below, text its facts, each with a NUL; the part beside it */
    MW_WIRE_RAN,     /* from it: number is the exit code or signal, flags the same count and how
                      * it ended, text what it said; what it printed beside it */
    MW_WIRE_DIED     /* from it: number is how a worker ended (waitpid status), flags
                      * how many have died in all */
};

struct mw_wire {
    uint32_t kind;
    int32_t number;
    uint64_t flags;
    char text[MW_WIRE_TEXT];
};

/* Sends one message with descriptors (kept open here); MW_ERR_MISSING when nobody is there
 * any more, MW_ERR_SYSTEM. */
int mw_wire_send(int socket, const struct mw_wire *wire, const int *fds, size_t count,
                 struct mw_error *error);

/*
 * Receives one, with exactly count descriptors, which the caller owns then. A
 * message of another size, with other descriptors, or cut short is MW_ERR_FORMAT;
 * the end of the connection MW_ERR_MISSING; timeout_ms (-1: none) MW_ERR_TIMEOUT.
 */
int mw_wire_receive(int socket, struct mw_wire *wire, int *fds, size_t count, int timeout_ms,
                    struct mw_error *error);

/* The same with up to *count descriptors; *count is how many there were. */
int mw_wire_receive_some(int socket, struct mw_wire *wire, int *fds, size_t *count, int timeout_ms,
                         struct mw_error *error);

/* The report and the bytes of its attachments as one sealed memory file. */
struct mw_memfile *mw_wire_pack(const struct mw_report *report, struct mw_error *error);

/* The same, behind what file has already; not sealed. */
int mw_wire_pack_into(struct mw_memfile *file, const struct mw_report *report,
                      struct mw_error *error);

/*
 * Reads a packed report. Takes ownership of fd. Everything is checked: sizes,
 * offsets, the report by a strict reader (report_pack.h), and the SHA-256 of each attachment
 * against its bytes. The report owns the mapping that its attachments point into.
 */
struct mw_report *mw_wire_unpack(int fd, size_t max, struct mw_error *error);

/* The same for a file of our own that a worker wrote to, behind its first skip bytes.
 * Takes ownership of file. */
struct mw_report *mw_wire_unpack_file(struct mw_memfile *file, size_t skip, size_t max,
                                      struct mw_error *error);

#endif
