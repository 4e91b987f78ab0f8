/* source: the table of sources. */
#include "bloom/source.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/suggest.h"
#include "core/url.h"

/* Where collected values go. */
struct basket {
    struct mw_arena *arena;
    struct mw_texts *values;
    bool addresses; /* wanted: what has no @ is none, though it stands where one should */
};

static void put(struct basket *basket, const char *value)
{
    if (value && *value && (!basket->addresses || strchr(value, '@')))
        mw_texts_add(basket->arena, basket->values, value);
}

static void put_addresses(struct basket *basket, const struct mw_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        put(basket, addresses->items[i].address);
}

static void put_texts(struct basket *basket, const struct mw_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        put(basket, texts->items[i]);
}

static void put_domain(struct basket *basket, const char *address)
{
    const char *at = address ? strrchr(address, '@') : NULL;
    put(basket, at ? at + 1 : NULL);
}

static void put_header(struct basket *basket, const struct mw_report *report, const char *name)
{
    for (size_t i = 0; i < report->headers.count; i++)
        if (strcasecmp(report->headers.items[i].name, name) == 0)
            put(basket, report->headers.items[i].value);
}

#define COLLECT(function)                                                                          \
    static void function(const struct mw_report *report, struct basket *basket)

COLLECT(from)
{
    put_addresses(basket, &report->from);
}

COLLECT(reply_to)
{
    put_addresses(basket, &report->reply_to);
}

COLLECT(sender)
{
    put_addresses(basket, &report->sender);
}

COLLECT(return_path)
{
    put_header(basket, report, "Return-Path");
}

COLLECT(to)
{
    put_addresses(basket, &report->to);
}

COLLECT(cc)
{
    put_addresses(basket, &report->cc);
}

COLLECT(envelope_from)
{
    put(basket, report->envelope.from);
}

COLLECT(envelope_to)
{
    put_texts(basket, &report->envelope.to);
}

COLLECT(sender_domain)
{
    for (size_t i = 0; i < report->from.count; i++)
        put_domain(basket, report->from.items[i].address);
}

COLLECT(envelope_domain)
{
    put_domain(basket, report->envelope.from);
}

COLLECT(client)
{
    put(basket, report->client.address);
}

COLLECT(client_name)
{
    put(basket, report->client.name);
}

COLLECT(helo)
{
    put(basket, report->helo);
}

COLLECT(message_id)
{
    put(basket, report->message_id);
}

COLLECT(attachment_sha256)
{
    for (size_t i = 0; i < report->attachments.count; i++)
        put(basket, report->attachments.items[i].sha256);
}

COLLECT(filename)
{
    for (size_t i = 0; i < report->attachments.count; i++)
        put(basket, report->attachments.items[i].filename);
}

COLLECT(url)
{
    put_texts(basket, &report->indicators.urls);
}

COLLECT(url_host)
{
    for (size_t i = 0; i < report->indicators.urls.count; i++)
        put(basket, mw_url_host(basket->arena, report->indicators.urls.items[i]));
}

COLLECT(domain)
{
    put_texts(basket, &report->indicators.domains);
}

static const struct {
    const char *name;
    enum mw_normal normal;
    bool body; /* is in bodies and attachments */
    void (*collect)(const struct mw_report *report, struct basket *basket);
} sources[] = {
    {"from", MW_NORMAL_ADDRESS, false, from},
    {"reply-to", MW_NORMAL_ADDRESS, false, reply_to},
    {"sender", MW_NORMAL_ADDRESS, false, sender},
    {"return-path", MW_NORMAL_ADDRESS, false, return_path},
    {"to", MW_NORMAL_ADDRESS, false, to},
    {"cc", MW_NORMAL_ADDRESS, false, cc},
    {"envelope-from", MW_NORMAL_ADDRESS, false, envelope_from},
    {"envelope-to", MW_NORMAL_ADDRESS, false, envelope_to},
    {"sender-domain", MW_NORMAL_DOMAIN, false, sender_domain},
    {"envelope-domain", MW_NORMAL_DOMAIN, false, envelope_domain},
    {"client", MW_NORMAL_CASELESS, false, client},
    {"client-name", MW_NORMAL_DOMAIN, false, client_name},
    {"helo", MW_NORMAL_DOMAIN, false, helo},
    {"message-id", MW_NORMAL_TEXT, false, message_id},
    {"attachment-sha256", MW_NORMAL_CASELESS, true, attachment_sha256},
    {"filename", MW_NORMAL_CASELESS, true, filename},
    {"url", MW_NORMAL_TEXT, true, url},
    {"url-host", MW_NORMAL_DOMAIN, true, url_host},
    {"domain", MW_NORMAL_DOMAIN, true, domain},
};
enum { SOURCES = sizeof sources / sizeof *sources, HEADER = SOURCES };

static const char header_prefix[] = "header:";

static int unknown(const char *name, struct mw_error *error)
{
    const char *names[SOURCES + 1];
    char all[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < SOURCES && used < sizeof all; i++) {
        names[i] = sources[i].name;
        used += (size_t)snprintf(all + used, sizeof all - used, "%s, ", names[i]);
    }
    names[SOURCES] = "header:NAME";
    const char *near = mw_suggest(name, names, SOURCES + 1);
    if (near)
        return mw_fail(error, MW_ERR_INPUT, "'%s' is no source; did you mean '%s'?", name, near);
    return mw_fail(error, MW_ERR_INPUT, "'%s' is none of %sheader:NAME", name, all);
}

/* RFC 5322 section 2.2: printable ASCII but for the colon. */
static bool is_field_name(const char *name)
{
    size_t size = 0;
    while (name[size] > ' ' && name[size] < 127 && name[size] != ':')
        size++;
    return size > 0 && name[size] == '\0';
}

int mw_source_find(struct mw_source *source, const char *name, struct mw_error *error)
{
    *source = (struct mw_source){0};
    for (unsigned i = 0; i < SOURCES; i++)
        if (strcasecmp(sources[i].name, name) == 0) {
            source->kind = i;
            return 0;
        }
    size_t prefix = sizeof header_prefix - 1;
    if (strncasecmp(name, header_prefix, prefix) != 0)
        return unknown(name, error);
    if (!is_field_name(name + prefix))
        return mw_fail(error, MW_ERR_INPUT,
                       "'%s' names no header field; it is written as in header:List-Id", name);
    *source = (struct mw_source){HEADER, name + prefix};
    return 0;
}

enum mw_normal mw_source_normal(const struct mw_source *source)
{
    return source->kind == HEADER ? MW_NORMAL_TEXT : sources[source->kind].normal;
}

bool mw_source_needs_body(const struct mw_source *source)
{
    return source->kind != HEADER && sources[source->kind].body;
}

void mw_source_collect(const struct mw_source *source, const struct mw_report *report,
                       struct mw_arena *arena, struct mw_texts *values)
{
    struct basket basket = {arena, values, mw_source_normal(source) == MW_NORMAL_ADDRESS};
    if (source->kind == HEADER)
        put_header(&basket, report, source->header);
    else
        sources[source->kind].collect(report, &basket);
}

const char *mw_source_name_of(const struct mw_source *source)
{
    return source->kind == HEADER ? "header" : sources[source->kind].name;
}

const char *mw_source_name(size_t index)
{
    return index < SOURCES ? sources[index].name : NULL;
}
