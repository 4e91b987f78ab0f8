/*
 * frame: what processes of a pool say to each other. A frame is one message of a
 * SOCK_SEQPACKET socket: its kind, then fields of fixed types, and descriptors beside
 * them. A table (frame.c) says which kind goes over which channel, in which direction,
 * in which phase, with how many descriptors and bytes. Whatever does not fit, fields
 * that are missing and bytes that are left over are errors: the receiver believes
 * nothing that it did not ask for.
 */
#ifndef MW_WORKER_FRAME_H
#define MW_WORKER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/error.h"

enum mw_frame_kind {
    /* asking side -> zygote */
    MW_FRAME_LOAD = 1, /* start a generation: its control socket, and more (zygote.h) */
    /* generation -> asking side */
    MW_FRAME_READY,  /* loaded: what it was told (generation.h) */
    MW_FRAME_FAILED, /* text: why it could not load */
    MW_FRAME_DIED,   /* serial, waitpid status, deaths so far: a process ended out of order */
    /* asking side -> generation */
    MW_FRAME_START,  /* serial; its end of a job channel: fork a worker */
    MW_FRAME_VERIFY, /* the same for a verifier */
    MW_FRAME_END,    /* serial; whether its death is worth a word: kill that worker or verifier */
    /* asking side -> worker */
    MW_FRAME_JOB,  /* a sealed message */
    MW_FRAME_FILE, /* to a verifier: a packed report with one attachment (result.h) */
    MW_FRAME_ROOM, /* an empty memory file for a large result */
    /* worker -> asking side */
    MW_FRAME_RESULT, /* whether it is spent, and the result itself */
    MW_FRAME_LARGE,  /* bytes of a result that a frame has no room for */
    MW_FRAME_FILED,  /* whether it is spent: that result is in the file */
    /* worker -> runner, and back */
    MW_FRAME_RUN, /* number of the program, ms, facts; the part */
    MW_FRAME_RAN, /* how it ended, its code, what it said; what it printed */
    MW_FRAME_KINDS
};

enum { MW_FRAME_FDS = 3 };

/* Bytes of a frame at most: one that carries a result, and any other. */
enum { MW_FRAME_RESULT_MAX = 64 * 1024, MW_FRAME_MAX = 8 * 1024 };

enum mw_channel_kind {
    MW_CHANNEL_ZYGOTE,
    MW_CHANNEL_CONTROL, /* of a generation */
    MW_CHANNEL_JOBS,    /* of a worker */
    MW_CHANNEL_RUNNER
};

enum mw_phase {
    MW_PHASE_LOADING, /* a generation, until READY or FAILED */
    MW_PHASE_IDLE,    /* nothing is asked */
    MW_PHASE_WORKING, /* a job is asked and not answered */
    MW_PHASE_ROOM,    /* a worker has asked for a file */
    MW_PHASE_FILING   /* it has one */
};

/* One end of a socket. Plain; whoever made it closes the socket. */
struct mw_channel {
    int socket;
    enum mw_channel_kind kind;
    bool asks; /* this is the end that asks: of the pool, or of a runner's worker */
    enum mw_phase phase;
};

/* A frame to be sent, in room of the caller's: fields are appended. */
struct mw_frame_out {
    unsigned char *bytes;
    size_t room, size;
    bool full; /* something did not fit: sending it fails */
};

/* Begins a frame in room bytes. */
struct mw_frame_out mw_frame_begin(void *bytes, size_t room, enum mw_frame_kind kind);
void mw_frame_put_number(struct mw_frame_out *frame, uint64_t number);
/* A text, with its length; up to its NUL. */
void mw_frame_put_text(struct mw_frame_out *frame, const char *text);
/* Size bytes with their length; returns where they are to be written, NULL when there is
 * no room. */
unsigned char *mw_frame_put_space(struct mw_frame_out *frame, size_t size);

/* A frame that came. */
struct mw_frame_in {
    enum mw_frame_kind kind;
    int fds[MW_FRAME_FDS]; /* owned by who received it */
    size_t fd_count;
    struct mw_bytes rest; /* of the fields: what was not taken yet */
    bool bad;             /* a field was not there */
};

/* The next field; 0, "" or no bytes when it is not there or not of that type. Texts end with NUL
 * and lie in the receiver's room. */
uint64_t mw_frame_take_number(struct mw_frame_in *frame);
const char *mw_frame_take_text(struct mw_frame_in *frame);
struct mw_bytes mw_frame_take_bytes(struct mw_frame_in *frame);
/* Whether every field was there and nothing is left. */
bool mw_frame_is_done(const struct mw_frame_in *frame);

/* Closes the descriptors that came with it. */
void mw_frame_close(struct mw_frame_in *frame);

/*
 * Sends one, with count descriptors, which stay open here. It never waits: MW_ERR_BUSY when
 * the other end does not read, MW_ERR_MISSING when nobody is there, MW_ERR_INTERNAL when
 * the table does not allow it. One thread at a time uses an end of a channel, but for
 * frames that leave its phase as it is.
 */
int mw_channel_send(struct mw_channel *channel, const struct mw_frame_out *frame, const int *fds,
                    size_t count, struct mw_error *error);

/*
 * Receives one into room bytes, and checks it by the table. timeout_ms: -1 waits for
 * ever, 0 does not wait. MW_ERR_TIMEOUT; MW_ERR_MISSING when the other end has closed;
 * MW_ERR_BUSY when it went away with something unread that was sent to it; MW_ERR_FORMAT
 * for a frame that may not come, or not so: its descriptors are closed then.
 */
int mw_channel_receive(struct mw_channel *channel, struct mw_frame_in *frame, void *bytes,
                       size_t room, int timeout_ms, struct mw_error *error);

/* Waits at most timeout_ms (-1: for ever) until there is something to receive: 1, 0, or
 * MW_ERR_SYSTEM. */
int mw_channel_wait(const struct mw_channel *channel, int timeout_ms, struct mw_error *error);

/* Whether nothing has come that was not received, and the other end is there: one call. */
bool mw_channel_is_quiet(const struct mw_channel *channel);

/* Whether the other end has received all that was sent to it. */
bool mw_channel_is_read(const struct mw_channel *channel);

/* A pair of connected sockets for a channel; MW_ERR_SYSTEM. */
int mw_channel_pair(int sockets[2], struct mw_error *error);

#endif
