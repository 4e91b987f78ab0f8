/* unit_reuse_table: what is kept about files, who can read it, and who can write. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "worker/reuse_entry.h"
#include "worker/sandbox.h"
#include "worker/sightings.h"

enum { READERS = 3, ROUNDS = 200000, SECOND = 1000000 };

static const unsigned char *key_of(unsigned number)
{
    static _Thread_local unsigned char key[MW_REUSE_KEY];
    memset(key, 0, sizeof key);
    mw_bytes_put_little(key, number, 8);
    return key;
}

static int put(struct mw_reuse_table *table, unsigned number, const char *value, int64_t expires)
{
    struct mw_error error = {0};
    return mw_reuse_table_put(table, key_of(number), mw_bytes_of(value), expires, &error);
}

/* The value at a time, or "-". */
static const char *at(const struct mw_reuse_table *table, unsigned number, int64_t now)
{
    static unsigned char value[MW_REUSE_VALUE_MOST + 1];
    size_t size = mw_reuse_table_get(table, key_of(number), now, value);
    value[size] = '\0';
    return size > 0 ? (const char *)value : "-";
}

static struct mw_reuse_table *reader_of(const struct mw_reuse_table *table)
{
    struct mw_error error = {0};
    return table ? mw_reuse_table_open(dup(mw_reuse_table_fd(table)), &error) : NULL;
}

static void test_values(void)
{
    struct mw_error error = {0};
    static unsigned char large[MW_REUSE_VALUE_MOST + 1];
    struct mw_reuse_table *table = mw_reuse_table_new(8, &error);
    struct mw_reuse_table *reader = reader_of(table);
    if (!tap_ok(table && reader, "a table is made, and opened to read"))
        return;
    tap_is(at(reader, 1, 0), "-", "what was never kept is not there");
    tap_ok(put(table, 1, "one", 10) == 0, "a value is kept");
    tap_is(at(reader, 1, 9), "one", "... and read until it expires");
    tap_is(at(reader, 1, 10), "-", "... and not afterwards");
    tap_is(at(reader, 2, 0), "-", "another key has none");
    put(table, 1, "a longer one", 20);
    tap_is(at(reader, 1, 15), "a longer one", "a newer value takes the place of the old one");
    tap_is_number(
        mw_reuse_table_put(table, key_of(3), (struct mw_bytes){large, sizeof large}, 99, &error),
        MW_ERR_LIMIT, "a value too large for a place is refused");
    for (unsigned i = 2; i <= 8; i++)
        put(table, i, "more", 100 + i);
    put(table, 9, "nine", 200);
    tap_ok(strcmp(at(reader, 1, 15), "-") == 0 && strcmp(at(reader, 9, 15), "nine") == 0 &&
               strcmp(at(reader, 2, 15), "more") == 0,
           "where there is no room the one that expires first makes way");
    mw_reuse_table_free(table);
    tap_is(at(reader, 9, 15), "nine", "who reads keeps the table when its writer is gone");
    mw_reuse_table_free(reader);
    tap_ok(!mw_reuse_table_open(memfd_create("x", MFD_ALLOW_SEALING), &error) &&
               error.code == MW_ERR_FORMAT,
           "memory that others can write to is no table");
}

struct racing {
    const struct mw_reuse_table *reader;
    atomic_bool stop;
    atomic_uint found, torn;
};

/* Values are of one byte throughout, and as long as that byte is large. */
static void *read_on(void *user)
{
    struct racing *racing = user;
    unsigned char value[MW_REUSE_VALUE_MOST];
    for (unsigned i = 0; !atomic_load(&racing->stop); i++) {
        size_t size = mw_reuse_table_get(racing->reader, key_of(i % 4), 1, value);
        bool torn = size > 0 && size != value[0] * (size_t)10;
        for (size_t j = 0; j < size; j++)
            torn = torn || value[j] != value[0];
        atomic_fetch_add(&racing->found, size > 0);
        atomic_fetch_add(&racing->torn, torn);
    }
    return NULL;
}

static void test_racing(void)
{
    struct mw_error error = {0};
    struct mw_reuse_table *table = mw_reuse_table_new(8, &error);
    struct racing racing = {.reader = reader_of(table)};
    pthread_t threads[READERS];
    unsigned char value[2550];
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, read_on, &racing);
    for (unsigned i = 0; i < ROUNDS || atomic_load(&racing.found) == 0; i++) {
        unsigned char byte = (unsigned char)(1 + i % 255);
        memset(value, byte, sizeof value);
        mw_reuse_table_put(table, key_of(i % 4), (struct mw_bytes){value, byte * (size_t)10}, 9,
                           &error);
    }
    atomic_store(&racing.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    tap_is_number(racing.torn, 0, "a value that is being replaced is never read in part");
    mw_reuse_table_free(table);
    mw_reuse_table_free((struct mw_reuse_table *)(uintptr_t)racing.reader);
}

/* --- who can write -------------------------------------------------------------------- */

/* Each is tried in a child that has the table's descriptor and a mapping to read: 0 when
 * it was denied. */
static int map_to_write(int fd, void *map)
{
    (void)map;
    return mmap(NULL, MW_REUSE_SLOT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

static int change_protection(int fd, void *map)
{
    (void)fd;
    return mprotect(map, MW_REUSE_SLOT, PROT_READ | PROT_WRITE) == 0;
}

static int write_it(int fd, void *map)
{
    (void)map;
    return write(fd, "x", 1) == 1 || pwrite(fd, "x", 1, 100) == 1;
}

static int cut_it(int fd, void *map)
{
    (void)map;
    return ftruncate(fd, 0) == 0 || ftruncate(fd, 1 << 20) == 0;
}

static int punch_it(int fd, void *map)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MW_REUSE_SLOT) == 0 ||
           madvise(map, MW_REUSE_SLOT, MADV_REMOVE) == 0;
}

static int unseal_it(int fd, void *map)
{
    (void)map;
    return fcntl(fd, F_ADD_SEALS, 0) == 0;
}

static const struct {
    int (*attempt)(int fd, void *map);
    const char *promise;
} attempts[] = {
    {map_to_write, "the table cannot be mapped to write"},
    {change_protection, "a mapping to read cannot be made one to write"},
    {write_it, "the table's descriptor cannot be written to"},
    {cut_it, "the table cannot be made shorter or longer"},
    {punch_it, "nothing can be taken out of the table"},
    {unseal_it, "its seals cannot be changed"},
};

/* Whether this process has the table mapped to be written to. */
static bool can_write(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        found = found || (strstr(line, "mailwitness-verdicts") && strstr(line, " rw"));
    if (maps)
        fclose(maps);
    return found;
}

static int in_child(size_t which, int fd, bool confined)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct mw_error error = {0};
        struct mw_texts missing = {0};
        struct mw_sandbox_settings sandbox = {.mode = confined ? MW_SANDBOX_BEST : MW_SANDBOX_OFF};
        void *map = mmap(NULL, MW_REUSE_SLOT, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED || can_write() ||
            mw_sandbox_enter(&sandbox, mw_arena_new(), &missing, &error) != 0)
            _exit(99);
        _exit(attempts[which].attempt(fd, map));
    }
    waitpid(pid, &status, 0);
    return status;
}

static void test_writing(void)
{
    struct mw_error error = {0};
    struct mw_reuse_table *table = mw_reuse_table_new(8, &error);
    put(table, 1, "one", 10);
    tap_ok(can_write(), "who makes a table can write to it");
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        int fd = mw_reuse_table_fd(table);
        tap_ok(in_child(i, fd, true) == 0 && in_child(i, fd, false) == 0,
               "by a worker, confined or not, %s", attempts[i].promise);
    }
    tap_is(at(table, 1, 9), "one", "after all that the value is what it was");
    tap_ok(put(table, 1, "two", 10) == 0 && strcmp(at(table, 1, 9), "two") == 0,
           "... and its writer goes on");
    mw_reuse_table_free(table);
}

/* --- entries ----------------------------------------------------------------------------- */

static const char sha256[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static void add_finding(struct mw_report *report, const char *scanner, const char *name,
                        const char *message)
{
    struct mw_engine *engine =
        mw_list_add(report->arena, &report->engines, sizeof *report->engines.items);
    engine->name = scanner;
    engine->version = "";
    struct mw_finding *found = mw_list_add(report->arena, &report->attachments.items[0].findings,
                                           sizeof(struct mw_finding));
    found->scanner = scanner;
    found->name = name;
    found->message = message;
    found->path = "2.1";
    found->severity = MW_SEVERITY_MALICIOUS;
}

static void test_entries(void)
{
    struct mw_error error = {0};
    struct mw_reuse_table *table = mw_reuse_table_new(8, &error);
    struct mw_report *report = mw_report_new();
    struct mw_attachment *file =
        mw_list_add(report->arena, &report->attachments, sizeof *report->attachments.items);
    file->md5 = "m";
    file->sha1 = "s";
    file->sha256 = sha256;
    file->sha512 = "S";
    file->file_type = "application/zip";
    char *words = mw_arena_alloc(report->arena, MW_REUSE_VALUE_MOST);
    memset(words, 'w', MW_REUSE_VALUE_MOST - 1);
    add_finding(report, "pe", "pe.info", words);
    add_finding(report, "clamav", "Eicar", "known");
    int64_t later = INT64_MAX;
    tap_is_number(mw_reuse_keep(table, report, later, &error), 0, "what is known is kept");
    const struct mw_known *known = mw_reuse_find(table, report->arena, sha256);
    tap_ok(known && strcmp(known->facts->file_type, "application/zip") == 0 &&
               strcmp(known->facts->md5, "m") == 0,
           "... and found by its SHA-256");
    tap_ok(known && known->engines->count == 1 && known->facts->findings.count == 1 &&
               strcmp(known->engines->items[0].name, "clamav") == 0 &&
               strcmp(known->facts->findings.items[0].name, "Eicar") == 0 &&
               known->facts->findings.items[0].severity == MW_SEVERITY_MALICIOUS,
           "a scanner whose findings do not fit is left out, with all it said");
    tap_ok(known && !known->facts->findings.items[0].path,
           "where in a message the file was is not kept");
    report->engines.count = 1;
    tap_is_number(mw_reuse_keep(table, report, later, &error), MW_ERR_LIMIT,
                  "where nothing fits nothing is kept");
    tap_ok(!mw_reuse_find(table, report->arena, "001122") &&
               !mw_reuse_find(table, report->arena, NULL),
           "what is no SHA-256 finds nothing");
    static const unsigned char junk[] = "no packed report";
    unsigned char key[MW_REUSE_KEY];
    mw_reuse_key(sha256, key);
    mw_reuse_table_put(table, key, (struct mw_bytes){junk, sizeof junk}, later, &error);
    tap_ok(!mw_reuse_find(table, report->arena, sha256), "a value that is no entry is not used");
    mw_report_free(report);
    mw_reuse_table_free(table);
}

static void test_sightings(void)
{
    struct mw_sightings *sightings = mw_sightings_new(64, SECOND);
    tap_ok(!mw_sightings_again(sightings, key_of(1), 1), "a file that comes first is new");
    tap_ok(mw_sightings_again(sightings, key_of(1), 2), "the second time it is not");
    mw_sightings_settle(sightings, key_of(1), 3);
    tap_ok(!mw_sightings_again(sightings, key_of(1), 4), "what is dealt with is no news");
    tap_ok(!mw_sightings_again(sightings, key_of(1), SECOND + 2), "in time it is forgotten");
    tap_ok(mw_sightings_again(sightings, key_of(1), SECOND + 3), "... and seen anew");
    mw_sightings_free(sightings);
}

int main(void)
{
    test_values();
    test_racing();
    test_writing();
    test_entries();
    test_sightings();
    return tap_done();
}
