/* unit_filter: what the "ever seen" filters promise. MW_FILTER_VALUES makes the
 * measurements longer. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "t/unit/tap.h"

static char folder[] = "/tmp/unit_filter-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static struct mw_bytes value_of(uint64_t *number)
{
    return (struct mw_bytes){(unsigned char *)number, sizeof *number};
}

static bool add(struct mw_filter *filter, uint64_t number)
{
    struct mw_error error = {0};
    bool is_new = false;
    mw_filter_add(filter, value_of(&number), &is_new, &error);
    return is_new;
}

static bool seen(struct mw_filter *filter, uint64_t number)
{
    return mw_filter_seen(filter, value_of(&number));
}

static struct mw_filter *fresh(const char *name, uint64_t capacity, double rate, int sync_ms)
{
    struct mw_error error = {0};
    const char *path = path_of(name);
    unlink(path);
    if (mw_filter_create(path, capacity, rate, &error) != 0)
        printf("# %s\n", error.text);
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_WRITE, sync_ms, &error);
    if (!filter)
        printf("# %s\n", error.text);
    return filter;
}

static uint64_t wanted(void)
{
    const char *text = getenv("MW_FILTER_VALUES");
    return text ? strtoull(text, NULL, 10) : 300000;
}

static void test_rate(void)
{
    uint64_t count = wanted(), missing = 0, wrong = 0;
    struct mw_filter *filter = fresh("rate", count, 0.001, 1000);
    for (uint64_t i = 0; i < count; i++)
        add(filter, i);
    for (uint64_t i = 0; i < count; i++)
        missing += !seen(filter, i);
    tap_is_number((long long)missing, 0, "no value that was added is ever missed");
    for (uint64_t i = 0; i < count * 4; i++)
        wrong += seen(filter, i + (uint64_t)1e12);
    double rate = (double)wrong / (double)(count * 4);
    printf("# measured rate at capacity: %.5f\n", rate);
    tap_ok(rate <= 0.001 * 1.1, "at capacity the measured rate is the promised one or less");
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    tap_ok(info.values <= count && info.values > count * 998 / 1000,
           "values are counted, but for those taken for seen");
    double off = (double)info.estimated / (double)count;
    tap_ok(off > 0.98 && off < 1.02, "values can be estimated from the bits");
    mw_filter_close(filter);
}

static void test_growth(void)
{
    uint64_t capacity = 20000, count = capacity * 10, missing = 0, wrong = 0;
    struct mw_filter *filter = fresh("growth", capacity, 0.001, 1000);
    for (uint64_t i = 0; i < count; i++)
        add(filter, i);
    for (uint64_t i = 0; i < count; i++)
        missing += !seen(filter, i);
    for (uint64_t i = 0; i < count * 4; i++)
        wrong += seen(filter, i + (uint64_t)1e12);
    struct mw_filter_info info;
    mw_filter_get_info(filter, &info);
    tap_ok(info.layers > 1, "a filter past its capacity grows by layers");
    tap_is_number((long long)missing, 0, "nothing is missed across layers");
    printf("# measured rate at ten times capacity: %.5f in %u layers\n",
           (double)wrong / (double)(count * 4), info.layers);
    tap_ok((double)wrong <= (double)(count * 4) * 0.001 * 1.1,
           "at ten times its capacity the rate is still the promised one");
    mw_filter_close(filter);
    struct mw_error error = {0};
    filter = mw_filter_open(path_of("growth"), MW_FILTER_READ, 0, &error);
    missing = 0;
    for (uint64_t i = 0; filter && i < count; i++)
        missing += !seen(filter, i);
    tap_ok(filter && missing == 0, "all layers are there when it is opened again");
    mw_filter_close(filter);
}

struct crowd {
    struct mw_filter *filter;
    uint64_t count;
    atomic_uchar *news;
};

static void *add_all(void *argument)
{
    struct crowd *crowd = argument;
    for (uint64_t i = 0; i < crowd->count; i++)
        if (add(crowd->filter, i))
            atomic_fetch_add(&crowd->news[i], 1);
    return NULL;
}

static void test_exactly_once(void)
{
    enum { THREADS = 8 };
    struct crowd crowd = {.count = wanted()};
    pthread_t threads[THREADS];
    /* Small, so that it grows while they add. */
    crowd.filter = fresh("crowd", crowd.count / 8, 0.001, 1000);
    crowd.news = calloc(crowd.count, sizeof *crowd.news);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_all, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t twice = 0, never = 0;
    for (uint64_t i = 0; i < crowd.count; i++) {
        twice += crowd.news[i] > 1;
        never += crowd.news[i] == 0;
    }
    tap_is_number((long long)twice, 0, "of 8 threads no two are told that a value is new");
    tap_ok(never < crowd.count / 500, "and one is, but for false positives");
    free(crowd.news);
    mw_filter_close(crowd.filter);
}

/* A child adds and tells each value it was acknowledged, until it is killed. */
static void add_until_killed(int tell, int sync_ms)
{
    struct mw_error error = {0};
    struct mw_filter *filter = mw_filter_open(path_of("killed"), MW_FILTER_WRITE, sync_ms, &error);
    uint64_t number = (uint64_t)getpid() << 32;
    for (;; number++) {
        add(filter, number);
        if (write(tell, &number, sizeof number) != sizeof number)
            _exit(0);
    }
}

static void test_killing(void)
{
    const char *longer = getenv("MW_KILLS");
    int rounds = longer ? atoi(longer) : 20;
    uint64_t lost = 0, told = 0;
    mw_filter_close(fresh("killed", 1000000, 0.001, 1000));
    srand(7);
    for (int i = 0; i < rounds; i++) {
        int ends[2];
        struct mw_error error = {0};
        if (pipe(ends) != 0)
            return;
        pid_t pid = fork();
        if (pid == 0)
            add_until_killed(ends[1], i % 4 == 0 ? MW_FILTER_SYNC_ALWAYS : 1000);
        close(ends[1]);
        uint64_t *values = malloc(sizeof *values * 100000), count = 0;
        int stop = rand() % 3000 + 1;
        while (count < 100000 && read(ends[0], &values[count], 8) == 8)
            if (++count == (uint64_t)stop)
                kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(ends[0]);
        struct mw_filter *filter = mw_filter_open(path_of("killed"), MW_FILTER_READ, 0, &error);
        for (uint64_t k = 0; k < count; k++)
            lost += !filter || !seen(filter, values[k]);
        told += count;
        mw_filter_close(filter);
        free(values);
    }
    printf("# %llu values acknowledged in %d rounds\n", (unsigned long long)told, rounds);
    tap_ok(told > (uint64_t)rounds, "a writer is killed in the middle of its work");
    tap_is_number((long long)lost, 0, "no acknowledged value is lost with it");
}

static void test_batch(void)
{
    enum { COUNT = 10000 };
    struct mw_filter *filter = fresh("batch", COUNT, 0.01, 1000);
    static uint64_t numbers[COUNT];
    static struct mw_bytes values[COUNT];
    static bool batch[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        numbers[i] = i;
        values[i] = value_of(&numbers[i]);
        if (i % 3 == 0)
            add(filter, i);
    }
    mw_filter_seen_many(filter, values, COUNT - 5, batch);
    bool same = true;
    for (uint64_t i = 0; i < COUNT - 5; i++)
        same = same && batch[i] == seen(filter, i);
    tap_ok(same, "a batch answers as one query after the other");
    mw_filter_close(filter);
}

static void test_merge(void)
{
    struct mw_error error = {0};
    struct mw_filter *a = fresh("a", 10000, 0.001, 1000), *b = fresh("b", 10000, 0.001, 1000);
    for (uint64_t i = 0; i < 5000; i++)
        add(a, i);
    for (uint64_t i = 4000; i < 25000; i++)
        add(b, i);
    tap_is_number(mw_filter_merge(a, b, &error), 0, "filters of one shape merge, layers and all");
    uint64_t missing = 0;
    for (uint64_t i = 0; i < 25000; i++)
        missing += !seen(a, i);
    tap_is_number((long long)missing, 0, "the result knows what either knew");
    mw_filter_close(b);
    b = fresh("c", 9999, 0.001, 1000);
    tap_ok(mw_filter_merge(a, b, &error) == MW_ERR_INPUT && strstr(error.text, "capacity"),
           "filters of different shape do not, and what differs is named");
    mw_filter_close(a);
    mw_filter_close(b);
}

/* Opens a file made wrong; its error. */
static const char *open_wrong(const char *path, enum mw_filter_access access)
{
    static struct mw_error error;
    error = (struct mw_error){0};
    struct mw_filter *filter = mw_filter_open(path, access, 1000, &error);
    mw_filter_close(filter);
    return filter ? NULL : error.text;
}

static void spoil(const char *path, off_t at, size_t size)
{
    int fd = open(path, O_WRONLY);
    static const unsigned char garbage[4096] = {1, 2, 3};
    if (pwrite(fd, garbage, size, at) < 0)
        printf("# cannot spoil %s\n", path);
    close(fd);
}

static void test_mistakes(void)
{
    struct mw_error error = {0};
    struct mw_filter *filter = fresh("wrong", 10000, 0.001, 1000);
    const char *path = path_of("wrong");
    const char *text = open_wrong(path, MW_FILTER_WRITE);
    tap_ok(text && strstr(text, "being written by another process"), "a second writer is refused");
    tap_ok(!open_wrong(path, MW_FILTER_READ), "a reader beside the writer is not");
    add(filter, 1);
    mw_filter_close(filter);
    tap_ok(mw_filter_create(path, 10, 0.1, &error) == MW_ERR_BUSY && strstr(error.text, "exists"),
           "an existing file is never overwritten");
    spoil(path, 100, 8);
    filter = mw_filter_open(path, MW_FILTER_READ, 0, &error);
    tap_ok(filter && seen(filter, 1), "one damaged header copy is no loss");
    mw_filter_close(filter);
    tap_ok(!open_wrong(path, MW_FILTER_WRITE), "it is mended when opened for writing");
    spoil(path, 100, 8);
    spoil(path, 4196, 8);
    text = open_wrong(path, MW_FILTER_WRITE);
    tap_ok(text && strstr(text, "both copies"), "two damaged copies are told, and what to do");
    spoil(path, 0, 8);
    spoil(path, 4096, 8);
    text = open_wrong(path, MW_FILTER_READ);
    tap_ok(text && strstr(text, "is no filter"), "another kind of file is told");
    mw_filter_close(fresh("short", 100000, 0.001, 1000));
    path = path_of("short");
    tap_ok(truncate(path, 20000) == 0 && (text = open_wrong(path, MW_FILTER_READ)) &&
               strstr(text, "cut short"),
           "a file cut short is told");
    text = open_wrong(path_of("absent"), MW_FILTER_READ);
    tap_ok(text && strstr(text, "No such file"), "a missing file is told");
    tap_ok(mw_filter_create(path_of("x"), 0, 0.1, &error) == MW_ERR_INPUT, "so is no capacity");
    tap_ok(mw_filter_create(path_of("x"), 10, 0.9, &error) == MW_ERR_INPUT,
           "and a rate out of bounds");
    tap_ok(mw_filter_create("/nonexistent/x", 10, 0.1, &error) == MW_ERR_MISSING &&
               strstr(error.text, "there is no folder /nonexistent; make it"),
           "and a folder that is not there");
}

static void remove_all(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        printf("# cannot remove %s\n", folder);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    test_rate();
    test_growth();
    test_exactly_once();
    test_killing();
    test_batch();
    test_merge();
    test_mistakes();
    remove_all();
    return tap_done();
}
