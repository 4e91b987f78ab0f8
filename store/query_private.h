/* What the files of query share. */
#ifndef MW_STORE_QUERY_PRIVATE_H
#define MW_STORE_QUERY_PRIVATE_H

#include "store/connections.h"
#include "store/query.h"

struct mw_query {
    const struct mw_store_settings *settings;
    struct mw_connections *connections;
    struct mw_flight *flight;
    unsigned version; /* of what Redis keeps */
};

/* An empty flight to fill, then sent by mw_query_fly. */
struct mw_flight *mw_query_begin(struct mw_query *query);

/* Sends it; the replies belong to the arena. wait_ms is allowed on top of command_ms. */
int mw_query_fly(struct mw_query *query, struct mw_arena *arena, unsigned wait_ms,
                 redisReply ***replies, struct mw_error *error);

/* A key: the prefix and the rest. */
const char *mw_query_key(const struct mw_query *query, struct mw_arena *arena, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));

/* A reply's text ("" when it has none), and its elements as pairs of name and value. */
const char *mw_reply_text(const redisReply *reply);
void mw_reply_facts(struct mw_arena *arena, const redisReply *reply, struct mw_facts *facts);

#endif
