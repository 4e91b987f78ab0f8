/* export_ecs: which member goes to which field. */
#include "cli/export_ecs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "core/name.h"

/* Sets object.name unless there is nothing to set; takes value. */
static void put(json_t *object, const char *name, json_t *value)
{
    bool empty = !value || json_is_null(value) ||
                 (json_is_array(value) && json_array_size(value) == 0) ||
                 (json_is_object(value) && json_object_size(value) == 0);
    if (empty)
        json_decref(value);
    else
        json_object_set_new(object, name, value);
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text && *text)
        put(object, name, json_string(text));
}

/* Adds text to an array once. */
static void add_once(json_t *array, const char *text)
{
    size_t i;
    const json_t *item;
    if (!text || !*text)
        return;
    json_array_foreach(array, i, item)
    {
        if (strcmp(json_string_value(item), text) == 0)
            return;
    }
    json_array_append_new(array, json_string(text));
}

static json_t *texts(const struct mw_texts *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

static void put_addresses(json_t *email, const char *name, const struct mw_addresses *list)
{
    json_t *field = json_object(), *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        add_once(array, list->items[i].address);
    put(field, "address", array);
    put(email, name, field);
}

static json_t *attachment(const struct mw_attachment *file)
{
    json_t *hash = json_object(), *facts = json_object(), *entry = json_object();
    put_text(hash, "md5", file->md5);
    put_text(hash, "sha1", file->sha1);
    put_text(hash, "sha256", file->sha256);
    put_text(hash, "sha512", file->sha512);
    put_text(hash, "ssdeep", file->fuzzy);
    put(facts, "hash", hash);
    put_text(facts, "name", file->filename);
    char room[MW_NAME_SIZE];
    const char *name = file->filename_raw ? file->filename_raw : file->filename;
    put_text(facts, "extension", mw_name_extension(name, room));
    put_text(facts, "mime_type", file->file_type ? file->file_type : file->content_type);
    put(facts, "size", json_integer(file->size));
    put(entry, "file", facts);
    return entry;
}

static json_t *email(const struct mw_report *report)
{
    json_t *object = json_object(), *attachments = json_array();
    for (size_t i = 0; i < report->attachments.count; i++)
        json_array_append_new(attachments, attachment(&report->attachments.items[i]));
    put(object, "attachments", attachments);
    put_addresses(object, "from", &report->from);
    put_addresses(object, "to", &report->to);
    put_addresses(object, "cc", &report->cc);
    put_addresses(object, "bcc", &report->bcc);
    put_addresses(object, "reply_to", &report->reply_to);
    if (report->sender.count > 0) {
        json_t *sender = json_object();
        put_text(sender, "address", report->sender.items[0].address);
        put(object, "sender", sender);
    }
    put_text(object, "content_type", mw_report_header(report, "content-type"));
    put_text(object, "delivery_timestamp", report->received);
    put_text(object, "local_id", report->id);
    put_text(object, "message_id", report->message_id);
    put_text(object, "origination_timestamp", report->date);
    put_text(object, "subject", report->subject);
    put_text(object, "x_mailer", mw_report_header(report, "x-mailer"));
    return object;
}

static const char *outcome(const struct mw_report *report)
{
    return report->verdict == MW_UNSCANNED ? "unknown" : "success";
}

static json_t *event(const struct mw_report *report)
{
    json_t *object = json_object(), *categories = json_array(), *types = json_array();
    bool alert = mw_verdict_is_bad(report->verdict);
    bool refused = report->action == MW_ACTION_REJECT || report->action == MW_ACTION_DISCARD;
    json_array_append_new(categories, json_string("email"));
    if (report->verdict == MW_MALICIOUS)
        json_array_append_new(categories, json_string("malware"));
    json_array_append_new(types, json_string("info"));
    if (refused)
        json_array_append_new(types, json_string("denied"));
    put_text(object, "kind", alert ? "alert" : "event");
    put(object, "category", categories);
    put(object, "type", types);
    put_text(object, "module", "mailwitness");
    put_text(object, "dataset", "mailwitness.message");
    put_text(object, "id", report->id);
    put_text(object, "created", report->received);
    put_text(object, "action", mw_action_name(report->action));
    put_text(object, "outcome", outcome(report));
    /* ECS leaves its scale open; ours is the rank of the verdicts. */
    put(object, "severity", json_integer(mw_verdict_rank(report->verdict)));
    for (size_t i = 0; i < report->timings.count; i++)
        if (strcmp(report->timings.items[i].name, "total_us") == 0)
            put(object, "duration", json_integer(report->timings.items[i].value * 1000));
    return object;
}

static void add_all(json_t *array, const struct mw_texts *list)
{
    for (size_t i = 0; i < list->count; i++)
        add_once(array, list->items[i]);
}

static void add_addresses(json_t *array, const struct mw_addresses *list)
{
    for (size_t i = 0; i < list->count; i++)
        add_once(array, list->items[i].address);
}

static json_t *related(const struct mw_report *report)
{
    json_t *object = json_object(), *hashes = json_array(), *addresses = json_array();
    json_t *hosts = json_array(), *users = json_array();
    for (size_t i = 0; i < report->attachments.count; i++) {
        add_once(hashes, report->attachments.items[i].sha256);
        add_once(hashes, report->attachments.items[i].md5);
    }
    add_once(addresses, report->client.address);
    add_all(addresses, &report->indicators.ipv4);
    add_all(addresses, &report->indicators.ipv6);
    add_once(hosts, report->client.name);
    add_all(hosts, &report->indicators.domains);
    add_addresses(users, &report->from);
    add_addresses(users, &report->to);
    add_all(users, &report->envelope.to);
    put(object, "hash", hashes);
    put(object, "ip", addresses);
    put(object, "hosts", hosts);
    put(object, "user", users);
    return object;
}

static json_t *finding(const struct mw_finding *found)
{
    json_t *object = json_object();
    put_text(object, "scanner", found->scanner);
    put_text(object, "name", found->name);
    put_text(object, "severity", mw_severity_name(found->severity));
    put_text(object, "message", found->message);
    put_text(object, "path", found->path);
    return object;
}

static void add_findings(json_t *list, json_t *names, const struct mw_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        json_array_append_new(list, finding(&findings->items[i]));
        if (findings->items[i].severity != MW_INFO)
            add_once(names, findings->items[i].name);
    }
}

static json_t *fate(const struct mw_fate *one)
{
    json_t *object = json_object();
    put_text(object, "address", one->address);
    if (one->action != MW_ACTION_NONE)
        put_text(object, "action", mw_action_name(one->action));
    if (one->intended != MW_ACTION_NONE)
        put_text(object, "intended", mw_action_name(one->intended));
    put_text(object, "by", one->by);
    put_text(object, "moved_to", one->moved_to);
    put_text(object, "added_for", one->added_for);
    return object;
}

/* What is ours alone; names of rules go to names as well. */
static json_t *own(const struct mw_report *report, json_t *names)
{
    json_t *object = json_object(), *findings = json_array(), *errors = json_array();
    json_t *fresh = json_object(), *envelope = json_object();
    add_findings(findings, names, &report->findings);
    for (size_t i = 0; i < report->attachments.count; i++)
        add_findings(findings, names, &report->attachments.items[i].findings);
    for (size_t i = 0; i < report->errors.count; i++)
        add_once(errors, report->errors.items[i].name);
    for (size_t i = 0; i < report->new_values.count; i++)
        put(fresh, report->new_values.items[i].name,
            json_boolean(report->new_values.items[i].value));
    put_text(envelope, "from", report->envelope.from);
    put(envelope, "to", texts(&report->envelope.to));
    put_text(object, "verdict", mw_verdict_name(report->verdict));
    put_text(object, "decided_by", report->decided_by);
    if (report->recipients.count > 0) {
        json_t *fates = json_array();
        for (size_t i = 0; i < report->recipients.count; i++)
            json_array_append_new(fates, fate(&report->recipients.items[i]));
        put(object, "recipients", fates);
    }
    put_text(object, "queue_id", report->queue_id);
    put_text(object, "helo", report->helo);
    put_text(object, "login", report->auth.name);
    put_text(object, "source", report->source);
    put_text(object, "sha256", report->sha256);
    put(object, "size", json_integer(report->size));
    put(object, "envelope", envelope);
    put(object, "findings", findings);
    put(object, "unscanned", texts(&report->unscanned));
    put(object, "errors", errors);
    put(object, "new", fresh);
    put(object, "urls", texts(&report->indicators.urls));
    return object;
}

/* "TLSv1.3" is the version 1.3 of the protocol tls. */
static json_t *tls(const struct mw_tls *facts)
{
    static const char prefix[] = "TLSv";
    bool usual = strncmp(facts->version, prefix, strlen(prefix)) == 0;
    json_t *object = json_object();
    put_text(object, "version", facts->version + (usual ? strlen(prefix) : 0));
    put_text(object, "version_protocol", usual ? "tls" : NULL);
    put_text(object, "cipher", facts->cipher);
    return object;
}

json_t *mw_ecs_of(const struct mw_report *report)
{
    json_t *document = json_object(), *client = json_object(), *rule = json_object();
    json_t *names = json_array();
    put_text(document, "@timestamp", report->received ? report->received : report->date);
    put(document, "ecs", json_pack("{s:s}", "version", "8.11.0"));
    put(document, "event", event(report));
    put(document, "email", email(report));
    put_text(client, "ip", report->client.address);
    put_text(client, "domain", report->client.name);
    if (report->client.port > 0)
        put(client, "port", json_integer(report->client.port));
    put(document, "client", client);
    if (report->tls.version)
        put(document, "tls", tls(&report->tls));
    put(document, "related", related(report));
    put(document, "mailwitness", own(report, names));
    put(rule, "name", names);
    put(document, "rule", rule);
    return document;
}

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    return mw_json_line(state, mw_ecs_of(report), error);
}

static int print_end(void *state, struct mw_error *error)
{
    return fflush(state) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

static void keep(void *state)
{
    (void)state; /* the stream is the caller's */
}

struct mw_printer mw_printer_ecs(FILE *out)
{
    return (struct mw_printer){print_report, print_end, keep, out};
}
