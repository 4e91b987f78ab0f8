/* unit_pool: workers that die, hang, lie and are replaced, and nothing is mixed up. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "t/unit/open_files.h"
#include "t/unit/tap.h"
#include "worker/pool.h"
#include "worker/result.h"

enum { THREADS = 4 };

/* What the generation's load callback gives; changed between generations by a file, as
 * the callback runs in another process. */
static char switch_file[] = "/tmp/unit_pool-XXXXXX";

static int load(void *user, struct mw_bytes source, struct mw_generation_settings *settings,
                struct mw_arena *arena, struct mw_error *error)
{
    struct stat facts;
    (void)user;
    (void)source;
    (void)arena;
    settings->witness.limits.time_ms = 60000; /* no busy machine reaches it */
    if (stat(switch_file, &facts) == 0 && facts.st_size > 0)
        return mw_fail(error, MW_ERR_INPUT, "the rules are broken");
    return 0;
}

static struct mw_memfile *message_of(const char *text)
{
    struct mw_error error = {0};
    struct mw_memfile *file = mw_memfile_new("message", &error);
    mw_memfile_append(file, mw_bytes_of(text), SIZE_MAX, &error);
    mw_memfile_seal(file, &error);
    return file;
}

/* Pids of the processes below this one: those that have ended and were not waited for, or
 * the others. */
static size_t offspring(pid_t root, bool ended, pid_t *pids, size_t room)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && count < room && (entry = readdir(proc));) {
        char path[300], line[512] = "";
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *file = fopen(path, "re");
        const char *close = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        if (close && strlen(close) > 4 && (close[2] == 'Z' || close[2] == 'X') == ended &&
            (pid_t)atoi(close + 4) == root)
            pids[count++] = pid;
        if (file)
            fclose(file);
    }
    if (proc)
        closedir(proc);
    return count;
}

static size_t children(pid_t root, pid_t *pids, size_t room)
{
    return offspring(root, false, pids, room);
}

/* Those of the generations: below us is the zygote, and below that they are. */
static size_t generations(pid_t *pids, size_t room)
{
    pid_t zygote;
    return children(getpid(), &zygote, 1) == 1 ? children(zygote, pids, room) : 0;
}

/* How many lines of a process's maps, and how many of its descriptors, are memory files. */
static unsigned memory_files(pid_t pid)
{
    unsigned count = 0;
    char path[320], text[512];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(text, sizeof text, maps))
        count += strstr(text, "/memfd:") != NULL;
    if (maps)
        fclose(maps);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        ssize_t size = readlink(path, text, sizeof text - 1);
        text[size > 0 ? size : 0] = '\0';
        count += strncmp(text, "/memfd:", 7) == 0;
    }
    if (folder)
        closedir(folder);
    return count;
}

/* What is held here, in the zygote and in its generations: memory files, or processes that
 * nobody waited for. */
static unsigned left_over(bool processes)
{
    pid_t zygote, pids[64], ended[64];
    unsigned count = 0;
    size_t found = generations(pids, 62);
    pids[found++] = getpid();
    if (children(getpid(), &zygote, 1) == 1)
        pids[found++] = zygote;
    for (size_t i = 0; i < found; i++)
        count += processes ? (unsigned)offspring(pids[i], true, ended, 64) : memory_files(pids[i]);
    return count;
}

/* failures: of messages whose worker died; others: of those that failed for another reason. */
struct load_test {
    struct mw_pool *pool;
    unsigned wanted;  /* kills */
    int64_t patience; /* seconds until fewer have to do */
    atomic_bool over;
    atomic_uint kills, asked, reports, failures, others, mixed;
};

static void *ask(void *argument)
{
    struct load_test *test = argument;
    for (unsigned i = 0; !atomic_load(&test->over); i++) {
        atomic_fetch_add(&test->asked, 1);
        char text[256], subject[64];
        struct mw_error error = {0};
        snprintf(subject, sizeof subject, "%lx-%u", (unsigned long)pthread_self(), i);
        snprintf(text, sizeof text, "From: a@example.com\nSubject: %s\n\nbody\n", subject);
        struct mw_memfile *message = message_of(text);
        struct mw_report *report = mw_pool_examine(test->pool, message, &error);
        mw_memfile_free(message);
        if (!report) {
            bool died = strcmp(error.text, "the worker that read the message died") == 0;
            if (!died)
                printf("# %s\n", error.text);
            atomic_fetch_add(died ? &test->failures : &test->others, 1);
            continue;
        }
        atomic_fetch_add(&test->reports, 1);
        if (!report->subject || strcmp(report->subject, subject) != 0)
            atomic_fetch_add(&test->mixed, 1);
        mw_report_free(report);
    }
    return NULL;
}

static int64_t seconds(void)
{
    return mw_clock_us() / 1000000;
}

/* Ends random workers with SIGKILL. Many quick deaths make the next worker wait, so that
 * on a slow machine there are not as many to end as wanted. */
static void *murder(void *argument)
{
    struct load_test *test = argument;
    int64_t late = seconds() + test->patience;
    unsigned seed = 1;
    pid_t last = 0;
    while (atomic_load(&test->kills) < test->wanted && seconds() < late) {
        pid_t generation, pids[64];
        size_t count = generations(&generation, 1) == 1 ? children(generation, pids, 64) : 0;
        pid_t victim = count > 0 ? pids[(unsigned)rand_r(&seed) % count] : 0;
        if (victim > 0 && victim != last && kill(victim, SIGKILL) == 0) {
            atomic_fetch_add(&test->kills, 1);
            last = victim; /* it may take a while to end */
        }
        usleep(2000);
    }
    atomic_store(&test->over, true);
    return NULL;
}

/* Waits until older generations have gone: only one is left to look for workers in. */
static bool wait_for_one_generation(void)
{
    pid_t pids[64];
    int64_t late = seconds() + 60;
    while (generations(pids, 64) != 1)
        if (seconds() > late || usleep(2000) != 0)
            return false;
    return true;
}

static unsigned memory_files_held(void)
{
    return left_over(false);
}

static unsigned descriptors_held(void)
{
    return (unsigned)open_files();
}

static unsigned processes_ended(void)
{
    return left_over(true);
}

/* Workers that are gone are replaced when a message comes. */
static void examine_any(struct mw_pool *pool)
{
    struct mw_error error = {0};
    struct mw_memfile *message = message_of("Subject: any\n\nx\n");
    mw_report_free(mw_pool_examine(pool, message, &error));
    mw_memfile_free(message);
}

/* What is held when that is as much as wanted, or still is not after a minute. */
static unsigned wait_for_held(struct mw_pool *pool, unsigned (*held)(void), unsigned wanted)
{
    int64_t late = seconds() + 60;
    unsigned count;
    while ((count = held()) != wanted && seconds() < late) {
        examine_any(pool);
        usleep(2000);
    }
    return count;
}

/* What is held with all workers there, when it has been as much for a while. */
static unsigned settled(struct mw_pool *pool, unsigned (*held)(void))
{
    examine_any(pool);
    unsigned count = held();
    for (int same = 0; same < 20; same++) {
        usleep(5000);
        unsigned now = held();
        same = now == count ? same : 0;
        count = now;
    }
    return count;
}

/* Waits until so many deaths are known; how many are. */
static uint64_t wait_for_deaths(struct mw_pool *pool, uint64_t wanted)
{
    struct mw_pool_state state;
    int64_t late = seconds() + 60;
    for (;;) {
        mw_pool_get_state(pool, &state);
        if (state.deaths >= wanted || seconds() > late)
            return state.deaths;
        usleep(2000);
    }
}

static void test_killing(struct mw_pool *pool)
{
    bool longer = getenv("MW_LONG") != NULL;
    struct load_test test = {
        .pool = pool, .wanted = longer ? 1000 : 100, .patience = longer ? 600 : 30};
    pthread_t threads[THREADS], killer;
    struct mw_pool_state state;
    tap_ok(wait_for_one_generation(), "older generations end");
    uint64_t deaths = wait_for_deaths(pool, 0);
    unsigned before = settled(pool, descriptors_held), files = settled(pool, memory_files_held);
    pthread_create(&killer, NULL, murder, &test);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask, &test);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(killer, NULL);
    /* Some meet a worker that is ending in order just then. */
    unsigned expected = test.kills / 2;
    deaths = wait_for_deaths(pool, deaths + expected) - deaths;
    printf("# %u reports, %u failures, %u kills, %llu deaths\n", test.reports, test.failures,
           test.kills, (unsigned long long)deaths);
    tap_is_number(test.reports + test.failures, test.asked,
                  "while workers are killed every message gets a report, or is told why not");
    tap_ok(test.failures <= test.kills, "no message fails but the one that the killed worker has");
    tap_ok(test.reports >= test.kills, "... the others get their reports");
    tap_is_number(test.others, 0, "... and nothing else makes one fail");
    tap_ok(test.kills >= 10 && deaths >= expected,
           "workers were really killed, and that is counted");
    tap_is_number(test.mixed, 0, "no message gets another one's report");
    tap_is_number(wait_for_held(pool, descriptors_held, before), before,
                  "no descriptor is left over");
    tap_is_number(wait_for_held(pool, memory_files_held, files), files,
                  "no memory file is left over");
    tap_is_number(wait_for_held(pool, processes_ended, 0), 0,
                  "no process is left that nobody waited for");
    mw_pool_get_state(pool, &state);
    tap_is_number((long long)state.busy, 0, "nothing is counted as under way any more");
}

static void test_reload(struct mw_pool *pool)
{
    struct mw_error error = {0};
    struct mw_pool_state state;
    int fd = open(switch_file, O_WRONLY | O_TRUNC);
    tap_ok(fd >= 0 && write(fd, "x", 1) == 1 && mw_pool_reload(pool, NULL, &error) != 0 &&
               strcmp(error.text, "the rules are broken") == 0,
           "a generation that cannot load says why");
    struct mw_memfile *message = message_of("Subject: still\n\nx\n");
    struct mw_report *report = mw_pool_examine(pool, message, &error);
    tap_ok(report && strcmp(report->subject, "still") == 0, "and the old one goes on");
    mw_report_free(report);
    tap_ok(ftruncate(fd, 0) == 0 && mw_pool_reload(pool, NULL, &error) == 0,
           "one that can load takes over");
    report = mw_pool_examine(pool, message, &error);
    tap_ok(report && strcmp(report->subject, "still") == 0, "and serves");
    mw_pool_get_state(pool, &state);
    tap_is_number((long long)state.generation, 2, "generations are counted");
    mw_report_free(report);
    mw_memfile_free(message);
    close(fd);
}

/* Generations come and go, some that cannot load, while messages are under way. */
static void test_reload_under_way(struct mw_pool *pool)
{
    struct load_test test = {.pool = pool};
    pthread_t threads[THREADS];
    unsigned bad = 0, good = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask, &test);
    int fd = open(switch_file, O_WRONLY | O_TRUNC);
    for (int i = 0; i < 6; i++) {
        struct mw_error error = {0};
        bool broken = i % 2 == 0;
        if (ftruncate(fd, 0) == 0 && (!broken || write(fd, "x", 1) == 1))
            *(mw_pool_reload(pool, NULL, &error) == 0 ? &good : &bad) += 1;
    }
    atomic_store(&test.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (ftruncate(fd, 0) != 0)
        printf("# the switch stays\n");
    close(fd);
    tap_is_number(good * 10 + bad, 33, "good rules are taken and bad ones refused under way");
    tap_ok(test.reports > 0 && test.reports == test.asked,
           "while generations change every message gets its report");
    tap_is_number(test.mixed, 0, "... and its own");
}

/* A packed report with one attachment, as a worker would send it. */
static struct mw_memfile *packed(void)
{
    struct mw_error error = {0};
    struct mw_memfile *message =
        message_of("Subject: x\nContent-Type: application/pdf\n\nthe attached bytes");
    struct mw_witness_settings settings = {0};
    struct mw_bytes raw;
    mw_limits_default(&settings.limits);
    struct mw_witness *witness = mw_witness_new(&settings, &error);
    mw_memfile_map(message, &raw, &error);
    struct mw_report *report = mw_witness_examine(witness, raw);
    struct mw_memfile *file = mw_result_file(report, &error);
    mw_report_free(report);
    mw_witness_free(witness);
    mw_memfile_free(message);
    return file;
}

static struct mw_report *unpack_bytes(struct mw_bytes bytes, bool sealed)
{
    struct mw_error error = {0};
    struct mw_memfile *file = mw_memfile_new("result", &error);
    mw_memfile_append(file, bytes, SIZE_MAX, &error);
    if (sealed)
        mw_memfile_seal(file, &error);
    struct mw_memfile *copy = mw_memfile_receive(dup(mw_memfile_fd(file)), 1 << 20, &error);
    struct mw_report *report = copy ? mw_result_read_file(copy, &error) : NULL;
    mw_memfile_free(file);
    return report;
}

/* Whether each result with one byte changed is refused, or a report that can be
 * written as JSON and read again. */
static bool all_sound(unsigned char *bytes, size_t size)
{
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    bool sound = true;
    for (size_t i = 0; i < size * sizeof changes; i++) {
        struct mw_error error = {0};
        bytes[i / sizeof changes] ^= changes[i % sizeof changes];
        struct mw_report *report = unpack_bytes((struct mw_bytes){bytes, size}, true);
        bytes[i / sizeof changes] ^= changes[i % sizeof changes];
        char *text = report ? mw_report_to_json(report, MW_JSON_LINE, &error) : NULL;
        struct mw_report *again = text ? mw_report_from_json(mw_bytes_of(text), &error) : NULL;
        sound = sound && (!report || again);
        mw_report_free(again);
        free(text);
        mw_report_free(report);
    }
    return sound;
}

static void test_lies(void)
{
    struct mw_error error = {0};
    struct mw_memfile *file = packed();
    struct mw_bytes good;
    mw_memfile_map(file, &good, &error);
    unsigned char *copy = malloc(good.size + 16);
    memset(copy, 0, good.size + 16);
    memcpy(copy, good.data, good.size);
    struct mw_report *report = unpack_bytes(good, true);
    tap_ok(report && report->attachments.count == 1 && report->attachments.items[0].data.size == 18,
           "a sound result comes through with its bytes");
    mw_report_free(report);
    tap_ok(!unpack_bytes(good, false), "a result that can still be changed is refused");
    bool refused = true;
    for (size_t size = 0; size < good.size; size++)
        refused = refused && !unpack_bytes((struct mw_bytes){copy, size}, true);
    tap_ok(refused, "every truncated result is refused");
    tap_ok(!unpack_bytes((struct mw_bytes){copy, good.size + 1}, true),
           "a result with bytes too many is refused");
    copy[good.size - 1] ^= 1;
    tap_ok(!unpack_bytes((struct mw_bytes){copy, good.size}, true),
           "bytes that are not what their SHA-256 says are refused");
    copy[good.size - 1] ^= 1;
    refused = true;
    for (size_t i = 0; i < 32; i++) {
        copy[i] ^= 0x80;
        refused = refused && !unpack_bytes((struct mw_bytes){copy, good.size}, true);
        copy[i] ^= 0x80;
    }
    tap_ok(refused, "lies about sizes and counts are refused");
    static const unsigned char wanted[] = {2, 0, 0, 0, 0, 0, 0, 0, 'x', 0};
    unsigned char *subject = memmem(copy, good.size, wanted, sizeof wanted);
    if (!tap_ok(subject != NULL, "the subject is found"))
        return;
    subject[8] = 0xff;
    tap_ok(!unpack_bytes((struct mw_bytes){copy, good.size}, true),
           "a report that is not UTF-8 is refused");
    subject[8] = 0;
    tap_ok(!unpack_bytes((struct mw_bytes){copy, good.size}, true),
           "a text that ends early is refused");
    subject[8] = 'x';
    tap_ok(all_sound(copy, good.size),
           "with any byte changed, a result is refused or still a sound report");
    free(copy);
    mw_memfile_free(file);
}

/* What a report holds is counted with what was unpacked and lies outside of its arena. */
static void test_held(struct mw_pool *pool)
{
    enum { LINES = 5000 };
    static const char head[] = "Content-Type: application/octet-stream\n\n",
                      line[] = "held by it\n";
    struct mw_error error = {0};
    char *text = malloc(sizeof head + LINES * sizeof line);
    size_t used = (size_t)sprintf(text, "%s", head);
    for (int i = 0; i < LINES; i++)
        used += (size_t)sprintf(text + used, "%s", line);
    struct mw_memfile *small = message_of("From: a@b.c\n\nx"), *large = message_of(text);
    struct mw_report *one = mw_pool_examine(pool, small, &error),
                     *other = mw_pool_examine(pool, large, &error);
    tap_ok(one && other &&
               mw_arena_used(other->arena) - mw_arena_used(one->arena) >= used - sizeof head,
           "a report counts the bytes of its attachments as its own");
    mw_report_free(one);
    mw_report_free(other);
    mw_memfile_free(small);
    mw_memfile_free(large);
    free(text);
}

static int reopen_slowly(void *user, struct mw_error *error)
{
    (void)user;
    (void)error;
    usleep(100000);
    return 0;
}

/* It waits for a free worker for less time than that one needs to begin. On a machine that is busy
 * it may have to be tried again. */
static void test_late_worker(void)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    struct mw_report *report = NULL;
    mw_pool_settings_default(&settings);
    settings.generation.workers = 1;
    settings.generation.witness.sender_filter.reopen = reopen_slowly;
    settings.queue_ms = 20;
    for (int i = 0; i < 10 && !report; i++) {
        struct mw_pool *pool = mw_pool_new(&settings, &error);
        struct mw_memfile *message = message_of("From: a@b.c\n\nx");
        report = pool ? mw_pool_examine(pool, message, &error) : NULL;
        mw_memfile_free(message);
        mw_report_free(report);
        mw_pool_free(pool);
    }
    tap_ok(report != NULL, "who got a worker in time lets it begin, whatever is left of the time");
}

static void test_end(struct mw_pool *pool)
{
    pid_t pids[64];
    mw_pool_free(pool);
    tap_is_number((long long)children(getpid(), pids, 64), 0,
                  "no process is left when the pool is freed");
}

int main(void)
{
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    int fd = mkstemp(switch_file);
    if (fd < 0)
        return 2;
    fchmod(fd, 0644);
    close(fd);
    mw_pool_settings_default(&settings);
    settings.generation.workers = 3;
    settings.generation.load = load;
    settings.generation.recycle_messages = 50;
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (!tap_ok(pool != NULL, "a pool starts"))
        printf("# %s\n", error.text);
    if (pool) {
        test_held(pool);
        test_reload(pool);
        test_reload_under_way(pool);
        test_killing(pool);
        test_end(pool);
    }
    test_late_worker();
    test_lies();
    unlink(switch_file);
    return tap_done();
}
