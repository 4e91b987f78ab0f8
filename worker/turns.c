/* turns: a ring of lines, each with its queue. */
#include "worker/turns.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* What tells clients apart: the family and its network. */
struct client {
    unsigned char family; /* 4, 6 or 0: none of them */
    unsigned char network[8];
};

/* A client that waits or has a worker. */
struct mw_line {
    struct client client;
    unsigned held;
    struct mw_turn *first, *last;
    struct mw_line *next, *previous; /* a ring of all lines */
};

struct mw_turns {
    unsigned per_client;
    size_t waiting;
    struct mw_line *ring; /* who is looked at first; NULL: there is none */
};

struct mw_turns *mw_turns_new(void)
{
    return calloc(1, sizeof(struct mw_turns));
}

static void remove_line(struct mw_turns *turns, struct mw_line *line)
{
    line->next->previous = line->previous;
    line->previous->next = line->next;
    if (turns->ring == line)
        turns->ring = line->next == line ? NULL : line->next;
    free(line);
}

void mw_turns_free(struct mw_turns *turns)
{
    while (turns && turns->ring)
        remove_line(turns, turns->ring);
    free(turns);
}

void mw_turns_set_per_client(struct mw_turns *turns, unsigned per_client)
{
    turns->per_client = per_client;
}

size_t mw_turns_waiting(const struct mw_turns *turns)
{
    return turns->waiting;
}

static struct client client_of(const char *address)
{
    enum { NETWORK4 = 3, NETWORK6 = 8, MAPPED = 12 };
    static const unsigned char mapped[MAPPED] = {[10] = 0xff, [11] = 0xff};
    struct client client = {0};
    unsigned char bytes[sizeof(struct in6_addr)];
    if (address && inet_pton(AF_INET, address, bytes) == 1) {
        client.family = 4;
        memcpy(client.network, bytes, NETWORK4);
    } else if (address && inet_pton(AF_INET6, address, bytes) == 1) {
        bool is_mapped = memcmp(bytes, mapped, MAPPED) == 0;
        client.family = is_mapped ? 4 : 6;
        memcpy(client.network, is_mapped ? bytes + MAPPED : bytes, is_mapped ? NETWORK4 : NETWORK6);
    }
    return client;
}

/* The client's line, a new one behind all others if it has none. */
static struct mw_line *line_of(struct mw_turns *turns, const struct client *client)
{
    struct mw_line *line = turns->ring;
    if (line) {
        do {
            if (memcmp(&line->client, client, sizeof *client) == 0)
                return line;
            line = line->next;
        } while (line != turns->ring);
    }
    line = calloc(1, sizeof *line);
    if (!line)
        abort();
    line->client = *client;
    line->next = turns->ring ? turns->ring : line;
    line->previous = turns->ring ? turns->ring->previous : line;
    line->next->previous = line->previous->next = line;
    if (!turns->ring)
        turns->ring = line;
    return line;
}

void mw_turns_wait(struct mw_turns *turns, struct mw_turn *turn, const char *address)
{
    const struct client client = client_of(address);
    struct mw_line *line = line_of(turns, &client);
    *turn = (struct mw_turn){.line = line, .previous = line->last};
    if (line->last)
        line->last->next = turn;
    else
        line->first = turn;
    line->last = turn;
    turns->waiting++;
}

static void take_out(struct mw_turns *turns, struct mw_turn *turn)
{
    struct mw_line *line = turn->line;
    if (turn->previous)
        turn->previous->next = turn->next;
    else
        line->first = turn->next;
    if (turn->next)
        turn->next->previous = turn->previous;
    else
        line->last = turn->previous;
    turn->next = turn->previous = NULL;
    turns->waiting--;
}

struct mw_turn *mw_turns_next(struct mw_turns *turns, unsigned free_workers)
{
    struct mw_line *line = turns->ring;
    if (!line || turns->waiting == 0)
        return NULL;
    do {
        bool may = turns->per_client == 0 || line->held < turns->per_client || free_workers > 1;
        if (line->first && may) {
            struct mw_turn *turn = line->first;
            take_out(turns, turn);
            line->held++;
            turns->ring = line->next;
            return turn;
        }
        line = line->next;
    } while (line != turns->ring);
    return NULL;
}

static void forget_idle(struct mw_turns *turns, struct mw_line *line)
{
    if (!line->first && line->held == 0)
        remove_line(turns, line);
}

void mw_turns_give_up(struct mw_turns *turns, struct mw_turn *turn)
{
    take_out(turns, turn);
    forget_idle(turns, turn->line);
}

void mw_turns_done(struct mw_turns *turns, struct mw_turn *turn)
{
    turn->line->held--;
    forget_idle(turns, turn->line);
}
