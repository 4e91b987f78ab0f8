/*
 * made_up: a report as a message of about 4 KB gives, for tests and benches of the store.
 * The same number gives the same message but for its id.
 */
#ifndef MW_T_UNIT_MADE_UP_H
#define MW_T_UNIT_MADE_UP_H

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "core/id.h"
#include "core/report.h"

enum { MADE_UP_SMALL = 3000, MADE_UP_LARGE = 100000, MADE_UP_SENDERS = 50, MADE_UP_CAMPAIGN = 10 };

static inline const char *made_up_hash(struct mw_arena *arena, const EVP_MD *kind,
                                       struct mw_bytes bytes)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(bytes.data, bytes.size, hash, &size, kind, NULL);
    char *text = mw_arena_alloc(arena, 2 * size + 1);
    for (unsigned i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

static inline void made_up_header(struct mw_report *report, const char *name, const char *value)
{
    struct mw_header *header = mw_list_add(report->arena, &report->headers, sizeof *header);
    header->name = name;
    header->value = value;
}

static inline void made_up_address(struct mw_report *report, struct mw_addresses *list,
                                   const char *name, const char *address)
{
    struct mw_address *one = mw_list_add(report->arena, list, sizeof *one);
    one->name = name;
    one->address = address;
}

/* Words that look like text, other ones for each seed. */
static inline const char *made_up_text(struct mw_arena *arena, long seed, size_t size)
{
    static const char *const words[] = {
        "invoice", "please", "the",   "attached", "regards", "meeting", "we",      "would",
        "order",   "find",   "for",   "payment",  "account", "to",      "confirm", "document",
        "monday",  "office", "today", "delivery", "thanks",  "your",    "number",  "shipment"};
    char *text = mw_arena_alloc(arena, size + 16);
    unsigned long state = (unsigned long)seed * 2654435761u + 1;
    size_t used = 0;
    while (used < size) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const char *word = words[(state >> 33) % 24];
        used += (size_t)snprintf(text + used, 16, "%s%s", word, (state >> 60) ? " " : "\n");
    }
    text[size] = '\0';
    return text;
}

static inline void made_up_attachment(struct mw_report *report, const char *path, long seed,
                                      size_t size)
{
    struct mw_arena *arena = report->arena;
    struct mw_attachment *one = mw_list_add(arena, &report->attachments, sizeof *one);
    struct mw_bytes data = {(const void *)made_up_text(arena, seed, size), size};
    one->path = path;
    one->parent = "1";
    one->filename = mw_arena_printf(arena, "Report-%ld.pdf", seed % 1000);
    one->content_type = "application/pdf";
    one->file_type = "application/pdf";
    one->disposition = "attachment";
    one->encoding = "base64";
    one->size = (int64_t)size;
    one->md5 = made_up_hash(arena, EVP_md5(), data);
    one->sha1 = made_up_hash(arena, EVP_sha1(), data);
    one->sha256 = made_up_hash(arena, EVP_sha256(), data);
    one->sha512 = made_up_hash(arena, EVP_sha512(), data);
    one->data = data;
}

static inline void made_up_headers(struct mw_report *report, long number)
{
    struct mw_arena *arena = report->arena;
    made_up_header(
        report, "Received",
        mw_arena_printf(arena,
                        "from mail%ld.example.net (mail%ld.example.net [192.0.2.%ld]) by "
                        "mx.example.org (Postfix) with ESMTPS id 4XyZ%06ld for "
                        "<user%ld@example.org>; Mon, 02 Nov 2026 10:00:00 +0000 (UTC)",
                        number % 9, number % 9, number % 200, number, number % 30));
    made_up_header(report, "DKIM-Signature",
                   mw_arena_printf(arena,
                                   "v=1; a=rsa-sha256; d=example.net; s=s1; h=from:to; bh=%s; "
                                   "b=%s%s",
                                   report->md5, report->sha256, report->sha512));
    made_up_header(report, "From", report->from.items[0].address);
    made_up_header(report, "To", report->to.items[0].address);
    made_up_header(report, "Subject", report->subject);
    made_up_header(report, "Date", "Mon, 02 Nov 2026 10:00:00 +0000");
    made_up_header(report, "Message-ID", mw_arena_printf(arena, "<%s>", report->message_id));
    made_up_header(report, "MIME-Version", "1.0");
    made_up_header(report, "Content-Type", "multipart/mixed; boundary=\"b\"");
    made_up_header(report, "X-Mailer", "Example Mail 7.1");
}

static inline void made_up_times(struct mw_report *report, struct mw_id_source *ids)
{
    char id[MW_ID_SIZE], text[40];
    uint64_t ms = 0;
    struct tm utc;
    mw_id_next(ids, id);
    mw_id_parse(id, &ms);
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    report->id = mw_arena_dup(report->arena, id);
    report->received = mw_arena_printf(report->arena, "%s.%03uZ", text, (unsigned)(ms % 1000));
    report->date = mw_arena_printf(report->arena, "%sZ", text);
}

static inline struct mw_report *made_up_report(struct mw_id_source *ids, long number)
{
    struct mw_report *report = mw_report_new();
    struct mw_arena *arena = report->arena;
    made_up_times(report, ids);
    report->client.address = mw_arena_printf(arena, "192.0.2.%ld", number % 200);
    report->client.name = mw_arena_printf(arena, "mail%ld.example.net", number % 9);
    report->helo = report->client.name;
    report->queue_id = mw_arena_printf(arena, "4XyZ%06ldq", number);
    report->envelope.from =
        mw_arena_printf(arena, "sender%ld@example.net", number % MADE_UP_SENDERS);
    mw_texts_add(arena, &report->envelope.to,
                 mw_arena_printf(arena, "user%ld@example.org", number % 30));
    made_up_address(report, &report->from, "Sender", report->envelope.from);
    made_up_address(report, &report->to, "User", report->envelope.to.items[0]);
    report->subject = mw_arena_printf(arena, "Invoice %ld for your order of last week", number);
    report->message_id = mw_arena_printf(arena, "%ld.20261102.abcdef@mail.example.net", number);
    report->body = made_up_text(arena, number, 1500);
    struct mw_bytes body = mw_bytes_of(report->body);
    report->size = 4096;
    report->md5 = made_up_hash(arena, EVP_md5(), body);
    report->sha1 = made_up_hash(arena, EVP_sha1(), body);
    report->sha256 = made_up_hash(arena, EVP_sha256(), body);
    report->sha512 = made_up_hash(arena, EVP_sha512(), body);
    made_up_headers(report, number);
    mw_texts_add(arena, &report->indicators.urls,
                 mw_arena_printf(arena, "https://www.example.com/order/%ld", number));
    mw_texts_add(arena, &report->indicators.domains, "www.example.com");
    report->action = MW_ACTION_ACCEPT;
    report->intended = MW_ACTION_TAG;
    report->decided_by = "milter.clean";
    struct mw_fate *fate =
        mw_list_add(arena, &report->recipients, sizeof *report->recipients.items);
    *fate = (struct mw_fate){.address = report->envelope.to.items[0],
                             .action = MW_ACTION_ACCEPT,
                             .intended = MW_ACTION_TAG,
                             .by = report->decided_by};
    /* One in ten carries something large that others carry too. */
    if (number % MADE_UP_CAMPAIGN == 0)
        made_up_attachment(report, "1.2", -number / 100 - 1, MADE_UP_LARGE);
    else if (number % 2 == 0)
        made_up_attachment(report, "1.2", number, MADE_UP_SMALL);
    return report;
}

#endif
