/*
 * turns: whose message gets the next free worker. Each client (a network of /24 or /64) has
 * a line of its own; lines are served in turn, so that a flood from one delays only itself.
 * A client that has as many workers as it may gets a further one only while another stays
 * free for others. Knows neither workers nor threads: the caller has a lock.
 */
#ifndef MW_WORKER_TURNS_H
#define MW_WORKER_TURNS_H

#include <stdbool.h>
#include <stddef.h>

struct mw_turns;

/* A message that waits; in memory of the caller's. */
struct mw_turn {
    struct mw_line *line; /* set by mw_turns_wait */
    struct mw_turn *next, *previous;
};

struct mw_turns *mw_turns_new(void);
void mw_turns_free(struct mw_turns *turns);

/* How many workers a client may have while others may come; 0: no bound. */
void mw_turns_set_per_client(struct mw_turns *turns, unsigned per_client);

/* How many wait. */
size_t mw_turns_waiting(const struct mw_turns *turns);

/* Puts a turn at the end of its client's line. address: of IPv4 or IPv6, as text; others
 * and NULL share one line. */
void mw_turns_wait(struct mw_turns *turns, struct mw_turn *turn, const char *address);

/* Who gets one of so many free workers (at least one): that turn's wait is over. NULL when
 * nobody who waits may have it. */
struct mw_turn *mw_turns_next(struct mw_turns *turns, unsigned free_workers);

/* Waits no more: it got nothing. */
void mw_turns_give_up(struct mw_turns *turns, struct mw_turn *turn);

/* What the turn got is given back. */
void mw_turns_done(struct mw_turns *turns, struct mw_turn *turn);

#endif
