/* mime_fields: what the message's own header fields mean. */
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "parsers/encoded_word.h"
#include "parsers/mime_private.h"
#include "parsers/received.h"

static const char *clean(struct mw_arena *arena, const char *text)
{
    return text ? mw_utf8_clean_line(arena, mw_bytes_of(text), NULL) : NULL;
}

struct address_walk {
    struct mw_mime *mime;
    struct mw_parse *parse;
    const char *header;
    struct mw_addresses *addresses;
};

static struct mw_address *add_address(struct address_walk *walk)
{
    const struct mw_limits *limits = walk->parse->limits;
    if (walk->addresses->count >= limits->address_count) {
        mw_report_problem(walk->parse->report, limits, MW_PROBLEM_LIMIT_ADDRESS_COUNT, walk->header,
                          "more than %zu addresses: the rest is left out", limits->address_count);
        return NULL;
    }
    return mw_list_add(walk->parse->report->arena, walk->addresses, sizeof(struct mw_address));
}

static const char *display_name(struct address_walk *walk, InternetAddress *address)
{
    const char *name = internet_address_get_name(address);
    if (!name || !*name)
        return NULL;
    return clean(walk->parse->report->arena, name);
}

/* Adds a list's mailboxes; false when the limit is reached. */
static bool add_mailboxes(struct address_walk *walk, InternetAddressList *list, const char *group)
{
    int count = list ? internet_address_list_length(list) : 0;
    for (int i = 0; i < count; i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);
        if (INTERNET_ADDRESS_IS_GROUP(address)) {
            const char *name = display_name(walk, address);
            InternetAddressList *members =
                internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address));
            if (members && internet_address_list_length(members) > 0) {
                if (!group && !add_mailboxes(walk, members, name))
                    return false;
                continue;
            }
            struct mw_address *empty = add_address(walk);
            if (!empty)
                return false;
            empty->group = name ? name : "";
            continue;
        }
        struct mw_address *mailbox = add_address(walk);
        if (!mailbox)
            return false;
        mailbox->name = display_name(walk, address);
        mailbox->address =
            clean(walk->parse->report->arena,
                  internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address)));
        mailbox->group = group;
    }
    return true;
}

/* A list of addresses for GMime to split: its encoded words are decoded before,
 * quoted, so that a comma in one splits nothing. */
static const char *list_source(struct mw_arena *arena, const struct mw_header *header)
{
    if (!header->raw || !strstr(header->raw, "=?"))
        return header->value;
    return mw_encoded_words(arena, mw_mime_unfold_text(arena, header->raw, NULL), true, NULL);
}

/* Every field of this name: a second From is a trick worth seeing whole. */
static void parse_addresses(struct mw_mime *mime, struct mw_parse *parse, const char *name,
                            struct mw_addresses *addresses)
{
    struct mw_report *report = parse->report;
    for (size_t i = 0; i < report->headers.count; i++) {
        const struct mw_header *header = &report->headers.items[i];
        if (strcasecmp(header->name, name) != 0)
            continue;
        struct address_walk walk = {mime, parse, name, addresses};
        size_t before = addresses->count;
        InternetAddressList *list =
            internet_address_list_parse(mime->options, list_source(report->arena, header));
        bool room = add_mailboxes(&walk, list, NULL);
        if (list)
            g_object_unref(list);
        if (!room)
            return;
        if (addresses->count == before && *header->value) {
            struct mw_address *unparsed = add_address(&walk);
            if (unparsed)
                unparsed->name = header->value;
        }
    }
}

/* What stands between angle brackets, whatever its form: ids are compared as
 * they were written. Without brackets, what GMime makes of it. */
static const char *id_of(struct mw_arena *arena, const char *value)
{
    const char *open = strchr(value, '<'), *close = open ? strchr(open, '>') : NULL;
    if (close && close > open + 1)
        return mw_arena_dup_bytes(arena, open + 1, (size_t)(close - open) - 1);
    char *id = g_mime_utils_decode_message_id(value);
    const char *text = clean(arena, id);
    g_free(id);
    return text && *text ? text : (*value ? value : NULL);
}

static void parse_references(struct mw_parse *parse, const char *value, struct mw_texts *texts)
{
    if (!value)
        return;
    struct mw_arena *arena = parse->report->arena;
    GMimeReferences *references = g_mime_references_parse(NULL, value);
    int count = references ? g_mime_references_length(references) : 0;
    for (int i = 0; i < count && texts->count < parse->limits->address_count; i++)
        mw_texts_add(arena, texts, clean(arena, g_mime_references_get_message_id(references, i)));
    if (references)
        g_mime_references_free(references);
}

/* A zone glued to the time, as in "12:00+0100": GMime wants a blank between. */
static const char *with_zone_apart(struct mw_arena *arena, const char *value)
{
    size_t size = strlen(value), zone = strcspn(value, "+");
    if (zone == size && strrchr(value, '-'))
        zone = (size_t)(strrchr(value, '-') - value);
    bool glued = zone > 2 && zone + 5 <= size && strspn(value + zone + 1, "0123456789") == 4 &&
                 value[zone - 1] >= '0' && value[zone - 1] <= '9' &&
                 memchr(value + zone - 3, ':', 3);
    if (!glued)
        return value;
    return mw_arena_printf(arena, "%.*s %s", (int)zone, value, value + zone);
}

static const char *format_date(struct mw_arena *arena, const char *value)
{
    if (!value || !*value)
        return NULL;
    value = with_zone_apart(arena, value);
    GDateTime *date = g_mime_utils_header_decode_date(value);
    if (!date)
        return NULL;
    char *text = g_date_time_format(date, "%Y-%m-%dT%H:%M:%S%:z");
    g_date_time_unref(date);
    const char *copy = clean(arena, text);
    g_free(text);
    return copy;
}

static void parse_hops(struct mw_parse *parse)
{
    struct mw_report *report = parse->report;
    for (size_t i = 0; i < report->headers.count; i++) {
        const struct mw_header *header = &report->headers.items[i];
        if (strcasecmp(header->name, "Received") != 0)
            continue;
        struct mw_hop *hop = mw_list_add(report->arena, &report->hops, sizeof *hop);
        mw_received_parse(report->arena, header->value, hop);
        hop->date = format_date(report->arena, hop->date);
    }
}

void mw_mime_fields(struct mw_mime *mime, struct mw_parse *parse)
{
    struct mw_report *report = parse->report;
    const struct {
        const char *name;
        struct mw_addresses *addresses;
    } lists[] = {
        {"From", &report->from}, {"Sender", &report->sender}, {"Reply-To", &report->reply_to},
        {"To", &report->to},     {"Cc", &report->cc},         {"Bcc", &report->bcc},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        parse_addresses(mime, parse, lists[i].name, lists[i].addresses);
    report->subject = mw_report_header(report, "Subject");
    report->date_given = mw_report_header(report, "Date");
    report->date = format_date(report->arena, report->date_given);
    if (report->date_given && !report->date)
        mw_report_problem(report, parse->limits, MW_PROBLEM_HEADER_DATE, "Date",
                          "is not a date: %s", report->date_given);
    const char *id = mw_report_header(report, "Message-ID");
    report->message_id = id ? id_of(report->arena, id) : NULL;
    parse_references(parse, mw_report_header(report, "In-Reply-To"), &report->in_reply_to);
    parse_references(parse, mw_report_header(report, "References"), &report->references);
    parse_hops(parse);
}
