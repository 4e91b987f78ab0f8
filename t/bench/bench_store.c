/*
 * bench_store: messages stored a second, beside the same commands sent by hiredis alone;
 * Redis' memory for a message and an attachment; a search among many messages of one
 * sender. On a redis-server of its own.
 *
 *     bench_store [MESSAGES [SEARCHED]]
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "store/query.h"
#include "store/store.h"
#include "store/store_private.h"
#include "t/bench/timing.h"
#include "t/unit/made_up.h"
#include "t/unit/redis_server.h"

enum { RUNS = 5 };

static struct redis_server server;
static struct mw_store_settings settings;
static struct mw_report **reports;
static long count;

static void stop(const char *what)
{
    fprintf(stderr, "bench_store: %s\n", what);
    redis_server_stop(&server);
    exit(2);
}

/* Asks the server, on a connection of hiredis' own. */
static long long ask(const char *command, const char *after)
{
    redisContext *redis = redisConnectUnix(server.address + 5);
    redisReply *reply = redis && !redis->err ? redisCommand(redis, command) : NULL;
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        stop("redis-server does not answer");
    const char *at = after && reply->str ? strstr(reply->str, after) : NULL;
    long long number = at ? strtoll(at + strlen(after), NULL, 10) : reply->integer;
    freeReplyObject(reply);
    redisFree(redis);
    return number;
}

static void prepare_settings(void)
{
    settings = (struct mw_store_settings){
        .redis = {.address = server.address,
                  .connect_ms = 1000,
                  .command_ms = 60000,
                  .connections = 1},
        .prefix = "mw:",
        .data = true,
        .data_max = 1 << 25,
        .compression = 1,
        .keep_messages_s = 86400,
        .keep_attachments_s = 86400,
        .keep_data_s = 86400,
        .events_max = 100000,
    };
}

/* --- threads that take messages in turn -------------------------------------------------- */

struct work {
    atomic_long next;
    struct mw_store *store;
    struct mw_flight **flights; /* made before, for hiredis alone */
    atomic_long failed;
    bool report_too; /* hiredis' side makes the report's JSON and all zstd frames as well */
};

/* The report as it is stored; the frame is borrowed from the squeezer. */
static struct mw_bytes make_report(const struct mw_report *report, struct mw_squeezer *squeezer)
{
    char *json = mw_report_to_json(report, MW_JSON_LINE, NULL);
    struct mw_bytes frame = {0};
    mw_squeeze(squeezer, 1, mw_bytes_of(json), &frame);
    free(json);
    return frame;
}

static void *save_some(void *argument)
{
    struct work *work = argument;
    for (long i; (i = atomic_fetch_add(&work->next, 1)) < count;)
        if (mw_store_save(work->store, reports[i], NULL, NULL) != 0)
            work->failed++;
    return NULL;
}

/* The same bytes, written and their replies read by hiredis. */
static void *send_some(void *argument)
{
    struct work *work = argument;
    redisContext *redis = redisConnectUnix(server.address + 5);
    struct mw_squeezer *squeezer = mw_squeezer_new();
    for (long i; (i = atomic_fetch_add(&work->next, 1)) < count;) {
        size_t pieces;
        if (work->report_too) {
            struct mw_bytes frame;
            const struct mw_attachments *attached = &reports[i]->attachments;
            if (attached->count > 0 && attached->items[0].data.size < MW_SCHEMA_LARGE)
                mw_squeeze(squeezer, 1, attached->items[0].data, &frame);
            make_report(reports[i], squeezer);
        }
        const struct iovec *piece = mw_flight_pieces(work->flights[i], &pieces);
        for (size_t k = 0; k < pieces; k++)
            redisAppendFormattedCommand(redis, piece[k].iov_base, piece[k].iov_len);
        for (size_t k = 0; k < mw_flight_count(work->flights[i]); k++) {
            redisReply *reply = NULL;
            if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
                work->failed++;
            if (reply)
                freeReplyObject(reply);
        }
    }
    mw_squeezer_free(squeezer);
    redisFree(redis);
    return NULL;
}

static double run(struct work *work, void *(*thread)(void *), int threads)
{
    pthread_t ids[64];
    work->next = 0;
    double start = now(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, thread, work);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double took = now(CLOCK_MONOTONIC) - start;
    if (work->failed > 0)
        stop("messages failed");
    return (double)count / took;
}

/* Ready-made commands: all that a message's save sends, its large attachments asked for
 * in the first run and known in the later ones, as the store does it. */
static struct mw_flight **make_flights(struct mw_store *store)
{
    struct mw_flight **flights = calloc((size_t)count, sizeof(struct mw_flight *));
    struct mw_squeezer *squeezer = mw_squeezer_new();
    for (long i = 0; flights && i < count; i++) {
        struct mw_arena *arena = mw_arena_new();
        bool known[] = {true};
        struct mw_schema_message message = {.settings = &settings,
                                            .script_hash = store->script_hash,
                                            .report = reports[i],
                                            .known = known};
        mw_schema_check(&message, NULL);
        struct mw_bytes frame = make_report(reports[i], squeezer);
        message.json.size = frame.size;
        message.json.data = (void *)mw_arena_dup_bytes(arena, (const void *)frame.data, frame.size);
        flights[i] = mw_flight_new();
        if (i % MADE_UP_CAMPAIGN != 0)
            message.known = NULL;
        else
            mw_schema_ask(flights[i], arena, &settings, &reports[i]->attachments.items[0]);
        mw_schema_write(flights[i], arena, &message, squeezer);
        mw_arena_free(arena);
    }
    mw_squeezer_free(squeezer);
    return flights;
}

/* The best of several runs each, in turn, so that what else the machine does hits all. */
static void best_of_all(struct work *work, int callers, int connections, double rates[3])
{
    for (int i = 0; i < 3 * RUNS; i++) {
        work->report_too = i % 3 == 1;
        double rate =
            i % 3 == 0 ? run(work, save_some, callers) : run(work, send_some, connections);
        rates[i % 3] = rate > rates[i % 3] ? rate : rates[i % 3];
    }
}

static struct mw_store *open_store(unsigned connections)
{
    struct mw_error error = {0};
    settings.redis.connections = connections;
    struct mw_store *store = mw_store_new(&settings, &error);
    if (!store)
        stop(error.text);
    return store;
}

static void bench_speed(void)
{
    static const struct {
        unsigned connections;
        int threads;
    } cases[] = {{1, 1}, {1, 4}, {8, 8}};
    struct work work = {.store = open_store(1)};
    run(&work, save_some, 1); /* everything is there from now on */
    work.flights = make_flights(work.store);
    mw_store_free(work.store);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        work.store = open_store(cases[i].connections);
        double rates[3] = {0};
        best_of_all(&work, cases[i].threads, (int)cases[i].connections, rates);
        double ours = rates[0], raw = rates[1], sent = rates[2];
        printf("%u connection%s, %d thread%s: %6.0f messages/s; hiredis, commands made before "
               "but for JSON and zstd: %6.0f, ratio %.2f; all made before: %6.0f, ratio %.2f\n",
               cases[i].connections, cases[i].connections > 1 ? "s" : "", cases[i].threads,
               cases[i].threads > 1 ? "s" : "", ours, raw, ours / raw, sent, ours / sent);
        mw_store_free(work.store);
    }
    for (long i = 0; i < count; i++)
        mw_flight_free(work.flights[i]);
    free(work.flights);
}

/* --- memory --------------------------------------------------------------------------------- */

/* Saves only messages whose number leaves rest when divided by by. */
static double memory_of(struct mw_store *store, long by, long rest, long *saved)
{
    ask("FLUSHALL", NULL);
    mw_store_save(store, reports[rest], NULL, NULL); /* what is there once */
    long long before = ask("INFO memory", "used_memory:");
    *saved = 0;
    for (long i = rest + by; i < count; i += by, ++*saved)
        if (mw_store_save(store, reports[i], NULL, NULL) != 0)
            stop("a message failed");
    return (double)(ask("INFO memory", "used_memory:") - before) / (double)*saved;
}

static void bench_memory(void)
{
    struct mw_store *store = open_store(1);
    long saved;
    double without = memory_of(store, 2, 1, &saved);
    printf("Redis' memory: a 4 KB mail without attachment, all indexes: %.0f bytes\n", without);
    settings.data = false;
    double facts = memory_of(store, 10, 2, &saved);
    printf("... with a new attachment, facts only: %.0f bytes more\n", facts - without);
    settings.data = true;
    double bytes = memory_of(store, 10, 2, &saved);
    printf("... with its %d bytes: %.0f bytes more\n", MADE_UP_SMALL, bytes - without);
    mw_store_free(store);
    ask("FLUSHALL", NULL);
}

/* --- search ------------------------------------------------------------------------------------
 */

/* Entries of one sender's index and of the verdict's, without the messages themselves. */
static void fill_index(long searched)
{
    redisContext *redis = redisConnectUnix(server.address + 5);
    struct mw_id_source *ids = mw_id_source_new();
    uint64_t time_ms = ((uint64_t)time(NULL) - 80000) * 1000;
    char id[MW_ID_SIZE];
    for (long i = 0; i < searched; i++) {
        mw_id_next_at(ids, time_ms + (uint64_t)i / 20, id);
        redisAppendCommand(redis, "ZADD mw:index:from:one@example.net %lu %s",
                           time_ms + (uint64_t)i / 20, id);
        redisAppendCommand(redis, "ZADD mw:index:to:user%ld@example.org %lu %s", i % 1000,
                           time_ms + (uint64_t)i / 20, id);
        for (int k = 0; i % 1000 == 999 && k < 2000; k++) {
            redisReply *reply = NULL;
            redisGetReply(redis, (void **)&reply);
            freeReplyObject(reply);
        }
    }
    mw_id_source_free(ids);
    redisFree(redis);
}

static long peak_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void search(struct mw_query *query, const struct mw_search_terms *terms, const char *what)
{
    struct mw_error error = {0};
    double start = now(CLOCK_MONOTONIC), first = 0;
    long found = 0, before = peak_kb();
    struct mw_search *walk = mw_search_new(query, terms, 0, 0, &error);
    for (int result = 1; result > 0;) {
        struct mw_arena *arena = mw_arena_new();
        struct mw_hits hits = {0};
        result = mw_search_next(walk, arena, 50, &hits, &error);
        found += (long)hits.count;
        first = first > 0 ? first : now(CLOCK_MONOTONIC) - start;
        mw_arena_free(arena);
    }
    printf("search, %s: first page of 50 in %.2f ms; all %ld in %.1f s, memory grew by %ld KB\n",
           what, first * 1e3, found, now(CLOCK_MONOTONIC) - start, peak_kb() - before);
    mw_search_free(walk);
}

static void bench_search(long searched)
{
    struct mw_error error = {0};
    fill_index(searched);
    struct mw_query *query = mw_query_new(&settings, &error);
    if (!query)
        stop(error.text);
    struct mw_search_term terms[] = {{MW_INDEX_FROM, "one@example.net"},
                                     {MW_INDEX_TO, "user7@example.org"}};
    struct mw_search_terms one = {terms, 1, 1}, two = {terms, 2, 2};
    printf("%ld messages of one sender\n", searched);
    search(query, &one, "by sender");
    search(query, &two, "by sender and recipient");
    mw_query_free(query);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    count = argc > 1 ? atol(argv[1]) : 5000;
    long searched = argc > 2 ? atol(argv[2]) : 100000;
    if (count < 100 || !redis_server_start(&server)) {
        fprintf(stderr, "bench_store: no redis-server, or fewer than 100 messages\n");
        return 2;
    }
    prepare_settings();
    reports = calloc((size_t)count, sizeof(struct mw_report *));
    struct mw_id_source *ids = mw_id_source_new();
    for (long i = 0; i < count; i++)
        reports[i] = made_up_report(ids, i);
    bench_speed();
    bench_memory();
    bench_search(searched);
    for (long i = 0; i < count; i++)
        mw_report_free(reports[i]);
    free(reports);
    mw_id_source_free(ids);
    redis_server_stop(&server);
    return 0;
}
