/*
 * front: further sockets for libmilter, which has one: connections to them are taken
 * here and led to it, byte for byte, in one thread. Frames are looked at on the way
 * (milter/frame.h): a connection that sends a wrong one ends.
 *
 * It also keeps TCP from stalling. A mail server that speaks of a small message in
 * several writes waits, by Nagle's algorithm, for the first to be acknowledged, and the
 * system here delays that by up to 40 ms, as it has nothing to say. So what comes by TCP is
 * acknowledged at once (TCP_QUICKACK, to be asked for again after each read) and what
 * goes back is not held (TCP_NODELAY).
 */
#ifndef MW_MILTER_FRONT_H
#define MW_MILTER_FRONT_H

#include "conf/config.h"
#include "milter/listen.h"

enum { MW_FRONT_LISTENERS = MW_CONFIG_LISTENERS };

struct mw_front;

/* Starts it after mw_engine_prepare; NULL with error. There is no end: it goes with the
 * process. Closing a listener ends what comes by it, not what is under way. */
struct mw_front *mw_front_start(struct mw_error *error);

/* Takes connections to listener (borrowed) from now on; MW_ERR_LIMIT beyond
 * MW_FRONT_LISTENERS. Before mail comes, one thread. */
int mw_front_add(struct mw_front *front, const struct mw_listener *listener,
                 struct mw_error *error);

#endif
