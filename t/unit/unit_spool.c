/* unit_spool: what the spool on disk promises, whatever happened to its files. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/record.h"
#include "store/schema.h"
#include "store/spool.h"
#include "t/unit/made_up.h"
#include "t/unit/tap.h"

static char folder[] = "/tmp/unit_spool-XXXXXX";

static struct mw_spool *open_spool(size_t size_max, bool drop_oldest)
{
    struct mw_error error = {0};
    struct mw_spool_options options = {.folder = folder,
                                       .kind = "wait",
                                       .size_max = size_max,
                                       .drop_oldest = drop_oldest,
                                       .sync = true};
    struct mw_spool *spool = mw_spool_open(&options, &error);
    if (!spool)
        printf("# %s\n", error.text);
    return spool;
}

static void empty_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    if (system(command) != 0)
        printf("# cannot empty %s\n", folder);
}

/* A record that says which it is, of some size. */
static int append(struct mw_spool *spool, int number, size_t size, struct mw_error *error)
{
    char *text = calloc(1, size + 16);
    snprintf(text, size + 16, "%d ", number);
    memset(text + strlen(text), 'a' + number % 26, size);
    struct mw_bytes pieces[] = {{(unsigned char *)text, 3}, {(unsigned char *)text + 3, size}};
    int result = mw_spool_append(spool, pieces, 2, error);
    free(text);
    return result;
}

/* The numbers read, as "1 2 3"; with done, marks them. */
static const char *read_all(struct mw_spool *mark, uint64_t *damaged)
{
    static char list[4096];
    struct mw_error error = {0};
    struct mw_spool_entry entry;
    struct mw_spool_reader *reader = mw_spool_reader_new(folder, "wait", &error);
    size_t used = 0;
    list[0] = '\0';
    while (reader && mw_spool_next(reader, &entry, &error) > 0) {
        if (!entry.done && used < sizeof list - 16)
            used += (size_t)snprintf(list + used, 16, "%s%d", used > 0 ? " " : "",
                                     atoi((const char *)entry.record.data));
        if (mark && !entry.done)
            mw_spool_done(mark, &entry, &error);
    }
    if (damaged)
        *damaged = reader ? mw_spool_reader_damaged(reader) : 0;
    mw_spool_reader_free(reader);
    return list;
}

static int count_files(const char *ending)
{
    int count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        size_t size = strlen(entry->d_name), end = strlen(ending);
        count += size > end && strcmp(entry->d_name + size - end, ending) == 0;
    }
    if (dir)
        closedir(dir);
    return count;
}

static void test_order(void)
{
    struct mw_spool *spool = open_spool(0, false);
    struct mw_spool_state state;
    struct mw_error error = {0};
    for (int i = 0; i < 5; i++)
        append(spool, i, 100, &error);
    tap_is(read_all(NULL, NULL), "0 1 2 3 4", "records are read in the order they came");
    mw_spool_close(spool);
    spool = open_spool(0, false);
    for (int i = 5; i < 8; i++)
        append(spool, i, 100, &error);
    mw_spool_get_state(spool, &state);
    tap_is_number((long long)state.entries, 8, "they are counted when it is opened again");
    tap_is(read_all(NULL, NULL), "0 1 2 3 4 5 6 7", "... and new ones come behind them");
    mw_spool_turn(spool);
    read_all(spool, NULL);
    mw_spool_get_state(spool, &state);
    tap_ok(state.entries == 0 && state.bytes == 0 && count_files(".spool") == 0,
           "what is done goes, and its files with it");
    mw_spool_close(spool);
}

static void test_half_done(void)
{
    struct mw_spool *spool = open_spool(0, false);
    struct mw_error error = {0};
    for (int i = 0; i < 4; i++)
        append(spool, i, 100, &error);
    struct mw_spool_entry entry;
    struct mw_spool_reader *reader = mw_spool_reader_new(folder, "wait", &error);
    for (int i = 0; i < 2; i++)
        if (mw_spool_next(reader, &entry, &error) > 0)
            mw_spool_done(spool, &entry, &error);
    mw_spool_reader_free(reader);
    mw_spool_close(spool);
    spool = open_spool(0, false);
    tap_is(read_all(NULL, NULL), "2 3", "what was done before the end of a process stays done");
    mw_spool_close(spool);
    empty_folder();
}

/* The only file there is. */
static const char *only_file(void)
{
    static char path[320];
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        if (strstr(entry->d_name, ".spool") && !strstr(entry->d_name, ".damaged"))
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (dir)
        closedir(dir);
    return path;
}

/* A writer killed at any byte of its last record. */
static void test_torn(void)
{
    struct mw_error error = {0};
    enum { WHOLE = 3, SIZE = 200, RECORD = 32 + 3 + SIZE };
    int wrong = 0;
    for (int cut = 1; cut <= RECORD; cut++) {
        struct mw_spool *spool = open_spool(0, false);
        for (int i = 0; i <= WHOLE; i++)
            append(spool, i, SIZE, &error);
        mw_spool_close(spool);
        const char *path = only_file();
        struct stat facts;
        if (stat(path, &facts) != 0 || truncate(path, facts.st_size - cut) != 0)
            wrong++;
        spool = open_spool(0, false);
        append(spool, 9, SIZE, &error);
        struct mw_spool_state state;
        mw_spool_get_state(spool, &state);
        wrong += state.entries != WHOLE + 1 || state.damaged != 0 ||
                 state.torn != (uint64_t)(RECORD - cut);
        wrong += strcmp(read_all(NULL, NULL), "0 1 2 9") != 0;
        mw_spool_close(spool);
        empty_folder();
    }
    tap_is_number(wrong, 0, "a record torn at any byte is cut off, and all others are kept");
}

enum { HEAD = 48, OLD_HEAD = 16 };

static void flip(const char *path, off_t at, unsigned char bits)
{
    unsigned char byte = 0;
    int fd = open(path, O_RDWR);
    if (pread(fd, &byte, 1, at) == 1) {
        byte ^= bits;
        if (pwrite(fd, &byte, 1, at) != 1)
            printf("# cannot damage %s\n", path);
    }
    close(fd);
}

/* Makes the only file one of the first version: its head is the magic and the seed. */
static void make_old(void)
{
    static unsigned char bytes[1 << 16];
    char path[320];
    snprintf(path, sizeof path, "%s", only_file());
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, bytes, sizeof bytes);
    close(fd);
    memcpy(bytes + HEAD - OLD_HEAD, "MWSPOOL1", 8);
    memmove(bytes + HEAD - 8, bytes + 8, 8);
    fd = open(path, O_WRONLY | O_TRUNC);
    if (write(fd, bytes + HEAD - OLD_HEAD, (size_t)size - HEAD + OLD_HEAD) !=
        size - HEAD + OLD_HEAD)
        printf("# cannot write %s\n", path);
    close(fd);
}

/* One byte that changed on the disk, anywhere from the first on: what each costs is counted
 * here from where it is, not from what the spool says. */
static void test_damaged(void)
{
    struct mw_error error = {0};
    enum { COUNT = 4, SIZE = 100, RECORD = 32 + 3 + SIZE };
    int wrong = 0, lost_more = 0, vanished = 0;
    for (int at = 0; at < HEAD + COUNT * RECORD; at++) {
        struct mw_spool *spool = open_spool(0, false);
        for (int i = 0; i < COUNT; i++)
            append(spool, i, SIZE, &error);
        mw_spool_close(spool);
        flip(only_file(), at, (unsigned char)(1U << (at % 8)));
        int hit = at < HEAD ? -1 : (at - HEAD) / RECORD, within = (at - HEAD) % RECORD;
        /* The state of a record, and three bytes that are not used. */
        bool harmless = hit >= 0 && within >= 4 && within < 8;
        char expected[64] = "";
        for (int i = 0; i < COUNT; i++)
            if (i != hit || harmless)
                snprintf(expected + strlen(expected), 16, "%s%d", *expected ? " " : "", i);
        spool = open_spool(0, false);
        struct mw_spool_state state;
        mw_spool_get_state(spool, &state);
        wrong += state.damaged != !harmless || state.torn != 0;
        lost_more += strcmp(read_all(NULL, NULL), expected) != 0;
        mw_spool_turn(spool);
        read_all(spool, NULL);
        mw_spool_get_state(spool, &state);
        wrong += state.damaged_files != (uint64_t)!harmless || state.entries != 0;
        vanished += count_files(".spool") != 0 || count_files(".damaged") != !harmless;
        mw_spool_close(spool);
        empty_folder();
    }
    tap_is_number(lost_more, 0,
                  "a byte that changed, the first or any other, costs its own "
                  "record only");
    tap_is_number(vanished, 0, "... and its file is kept for study");
    tap_is_number(wrong, 0, "... and counted");
}

/* The first version's seed has no check: what does not fit it was whole once, not torn. */
static void test_old_file(void)
{
    struct mw_error error = {0};
    struct mw_spool_state state;
    struct mw_spool *spool = open_spool(0, false);
    for (int i = 0; i < 3; i++)
        append(spool, i, 500, &error);
    mw_spool_close(spool);
    make_old();
    spool = open_spool(0, false);
    tap_is(read_all(NULL, NULL), "0 1 2", "files of the first version are read");
    mw_spool_close(spool);
    int lost = 0;
    for (int at = 0; at < OLD_HEAD; at++) {
        spool = open_spool(0, false);
        mw_spool_turn(spool);
        read_all(spool, NULL);
        for (int i = 0; i < 75; i++)
            append(spool, i, 500, &error);
        mw_spool_close(spool);
        make_old();
        flip(only_file(), at, 0x10);
        spool = open_spool(0, false);
        mw_spool_get_state(spool, &state);
        lost += count_files(".damaged") != 1 || state.damaged != 1 || state.torn != 0;
        mw_spool_close(spool);
        empty_folder();
    }
    tap_is_number(lost, 0, "... and never removed for a seed that changed");
}

/* Damage while the spool is open: what cannot be read does not wait for ever. */
static void test_damaged_later(void)
{
    struct mw_error error = {0};
    struct mw_spool_state state;
    struct mw_spool *spool = open_spool(0, false);
    for (int i = 0; i < 3; i++)
        append(spool, i, 500, &error);
    flip(only_file(), HEAD + 32 + 3 + 500 + 40, 0x01);
    uint64_t below = mw_spool_turn(spool);
    tap_is(read_all(spool, NULL), "0 2", "a record that changes while a spool is open is skipped");
    tap_is_number((long long)mw_spool_give_up(spool, below), 1,
                  "... and given up when all else is read");
    mw_spool_get_state(spool, &state);
    tap_ok(state.entries == 0 && state.damaged == 1 && state.damaged_files == 1 &&
               count_files(".damaged") == 1,
           "... with its file kept");
    mw_spool_close(spool);
    spool = open_spool(0, false);
    append(spool, 7, 50, &error);
    mw_spool_get_state(spool, &state);
    tap_is_number((long long)state.damaged_files, 1,
                  "a spool that is opened knows of files kept before");
    mw_spool_turn(spool);
    flip(only_file(), HEAD + 40, 0x01);
    mw_spool_close(spool);
    mw_spool_close(open_spool(0, false));
    tap_is_number(count_files(".damaged"), 2, "... and no file takes the name of one of these");
    empty_folder();
}

static void test_no_spool_file(void)
{
    char path[320];
    struct mw_error error = {0};
    snprintf(path, sizeof path, "%s/wait-0000000007.spool", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 100; i++)
        if (write(fd, "something else\n", 15) != 15)
            break;
    close(fd);
    struct mw_spool *spool = open_spool(0, false);
    tap_ok(spool && append(spool, 1, 10, &error) == 0, "a file of another kind stops nothing");
    tap_is(read_all(NULL, NULL), "1", "... gives no records");
    tap_is_number(count_files(".damaged"), 1, "... and is kept");
    mw_spool_close(spool);
    empty_folder();
}

/* An attachment that holds a whole spool file must not pass for one. */
static void test_planted(void)
{
    struct mw_error error = {0};
    struct mw_spool *spool = open_spool(0, false);
    append(spool, 66, 50, &error);
    mw_spool_close(spool);
    static unsigned char file[65536];
    int fd = open(only_file(), O_RDONLY);
    ssize_t size = read(fd, file, sizeof file);
    close(fd);
    empty_folder();
    spool = open_spool(0, false);
    struct mw_bytes planted = {file, (size_t)(size > 0 ? size : 0)};
    mw_spool_append(spool, &planted, 1, &error);
    append(spool, 1, 50, &error);
    mw_spool_close(spool);
    fd = open(only_file(), O_RDWR);
    if (pwrite(fd, "????", 4, HEAD) != 4)
        printf("# cannot damage\n");
    close(fd);
    spool = open_spool(0, false);
    tap_is(read_all(NULL, NULL), "1", "records planted in an attachment are not taken for ours");
    mw_spool_close(spool);
    empty_folder();
}

static void test_full(void)
{
    struct mw_error error = {0};
    struct mw_spool_state state;
    struct mw_spool *spool = open_spool(8 << 20, false);
    int taken = 0;
    while (taken < 100 && append(spool, taken, 300000, &error) == 0)
        taken++;
    tap_ok(taken > 20 && taken < 28 && error.code == MW_ERR_LIMIT && strstr(error.text, "is full"),
           "a full spool refuses, and says so (after %d)", taken);
    mw_spool_get_state(spool, &state);
    tap_ok(state.entries == (uint64_t)taken && state.bytes <= 8 << 20, "... and keeps what it has");
    mw_spool_close(spool);
    empty_folder();
    spool = open_spool(8 << 20, true);
    for (int i = 0; i < 100; i++)
        append(spool, i, 300000, &error);
    mw_spool_get_state(spool, &state);
    const char *last = read_all(NULL, NULL);
    tap_ok(state.dropped > 70 && state.entries + state.dropped == 100 && state.bytes <= 8 << 20 &&
               strcmp(last + strlen(last) - 5, "98 99") == 0,
           "one that drops old records keeps the newest, and counts what it dropped");
    mw_spool_close(spool);
    empty_folder();
}

static void test_lock(void)
{
    struct mw_error error = {0};
    int fd = mw_spool_lock(folder, &error);
    tap_ok(fd >= 0, "the folder is taken by one process");
    tap_ok(mw_spool_lock(folder, &error) == MW_ERR_BUSY && strstr(error.text, folder),
           "... a second one is refused, and the folder named");
    close(fd);
    tap_ok(mw_spool_lock("/nonexistent/spool", &error) == MW_ERR_SYSTEM &&
               strstr(error.text, "/nonexistent/spool"),
           "a folder that cannot be made is named");
}

struct crowd {
    struct mw_spool *spool;
    int first;
};

static void *append_many(void *argument)
{
    struct crowd *crowd = argument;
    struct mw_error error = {0};
    for (int i = 0; i < 50; i++)
        append(crowd->spool, crowd->first + i, 1000, &error);
    return NULL;
}

static void test_crowd(void)
{
    enum { THREADS = 8, ALL = THREADS * 50 };
    struct mw_spool *spool = open_spool(0, false);
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){spool, 100 + 50 * i};
        pthread_create(&threads[i], NULL, append_many, &crowds[i]);
    }
    mw_spool_turn(spool);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bool there[ALL] = {false};
    int count = 0;
    for (const char *at = read_all(NULL, NULL); *at; at += strspn(at, " ")) {
        char *end;
        long number = strtol(at, &end, 10) - 100;
        if (number >= 0 && number < ALL && !there[number]) {
            there[number] = true;
            count++;
        }
        at = end;
    }
    tap_is_number(count, ALL, "of several threads each record is there once");
    mw_spool_close(spool);
    empty_folder();
}

static void test_record(void)
{
    struct mw_error error = {0};
    struct mw_id_source *ids = mw_id_source_new();
    struct mw_report *report = made_up_report(ids, 10), *back;
    made_up_attachment(report, "1.3", 77, 5000);
    made_up_attachment(report, "1.4", 77, 5000);
    made_up_attachment(report, "1.5", 78, 1 << 20);
    char *json = mw_report_to_json(report, MW_JSON_LINE, &error);
    struct mw_pieces pieces = {0};
    struct mw_arena *arena = mw_arena_new();
    mw_record_write(arena, report, mw_bytes_of(json), 1 << 19, NULL, &pieces);
    unsigned char *all = malloc((size_t)4 << 20);
    size_t size = 0;
    for (size_t i = 0; i < pieces.count; i++) {
        memcpy(all + size, pieces.items[i].data, pieces.items[i].size);
        size += pieces.items[i].size;
    }
    struct mw_bytes same;
    back = mw_record_read((struct mw_bytes){all, size}, &same, &error);
    char *again = back ? mw_report_to_json(back, MW_JSON_LINE, &error) : NULL;
    tap_ok(again && strcmp(again, json) == 0, "a message's record gives the same report again");
    const struct mw_attachment *one = back ? back->attachments.items : NULL;
    tap_ok(one && one[0].data.size == MADE_UP_LARGE && one[2].data.size == 5000 &&
               one[1].data.data == one[2].data.data &&
               memcmp(one[0].data.data, report->attachments.items[0].data.data, MADE_UP_LARGE) == 0,
           "... its attachments' bytes, equal ones once");
    tap_ok(one && one[3].data.size == 0, "... but for those above the bound");
    int taken = 0;
    for (size_t cut = 0; cut < size; cut += 97) {
        struct mw_report *part = mw_record_read((struct mw_bytes){all, cut}, &same, &error);
        taken += part != NULL;
        mw_report_free(part);
    }
    tap_is_number(taken, 0, "a record that was cut is none");
    free(json);
    free(again);
    free(all);
    mw_report_free(back);
    mw_report_free(report);
    mw_arena_free(arena);
    mw_id_source_free(ids);
}

/* A zip of 100 KB, what was unpacked from it, and that from within it: the spool has what
 * Redis is to keep, by the same rule. */
static void test_bounded(void)
{
    struct mw_error error = {0};
    struct mw_store_settings settings = {
        .data = true, .data_max = 1 << 20, .message_data_max = 350000};
    struct mw_id_source *ids = mw_id_source_new();
    struct mw_report *report = made_up_report(ids, 1);
    struct mw_arena *arena = mw_arena_new();
    const char *const paths[] = {"2", "2.1", "2.2", "2.3", "2.3.1"};
    for (size_t i = 0; i < 5; i++) {
        made_up_attachment(report, paths[i], (long)i + 5, 100000);
        report->attachments.items[i].parent = i == 0 ? "" : i < 4 ? "2" : "2.3";
    }
    const char *zip = report->attachments.items[0].sha256;
    const char *const *holders = mw_schema_holders(arena, &settings, report);
    tap_ok(holders && !holders[0] && !holders[1] && !holders[2],
           "as much is kept as there is room for");
    tap_ok(holders && holders[3] && strcmp(holders[3], zip) == 0 && holders[4] &&
               strcmp(holders[4], zip) == 0,
           "... and of the rest what holds it, the outermost");
    char *json = mw_report_to_json(report, MW_JSON_LINE, &error);
    struct mw_pieces pieces = {0};
    size_t size = 0;
    mw_record_write(arena, report, mw_bytes_of(json), settings.data_max, holders, &pieces);
    for (size_t i = 0; i < pieces.count; i++)
        size += pieces.items[i].size;
    tap_ok(size < strlen(json) + 300000 + 1000 && size > 300000, "a record has no other bytes");
    settings.message_data_max = 1000;
    holders = mw_schema_holders(arena, &settings, report);
    tap_ok(holders && !holders[0] && holders[1], "what was attached as it is is always kept");
    report->attachments.items[4].parent = "";
    made_up_attachment(report, "3", 6, 100000);
    report->attachments.items[5].parent = "";
    holders = mw_schema_holders(arena, &settings, report);
    tap_ok(holders && !holders[1] && !holders[4], "... also when the same was unpacked before");
    settings.data_max = 50000;
    holders = mw_schema_holders(arena, &settings, report);
    tap_ok(!holders, "of what is larger than data_max nothing is kept, and nothing holds it");
    settings.message_data_max = 0;
    settings.data_max = 1 << 20;
    tap_ok(!mw_schema_holders(arena, &settings, report),
           "twice the message and 1 MB is the usual bound");
    free(json);
    mw_report_free(report);
    mw_arena_free(arena);
    mw_id_source_free(ids);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    test_order();
    test_half_done();
    test_torn();
    test_damaged();
    test_old_file();
    test_damaged_later();
    test_no_spool_file();
    test_planted();
    test_full();
    test_lock();
    test_crowd();
    test_record();
    test_bounded();
    empty_folder();
    rmdir(folder);
    return tap_done();
}
