/* unit_tracked: what a message shows to the filters of a configuration. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bloom/normal.h"
#include "bloom/recent.h"
#include "bloom/source.h"
#include "bloom/tracked.h"
#include "core/learn.h"
#include "t/unit/tap.h"

static char folder[] = "/tmp/unit_tracked-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static struct mw_tracked_settings one(const char *name, const char *source)
{
    static char files[16][128];
    static unsigned next;
    char *file = files[next++ % 16];
    snprintf(file, sizeof files[0], "%s/%s.filter", folder, name);
    return (struct mw_tracked_settings){name, source, file, 1000, 0.001, "everysec", false, 0};
}

/* Whether name is in new_values: 1 new, 0 known, -1 not there. */
static int told(const struct mw_report *report, const char *name)
{
    for (size_t i = 0; i < report->new_values.count; i++)
        if (strcmp(report->new_values.items[i].name, name) == 0)
            return report->new_values.items[i].value;
    return -1;
}

static void add_address(struct mw_report *report, struct mw_addresses *list, const char *address)
{
    struct mw_address *slot = mw_list_add(report->arena, list, sizeof *list->items);
    slot->address = address;
}

static struct mw_report *message(const char *from)
{
    struct mw_report *report = mw_report_new();
    if (from)
        add_address(report, &report->from, from);
    return report;
}

static void learn(struct mw_tracked *tracked, const struct mw_report *report)
{
    struct mw_error error = {0};
    if (mw_tracked_learn(tracked, report, NULL, &error) != 0)
        printf("# %s\n", error.text);
}

/* A message that is delivered. */
static void witness(struct mw_tracked *tracked, struct mw_report *report)
{
    struct mw_error error = {0};
    const struct mw_recalled *recalled = mw_tracked_recall(tracked, report);
    report->action = MW_ACTION_ACCEPT;
    if (mw_tracked_learn(tracked, report, recalled, &error) != 0)
        printf("# %s\n", error.text);
}

static void test_what_teaches(void)
{
    static const enum mw_action actions[] = {
        MW_ACTION_ACCEPT,   MW_ACTION_TAG,    MW_ACTION_QUARANTINE, MW_ACTION_DISCARD,
        MW_ACTION_TEMPFAIL, MW_ACTION_REJECT, MW_ACTION_NONE};
    struct mw_error error = {0};
    struct mw_tracked_settings settings = one("taught", "from");
    struct mw_tracked *tracked = mw_tracked_open(&settings, 1, &error);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        enum mw_action action = actions[i];
        bool teaches =
            action == MW_ACTION_ACCEPT || action == MW_ACTION_TAG || action == MW_ACTION_NONE;
        char address[64];
        snprintf(address, sizeof address, "sender%zu@example.com", i);
        struct mw_report *first = message(address), *again = message(address);
        mw_tracked_recall(tracked, first);
        first->action = action;
        learn(tracked, first);
        mw_tracked_recall(tracked, again);
        tap_ok(told(first, "taught") == 1 && told(again, "taught") == !teaches,
               "a message whose action is %s teaches %s",
               action == MW_ACTION_NONE ? "nobody's" : mw_action_name(action),
               teaches ? "its sender" : "nothing");
        mw_report_free(first);
        mw_report_free(again);
    }
    mw_tracked_close(tracked);
}

/* --- new for a while ------------------------------------------------------------------------ */

static struct mw_bytes value_of(const char *text, unsigned number)
{
    static char values[4][64];
    static unsigned next;
    char *value = values[next++ % 4];
    snprintf(value, sizeof values[0], "%s%u@example.com", text, number);
    return mw_bytes_of(value);
}

static void test_recent(void)
{
    enum { DAY = 86400, START = 1795000000 };
    struct mw_error error = {0};
    const char *path = path_of("r.filter");
    tap_ok(!mw_recent_open(path, MW_FILTER_READ, DAY, &error) && error.code == MW_ERR_MISSING,
           "who reads where there is no file of recent values finds none");
    struct mw_recent *writer = mw_recent_open(path, MW_FILTER_WRITE, DAY, &error),
                     *reader = mw_recent_open(path, MW_FILTER_READ, DAY, &error);
    mw_recent_note(writer, value_of("ana", 0), START);
    mw_recent_note(writer, value_of("ana", 0), START + DAY / 2);
    tap_ok(mw_recent_has(reader, value_of("ana", 0), START) &&
               mw_recent_has(reader, value_of("ana", 0), START + DAY - 1),
           "a value is recent for its time, for other processes too");
    tap_ok(!mw_recent_has(reader, value_of("ana", 0), START + DAY),
           "... counted from when it was learned first, and not after that");
    tap_ok(!mw_recent_has(reader, value_of("bob", 0), START), "others are not");
    mw_recent_note(writer, value_of("ahead", 0), START + 300 * DAY);
    tap_ok(!mw_recent_has(reader, value_of("ahead", 0), START),
           "nobody stays new because a clock ran ahead");
    for (unsigned i = 0; i < 2 * MW_RECENT_MOST; i++)
        mw_recent_note(writer, value_of("crowd", i), START + 10 + i / 1000);
    unsigned kept = 0;
    for (unsigned i = MW_RECENT_MOST; i < 2 * MW_RECENT_MOST; i++)
        kept += mw_recent_has(reader, value_of("crowd", i), START + 1000);
    printf("# of the last %d values, %u are recent\n", MW_RECENT_MOST, kept);
    struct stat facts;
    tap_ok(stat(path_of("r.filter.recent"), &facts) == 0 && facts.st_size < 1100000,
           "the file has one size, whatever comes");
    tap_ok(kept > MW_RECENT_MOST / 10 * 8 &&
               !mw_recent_has(reader, value_of("crowd", 1), START + 1000),
           "... the oldest make room for new ones");
    mw_recent_close(writer);
    mw_recent_close(reader);
    reader = mw_recent_open(path, MW_FILTER_READ, DAY, &error);
    tap_ok(mw_recent_has(reader, value_of("crowd", 2 * MW_RECENT_MOST - 1), START + 1000),
           "what was noted is there when it is opened again");
    mw_recent_close(reader);
    const char *file = path_of("r.filter.recent");
    tap_ok(truncate(file, 5000) == 0 && !mw_recent_open(path, MW_FILTER_WRITE, DAY, &error) &&
               error.code == MW_ERR_FORMAT && strstr(error.text, file) &&
               strstr(error.text, "remove it"),
           "a damaged file is named, and what to do");
}

static void test_new_for(void)
{
    struct mw_error error = {0};
    struct mw_tracked_settings settings[] = {one("lasting", "from"), one("hosts", "client")};
    settings[0].new_for_s = 3600;
    struct mw_tracked *tracked = mw_tracked_open(settings, 2, &error);
    struct mw_report *reports[4];
    for (int i = 0; i < 4; i++) {
        reports[i] = message("ana@example.com");
        reports[i]->client.address = "192.0.2.1";
    }
    witness(tracked, reports[0]);
    witness(tracked, reports[1]);
    tap_ok(told(reports[0], "lasting") == 1 && told(reports[1], "lasting") == 1,
           "with new_for a stranger whose mail was taken stays new");
    tap_is_number(told(reports[1], "hosts"), 0, "... other filters know at once, as they are told");
    mw_tracked_close(tracked);
    tracked = mw_tracked_open(settings, 2, &error);
    witness(tracked, reports[2]);
    tap_is_number(told(reports[2], "lasting"), 1, "... a restart does not change that");
    mw_tracked_close(tracked);
    settings[0].new_for_s = 0;
    tracked = mw_tracked_open(settings, 2, &error);
    witness(tracked, reports[3]);
    tap_is_number(told(reports[3], "lasting"), 0, "... and without new_for the stranger is known");
    mw_tracked_close(tracked);
    for (int i = 0; i < 4; i++)
        mw_report_free(reports[i]);
}

static void test_bound(void)
{
    enum { ADDRESSES = 1500 };
    struct mw_error error = {0};
    struct mw_tracked_settings settings = one("crowd", "from");
    struct mw_tracked *tracked = mw_tracked_open(&settings, 1, &error);
    struct mw_report *crowd = mw_report_new(), *again = mw_report_new();
    for (int i = 0; i < ADDRESSES; i++) {
        const char *address = mw_arena_printf(crowd->arena, "victim%d@example.com", i);
        add_address(crowd, &crowd->from, address);
        add_address(again, &again->from, mw_arena_dup(again->arena, address));
    }
    struct mw_tracked_state state;
    witness(tracked, crowd);
    mw_tracked_get_state(tracked, 0, &state);
    tap_is_number((long long)state.info.values, MW_LEARN_MOST,
                  "a message with 1,500 addresses teaches a hundred of them");
    mw_tracked_recall(tracked, again);
    tap_is_number(told(again, "crowd"), 1, "... and has new ones when it comes again");
    mw_report_free(crowd);
    mw_report_free(again);
    mw_tracked_close(tracked);
}

static void test_witness(void)
{
    struct mw_error error = {0};
    struct mw_tracked_settings settings[] = {one("from", "from"), one("files", "filename")};
    struct mw_tracked *tracked = mw_tracked_open(settings, 2, &error);
    if (!tap_ok(tracked != NULL, "files that are not there are made"))
        printf("# %s\n", error.text);
    struct mw_report *first = message("Ana@Example.COM"), *again = message("ana@example.com"),
                     *nobody = message(NULL);
    witness(tracked, first);
    witness(tracked, again);
    witness(tracked, nobody);
    tap_is_number(told(first, "from"), 1, "a sender who never wrote is new");
    tap_is_number(told(again, "from"), 0, "and is not the next time, however written");
    tap_is_number(told(nobody, "from"), -1, "a message without a value says nothing about it");
    tap_is_number(told(first, "files"), -1, "each filter for itself");
    struct mw_report *two = message("ana@example.com");
    add_address(two, &two->from, "eve@example.com");
    witness(tracked, two);
    tap_is_number(told(two, "from"), 1, "one new value among known ones is enough");
    char *json = mw_report_to_json(two, MW_JSON_LINE, &error);
    tap_ok(json && strstr(json, "\"new\":{\"from\":true}"), "the report tells it as new.NAME");
    free(json);
    bool seen = false;
    tap_ok(mw_tracked_seen(tracked, "from", " EVE <eve@EXAMPLE.com>", &seen, &error) == 0 && seen,
           "what was witnessed can be asked for");
    tap_ok(mw_tracked_seen(tracked, "from", "mallory@example.com", &seen, &error) == 0 && !seen &&
               mw_tracked_seen(tracked, "from", "mallory@example.com", &seen, &error) == 0 && !seen,
           "asking remembers nothing");
    tap_ok(mw_tracked_seen(tracked, "form", "x", &seen, &error) == MW_ERR_MISSING &&
               strstr(error.text, "did you mean 'from'"),
           "a filter that is not there gets the nearest name");
    struct mw_tracked_state state;
    mw_tracked_get_state(tracked, 0, &state);
    tap_ok(mw_tracked_count(tracked) == 2 && strcmp(state.name, "from") == 0 &&
               state.info.values == 2 && state.info.layers == 1 && state.info.fill > 0,
           "the state of a filter can be read");
    mw_report_free(first);
    mw_report_free(again);
    mw_report_free(nobody);
    mw_report_free(two);
    mw_tracked_close(tracked);
    tracked = mw_tracked_open(settings, 2, &error);
    struct mw_report *later = message("ana@example.com");
    witness(tracked, later);
    tap_is_number(told(later, "from"), 0, "a restart forgets nothing");
    mw_report_free(later);
    mw_tracked_close(tracked);
}

/* A report with a value for each source. */
static struct mw_report *full_report(void)
{
    struct mw_report *report = message("from@a.example");
    struct mw_arena *arena = report->arena;
    add_address(report, &report->reply_to, "reply@b.example");
    add_address(report, &report->sender, "sender@c.example");
    add_address(report, &report->to, "to@d.example");
    add_address(report, &report->cc, "cc@e.example");
    report->envelope.from = "envelope@f.example";
    mw_texts_add(arena, &report->envelope.to, "recipient@g.example");
    report->client = (struct mw_client){.name = "mail.h.example", .address = "192.0.2.1"};
    report->helo = "helo.i.example";
    report->message_id = "id@j.example";
    struct mw_header *header = mw_list_add(arena, &report->headers, sizeof *header);
    *header = (struct mw_header){.name = "Return-Path", .value = "<Bounce@K.example>"};
    header = mw_list_add(arena, &report->headers, sizeof *header);
    *header = (struct mw_header){.name = "List-ID", .value = " The List <l.example> "};
    struct mw_attachment *part = mw_list_add(arena, &report->attachments, sizeof *part);
    part->sha256 = "ABC0";
    part->filename = "Invoice.PDF";
    mw_texts_add(arena, &report->indicators.urls, "http://user:x@Host.M.example:8080/path?q");
    mw_texts_add(arena, &report->indicators.domains, "n.example");
    return report;
}

static void test_sources(void)
{
    static const char *const wanted[][2] = {
        {"from", "from@a.example"},
        {"reply-to", "reply@b.example"},
        {"sender", "sender@c.example"},
        {"return-path", "bounce@k.example"},
        {"to", "to@d.example"},
        {"cc", "cc@e.example"},
        {"envelope-from", "envelope@f.example"},
        {"envelope-to", "recipient@g.example"},
        {"sender-domain", "a.example"},
        {"envelope-domain", "f.example"},
        {"client", "192.0.2.1"},
        {"client-name", "mail.h.example"},
        {"helo", "helo.i.example"},
        {"message-id", "id@j.example"},
        {"attachment-sha256", "abc0"},
        {"filename", "invoice.pdf"},
        {"url", "http://user:x@Host.M.example:8080/path?q"},
        {"url-host", "host.m.example"},
        {"domain", "n.example"},
        {"header:list-id", "The List <l.example>"},
    };
    size_t count = sizeof wanted / sizeof *wanted;
    struct mw_error error = {0};
    struct mw_report *report = full_report(), *empty = mw_report_new();
    for (size_t i = 0; i < count; i++) {
        struct mw_source source;
        struct mw_texts values = {0}, none = {0};
        if (mw_source_find(&source, wanted[i][0], &error) != 0) {
            tap_ok(false, "%s is a source", wanted[i][0]);
            continue;
        }
        mw_source_collect(&source, report, report->arena, &values);
        mw_source_collect(&source, empty, empty->arena, &none);
        const char *got = values.count == 1 ? mw_normalise(report->arena, mw_source_normal(&source),
                                                           values.items[0], false)
                                            : NULL;
        tap_ok(got && strcmp(got, wanted[i][1]) == 0 && none.count == 0,
               "source %s gives %s, and nothing of an empty message", wanted[i][0],
               got ? got : "(nothing)");
    }
    size_t known = 0;
    while (mw_source_name(known))
        known++;
    tap_is_number((long long)known + 1, (long long)count, "every source is tried here");
    mw_report_free(report);
    mw_report_free(empty);
}

static void test_null_sender(void)
{
    struct mw_error error = {0};
    struct mw_tracked_settings settings[] = {one("bounce", "envelope-from"),
                                             one("path", "return-path")};
    struct mw_tracked *tracked = mw_tracked_open(settings, 2, &error);
    struct mw_report *report = mw_report_new();
    report->envelope.from = "";
    struct mw_header *header = mw_list_add(report->arena, &report->headers, sizeof *header);
    *header = (struct mw_header){.name = "Return-Path", .value = "<>"};
    witness(tracked, report);
    tap_is_number((long long)report->new_values.count, 0, "the null sender is no value");
    report->envelope.from = "somebody";
    witness(tracked, report);
    tap_is_number((long long)report->new_values.count, 0,
                  "nor is what stands where an address should, and is none");
    mw_report_free(report);
    mw_tracked_close(tracked);
}

static void test_normal(void)
{
    static const struct {
        enum mw_normal kind;
        bool strip;
        const char *given, *wanted;
    } cases[] = {
        {MW_NORMAL_ADDRESS, false, "  Ana <ANA@Example.Com> ", "ana@example.com"},
        {MW_NORMAL_ADDRESS, false, "ana+news@example.com", "ana+news@example.com"},
        {MW_NORMAL_ADDRESS, true, "ana+news@example.com", "ana@example.com"},
        {MW_NORMAL_ADDRESS, true, "+news@example.com", "+news@example.com"},
        {MW_NORMAL_ADDRESS, false,
         "bob@B\xc3\x9c"
         "CHER.example.",
         "bob@xn--bcher-kva.example"},
        {MW_NORMAL_ADDRESS, false, "bob@XN--BCHER-KVA.example", "bob@xn--bcher-kva.example"},
        {MW_NORMAL_ADDRESS, false, "\xc3\x9cnal@example.com", "\xc3\xbcnal@example.com"},
        {MW_NORMAL_ADDRESS, false,
         "u\xcc\x88nal@example.com"
         "",
         "\xc3\xbcnal@example.com"},
        {MW_NORMAL_ADDRESS, false, "\"ana.b\"@example.com", "ana.b@example.com"},
        {MW_NORMAL_ADDRESS, false, "\"Ana B\"@example.com", "\"ana b\"@example.com"},
        {MW_NORMAL_ADDRESS, false, "ana@[192.0.2.1]", "ana@[192.0.2.1]"},
        {MW_NORMAL_ADDRESS, false, "postmaster", "postmaster"},
        {MW_NORMAL_ADDRESS, false, "\xff\xfe@EXAMPLE.com", "\xff\xfe@example.com"},
        {MW_NORMAL_ADDRESS, false, "<>", ""},
        {MW_NORMAL_DOMAIN, false, "_dmarc.Example.COM.", "_dmarc.example.com"},
        {MW_NORMAL_CASELESS, false, "\xc3\x84RGER.Pdf", "\xc3\xa4rger.pdf"},
        {MW_NORMAL_TEXT, false, "\tAs It Is ", "As It Is"},
    };
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = mw_normalise(arena, cases[i].kind, cases[i].given, cases[i].strip);
        if (!tap_ok(strcmp(got, cases[i].wanted) == 0, "the normal form of '%s'", cases[i].given))
            printf("# got: %s\n", got);
    }
    mw_arena_free(arena);
}

/* The error of a wrong setting. */
static const char *refusal(const struct mw_tracked_settings *settings, size_t count)
{
    static struct mw_error error;
    error = (struct mw_error){0};
    struct mw_tracked *tracked = mw_tracked_open(settings, count, &error);
    mw_tracked_close(tracked);
    return tracked ? "" : error.text;
}

static void test_mistakes(void)
{
    struct mw_tracked_settings wrong = one("wrong", "form"), twice[2];
    tap_ok(strstr(refusal(&wrong, 1), "'form' is no source; did you mean 'from'?"),
           "a wrong source gets the nearest name");
    wrong.source = "colour of the sky";
    tap_ok(strstr(refusal(&wrong, 1), "is none of from, reply-to"), "or all there are");
    wrong.source = "header:";
    tap_ok(strstr(refusal(&wrong, 1), "header:List-Id"), "a header needs a name");
    wrong.source = "from";
    wrong.sync = "sometimes";
    tap_ok(strstr(refusal(&wrong, 1), "always, everysec"), "a wrong sync is told");
    wrong.sync = "everysec";
    wrong.file = path_of("absent/from.filter");
    tap_ok(strstr(refusal(&wrong, 1), "there is no folder ") &&
               strstr(refusal(&wrong, 1), "/absent; make it"),
           "a folder that is not there is named, with what to do");
    twice[0] = one("same", "from");
    twice[1] = twice[0];
    tap_ok(strstr(refusal(twice, 2), "two filters called 'same'"), "names must differ");
    twice[1].name = "other";
    tap_ok(strstr(refusal(twice, 2), "have the same file"), "and files");
    tap_ok(access(twice[0].file, F_OK) != 0, "a set that is refused leaves no file that it made");
    wrong = one("same", "from");
    tap_ok(refusal(&wrong, 1)[0] == '\0', "a filter is made");
    wrong.capacity = 2000;
    tap_ok(strstr(refusal(&wrong, 1), "was made for 1000 values at a rate of 0.001"),
           "a file made for another capacity is told, not made again");
    wrong = one("junk", "from");
    int fd = open(wrong.file, O_WRONLY | O_CREAT, 0600);
    tap_ok(write(fd, "junk", 4) == 4 && strstr(refusal(&wrong, 1), "junk.filter is no filter"),
           "so is another kind of file");
    close(fd);
    struct mw_error error = {0};
    struct stat facts;
    tap_ok(stat(wrong.file, &facts) == 0 && facts.st_size == 4, "which is left as it is");
    struct mw_tracked_settings busy = one("same", "from");
    struct mw_tracked *tracked = mw_tracked_open(&busy, 1, &error);
    tap_ok(strstr(refusal(&busy, 1), "being written by another process"),
           "a file that another daemon writes is told");
    mw_tracked_close(tracked);
    tracked = mw_tracked_open(NULL, 0, &error);
    struct mw_report *report = message("ana@example.com");
    tap_ok(tracked && mw_tracked_learn(tracked, report, NULL, &error) == 0 &&
               report->new_values.count == 0,
           "no filters at all is fine");
    mw_report_free(report);
    mw_tracked_close(tracked);
}

static bool knows(struct mw_tracked *tracked, const char *name)
{
    struct mw_error error = {0};
    bool seen = false;
    return mw_tracked_seen(tracked, name, "ana@example.com", &seen, &error) == 0 && seen;
}

/* As a reload does it: another set beside the one at work. */
static void test_change(void)
{
    struct mw_error error = {0};
    struct mw_tracked_settings stays = one("stays", "from"), comes = one("comes", "from"),
                               goes = one("goes", "from"), cannot = one("cannot", "from");
    struct mw_tracked_settings before[] = {stays, goes};
    struct mw_tracked *tracked = mw_tracked_open(before, 2, &error);
    struct mw_report *report = message("ana@example.com");
    mw_tracked_learn(tracked, report, NULL, &error);
    stays.sync = "always";
    comes.new_for_s = 60;
    struct mw_tracked_settings after[] = {stays, comes};
    struct mw_tracked *next = mw_tracked_prepare(tracked, after, 2, &error);
    tap_ok(next && access(comes.file, F_OK) == 0, "filters are opened beside those at work");
    mw_tracked_abandon(next);
    tap_ok(access(comes.file, F_OK) != 0 && access(stays.file, F_OK) == 0,
           "when they are not wanted after all, what was made for them goes, and nothing else");
    tap_ok(knows(tracked, "stays") && knows(tracked, "goes"), "... and those at work go on");
    cannot.file = path_of("absent/from.filter");
    struct mw_tracked_settings wrong[] = {stays, comes, cannot};
    tap_ok(!mw_tracked_prepare(tracked, wrong, 3, &error) && access(comes.file, F_OK) != 0 &&
               mw_tracked_learn(tracked, report, NULL, &error) == 0,
           "so it is when one of them cannot be opened");
    next = mw_tracked_prepare(tracked, after, 2, &error);
    mw_tracked_replace(next, tracked);
    tap_ok(knows(next, "stays") && !knows(next, "comes"),
           "in their place they know what a file that stays knew");
    tap_ok(mw_tracked_learn(next, report, NULL, &error) == 0 && knows(next, "comes"),
           "... learn, and flush as they are told to now");
    struct mw_tracked *reopened = mw_tracked_open(&goes, 1, &error);
    tap_ok(reopened && knows(reopened, "goes"), "a file that goes is free for others");
    mw_tracked_close(reopened);
    stays.sync = "everysec";
    tracked = mw_tracked_prepare(next, &stays, 1, &error);
    mw_tracked_replace(tracked, next);
    tap_ok(mw_tracked_learn(tracked, report, NULL, &error) == 0, "... and so the other way round");
    mw_tracked_close(tracked);
    mw_report_free(report);
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
    test_witness();
    test_what_teaches();
    test_bound();
    test_recent();
    test_new_for();
    test_sources();
    test_null_sender();
    test_normal();
    test_mistakes();
    test_change();
    remove_all();
    return tap_done();
}
