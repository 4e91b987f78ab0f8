/*
 * listen: the sockets on which we are asked. Opened before threads exist and before
 * privileges are dropped.
 */
#ifndef MW_MILTER_LISTEN_H
#define MW_MILTER_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/error.h"

struct mw_listener {
    int fd;         /* listening, close-on-exec, not blocking */
    bool local;     /* a unix socket */
    char name[160]; /* as configured: unix:PATH, inet:PORT@HOST */
    char path[108]; /* of the file to remove at the end; "" for none */
    dev_t device;   /* which file that is */
    ino_t inode;
    int file; /* of a private socket: its file, opened by path (O_PATH); else -1 */
};

/* mode: "0660" and the like; group: name or number, NULL leaves it. */
struct mw_listen_settings {
    const char *mode, *group;
};

/* Whether text names a socket: unix:PATH, inet:PORT@HOST, inet6:PORT@HOST (HOST:PORT
 * is taken too). MW_ERR_INPUT tells what is allowed. */
int mw_listen_check(const char *text, struct mw_error *error);

/* Whether text, which is sound, names a port on all addresses of this machine. */
bool mw_listen_is_everywhere(const char *text);

/* Whether the settings are sound; MW_ERR_INPUT names the one that is not. */
int mw_listen_check_settings(const struct mw_listen_settings *settings, struct mw_error *error);

/*
 * Opens a socket. A socket file on which nobody answers any more is replaced; one on
 * which somebody does is MW_ERR_BUSY, as is a port in use.
 */
int mw_listen_open(const char *text, const struct mw_listen_settings *settings,
                   struct mw_listener *listener, struct mw_error *error);

/*
 * A unix socket for connections from within. Its file has gone when this returns, and is to be
 * had by /proc/self/fd/FILE alone: a name, also one that the system makes up, would be open to
 * every user of this machine.
 */
int mw_listen_private(struct mw_listener *listener, struct mw_error *error);

/* Takes over a socket that is listening already (systemd's); MW_ERR_INPUT if it is not. */
int mw_listen_take(int fd, struct mw_listener *listener, struct mw_error *error);

/* Closes it and removes its file, unless another has taken its place. */
void mw_listen_close(struct mw_listener *listener);

#endif
