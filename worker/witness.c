/* witness: parse, hash, and write the report. */
#include "worker/witness.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/clock.h"
#include "core/name.h"
#include "core/utf8.h"
#include "parsers/containers.h"
#include "parsers/indicator.h"
#include "parsers/mime.h"
#include "parsers/text.h"
#include "parsers/tnef.h"
#include "scanners/hash.h"
#include "worker/judge.h"
#include "worker/reuse_entry.h"

enum { FILENAME_LIMIT = 255 };

struct mw_witness {
    struct mw_limits limits;
    struct mw_mime *mime;
    struct mw_text_converters *converters;
    struct mw_hasher *hasher;
    struct mw_indicator *indicator;
    struct mw_scanners *scanners;
    struct mw_sender_filter sender_filter;
    const struct mw_reuse_table *reuse; /* NULL: there is none */
    enum mw_severity ambiguous;
    struct mw_texts may_stay_closed; /* borrowed from the settings, as what is in it */
    enum mw_severity encrypted[MW_ENCRYPTED_KINDS];
    bool message_hashes;
};

MW_LIST_TYPE(known_files, const struct mw_known *);

/* One message under way. */
struct examination {
    struct mw_witness *witness;
    struct mw_report *report;
    struct mw_parse parse;
    struct mw_part *root;
    struct known_files known; /* of each attachment, or NULL */
    GHashTable *by_sha256;    /* SHA-256s of attachments to the first that has it; NULL: none */
    MW_LIST(size_t) firsts;   /* of each attachment the first with the same bytes */
};

static void free_table(void *table)
{
    g_hash_table_destroy(table);
}

struct mw_witness *mw_witness_new(const struct mw_witness_settings *settings,
                                  struct mw_error *error)
{
    struct mw_witness *witness = calloc(1, sizeof *witness);
    if (!witness) {
        mw_fail_errno(error, "cannot prepare a witness");
        return NULL;
    }
    witness->limits = settings->limits;
    witness->sender_filter = settings->sender_filter;
    witness->ambiguous = settings->scan.ambiguous;
    witness->may_stay_closed = settings->scan.may_stay_closed;
    memcpy(witness->encrypted, settings->scan.encrypted, sizeof witness->encrypted);
    witness->message_hashes = settings->scan.message_hashes;
    witness->converters = mw_text_converters_new();
    witness->hasher = mw_hasher_new(error);
    witness->indicator = witness->hasher ? mw_indicator_new(error) : NULL;
    witness->scanners = witness->indicator ? mw_scanners_load(&settings->scan, error) : NULL;
    if (!witness->scanners) {
        mw_witness_free(witness);
        return NULL;
    }
    witness->mime = mw_mime_new();
    return witness;
}

void mw_witness_free(struct mw_witness *witness)
{
    if (!witness)
        return;
    mw_mime_free(witness->mime);
    mw_scanners_free(witness->scanners);
    mw_indicator_free(witness->indicator);
    mw_hasher_free(witness->hasher);
    mw_text_converters_free(witness->converters);
    free(witness);
}

const struct mw_texts *mw_witness_warnings(const struct mw_witness *witness)
{
    return mw_scanners_warnings(witness->scanners);
}

const char *mw_witness_engines(const struct mw_witness *witness, struct mw_arena *arena)
{
    struct mw_engines engines = {0};
    mw_scanners_engines(witness->scanners, arena, &engines);
    char *text = mw_engines_to_json(&engines);
    const char *kept = mw_arena_dup(arena, text ? text : "[]");
    free(text);
    return kept;
}

int mw_witness_start(struct mw_witness *witness, const char *folder, struct mw_error *error)
{
    return mw_scanners_start(witness->scanners, folder, error);
}

void mw_witness_reuse(struct mw_witness *witness, const struct mw_reuse_table *table)
{
    witness->reuse = table;
}

/* What rules are told about the sender: 1, 0, or -1 when nobody knows. */
static int ask_sender(const struct mw_witness *witness, const struct mw_report *report)
{
    const struct mw_sender_filter *filter = &witness->sender_filter;
    const char *address = report->from.count > 0 ? report->from.items[0].address : NULL;
    return filter->is_new && address ? filter->is_new(filter->user, address) : -1;
}

static void add_timing(struct mw_report *report, const char *name, int64_t since)
{
    struct mw_number *timing = mw_list_add(report->arena, &report->timings, sizeof *timing);
    timing->name = name;
    timing->value = mw_clock_us() - since;
}

/* Nobody can say what is in it: a finding of its own. */
static void add_encrypted(struct examination *work, const struct mw_part *part,
                          struct mw_findings *findings)
{
    struct mw_arena *arena = work->report->arena;
    struct mw_finding *found = mw_list_add(arena, findings, sizeof *findings->items);
    const char *name = mw_encrypted_finding(part->encrypted);
    found->scanner = mw_arena_dup_bytes(arena, name, strcspn(name, "."));
    found->name = name;
    found->severity = work->witness->encrypted[part->encrypted];
    found->message = mw_encrypted_sentence(part->encrypted);
    found->path = part->path;
}

/* What of a text nobody can read: it has no entry that could say so. */
static void note_closed_text(struct examination *work, const struct mw_part *part)
{
    if (part->closed == 0)
        return;
    if (part->encrypted)
        add_encrypted(work, part, &work->report->findings);
    if (!mw_judge_trusts(&work->witness->may_stay_closed, part->container, NULL))
        mw_report_problem(work->report, &work->witness->limits, MW_PROBLEM_CONTAINER_NOT_OPENED,
                          part->path, "%s: %s", part->container, part->why);
}

static void set_digests(struct mw_attachment *file, const struct mw_digests *digests)
{
    file->md5 = digests->md5;
    file->sha1 = digests->sha1;
    file->sha256 = digests->sha256;
    file->sha512 = digests->sha512;
}

/* The first attachment with the SHA-256 of the one at index, which may be that itself. Keys
 * are a digest's: nobody can make many that are near each other. */
static size_t first_with(struct examination *work, const char *sha256, size_t index)
{
    if (!work->by_sha256) {
        work->by_sha256 = g_hash_table_new(g_str_hash, g_str_equal);
        mw_arena_own(work->report->arena, free_table, work->by_sha256);
    }
    void *first = NULL;
    if (g_hash_table_lookup_extended(work->by_sha256, sha256, NULL, &first))
        return (size_t)(uintptr_t)first;
    g_hash_table_insert(work->by_sha256, (void *)(uintptr_t)sha256, (void *)(uintptr_t)index);
    return index;
}

/* The other digests of what came in this message already. */
static bool copy_digests(struct examination *work, const struct mw_attachment *file, size_t index,
                         struct mw_digests *digests)
{
    size_t *first = mw_list_add(work->report->arena, &work->firsts, sizeof *first);
    *first = file->data.size > 0 ? first_with(work, digests->sha256, index) : index;
    if (*first == index)
        return false;
    const struct mw_attachment *same = &work->report->attachments.items[*first];
    digests->md5 = same->md5;
    digests->sha1 = same->sha1;
    digests->sha512 = same->sha512;
    return true;
}

/* SHA-256 alone finds what is known, which has the others. */
static void add_digests(struct examination *work, struct mw_attachment *file)
{
    const struct mw_witness *witness = work->witness;
    struct mw_arena *arena = work->report->arena;
    const struct mw_known **known =
        mw_list_add(arena, &work->known, sizeof(const struct mw_known *));
    struct mw_digests digests;
    digests.sha256 = mw_hasher_sha256(witness->hasher, arena, file->data);
    if (copy_digests(work, file, work->report->attachments.count - 1, &digests)) {
        set_digests(file, &digests);
        return;
    }
    if (witness->reuse && file->data.size >= MW_REUSE_LEAST)
        *known = mw_reuse_find(witness->reuse, arena, digests.sha256);
    if (*known) {
        const struct mw_attachment *facts = (*known)->facts;
        digests.md5 = facts->md5;
        digests.sha1 = facts->sha1;
        digests.sha512 = facts->sha512;
    } else {
        mw_hasher_others(witness->hasher, arena, file->data, &digests);
    }
    set_digests(file, &digests);
}

/* Which other reading a part comes from, itself or by what it lies in. */
static const char *reading_of(const struct mw_part *part)
{
    while (part && !part->reading)
        part = part->parent;
    return part ? part->reading : NULL;
}

static void add_attachment(struct examination *work, const struct mw_part *part)
{
    struct mw_report *report = work->report;
    struct mw_attachment *file =
        mw_list_add(report->arena, &report->attachments, sizeof *report->attachments.items);
    file->path = part->path;
    if (part->parent && part->parent->path[0] != '\0')
        file->parent = part->parent->path;
    if (part->filename) {
        file->filename = mw_utf8_safe_filename(report->arena, part->filename, FILENAME_LIMIT);
        if (!file->filename || strcmp(file->filename, part->filename) != 0)
            file->filename_raw = part->filename;
    }
    if (part->names.count > 1)
        file->names = part->names;
    file->reading = reading_of(part);
    file->content_type = part->content_type;
    file->disposition = part->disposition;
    file->description = part->description;
    file->content_id = part->content_id;
    file->encoding = part->encoding;
    file->headers = part->headers;
    file->size = (int64_t)part->data.size;
    file->data = part->data;
    file->verdict = MW_UNSCANNED;
    file->opened = mw_part_state(part);
    if (part->closed > 0)
        file->not_opened = mw_arena_printf(report->arena, "%s: %s", part->container, part->why);
    file->container = part->container;
    file->closed = part->closed;
    if (part->encrypted)
        add_encrypted(work, part, &file->findings);
    add_digests(work, file);
}

/* What was signed is what its reader is shown, in the message's own place. */
static bool is_signed_content(const struct mw_part *part)
{
    return part->encoding && strcmp(part->encoding, "smime") == 0;
}

/* Whether the part belongs to the message itself, not to one attached to it. */
static bool is_own(const struct mw_part *part)
{
    for (const struct mw_part *up = part->parent; up; up = up->parent)
        if (up->kind == MW_PART_MESSAGE && !is_signed_content(up))
            return false;
    return true;
}

/* A body out of winmail.dat, or of another reading, counts only when there is no other. */
static bool is_second_choice(const struct mw_part *part)
{
    return reading_of(part) || (part->parent && part->parent->kind == MW_PART_LEAF);
}

static const struct mw_part *choose_body(const struct examination *work, const char *type)
{
    const struct mw_part *second = NULL;
    for (const struct mw_part *p = work->root; p; p = mw_part_next(p, work->root)) {
        if (!mw_part_is_text(p) || strcmp(p->content_type, type) != 0 || !is_own(p))
            continue;
        if (!is_second_choice(p))
            return p;
        if (!second)
            second = p;
    }
    return second;
}

static void note_charset(struct examination *work, const struct mw_part *part,
                         const struct mw_text *text)
{
    if (text->replaced > 0)
        mw_report_problem(work->report, &work->witness->limits, MW_PROBLEM_TEXT_UNDECODABLE,
                          part->path, "%zu bytes are not valid %s and are shown as U+FFFD",
                          text->replaced, text->charset);
    else if (text->guessed && part->charset)
        mw_report_problem(work->report, &work->witness->limits, MW_PROBLEM_TEXT_CHARSET, part->path,
                          "declared as %s but read as %s", part->charset, text->charset);
}

/* All of a text; what the report keeps of it is another matter. */
static struct mw_bytes decode_text(struct examination *work, const struct mw_part *part,
                                   struct mw_text_part *entry)
{
    struct mw_text text;
    struct mw_bytes data = part->data;
    if (data.size > work->witness->limits.text_length &&
        !mw_parse_take(&work->parse, part->path, data.size))
        data.size = mw_utf8_cut(data, work->witness->limits.text_length);
    mw_text_decode(work->report->arena, data, part->charset, &text);
    note_charset(work, part, &text);
    entry->charset_used = text.charset;
    return mw_bytes_of(text.text);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (mw_ascii_lower(c) >= 'a' && mw_ascii_lower(c) <= 'z');
}

static void add_note(struct examination *work, const struct mw_part *part, const char *name,
                     const char *message)
{
    struct mw_findings *findings = &work->report->findings;
    if (findings->count >= work->witness->limits.findings_per_part)
        return;
    struct mw_finding *found = mw_list_add(work->report->arena, findings, sizeof *found);
    found->scanner = "text";
    found->name = name;
    found->severity = MW_INFO;
    found->message = message;
    found->path = part->path;
}

/* Notes characters that nobody sees: of no width within words, which then are not found by
 * those who look for them, and such as turn the direction of what follows. Joiners between
 * other letters are how some languages spell. */
static void note_hidden(struct examination *work, const struct mw_part *part, struct mw_bytes text)
{
    size_t split = 0, turned = 0;
    for (size_t i = 0; i + 3 < text.size; i++) {
        const unsigned char *at = memchr(text.data + i, 0xE2, text.size - i - 3);
        if (!at)
            break;
        i = (size_t)(at - text.data);
        uint32_t code;
        if (at[1] > 0x81 || mw_utf8_character(mw_bytes_slice(text, i, 4), &code) != 3)
            continue;
        turned += (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
        split += mw_utf8_is_hidden(code) && i > 0 && is_word((char)at[-1]) && is_word((char)at[3]);
    }
    struct mw_arena *arena = work->report->arena;
    if (split > 0)
        add_note(
            work, part, "text.zero_width",
            mw_arena_printf(arena, "%zu words have characters in them that do not show", split));
    if (turned > 0)
        add_note(work, part, "text.direction",
                 mw_arena_printf(arena, "%zu characters change the direction of text", turned));
}

/* What the report keeps of a text. */
static const char *kept(struct examination *work, const struct mw_part *part, struct mw_bytes text)
{
    size_t limit = work->witness->limits.text_length;
    if (text.size <= limit)
        return (const char *)text.data;
    size_t size = mw_utf8_cut(text, limit);
    mw_report_problem(work->report, &work->witness->limits, MW_PROBLEM_LIMIT_TEXT_LENGTH,
                      part->path, "a text of %zu bytes: the first %zu are kept in the report",
                      text.size, size);
    return mw_arena_dup_bytes(work->report->arena, text.data, size);
}

static void add_text(struct examination *work, const struct mw_part *part,
                     const struct mw_part *plain, const struct mw_part *html)
{
    struct mw_report *report = work->report;
    struct mw_text_part *entry =
        mw_list_add(report->arena, &report->text_parts, sizeof *report->text_parts.items);
    entry->path = part->path;
    entry->content_type = part->content_type;
    entry->charset = part->charset;
    entry->size = (int64_t)part->data.size;
    entry->sha256 = mw_hasher_sha256(work->witness->hasher, report->arena, part->data);
    entry->role = part == plain ? "body" : part == html ? "body_html" : "other";
    entry->reading = reading_of(part);
    entry->whole = decode_text(work, part, entry);
    note_closed_text(work, part);
    mw_indicator_find(work->witness->indicator, &work->parse, part->path,
                      (const char *)entry->whole.data);
    note_hidden(work, part, entry->whole);
    const char *text = kept(work, part, entry->whole);
    if (part == plain)
        report->body = text;
    else if (part == html)
        report->body_html = text;
    else
        entry->text = text;
}

/* Whether bytes begin as a message does that came by mail: some mail clients open such a
 * file as one, whatever it is called. */
static bool begins_as_message(struct mw_bytes data)
{
    static const char *const first[] = {
        "return-path:",  "received:", "delivered-to:", "from:",           "date:", "message-id:",
        "mime-version:", "subject:",  "to:",           "dkim-signature:", "x-"};
    size_t known = 0;
    for (size_t at = 0, lines = 0; at < data.size && lines < 60; lines++) {
        struct mw_bytes line = mw_bytes_slice(data, at, mw_bytes_next_line(data, at) - at);
        if (line.data[0] == '\n' || line.data[0] == '\r')
            break;
        if (lines == 0) {
            bool mail = false;
            for (size_t i = 0; i < sizeof first / sizeof *first && !mail; i++)
                mail = mw_bytes_has_prefix_nocase(line, first[i]);
            if (!mail)
                return false;
        }
        known += mw_bytes_has_prefix_nocase(line, "from:") ||
                 mw_bytes_has_prefix_nocase(line, "date:") ||
                 mw_bytes_has_prefix_nocase(line, "subject:") ||
                 mw_bytes_has_prefix_nocase(line, "message-id:") ||
                 mw_bytes_has_prefix_nocase(line, "mime-version:") ||
                 mw_bytes_has_prefix_nocase(line, "content-type:");
        at += line.size;
    }
    return known >= 3;
}

/* A saved message, as out of an archive, or a page saved as one. */
static bool is_message_file(const struct mw_part *part)
{
    static const char *const ends[] = {"eml", "mht", "mhtml"};
    char room[MW_NAME_SIZE];
    const char *extension = mw_name_extension(part->filename, room);
    if (part->data.size == 0 || mw_part_is_text(part))
        return false;
    for (size_t i = 0; extension && i < sizeof ends / sizeof *ends; i++)
        if (strcmp(extension, ends[i]) == 0)
            return true;
    return mw_containers_is_message(part) || begins_as_message(part->data);
}

/* Whether something was unpacked from it already; other readings of it are no such thing. */
static bool is_opened(const struct mw_part *part)
{
    for (const struct mw_part *child = part->first_child; child; child = child->next)
        if (!child->reading)
            return true;
    return false;
}

/* Opens what lies inside parts; children come behind their parent, so the walk
 * reaches what it adds. */
static void unpack(struct examination *work)
{
    for (struct mw_part *p = work->root; p; p = mw_part_next(p, work->root)) {
        if (mw_parse_expired(&work->parse))
            return;
        if (p->kind != MW_PART_LEAF || is_opened(p))
            continue;
        if (mw_tnef_is(p))
            mw_tnef_unpack(&work->parse, p);
        else if (is_message_file(p))
            mw_mime_open(work->witness->mime, &work->parse, p);
        else
            mw_containers_open(&work->parse, p);
    }
}

static void collect(struct examination *work)
{
    mw_indicator_find(work->witness->indicator, &work->parse, "Subject", work->report->subject);
    const struct mw_part *plain = choose_body(work, "text/plain");
    const struct mw_part *html = choose_body(work, "text/html");
    for (const struct mw_part *p = work->root; p; p = mw_part_next(p, work->root)) {
        if (mw_part_is_attachment(p))
            add_attachment(work, p);
        else if (mw_part_is_text(p))
            add_text(work, p, plain, html);
    }
}

static void hash_message(struct examination *work, struct mw_bytes raw)
{
    struct mw_report *report = work->report;
    struct mw_digests digests = {0};
    /* No two copies of a mail have one hash, as each was received at another time: the name
     * it has here is enough, and the other three would cost more than parsing it. */
    if (work->witness->message_hashes)
        mw_hasher_all(work->witness->hasher, report->arena, raw, &digests);
    else
        digests.sha256 = mw_hasher_sha256(work->witness->hasher, report->arena, raw);
    report->md5 = digests.md5;
    report->sha1 = digests.sha1;
    report->sha256 = digests.sha256;
    report->sha512 = digests.sha512;
    report->size = (int64_t)raw.size;
}

struct mw_report *mw_witness_verify(struct mw_witness *witness, const struct mw_report *asked)
{
    struct mw_report *report = mw_report_new();
    const struct mw_attachment *file = &asked->attachments.items[0];
    struct mw_attachment *answer = mw_list_add(report->arena, &report->attachments, sizeof *answer);
    struct mw_digests digests;
    mw_hasher_all(witness->hasher, report->arena, file->data, &digests);
    set_digests(answer, &digests);
    int64_t time_ms = witness->limits.time_ms;
    answer->size = (int64_t)file->data.size;
    answer->data = file->data;
    const struct mw_judge judge = {.scanners = witness->scanners,
                                   .limits = &witness->limits,
                                   .sender_new = -1,
                                   .deadline_us = time_ms > 0 ? mw_clock_us() + time_ms * 1000 : 0};
    mw_judge_by_bytes(&judge, asked, file, report);
    return report;
}

struct mw_report *mw_witness_examine(struct mw_witness *witness, struct mw_bytes raw)
{
    struct mw_report *report = mw_report_new();
    struct examination work = {.witness = witness, .report = report};
    int64_t start = mw_clock_us();
    report->verdict = MW_UNSCANNED;
    hash_message(&work, raw);
    add_timing(report, "hash_us", start);
    if (raw.size > witness->limits.message_size) {
        mw_report_problem(report, &witness->limits, MW_PROBLEM_LIMIT_MESSAGE_SIZE, NULL,
                          "%zu bytes are more than the %zu allowed: not opened", raw.size,
                          witness->limits.message_size);
        mw_texts_add(report->arena, &report->unscanned, "the message is too large");
        return report;
    }
    int64_t parse_start = mw_clock_us();
    mw_parse_start(&work.parse, report, &witness->limits, raw.size);
    work.parse.ambiguous = witness->ambiguous;
    work.root = mw_mime_parse(witness->mime, &work.parse, raw);
    if (raw.size == 0)
        mw_report_problem(report, &witness->limits, MW_PROBLEM_MESSAGE_EMPTY, NULL,
                          "the message is empty");
    unpack(&work);
    add_timing(report, "parse_us", parse_start);
    int64_t collect_start = mw_clock_us();
    collect(&work);
    add_timing(report, "collect_us", collect_start);
    int64_t scan_start = mw_clock_us();
    const struct mw_judge judge = {.scanners = witness->scanners,
                                   .limits = &witness->limits,
                                   .sender_new = ask_sender(witness, report),
                                   .deadline_us = work.parse.deadline_us,
                                   .known = work.known.items,
                                   .firsts = work.firsts.items,
                                   .may_stay_closed = &witness->may_stay_closed,
                                   .unpack_most = mw_parse_scan_most(&work.parse)};
    mw_judge(&judge, report, raw);
    add_timing(report, "scan_us", scan_start);
    add_timing(report, "total_us", start);
    return report;
}
