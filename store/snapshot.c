/* snapshot: SYNC, as replicas speak it (redis.io, "Redis replication"); DUMP and RESTORE. */
#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/query_private.h"

enum { MARK = 40, CHUNK = 65536, LINE = 256, PAGE = 200, CURSOR = 32, START_MS = 60000 };

/* --- out ------------------------------------------------------------------------------------ */

/* What comes from the server, and where it goes. */
struct stream {
    struct mw_transport *transport;
    unsigned idle_ms;
    int fd;
    char buffer[CHUNK];
    size_t used;
    uint64_t size;
    struct mw_error *error;
};

static int stream_read(struct stream *stream)
{
    for (;;) {
        ssize_t size = mw_transport_read(stream->transport, stream->buffer + stream->used,
                                         sizeof stream->buffer - stream->used, stream->error);
        if (size < 0)
            return stream->error->code;
        stream->used += (size_t)size;
        if (size > 0)
            return 0;
        if (mw_transport_wait(stream->transport, false, mw_clock_ms() + stream->idle_ms,
                              stream->error) != 0)
            return stream->error->code;
    }
}

/* Writes the first bytes of the buffer out and takes them off it. */
static int stream_write(struct stream *stream, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(stream->fd, stream->buffer + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mw_fail_errno(stream->error, "cannot write the snapshot");
        done += (size_t)n;
    }
    memmove(stream->buffer, stream->buffer + size, stream->used - size);
    stream->used -= size;
    stream->size += size;
    return 0;
}

/* The line that announces the snapshot; empty ones mean that the server is still at it. */
static int stream_line(struct stream *stream, char line[LINE])
{
    for (;;) {
        while (stream->used > 0 && stream->buffer[0] == '\n')
            memmove(stream->buffer, stream->buffer + 1, --stream->used);
        const char *end = memchr(stream->buffer, '\n', stream->used);
        if (end) {
            size_t size = (size_t)(end - stream->buffer) + 1;
            snprintf(line, LINE, "%.*s", (int)strcspn(stream->buffer, "\r\n"), stream->buffer);
            memmove(stream->buffer, stream->buffer + size, stream->used - size);
            stream->used -= size;
            return 0;
        }
        if (stream->used == sizeof stream->buffer)
            return mw_fail(stream->error, MW_ERR_FORMAT, "Redis sends no snapshot");
        if (stream_read(stream) != 0)
            return stream->error->code;
    }
}

static int take_sized(struct stream *stream, uint64_t left)
{
    while (left > 0) {
        if (stream->used == 0 && stream_read(stream) != 0)
            return stream->error->code;
        size_t size = stream->used < left ? stream->used : (size_t)left;
        if (stream_write(stream, size) != 0)
            return stream->error->code;
        left -= size;
    }
    return 0;
}

/* A snapshot whose size is not known ends with a mark that was told before. */
static int take_marked(struct stream *stream, const char mark[MARK])
{
    for (;;) {
        if (stream->used >= MARK && memcmp(stream->buffer + stream->used - MARK, mark, MARK) == 0)
            return stream_write(stream, stream->used - MARK);
        if (stream->used > MARK && stream_write(stream, stream->used - MARK) != 0)
            return stream->error->code;
        if (stream_read(stream) != 0)
            return stream->error->code;
    }
}

static int take_snapshot(struct stream *stream)
{
    char line[LINE];
    if (stream_line(stream, line) != 0)
        return stream->error->code;
    if (line[0] != '$')
        return mw_fail(stream->error, MW_ERR_BUSY,
                       "Redis gives no snapshot: %s (its user needs +sync and +replconf)", line);
    if (strncmp(line, "$EOF:", 5) == 0 && strlen(line) == 5 + MARK)
        return take_marked(stream, line + 5);
    return take_sized(stream, strtoull(line + 1, NULL, 10));
}

static int ask_snapshot(struct mw_redis *redis, struct stream *stream)
{
    static const char command[] = "SYNC\r\n";
    const struct iovec piece = {(void *)(uintptr_t)command, sizeof command - 1};
    enum mw_redis_trouble trouble;
    redisReply *reply = mw_redis_ask(redis, mw_clock_ms() + stream->idle_ms, &trouble,
                                     stream->error, "REPLCONF rdb-only 1");
    if (!reply) {
        struct mw_error why = *stream->error;
        return mw_fail(stream->error, why.code, "Redis gives no snapshot: %s%s", why.text,
                       trouble == MW_REDIS_DENIED ? " (it needs +sync and +replconf)" : "");
    }
    freeReplyObject(reply);
    stream->transport = mw_redis_transport(redis);
    if (mw_transport_write(stream->transport, &piece, 1, stream->error) != (ssize_t)piece.iov_len)
        return stream->error->code ? stream->error->code
                                   : mw_fail(stream->error, MW_ERR_SYSTEM, "cannot ask Redis");
    return take_snapshot(stream);
}

int mw_store_snapshot(const struct mw_store_settings *settings, int fd, unsigned idle_ms,
                      uint64_t *size, struct mw_error *error)
{
    struct mw_error own = {0};
    error = error ? error : &own;
    struct mw_connections *connections = mw_connections_new(&settings->redis, NULL, error);
    struct stream *stream = calloc(1, sizeof *stream);
    struct mw_redis *redis = NULL;
    bool fresh;
    if (!stream)
        abort();
    stream->fd = fd;
    stream->idle_ms = idle_ms;
    stream->error = error;
    int result = connections ? 0 : error->code;
    if (result == 0 && mw_connections_take(connections, mw_clock_ms() + settings->redis.connect_ms,
                                           &redis, &fresh, error) != MW_REDIS_FINE)
        result = error->code;
    if (result == 0)
        result = ask_snapshot(redis, stream);
    if (redis)
        mw_connections_give(connections, redis, false);
    if (size)
        *size = stream->size;
    mw_connections_free(connections);
    free(stream);
    return result;
}

/* --- back ----------------------------------------------------------------------------------- */

/* A redis-server of our own, in a folder of its own, that has read the snapshot. */
struct reader {
    char folder[64], address[128], link[96], socket[96];
    pid_t pid;
    struct mw_store_settings settings;
    struct mw_query *query;
};

static void run_server(const struct reader *reader)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", reader->socket, "--dir",
           reader->folder, "--dbfilename", "snapshot", "--save", "", "--appendonly", "no",
           "--maxmemory", "0", (char *)NULL);
    _exit(127);
}

static void close_reader(struct reader *reader)
{
    mw_query_free(reader->query);
    if (reader->pid > 0) {
        kill(reader->pid, SIGKILL);
        waitpid(reader->pid, NULL, 0);
    }
    unlink(reader->link);
    unlink(reader->socket);
    if (*reader->folder)
        rmdir(reader->folder);
}

/* Waits until it has read all of the file. */
static int await_reader(struct reader *reader, const char *path, struct mw_error *error)
{
    const struct timespec moment = {0, 50000000};
    for (int64_t until = mw_clock_ms() + START_MS; mw_clock_ms() < until;) {
        int status;
        nanosleep(&moment, NULL);
        if (waitpid(reader->pid, &status, WNOHANG) == reader->pid) {
            reader->pid = 0;
            return mw_fail(error, MW_ERR_FORMAT,
                           WIFEXITED(status) && WEXITSTATUS(status) == 127
                               ? "there is no redis-server here to read %s: install it, or give "
                                 "the file to Redis yourself"
                               : "redis-server cannot read %s",
                           path);
        }
        reader->query = mw_query_new(&reader->settings, error);
        if (reader->query)
            return 0;
    }
    return error->code;
}

static int open_reader(struct reader *reader, const struct mw_store_settings *settings,
                       const char *path, struct mw_error *error)
{
    char whole[PATH_MAX];
    snprintf(reader->folder, sizeof reader->folder, "/tmp/mailwitness-restore-XXXXXX");
    if (!realpath(path, whole) || !mkdtemp(reader->folder)) {
        reader->folder[0] = '\0';
        return mw_fail_errno(error, "cannot prepare to read %s", path);
    }
    snprintf(reader->link, sizeof reader->link, "%s/snapshot", reader->folder);
    snprintf(reader->socket, sizeof reader->socket, "%s/socket", reader->folder);
    snprintf(reader->address, sizeof reader->address, "unix:%s", reader->socket);
    reader->settings = (struct mw_store_settings){.prefix = settings->prefix,
                                                  .redis = {.address = reader->address,
                                                            .database = settings->redis.database,
                                                            .connect_ms = 10000,
                                                            .command_ms = 60000,
                                                            .connections = 1}};
    if (symlink(whole, reader->link) != 0)
        return mw_fail_errno(error, "cannot link %s", path);
    reader->pid = fork();
    if (reader->pid == 0)
        run_server(reader);
    return reader->pid > 0 ? await_reader(reader, path, error)
                           : mw_fail_errno(error, "cannot start redis-server");
}

static bool is_wanted(const struct mw_store_settings *settings, const char *key)
{
    const char *name = key + strlen(settings->prefix);
    return strcmp(name, "marker") != 0 && strcmp(name, "probe") != 0;
}

/* Brings one page of keys over. */
static int restore_page(struct mw_query *from, struct mw_query *to, struct mw_arena *arena,
                        const redisReply *keys, bool replace, struct mw_restored *restored,
                        struct mw_error *error)
{
    redisReply **values, **there, **done;
    struct mw_flight *reading = mw_query_begin(from), *asking = mw_query_begin(to);
    for (size_t i = 0; i < keys->elements; i++) {
        mw_flight_add(reading, "DUMP", keys->element[i]->str, NULL);
        mw_flight_add(reading, "PTTL", keys->element[i]->str, NULL);
        mw_flight_add(asking, "EXISTS", keys->element[i]->str, NULL);
    }
    if (mw_query_fly(from, arena, 0, &values, error) != 0 ||
        mw_query_fly(to, arena, 0, &there, error) != 0)
        return error->code;
    struct mw_flight *writing = mw_query_begin(to);
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *dump = values[2 * i];
        long long left = values[2 * i + 1]->integer;
        bool kept = there[i]->integer == 1 && !replace;
        if (dump->type != REDIS_REPLY_STRING || !is_wanted(to->settings, keys->element[i]->str))
            continue;
        restored->there += kept;
        restored->keys += !kept;
        const struct mw_bytes words[] = {
            mw_bytes_of("RESTORE"),
            mw_bytes_of(keys->element[i]->str),
            mw_bytes_of(mw_arena_printf(arena, "%lld", left > 0 ? left : 0)),
            {(const unsigned char *)dump->str, dump->len},
            mw_bytes_of("REPLACE")};
        if (!kept)
            mw_flight_words(writing, words, sizeof words / sizeof *words);
    }
    return mw_query_fly(to, arena, 0, &done, error);
}

static int restore_all(struct mw_query *from, struct mw_query *to, bool replace,
                       struct mw_restored *restored, struct mw_error *error)
{
    char cursor[CURSOR] = "0";
    int result;
    do {
        redisReply **replies;
        struct mw_arena *arena = mw_arena_new();
        mw_flight_add(mw_query_begin(from), "SCAN", cursor, "MATCH",
                      mw_arena_printf(arena, "%s*", from->settings->prefix), "COUNT",
                      mw_arena_printf(arena, "%d", PAGE), NULL);
        result = mw_query_fly(from, arena, 0, &replies, error);
        if (result == 0) {
            snprintf(cursor, CURSOR, "%s", mw_reply_text(replies[0]->element[0]));
            result =
                restore_page(from, to, arena, replies[0]->element[1], replace, restored, error);
        }
        mw_arena_free(arena);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    return result;
}

int mw_store_restore(const struct mw_store_settings *settings, const char *path, bool replace,
                     struct mw_restored *restored, struct mw_error *error)
{
    struct mw_error own = {0};
    struct reader reader = {.pid = 0};
    error = error ? error : &own;
    *restored = (struct mw_restored){0};
    struct mw_query *to = mw_query_new(settings, error);
    int result = to ? open_reader(&reader, settings, path, error) : error->code;
    if (result == 0)
        result = restore_all(reader.query, to, replace, restored, error);
    close_reader(&reader);
    mw_query_free(to);
    return result;
}
