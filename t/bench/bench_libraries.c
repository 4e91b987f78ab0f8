/*
 * bench_libraries: what the libraries alone cost for the messages of a folder: GMime
 * parsing and decoding, OpenSSL's four digests of each attachment and one of the message,
 * libyara and libclamav over attachments and texts, hiredis sending a message's commands
 * and bytes. In this process, one thread, nothing kept. Prints milliseconds of processor
 * time a message, by library and in all.
 *
 *     bench_libraries FOLDER ATTACHMENT_RULES BODY_RULES CLAMAV_FOLDER REDIS_SOCKET
 *
 * The rules are folders of *.yar. Temporary files of libclamav go to TMPDIR.
 */
#include <clamav.h>
#include <dirent.h>
#include <gmime/gmime.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yara.h>

#include "core/error.h"
#include "scanners/hash.h"
#include "t/bench/timing.h"

enum { COMMANDS = 24, PARTS = 64 };

enum library { GMIME, OPENSSL, YARA, CLAMAV, HIREDIS, LIBRARIES };
static const char *const names[LIBRARIES] = {"GMime", "OpenSSL", "YARA", "ClamAV", "hiredis"};

struct bench {
    struct mw_hasher *hasher;
    YR_SCANNER *attachments, *texts;
    struct cl_engine *engine;
    redisContext *redis;
    double spent[LIBRARIES];
    double since;
};

struct part {
    GByteArray *bytes;
    bool is_text;
};

struct parts {
    struct part items[PARTS];
    size_t count;
};

_Noreturn static void stop(const char *what)
{
    fprintf(stderr, "bench_libraries: %s\n", what);
    exit(2);
}

/* What passed since the last call was this library's. */
static void charge(struct bench *bench, enum library library)
{
    double time = now(CLOCK_PROCESS_CPUTIME_ID) * 1e3;
    bench->spent[library] += time - bench->since;
    bench->since = time;
}

/* --- preparation -------------------------------------------------------------------------- */

static int ignore(YR_SCAN_CONTEXT *context, int message, void *data, void *user)
{
    (void)context, (void)message, (void)data, (void)user;
    return CALLBACK_CONTINUE;
}

static void add_rules(YR_COMPILER *compiler, const char *folder)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char path[4096];
        if (!strstr(entry->d_name, ".yar"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file || yr_compiler_add_file(compiler, file, NULL, path) != 0)
            stop(path);
        fclose(file);
    }
    if (entries)
        closedir(entries);
}

static YR_SCANNER *load_rules(const char *folder)
{
    static const char *const texts[] = {"filename", "extension", "content_type",  "file_type",
                                        "path",     "sender",    "sender_domain", "subject"};
    YR_COMPILER *compiler = NULL;
    YR_RULES *rules = NULL;
    YR_SCANNER *scanner = NULL;
    if (yr_compiler_create(&compiler) != ERROR_SUCCESS)
        stop("no YARA");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        yr_compiler_define_string_variable(compiler, texts[i], "");
    yr_compiler_define_integer_variable(compiler, "size", 0);
    yr_compiler_define_boolean_variable(compiler, "sender_new", 0);
    add_rules(compiler, folder);
    if (yr_compiler_get_rules(compiler, &rules) != ERROR_SUCCESS ||
        yr_scanner_create(rules, &scanner) != ERROR_SUCCESS)
        stop(folder);
    yr_scanner_set_callback(scanner, ignore, NULL);
    return scanner;
}

static struct cl_engine *load_database(const char *folder)
{
    unsigned signatures = 0;
    if (cl_init(CL_INIT_DEFAULT) != CL_SUCCESS)
        stop("no ClamAV");
    struct cl_engine *engine = cl_engine_new();
    cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1);
    if (getenv("TMPDIR"))
        cl_engine_set_str(engine, CL_ENGINE_TMPDIR, getenv("TMPDIR"));
    if (cl_load(folder, engine, &signatures, CL_DB_STDOPT) != CL_SUCCESS ||
        cl_engine_compile(engine) != CL_SUCCESS)
        stop(folder);
    return engine;
}

/* --- one message ---------------------------------------------------------------------------- */

static void take_part(GMimeObject *parent, GMimeObject *object, gpointer user)
{
    struct parts *parts = user;
    (void)parent;
    if (!GMIME_IS_PART(object) || parts->count == PARTS)
        return;
    GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(object));
    GByteArray *bytes = g_byte_array_new();
    GMimeStream *out = g_mime_stream_mem_new_with_byte_array(bytes);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(out), FALSE);
    if (content)
        g_mime_data_wrapper_write_to_stream(content, out);
    g_object_unref(out);
    parts->items[parts->count++] = (struct part){bytes, GMIME_IS_TEXT_PART(object)};
}

static void parse(const char *data, size_t size, struct parts *parts)
{
    GMimeStream *in = g_mime_stream_mem_new_with_buffer(data, size);
    GMimeParser *parser = g_mime_parser_new_with_stream(in);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    if (message) {
        g_mime_message_foreach(message, take_part, parts);
        g_object_unref(message);
    }
    g_object_unref(parser);
    g_object_unref(in);
}

static void scan_with_clamav(const struct bench *bench, const struct part *part)
{
    struct cl_scan_options options = {.parse = ~0u, .general = CL_SCAN_GENERAL_HEURISTICS};
    const char *name = NULL;
    unsigned long scanned = 0;
    cl_fmap_t *map =
        part->bytes->len > 0 ? cl_fmap_open_memory(part->bytes->data, part->bytes->len) : NULL;
    if (!map)
        return;
    cl_scanmap_callback(map, NULL, &name, &scanned, bench->engine, &options, NULL);
    cl_fmap_close(map);
}

static void store(const struct bench *bench, const struct parts *parts)
{
    unsigned sent = 0;
    for (; sent < COMMANDS; sent++)
        redisAppendCommand(bench->redis, "ZADD bench:%u %d %s", sent, 1700000000 + (int)sent,
                           "01a21005-ced8-775f-af70-e25a32416066");
    for (size_t i = 0; i < parts->count; i++, sent++)
        redisAppendCommand(bench->redis, "SET bench:data %b", parts->items[i].bytes->data,
                           (size_t)parts->items[i].bytes->len);
    for (; sent > 0; sent--) {
        void *reply = NULL;
        if (redisGetReply(bench->redis, &reply) != REDIS_OK)
            stop("Redis does not answer");
        freeReplyObject(reply);
    }
}

static void examine(struct bench *bench, const char *data, size_t size)
{
    struct parts parts = {.count = 0};
    bench->since = now(CLOCK_PROCESS_CPUTIME_ID) * 1e3;
    parse(data, size, &parts);
    charge(bench, GMIME);
    struct mw_arena *arena = mw_arena_new();
    mw_hasher_sha256(bench->hasher, arena, (struct mw_bytes){(const unsigned char *)data, size});
    for (size_t i = 0; i < parts.count; i++) {
        struct mw_digests digests;
        struct mw_bytes bytes = {parts.items[i].bytes->data, parts.items[i].bytes->len};
        if (!parts.items[i].is_text)
            mw_hasher_all(bench->hasher, arena, bytes, &digests);
    }
    mw_arena_free(arena);
    charge(bench, OPENSSL);
    for (size_t i = 0; i < parts.count; i++)
        yr_scanner_scan_mem(parts.items[i].is_text ? bench->texts : bench->attachments,
                            parts.items[i].bytes->data, parts.items[i].bytes->len);
    charge(bench, YARA);
    for (size_t i = 0; i < parts.count; i++)
        scan_with_clamav(bench, &parts.items[i]);
    charge(bench, CLAMAV);
    store(bench, &parts);
    charge(bench, HIREDIS);
    for (size_t i = 0; i < parts.count; i++)
        g_byte_array_free(parts.items[i].bytes, TRUE);
}

static unsigned examine_folder(struct bench *bench, const char *folder)
{
    unsigned count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char path[4096];
        char *data = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || !g_file_get_contents(path, &data, &size, NULL))
            continue;
        examine(bench, data, size);
        g_free(data);
        count++;
    }
    if (entries)
        closedir(entries);
    return count;
}

int main(int argc, char **argv)
{
    struct mw_error error = {0};
    if (argc != 6)
        stop("usage: FOLDER ATTACHMENT_RULES BODY_RULES CLAMAV_FOLDER REDIS_SOCKET");
    g_mime_init();
    if (yr_initialize() != ERROR_SUCCESS)
        stop("no YARA");
    struct bench bench = {.hasher = mw_hasher_new(&error),
                          .attachments = load_rules(argv[2]),
                          .texts = load_rules(argv[3]),
                          .engine = load_database(argv[4]),
                          .redis = redisConnectUnix(argv[5])};
    if (!bench.hasher)
        stop(error.text);
    if (!bench.redis || bench.redis->err)
        stop("no Redis at the socket");
    unsigned count = examine_folder(&bench, argv[1]);
    double all = 0;
    for (int i = 0; i < LIBRARIES; i++) {
        printf("%s %.3f ", names[i], bench.spent[i] / (count > 0 ? count : 1));
        all += bench.spent[i];
    }
    printf("all %.3f\n", all / (count > 0 ? count : 1));
    return count > 0 ? 0 : 2;
}
