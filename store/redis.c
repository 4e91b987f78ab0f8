/* redis: the conversation with one server; hiredis reads, we carry the bytes. */
#include "store/redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { RUN_ID = 41, CHUNK = 65536, PASSWORD = 1024 };

struct mw_redis {
    struct mw_transport *transport;
    redisReader *reader;
    char run_id[RUN_ID];
    int64_t clock_ms;
};

static const struct {
    enum mw_redis_trouble trouble;
    const char *begins, *name;
} kinds[] = {
    {MW_REDIS_FINE, NULL, "fine"},
    {MW_REDIS_DOWN, NULL, "down"},
    {MW_REDIS_TIMEOUT, NULL, "timeout"},
    {MW_REDIS_NEWER, NULL, "newer"},
    {MW_REDIS_OOM, "OOM ", "oom"},
    {MW_REDIS_READONLY, "READONLY ", "readonly"},
    {MW_REDIS_LOADING, "LOADING ", "loading"},
    {MW_REDIS_LOADING, "MASTERDOWN ", "loading"},
    {MW_REDIS_NOAUTH, "NOAUTH ", "noauth"},
    {MW_REDIS_NOAUTH, "WRONGPASS ", "noauth"},
    {MW_REDIS_NOAUTH, "ERR AUTH ", "noauth"},
    {MW_REDIS_NOAUTH, "ERR invalid password", "noauth"},
    {MW_REDIS_DENIED, "NOPERM ", "denied"},
    {MW_REDIS_BUSY, "BUSY ", "busy"},
    {MW_REDIS_BUSY, "CLUSTERDOWN ", "busy"},
    {MW_REDIS_BUSY, "TRYAGAIN ", "busy"},
    {MW_REDIS_BUSY, "NOREPLICAS ", "busy"},
    {MW_REDIS_BUSY, "UNKILLABLE ", "busy"},
    {MW_REDIS_BUSY, "ERR max number of clients", "busy"},
    {MW_REDIS_DISK, "MISCONF ", "disk"},
    {MW_REDIS_NOSCRIPT, "NOSCRIPT ", "noscript"},
    {MW_REDIS_REFUSED, "", "refused"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const char *mw_redis_trouble_name(enum mw_redis_trouble trouble)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].trouble == trouble)
            return kinds[i].name;
    return "unknown";
}

enum mw_redis_trouble mw_redis_trouble_of(const char *text)
{
    size_t i = MW_REDIS_NEWER + 1;
    while (strncmp(text, kinds[i].begins, strlen(kinds[i].begins)) != 0)
        i++;
    return kinds[i].trouble;
}

static enum mw_redis_trouble trouble_of_code(int code)
{
    return code == MW_ERR_TIMEOUT ? MW_REDIS_TIMEOUT : MW_REDIS_DOWN;
}

/* The first error reply in reply or in what it holds; NULL when there is none. An aborted
 * EXEC only says that something before it failed. */
static const char *first_error(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i < reply->elements; i++) {
        const char *text = first_error(reply->element[i]);
        if (text)
            return text;
    }
    return NULL;
}

static enum mw_redis_trouble look(const redisReply *reply, struct mw_error *error)
{
    const char *text = first_error(reply);
    if (!text)
        return MW_REDIS_FINE;
    enum mw_redis_trouble trouble = mw_redis_trouble_of(text);
    mw_fail(error, trouble == MW_REDIS_REFUSED ? MW_ERR_FORMAT : MW_ERR_BUSY, "Redis says: %s",
            text);
    return trouble;
}

/* --- a flight ------------------------------------------------------------------------ */

/* What is still to be sent and read. */
struct journey {
    struct mw_redis *redis;
    struct iovec *pieces;
    size_t left, wanted, got;
    redisReply **replies;
    enum mw_redis_trouble trouble;
    struct mw_error *error;
};

/* Takes what was written off the front of the pieces. */
static void written(struct journey *journey, size_t size)
{
    while (journey->left > 0 && size >= journey->pieces->iov_len) {
        size -= journey->pieces->iov_len;
        journey->pieces++;
        journey->left--;
    }
    if (size > 0) {
        journey->pieces->iov_base = (char *)journey->pieces->iov_base + size;
        journey->pieces->iov_len -= size;
    }
}

static int take_replies(struct journey *journey)
{
    while (journey->got < journey->wanted) {
        void *reply = NULL;
        if (redisReaderGetReply(journey->redis->reader, &reply) != REDIS_OK)
            return mw_fail(journey->error, MW_ERR_SYSTEM, "Redis speaks another protocol: %s",
                           journey->redis->reader->errstr);
        if (!reply)
            return 0;
        if (journey->trouble == MW_REDIS_FINE)
            journey->trouble = look(reply, journey->error);
        if (journey->replies)
            journey->replies[journey->got] = reply;
        else
            freeReplyObject(reply);
        journey->got++;
    }
    return 0;
}

static int read_some(struct journey *journey)
{
    char chunk[CHUNK];
    ssize_t size =
        mw_transport_read(journey->redis->transport, chunk, sizeof chunk, journey->error);
    if (size < 0)
        return journey->error->code;
    if (size == 0)
        return 0;
    if (redisReaderFeed(journey->redis->reader, chunk, (size_t)size) != REDIS_OK)
        return mw_fail(journey->error, MW_ERR_SYSTEM, "no memory for a reply of Redis");
    return take_replies(journey);
}

/* Replies are read while we still write: else both sides could wait for each other. */
static int travel(struct journey *journey, int64_t deadline)
{
    while (journey->got < journey->wanted) {
        if (journey->left > 0) {
            ssize_t size = mw_transport_write(journey->redis->transport, journey->pieces,
                                              journey->left, journey->error);
            if (size < 0)
                return journey->error->code;
            written(journey, (size_t)size);
        }
        if (mw_transport_wait(journey->redis->transport, journey->left > 0, deadline,
                              journey->error) != 0 ||
            read_some(journey) != 0)
            return journey->error->code;
    }
    return 0;
}

enum mw_redis_trouble mw_redis_fly(struct mw_redis *redis, struct mw_flight *flight,
                                   int64_t deadline, redisReply **replies, struct mw_error *error)
{
    struct mw_error ignored = {0};
    struct journey journey = {.redis = redis,
                              .wanted = mw_flight_count(flight),
                              .replies = replies,
                              .error = error ? error : &ignored};
    const struct iovec *pieces = mw_flight_pieces(flight, &journey.left);
    /* The flight must stay as it is for a second try: its list of pieces is copied. */
    struct iovec few[16], *copy = journey.left <= 16 ? few : calloc(journey.left, sizeof *copy);
    if (!copy) {
        mw_fail(error, MW_ERR_SYSTEM, "no memory for a flight to Redis");
        return MW_REDIS_DOWN;
    }
    memcpy(copy, pieces, journey.left * sizeof *copy);
    journey.pieces = copy;
    if (replies)
        memset(replies, 0, journey.wanted * sizeof *replies);
    int result = travel(&journey, deadline);
    if (copy != few)
        free(copy);
    return result == 0 ? journey.trouble : trouble_of_code(result);
}

redisReply *mw_redis_ask(struct mw_redis *redis, int64_t deadline, enum mw_redis_trouble *trouble,
                         struct mw_error *error, const char *format, ...)
{
    char *command = NULL;
    redisReply *reply = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = redisvFormatCommand(&command, format, arguments);
    va_end(arguments);
    enum mw_redis_trouble met = MW_REDIS_DOWN;
    if (size < 0) {
        mw_fail(error, MW_ERR_INTERNAL, "cannot write a command to Redis");
    } else {
        struct iovec piece = {command, (size_t)size};
        struct mw_error ignored = {0};
        struct journey journey = {
            redis, &piece, 1, 1, 0, &reply, MW_REDIS_FINE, error ? error : &ignored};
        int result = travel(&journey, deadline);
        met = result == 0 ? journey.trouble : trouble_of_code(result);
        redisFreeCommand(command);
    }
    if (trouble)
        *trouble = met;
    if (met == MW_REDIS_FINE)
        return reply;
    if (reply)
        freeReplyObject(reply);
    return NULL;
}

/* --- logging in ------------------------------------------------------------------------ */

/* The first line of the file. */
static int read_password(const char *path, char password[PASSWORD], struct mw_error *error)
{
    struct mw_error why = {0};
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes text = {0};
    int result = mw_file_read(path, PASSWORD - 1, arena, &text, &why);
    if (result != 0)
        mw_fail(error, result, "cannot read the password file %s", why.text);
    else if (text.size == 0 || memchr(text.data, '\0', text.size))
        result = mw_fail(error, MW_ERR_INPUT, "the password file %s is %s", path,
                         text.size == 0 ? "empty" : "no text");
    else
        snprintf(password, PASSWORD, "%.*s", (int)strcspn((const char *)text.data, "\r\n"),
                 (const char *)text.data);
    if (text.size > 0)
        explicit_bzero((unsigned char *)(uintptr_t)text.data, text.size);
    mw_arena_free(arena);
    return result;
}

static enum mw_redis_trouble add_login(struct mw_flight *flight,
                                       const struct mw_redis_settings *settings,
                                       struct mw_error *error)
{
    char password[PASSWORD] = "";
    if (!settings->password_file)
        return MW_REDIS_FINE;
    if (read_password(settings->password_file, password, error) != 0)
        return MW_REDIS_NOAUTH;
    if (settings->user)
        mw_flight_add(flight, "AUTH", settings->user, password, NULL);
    else
        mw_flight_add(flight, "AUTH", password, NULL);
    explicit_bzero(password, sizeof password);
    return MW_REDIS_FINE;
}

static void take_info(struct mw_redis *redis, const redisReply *info)
{
    const char *at = info->type == REDIS_REPLY_STRING ? strstr(info->str, "run_id:") : NULL;
    if (at)
        snprintf(redis->run_id, sizeof redis->run_id, "%.*s",
                 (int)strspn(at + 7, "0123456789abcdef"), at + 7);
    at = info->type == REDIS_REPLY_STRING ? strstr(info->str, "server_time_usec:") : NULL;
    if (at)
        redis->clock_ms = strtoll(at + 17, NULL, 10) / 1000;
}

/* INFO is only asked for the run's id and the clock: a user who may not is no trouble. */
static enum mw_redis_trouble judge_greeting(struct mw_redis *redis, redisReply **replies,
                                            size_t count, struct mw_error *error)
{
    enum mw_redis_trouble trouble = MW_REDIS_FINE;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count)
            take_info(redis, replies[i]);
        else if (trouble == MW_REDIS_FINE)
            trouble = look(replies[i], error);
    }
    return trouble;
}

static enum mw_redis_trouble greet(struct mw_redis *redis, const struct mw_redis_settings *settings,
                                   const char *script, int64_t deadline, struct mw_error *error)
{
    enum { MOST = 5 };
    redisReply *replies[MOST] = {0};
    char number[16];
    struct mw_flight *flight = mw_flight_new();
    enum mw_redis_trouble trouble = add_login(flight, settings, error);
    if (settings->database > 0) {
        snprintf(number, sizeof number, "%u", settings->database);
        mw_flight_add(flight, "SELECT", number, NULL);
    }
    if (script)
        mw_flight_add(flight, "SCRIPT", "LOAD", script, NULL);
    mw_flight_add(flight, "INFO", "server", NULL);
    if (trouble == MW_REDIS_FINE) {
        trouble = mw_redis_fly(redis, flight, deadline, replies, error);
        if (trouble != MW_REDIS_DOWN && trouble != MW_REDIS_TIMEOUT)
            trouble = judge_greeting(redis, replies, mw_flight_count(flight), error);
    }
    for (size_t i = 0; i < MOST; i++)
        if (replies[i])
            freeReplyObject(replies[i]);
    mw_flight_free(flight);
    return trouble;
}

enum mw_redis_trouble mw_redis_open(struct mw_redis **out, const struct mw_redis_settings *settings,
                                    const char *address, struct mw_tls *tls, const char *script,
                                    int64_t deadline, struct mw_error *error)
{
    struct mw_error ignored = {0};
    if (!error)
        error = &ignored;
    *out = NULL;
    struct mw_redis *redis = calloc(1, sizeof *redis);
    if (!redis) {
        mw_fail_errno(error, "cannot connect to Redis");
        return MW_REDIS_DOWN;
    }
    enum mw_redis_trouble trouble = MW_REDIS_DOWN;
    redis->transport = mw_transport_open(address, tls, settings->tls_name, deadline, error);
    redis->reader = redisReaderCreate();
    if (!redis->transport)
        trouble = trouble_of_code(error->code);
    else if (redis->reader)
        trouble = greet(redis, settings, script, deadline, error);
    if (trouble == MW_REDIS_FINE)
        *out = redis;
    else
        mw_redis_free(redis);
    return trouble;
}

void mw_redis_free(struct mw_redis *redis)
{
    if (!redis)
        return;
    mw_transport_free(redis->transport);
    if (redis->reader)
        redisReaderFree(redis->reader);
    free(redis);
}

const char *mw_redis_run_id(const struct mw_redis *redis)
{
    return redis->run_id;
}

int64_t mw_redis_clock_ms(const struct mw_redis *redis)
{
    return redis->clock_ms;
}

struct mw_transport *mw_redis_transport(struct mw_redis *redis)
{
    return redis->transport;
}
