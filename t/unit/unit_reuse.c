/*
 * unit_reuse: verdicts that are reused with real engines, and a worker that was taken over,
 * which cannot plant any: code of the attacker's (of this file) runs inside a confined
 * worker, as the hook that asks whether a sender is new.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "scanners/hash.h"
#include "t/unit/tap.h"
#include "t/unit/worker_side.h"
#include "worker/job.h"
#include "worker/pool.h"

enum { SIZE = 3000, PATIENCE = 1000, PAUSE_US = 10000 };

/* What libclamav knows by the tests' database, in pieces, and the like. */
static const char marker[] = "mailwitness-malware"
                             "-marker";

static char folder[] = "/tmp/unit_reuse-XXXXXX", rules[64], switch_file[64];
static const char *database;

/* --- inside the generation and its workers --------------------------------------------------- */

static void *table; /* where workers have it */

static void *find_table(void)
{
    char line[512];
    void *found = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        if (strstr(line, "mailwitness-verdicts"))
            found = (void *)strtoul(line, NULL, 16); // NOLINT(performance-no-int-to-ptr)
    if (maps)
        fclose(maps);
    return found;
}

/* Rules and database of a generation; with a switch file of some size another database. */
static int load(void *user, struct mw_bytes source, struct mw_generation_settings *settings,
                struct mw_arena *arena, struct mw_error *error)
{
    struct stat facts;
    (void)user;
    (void)source;
    (void)error;
    table = find_table();
    struct mw_scan_settings *scan = &settings->witness.scan;
    bool other = stat(switch_file, &facts) == 0 && facts.st_size > 0;
#ifdef WITH_CLAMAV
    scan->clamav.database = other ? mw_arena_printf(arena, "%s/test.hdb", database) : database;
#endif
#ifdef WITH_YARA
    mw_texts_add(arena, &scan->yara.rules, rules);
#else
    scan->pe.enabled = false;
#endif
    (void)arena;
    (void)other;
    return 0;
}

/* A file that libclamav knows; each number gives another one. */
static struct mw_bytes bad_file(unsigned number)
{
    static char text[SIZE + 1];
    memset(text, 'a' + (int)(number % 26), SIZE);
    int length = snprintf(text, sizeof text, "%u %s", number, marker);
    text[length] = ' ';
    return (struct mw_bytes){(const unsigned char *)text, SIZE};
}

/* The worker's answer to its job, forged: the file number is there and clean. With boast
 * it claims that it only reused that. */
static void answer_falsely(unsigned number, bool boast, const char *subject)
{
    struct mw_error error = {0};
    struct mw_hasher *hasher = mw_hasher_new(&error);
    struct mw_report *report = mw_report_new();
    struct mw_attachment *file =
        mw_list_add(report->arena, &report->attachments, sizeof *report->attachments.items);
    struct mw_digests digests;
    file->data = bad_file(number);
    mw_hasher_all(hasher, report->arena, file->data, &digests);
    file->path = "1";
    file->md5 = digests.md5;
    file->sha1 = digests.sha1;
    file->sha256 = digests.sha256;
    file->sha512 = digests.sha512;
    file->size = SIZE;
    report->subject = subject;
    report->md5 = report->sha1 = report->sha256 = report->sha512 = "";
    struct mw_engine *engine =
        mw_list_add(report->arena, &report->engines, sizeof *report->engines.items);
    engine->name = "clamav";
    if (boast)
        mw_texts_add(report->arena, &file->reused, "clamav");
    struct mw_channel jobs = {find_jobs(), MW_CHANNEL_JOBS, false, MW_PHASE_WORKING};
    mw_job_answer(&jobs, report, true, &error);
}

/* What it could do to the table, by its address and by any descriptor it may have; a text
 * of what went through. */
static const char *attack_table(void)
{
    if (!table)
        return "there is no table";
    if (mprotect(table, MW_REUSE_SLOT, PROT_READ | PROT_WRITE) == 0)
        return "mprotect";
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        if (fcntl(fd, F_GET_SEALS) >= 0 && !(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE))
            return "a descriptor";
    return "denied";
}

/* The hook: mail from these is the attacker's. */
static int is_new(void *user, const char *address)
{
    unsigned number = 0;
    (void)user;
    if (sscanf(address, "liar%u@", &number) == 1 || sscanf(address, "boaster%u@", &number) == 1) {
        answer_falsely(number, address[0] == 'b', "a lie");
        _exit(0);
    }
    if (strncmp(address, "writer@", 7) == 0) {
        answer_falsely(99, false, attack_table());
        _exit(0);
    }
    return 0;
}

/* --- the asking side -------------------------------------------------------------------- */

static atomic_uint complaints;

static void notice(void *user, bool bad, const char *text)
{
    (void)user;
    if (bad && strstr(text, "something else in it"))
        atomic_fetch_add(&complaints, 1);
}

static struct mw_report *send_mail(struct mw_pool *pool, const char *from, const char *name,
                                   unsigned number)
{
    struct mw_error error = {0};
    char head[512];
    snprintf(head, sizeof head,
             "From: %s\nSubject: %u\nContent-Type: application/octet-stream\n"
             "Content-Disposition: attachment; filename=\"%s\"\n\n",
             from, number, name);
    struct mw_memfile *file = mw_memfile_new("message", &error);
    mw_memfile_append(file, mw_bytes_of(head), SIZE_MAX, &error);
    mw_memfile_append(file, bad_file(number), SIZE_MAX, &error);
    mw_memfile_seal(file, &error);
    struct mw_report *report = mw_pool_examine(pool, file, &error);
    if (!report || report->attachments.count != 1)
        printf("# %s: %s\n", from, report ? "another number of attachments" : error.text);
    mw_memfile_free(file);
    return report;
}

static struct mw_report *honest(struct mw_pool *pool, unsigned number)
{
    return send_mail(pool, "ana@example.com", "a.bin", number);
}

static struct mw_reuse_state state_of(struct mw_pool *pool)
{
    struct mw_pool_state state;
    mw_pool_get_state(pool, &state);
    return state.reuse;
}

/* Waits until so many verifications have come to an end. */
static void settle(struct mw_pool *pool, unsigned count)
{
    for (int i = 0; i < PATIENCE; i++) {
        struct mw_reuse_state state = state_of(pool);
        if (state.kept + state.failures + state.disagreements >= count)
            return;
        usleep(PAUSE_US);
    }
    printf("# the %uth verification does not end\n", count);
}

static bool reuses(const struct mw_report *report, const char *scanner)
{
    const struct mw_texts *reused = &report->attachments.items[0].reused;
    for (size_t i = 0; i < reused->count; i++)
        if (strcmp(reused->items[i], scanner) == 0)
            return true;
    return false;
}

static bool is_bad(const struct mw_report *report)
{
    return report->verdict == MW_MALICIOUS && report->attachments.items[0].verdict == MW_MALICIOUS;
}

/* Reports as JSON without what is said of reuse and times. */
static char *comparable(struct mw_report *report)
{
    struct mw_error error = {0};
    report->timings.count = 0;
    report->attachments.items[0].reused.count = 0;
    return mw_report_to_json(report, MW_JSON_LINE, &error);
}

static void test_reuse(struct mw_pool *pool)
{
    struct mw_report *first = honest(pool, 1), *second = honest(pool, 1);
    settle(pool, 1);
    struct mw_report *third = honest(pool, 1);
    tap_ok(is_bad(first) && first->attachments.items[0].reused.count == 0 && is_bad(second) &&
               second->attachments.items[0].reused.count == 0,
           "a file is scanned when it comes first, and the second time");
    tap_ok(reuses(third, "clamav") && reuses(third, "fuzzy") && is_bad(third),
           "the third time it is not, and as bad as before");
    tap_is_number((long long)state_of(pool).hits, 1, "... which is counted");
#ifdef WITH_YARA
    tap_ok(reuses(third, "yara"), "rules that ask for its name alone need not look again");
#endif
    char *before = comparable(first), *after = comparable(third);
    tap_is(after, before, "a report with reused findings is the one without");
    free(before);
    free(after);
    mw_report_free(first);
    mw_report_free(second);
    mw_report_free(third);
}

#ifdef WITH_YARA
static bool has_finding(const struct mw_report *report, const char *name)
{
    const struct mw_findings *findings = &report->attachments.items[0].findings;
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->items[i].name, name) == 0)
            return true;
    return false;
}

static void test_context(struct mw_pool *pool)
{
    struct mw_report *same = send_mail(pool, "carl@example.net", "a.bin", 1);
    struct mw_report *other = send_mail(pool, "bob@example.com", "a.scr", 1);
    tap_ok(reuses(same, "yara") && !has_finding(same, "NamedLikeAProgram"),
           "under its old name a file is not what a rule looks for, whoever sent it");
    tap_ok(reuses(other, "clamav") && !reuses(other, "yara") &&
               has_finding(other, "NamedLikeAProgram"),
           "under another name rules look again, and find what is in the name");
    mw_report_free(same);
    mw_report_free(other);
}
#endif

static void test_lies(struct mw_pool *pool)
{
    struct mw_reuse_state before = state_of(pool);
    unsigned settled = (unsigned)(before.kept + before.failures + before.disagreements);
    struct mw_report *lie = send_mail(pool, "liar2@example.com", "a.bin", 2);
    tap_is(lie->subject, "a lie", "a worker that was taken over reports a bad file as clean");
    mw_report_free(lie);
    struct mw_report *report = honest(pool, 2);
    settle(pool, settled + 1);
    tap_ok(is_bad(report) && report->attachments.items[0].reused.count == 0,
           "the next mail with that file is scanned, and bad");
    mw_report_free(report);
    report = honest(pool, 2);
    tap_ok(is_bad(report) && reuses(report, "clamav"),
           "what is reused then is what a fresh worker found");
    mw_report_free(report);

    mw_report_free(send_mail(pool, "liar3@example.com", "a.bin", 3));
    mw_report_free(send_mail(pool, "liar3@example.com", "a.bin", 3));
    settle(pool, settled + 2);
    tap_is_number((long long)(state_of(pool).disagreements - before.disagreements), 1,
                  "when the lie comes twice a fresh worker disagrees");
    tap_is_number(atomic_load(&complaints), 1, "... which is told");
    report = honest(pool, 3);
    tap_ok(is_bad(report) && report->attachments.items[0].reused.count == 0,
           "... and nothing is reused");
    mw_report_free(report);

    for (int i = 0; i < 3; i++)
        mw_report_free(send_mail(pool, "boaster4@example.com", "a.bin", 4));
    report = honest(pool, 4);
    tap_ok(is_bad(report) && report->attachments.items[0].reused.count == 0,
           "a worker that claims to have reused a verdict makes none");
    mw_report_free(report);
}

static void test_attack(struct mw_pool *pool)
{
    struct mw_report *report = send_mail(pool, "writer@example.com", "a.bin", 5);
    tap_is(report->subject, "denied", "a worker cannot write to the table it reads");
    mw_report_free(report);
    report = honest(pool, 1);
    tap_ok(is_bad(report) && reuses(report, "clamav"), "... which serves on");
    mw_report_free(report);
}

static void test_reload(struct mw_pool *pool)
{
    struct mw_error error = {0};
    int fd = open(switch_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    tap_ok(mw_pool_reload(pool, NULL, &error) == 0, "rules and databases are loaded again");
    struct mw_report *report = honest(pool, 1);
    tap_ok(is_bad(report) && report->attachments.items[0].reused.count == 0,
           "what was known before is not reused afterwards");
    mw_report_free(report);
    tap_ok(write(fd, "x", 1) == 1 && mw_pool_reload(pool, NULL, &error) == 0,
           "another database comes");
    report = honest(pool, 1);
    tap_ok(report->verdict == MW_CLEAN, "a file that it does not know is clean at once");
    mw_report_free(report);
    close(fd);
    unlink(switch_file);
}

static void test_off(struct mw_pool *pool)
{
    struct mw_error error = {0};
    struct mw_reuse_state before = state_of(pool);
    mw_pool_set_reuse(pool, &(struct mw_reuse_settings){0});
    bool good = mw_pool_reload(pool, NULL, &error) == 0;
    for (int i = 0; i < 4; i++) {
        struct mw_report *report = honest(pool, 6);
        good = good && report->attachments.items[0].reused.count == 0 && is_bad(report);
        mw_report_free(report);
    }
    struct mw_reuse_state after = state_of(pool);
    tap_ok(good && memcmp(&before, &after, sizeof before) == 0,
           "switched off, nothing is reused and nothing verified");
}

static void write_rules(void)
{
    FILE *file = fopen(rules, "we");
    if (!file)
        return;
    /* The words sender and so on in them are no questions. */
    fprintf(
        file,
        "rule NamedLikeAProgram { meta: subject = \"sender\" condition: extension == \"scr\" }\n"
        "rule Path { strings: $path = \"subject\" // sender_domain\n condition: $path }\n");
    fclose(file);
    chmod(rules, 0644);
}

int main(void)
{
#ifndef WITH_CLAMAV
    printf("1..0 # SKIP built without ClamAV\n");
    return 0;
#endif
    struct mw_error error = {0};
    struct mw_pool_settings settings;
    const char *top = getenv("top_srcdir");
    static char path[512];
    snprintf(path, sizeof path, "%s/t/fixtures/clamav", top ? top : ".");
    database = path;
    if (!mkdtemp(folder) || chmod(folder, 0755) != 0)
        return 2;
    snprintf(rules, sizeof rules, "%s/rules.yar", folder);
    snprintf(switch_file, sizeof switch_file, "%s/switch", folder);
    write_rules();
    mw_pool_settings_default(&settings);
    settings.generation.workers = 2;
    settings.generation.load = load;
    settings.generation.witness.sender_filter.is_new = is_new;
    settings.notice = notice;
    settings.reuse = (struct mw_reuse_settings){.enabled = true, .seconds = 3600, .entries = 64};
    struct mw_pool *pool = mw_pool_new(&settings, &error);
    if (tap_ok(pool != NULL, "a pool starts")) {
        test_reuse(pool);
#ifdef WITH_YARA
        test_context(pool);
#endif
        test_lies(pool);
        test_attack(pool);
        test_reload(pool);
        test_off(pool);
    } else {
        printf("# %s\n", error.text);
    }
    mw_pool_free(pool);
    unlink(rules);
    rmdir(folder);
    return tap_done();
}
