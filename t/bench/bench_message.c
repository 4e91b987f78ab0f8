/*
 * bench_message: what examining a message costs, beside the least it could
 * cost: GMime decoding its attachments, and the four digests of them and of
 * the message. Prints medians of several runs, and this process's peak memory.
 *
 *     bench_message [MEGABYTES] [RUNS]
 */
#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "scanners/hash.h"
#include "t/bench/timing.h"
#include "worker/witness.h"

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* A message with one base64 attachment, size bytes in all. */
static struct mw_bytes make_message(size_t size)
{
    static const char head[] =
        "From: a@example.com\r\nTo: b@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
        "See attachment.\r\n--x\r\nContent-Type: application/octet-stream; name=a.bin\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char tail[] = "\r\n--x--\r\n";
    unsigned char *data = malloc(size + sizeof head + sizeof tail + 80);
    if (!data)
        abort();
    memcpy(data, head, sizeof head - 1);
    size_t at = sizeof head - 1;
    unsigned state = 12345;
    while (at < size) {
        for (int i = 0; i < 76; i++) {
            state = state * 1664525U + 1013904223U;
            data[at++] = (unsigned char)digits[state >> 26];
        }
        data[at++] = '\r';
        data[at++] = '\n';
    }
    memcpy(data + at, tail, sizeof tail - 1);
    return (struct mw_bytes){data, at + sizeof tail - 1};
}

static void decode_part(GMimeObject *parent, GMimeObject *object, gpointer user)
{
    (void)parent;
    GMimeStream **out = user;
    if (GMIME_IS_PART(object) && g_mime_part_get_content(GMIME_PART(object))) {
        g_mime_stream_reset(*out);
        g_mime_data_wrapper_write_to_stream(g_mime_part_get_content(GMIME_PART(object)), *out);
    }
}

/* The libraries alone: parse, decode, digests of the decoded bytes, and with
 * whole set of the message as well. */
static double libraries(struct mw_hasher *hasher, struct mw_bytes raw, bool whole)
{
    GMimeStream *in = g_mime_stream_mem_new_with_buffer((const char *)raw.data, raw.size);
    double start = now(CLOCK_MONOTONIC);
    GMimeParser *parser = g_mime_parser_new_with_stream(in);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    GMimeStream *out = g_mime_stream_mem_new();
    g_mime_message_foreach(message, decode_part, &out);
    struct mw_arena *arena = mw_arena_new();
    struct mw_digests digests;
    GByteArray *array = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(out));
    mw_hasher_all(hasher, arena, (struct mw_bytes){array->data, array->len}, &digests);
    if (whole)
        mw_hasher_all(hasher, arena, raw, &digests);
    double end = now(CLOCK_MONOTONIC);
    mw_arena_free(arena);
    g_object_unref(out);
    g_object_unref(message);
    g_object_unref(parser);
    g_object_unref(in);
    return end - start;
}

int main(int argc, char **argv)
{
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    int runs = argc > 2 ? atoi(argv[2]) : 5;
    if (runs < 1 || runs > 100)
        runs = 5;
    struct mw_witness_settings settings = {0};
    struct mw_error error = {0};
    mw_limits_default(&settings.limits);
    struct mw_witness *witness = mw_witness_new(&settings, &error);
    struct mw_hasher *hasher = mw_hasher_new(&error);
    if (!witness || !hasher) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    struct mw_bytes raw = make_message(megabytes << 20);
    double ours[100] = {0}, part[100] = {0}, both[100] = {0};
    mw_report_free(mw_witness_examine(witness, raw));
    printf("message: %zu bytes; peak memory with it: %.2f times its size\n", raw.size,
           (double)peak_kib() * 1024 / (double)raw.size);
    for (int i = 0; i < runs; i++) {
        double start = now(CLOCK_MONOTONIC);
        mw_report_free(mw_witness_examine(witness, raw));
        ours[i] = now(CLOCK_MONOTONIC) - start;
        part[i] = libraries(hasher, raw, false);
        both[i] = libraries(hasher, raw, true);
    }
    double mine = median(ours, (size_t)runs), least = median(part, (size_t)runs),
           whole = median(both, (size_t)runs);
    printf("examine: %.3f s; GMime decode + 4 digests of the attachment: %.3f s (%.2fx); "
           "and of the message: %.3f s (%.2fx); medians of %d\n",
           mine, least, mine / least, whole, mine / whole, runs);
    mw_hasher_free(hasher);
    mw_witness_free(witness);
    return 0;
}
