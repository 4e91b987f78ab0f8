/* match: lists of globs against one value, one finding, one attachment. */
#include "milter/match.h"

#include <fnmatch.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "core/name.h"

/* Whether one item of a list, without its "!", fits a value. */
typedef bool item_fits(const char *item, const void *value);

static bool list_fits(const struct mw_texts *list, item_fits *fits, const void *value)
{
    bool hit = false, wanted = false;
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items[i];
        bool excluded = item[0] == '!', one = fits(item + excluded, value);
        if (one && excluded)
            return false;
        hit = hit || one;
        wanted = wanted || !excluded;
    }
    return hit || !wanted;
}

static bool text_fits(const char *glob, const void *value)
{
    return value && fnmatch(glob, value, FNM_CASEFOLD) == 0;
}

/* "<>" is the null sender. */
static bool address_fits(const char *glob, const void *value)
{
    const char *address = value;
    return address &&
           (address[0] == '\0' && strcmp(glob, "<>") == 0 ? true : text_fits(glob, value));
}

/* The domain of the address; ".example.com" is all below one. */
static bool domain_fits(const char *glob, const void *value)
{
    const char *at = value ? strrchr(value, '@') : NULL, *domain = at ? at + 1 : NULL;
    if (!domain || glob[0] != '.')
        return text_fits(glob, domain);
    size_t size = strlen(domain), tail = strlen(glob);
    return size > tail && text_fits(glob, domain + size - tail);
}

static bool name_is(const char *item, const void *value)
{
    return strcasecmp(item, value) == 0;
}

int mw_match_networks_read(struct mw_match_networks *networks, const struct mw_texts *texts,
                           struct mw_arena *arena, struct mw_error *error)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct mw_match_network *one = mw_list_add(arena, networks, sizeof *networks->items);
        one->excluded = texts->items[i][0] == '!';
        int code = mw_network_parse(&one->network, texts->items[i] + one->excluded, error);
        if (code != 0)
            return code;
    }
    return 0;
}

bool mw_match_networks_have(const struct mw_match_networks *networks, const char *address)
{
    bool hit = false, wanted = false;
    for (size_t i = 0; i < networks->count; i++) {
        bool one = mw_network_has(&networks->items[i].network, address);
        if (one && networks->items[i].excluded)
            return false;
        hit = hit || one;
        wanted = wanted || !networks->items[i].excluded;
    }
    return hit || !wanted;
}

/* Whether the finding's details have this tag; they are JSON that a worker wrote. */
static bool tag_fits(const char *glob, const void *value)
{
    const struct mw_finding *finding = value;
    json_t *details = finding->details ? json_loads(finding->details, 0, NULL) : NULL;
    const json_t *tags = json_object_get(details, "tags");
    bool fits = false;
    for (size_t i = 0; i < json_array_size(tags) && !fits; i++)
        fits = text_fits(glob, json_string_value(json_array_get(tags, i)));
    json_decref(details);
    return fits;
}

bool mw_match_finding(const struct mw_config_when *when, const struct mw_finding *finding)
{
    return list_fits(&when->severity, name_is, mw_severity_name(finding->severity)) &&
           list_fits(&when->scanner, text_fits, finding->scanner) &&
           list_fits(&when->signature, text_fits, finding->name) &&
           list_fits(&when->tag, tag_fits, finding);
}

static bool some_finding_fits(const struct mw_config_when *when, const struct mw_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (mw_match_finding(when, &findings->items[i]))
            return true;
    return false;
}

static bool findings_fit(const struct mw_config_when *when, const struct mw_report *report)
{
    bool asked =
        when->scanner.count + when->signature.count + when->tag.count + when->severity.count > 0;
    if (!asked || some_finding_fits(when, &report->findings))
        return true;
    for (size_t i = 0; i < report->attachments.count; i++)
        if (some_finding_fits(when, &report->attachments.items[i].findings))
            return true;
    return false;
}

static const char *name_of(const struct mw_attachment *file)
{
    return file->filename_raw ? file->filename_raw : file->filename;
}

static bool name_fits(const char *glob, const char *name)
{
    char effective[MW_NAME_SIZE];
    return text_fits(glob, name) ||
           (mw_name_effective(name, effective)[0] && text_fits(glob, effective));
}

/* Any of its names, as it is shown, as it came, or as the system that opens it takes it. */
static bool file_name_fits(const char *glob, const void *value)
{
    const struct mw_attachment *file = value;
    bool fits = text_fits(glob, file->filename) || name_fits(glob, name_of(file));
    for (size_t i = 0; !fits && i < file->names.count; i++)
        fits = name_fits(glob, file->names.items[i]);
    return fits;
}

static bool extension_fits(const char *glob, const void *value)
{
    const struct mw_attachment *file = value;
    char room[MW_NAME_SIZE];
    bool fits = text_fits(glob, mw_name_extension(name_of(file), room));
    for (size_t i = 0; !fits && i < file->names.count; i++)
        fits = text_fits(glob, mw_name_extension(file->names.items[i], room));
    return fits;
}

static bool type_fits(const char *glob, const void *value)
{
    const struct mw_attachment *file = value;
    return text_fits(glob, file->content_type) || text_fits(glob, file->file_type);
}

bool mw_match_asks_attachments(const struct mw_config_when *when)
{
    return when->attachment_name.count + when->attachment_extension.count +
               when->attachment_type.count >
           0;
}

bool mw_match_attachment(const struct mw_config_when *when, const struct mw_attachment *file)
{
    return list_fits(&when->attachment_name, file_name_fits, file) &&
           list_fits(&when->attachment_extension, extension_fits, file) &&
           list_fits(&when->attachment_type, type_fits, file);
}

static bool attachments_fit(const struct mw_config_when *when, const struct mw_report *report)
{
    if (!mw_match_asks_attachments(when))
        return true;
    for (size_t i = 0; i < report->attachments.count; i++)
        if (mw_match_attachment(when, &report->attachments.items[i]))
            return true;
    return false;
}

/* A filter that could not tell makes neither "from" nor "!from" true. */
static bool new_fits(const struct mw_texts *list, const struct mw_flags *known)
{
    bool hit = false, wanted = false;
    for (size_t i = 0; i < list->count; i++) {
        bool excluded = list->items[i][0] == '!', is_new = false, is_known = false;
        for (size_t j = 0; j < known->count; j++)
            if (strcasecmp(known->items[j].name, list->items[i] + excluded) == 0)
                *(known->items[j].value ? &is_new : &is_known) = true;
        if (excluded && !is_known)
            return false;
        hit = hit || (!excluded && is_new);
        wanted = wanted || !excluded;
    }
    return hit || !wanted;
}

static bool from_fits(const struct mw_texts *list, item_fits *fits,
                      const struct mw_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (list_fits(list, fits, addresses->items[i].address))
            return true;
    return list->count == 0 || (addresses->count == 0 && list_fits(list, fits, NULL));
}

static bool senders_fit(const struct mw_config_when *when, const struct mw_report *report)
{
    return list_fits(&when->sender, address_fits, report->envelope.from) &&
           list_fits(&when->sender_domain, domain_fits, report->envelope.from) &&
           from_fits(&when->from, address_fits, &report->from) &&
           from_fits(&when->from_domain, domain_fits, &report->from);
}

bool mw_match_names_failure(const struct mw_config_when *when, enum mw_failure failure)
{
    for (size_t i = 0; i < when->failure.count; i++)
        if (strcasecmp(when->failure.items[i], "any") == 0 ||
            strcasecmp(when->failure.items[i], mw_failure_name(failure)) == 0)
            return true;
    return false;
}

static bool failure_fits(const char *item, const void *value)
{
    mw_failures failures = *(const mw_failures *)value;
    if (strcasecmp(item, "any") == 0)
        return failures != 0;
    for (enum mw_failure i = 0; i < MW_FAILURE_COUNT; i++)
        if (failures & mw_failure_bit(i) && strcasecmp(item, mw_failure_name(i)) == 0)
            return true;
    return false;
}

static bool maybe_fits(unsigned maybe, bool is)
{
    return maybe == MW_ANY || (maybe == MW_YES) == is;
}

static bool size_fits(const struct mw_config_when *when, int64_t size)
{
    uint64_t bytes = size > 0 ? (uint64_t)size : 0;
    return (when->size_above == 0 || bytes > when->size_above) &&
           (when->size_below == 0 || bytes < when->size_below);
}

static bool connection_fits(const struct mw_config_when *when,
                            const struct mw_match_networks *clients, const struct mw_report *report)
{
    return maybe_fits(when->authenticated, report->auth.name != NULL) &&
           maybe_fits(when->tls, report->tls.version != NULL) &&
           mw_match_networks_have(clients, report->client.address) &&
           list_fits(&when->client_name, text_fits, report->client.name) &&
           list_fits(&when->login, text_fits, report->auth.name) &&
           list_fits(&when->daemon, text_fits, report->daemon.name);
}

bool mw_match_message_fits(const struct mw_config_when *when,
                           const struct mw_match_networks *clients,
                           const struct mw_match_message *message)
{
    const struct mw_report *report = message->facts->report;
    bool direction = when->direction == MW_ANY_DIRECTION ||
                     (when->direction == MW_OUTBOUND) == message->outbound;
    return direction && connection_fits(when, clients, report) && size_fits(when, report->size) &&
           list_fits(&when->verdict, name_is, mw_verdict_name(report->verdict)) &&
           list_fits(&when->failure, failure_fits, &message->failures) &&
           new_fits(&when->is_new, &report->new_values) && senders_fit(when, report) &&
           attachments_fit(when, report) && findings_fit(when, report);
}

bool mw_match_recipient_fits(const struct mw_config_when *when, const char *recipient)
{
    if (!recipient)
        return when->recipient.count + when->recipient_domain.count == 0;
    return list_fits(&when->recipient, address_fits, recipient) &&
           list_fits(&when->recipient_domain, domain_fits, recipient);
}
