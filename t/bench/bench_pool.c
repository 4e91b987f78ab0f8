/*
 * bench_pool: what handing a message to a worker and taking its report back costs
 * beside examining it here, what a second worker brings, and what a fresh process for each
 * message costs (workers.recycle_messages = 1). Medians.
 *
 *     bench_pool [MESSAGES [CLAMAV_DATABASE]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "t/bench/timing.h"
#include "worker/pool.h"

enum { THREADS = 2, SIZE = 4096, RUNS = 5 };

/* Mail of 4 KB, each with other words. */
static struct mw_bytes make_message(char *text, size_t room, unsigned number)
{
    int length =
        snprintf(text, room,
                 "From: Someone <a%u@example.com>\r\nTo: b@example.org\r\n"
                 "Message-ID: <%u@example.com>\r\nDate: Tue, 24 Nov 2026 20:00:00 +0000\r\n"
                 "Subject: number %u\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n\r\n",
                 number, number, number);
    size_t size = (size_t)length;
    for (unsigned line = 0; size + 80 < SIZE; line++)
        size += (size_t)snprintf(
            text + size, room - size,
            "Line %u of message %u, with some words and a link http://x%u.example.net/\r\n", line,
            number, line % 3);
    return (struct mw_bytes){(const unsigned char *)text, size};
}

static struct mw_memfile *pack(struct mw_bytes raw)
{
    struct mw_error error = {0};
    struct mw_memfile *file = mw_memfile_new("bench", &error);
    if (!file || mw_memfile_append(file, raw, SIZE_MAX, &error) != 0 ||
        mw_memfile_seal(file, &error) != 0)
        abort();
    return file;
}

static double here(struct mw_witness *witness, unsigned count)
{
    char text[SIZE * 2];
    double start = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < count; i++)
        mw_report_free(mw_witness_examine(witness, make_message(text, sizeof text, i)));
    return now(CLOCK_MONOTONIC) - start;
}

struct lane {
    struct mw_pool *pool;
    unsigned count;
    pthread_t thread;
};

static void *ask(void *argument)
{
    const struct lane *lane = argument;
    struct mw_error error = {0};
    char text[SIZE * 2];
    for (unsigned i = 0; i < lane->count; i++) {
        struct mw_memfile *file = pack(make_message(text, sizeof text, i));
        struct mw_report *report = mw_pool_examine(lane->pool, file, &error);
        if (!report) {
            fprintf(stderr, "bench_pool: %s\n", error.text);
            exit(2);
        }
        mw_report_free(report);
        mw_memfile_free(file);
    }
    return NULL;
}

static double there(struct mw_pool *pool, unsigned threads, unsigned count)
{
    struct lane lanes[THREADS];
    double start = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < threads; i++) {
        lanes[i] = (struct lane){.pool = pool, .count = count / threads};
        pthread_create(&lanes[i].thread, NULL, ask, &lanes[i]);
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(lanes[i].thread, NULL);
    return now(CLOCK_MONOTONIC) - start;
}

static struct mw_pool *start(unsigned workers, unsigned recycle, const char *database)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    mw_pool_settings_default(&settings);
    settings.generation.workers = workers;
    settings.generation.recycle_messages = recycle;
    settings.generation.witness.scan.clamav.database = database;
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (!pool) {
        fprintf(stderr, "bench_pool: %s\n", error.text);
        exit(2);
    }
    return pool;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    double in_process[RUNS], one[RUNS], two[RUNS], fresh[RUNS];
    const char *database = argc > 2 ? argv[2] : NULL;
    /* The pools first: they fork. */
    struct mw_pool *single = start(1, 0, database), *pair = start(2, 0, database),
                   *renewed = start(1, 1, database);
    mw_pool_settings_default(&settings);
    settings.generation.witness.scan.clamav.database = database;
    struct mw_witness *witness = mw_witness_new(&settings.generation.witness, &error);
    if (!witness)
        return 2;
    here(witness, count / 4 + 1);
    for (int i = 0; i < RUNS; i++) {
        in_process[i] = here(witness, count) * 1e6 / count;
        one[i] = there(single, 1, count) * 1e6 / count;
        two[i] = there(pair, 2, count) * 1e6 / count;
        fresh[i] = there(renewed, 1, count) * 1e6 / count;
    }
    double a = median(in_process, RUNS), b = median(one, RUNS), c = median(two, RUNS),
           d = median(fresh, RUNS);
    printf(
        "%u messages of 4 KB: here %.0f us a message, by a worker %.0f us (hand-off %.0f us), "
        "by two workers %.0f us (%.2fx of one), by a fresh process each %.0f us (%.0f us more)\n",
        count, a, b, b - a, c, b / c, d, d - b);
    mw_witness_free(witness);
    mw_pool_free(single);
    mw_pool_free(pair);
    mw_pool_free(renewed);
    return 0;
}
