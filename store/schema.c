/* schema: the commands of one message, in one transaction. */
#include "store/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/id.h"
#include "core/learn.h"
#include "core/utf8.h"
#include "store/schema_private.h"

/* Of a fact in a hash or an event: longer ones are in the report. */
enum { FACT_MOST = 1000, TRIM_ONE_IN = 32, KEY_WORDS = 2, MOST_NAMES = 100 };

/*
 * What must look before it writes: what a later scan raised, or what was done after all,
 * stays; one event for each message; the earliest and latest time of senders and
 * attachments, facts of the latest scan only, and not more names than are kept.
 * KEYS: message, events, verdict's index, then senders and attachments. ARGV: time, id,
 * score, most events, most names, "1" when this is what was done after all; then groups of
 * words, each behind its number: what the scan said, what was done, the event; then for each
 * sender or attachment the facts, the names, and what holds bytes that are not kept, with the
 * key those would have.
 */
const char mw_schema_script[] =
    "local time, id, at = ARGV[1], ARGV[2], 7\n"
    "local function group()\n"
    "  local from, n = at + 1, tonumber(ARGV[at])\n"
    "  at = from + n\n"
    "  return from, at - 1, n\n"
    "end\n"
    "local from, to, n = group()\n"
    "if redis.call('HEXISTS', KEYS[1], 'rescanned') == 0 then\n"
    "  redis.call('HSET', KEYS[1], unpack(ARGV, from, to))\n"
    "  redis.call('ZADD', KEYS[3], ARGV[3], id)\n"
    "end\n"
    "from, to, n = group()\n"
    "if ARGV[6] == '1' then\n"
    "  redis.call('HDEL', KEYS[1], 'intended', 'recipients')\n"
    "  redis.call('HSET', KEYS[1], 'corrected', '1', unpack(ARGV, from, to))\n"
    "elseif n > 0 and redis.call('HEXISTS', KEYS[1], 'corrected') == 0 then\n"
    "  redis.call('HSET', KEYS[1], unpack(ARGV, from, to))\n"
    "end\n"
    "from, to, n = group()\n"
    "if n > 0 and redis.call('HEXISTS', KEYS[1], 'event') == 0 then\n"
    "  local event = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*',\n"
    "                           unpack(ARGV, from, to))\n"
    "  redis.call('HSET', KEYS[1], 'event', event)\n"
    "end\n"
    "for k = 4, #KEYS do\n"
    "  from, to, n = group()\n"
    "  local old = redis.call('HMGET', KEYS[k], 'first_seen', 'last_seen', 'scanned', 'message')\n"
    "  if not old[1] or time < old[1] then redis.call('HSET', KEYS[k], 'first_seen', time) end\n"
    "  if not old[2] or time > old[2] then redis.call('HSET', KEYS[k], 'last_seen', time) end\n"
    "  if n > 0 and (not old[3] or old[3] < time or\n"
    "                (old[3] == time and (old[4] or '') <= id)) then\n"
    "    redis.call('HSET', KEYS[k], 'scanned', time, 'message', id, unpack(ARGV, from, to))\n"
    "  end\n"
    "  from, to, n = group()\n"
    "  local names = KEYS[k] .. ':names'\n"
    "  if n > 0 and redis.call('SCARD', names) + n <= tonumber(ARGV[5]) then\n"
    "    redis.call('SADD', names, unpack(ARGV, from, to))\n"
    "  end\n"
    "  from, to, n = group()\n"
    "  if n > 0 and redis.call('EXISTS', ARGV[to]) == 0 then\n"
    "    redis.call('HSET', KEYS[k], 'data', ARGV[from])\n"
    "  end\n"
    "end\n"
    "return 1\n";

/* The commands being made. */
struct writing {
    struct mw_flight *flight;
    struct mw_arena *arena;
    const struct mw_schema_message *message;
    const char *prefix, *key, *score, *received; /* key: the message's */
    int64_t now_ms;                              /* by the older clock */
    int64_t trims_ms; /* from which times are counted back to what is trimmed; 0: not this time */
    unsigned version;
    MW_LIST(struct mw_bytes) words;
};

/* As %lld. */
static const char *decimal(struct mw_arena *arena, int64_t value)
{
    enum { MOST = 24 };
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *text = mw_arena_alloc_raw(arena, MOST), *at = text + MOST - 1;
    *at = '\0';
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    return at;
}

/* --- small helpers ------------------------------------------------------------------------ */

static void word(struct writing *writing, struct mw_bytes bytes)
{
    struct mw_bytes *next =
        mw_list_add(writing->arena, &writing->words, sizeof *writing->words.items);
    *next = bytes;
}

static void text(struct writing *writing, const char *value)
{
    word(writing, mw_bytes_of(value));
}

static void number(struct writing *writing, int64_t value)
{
    text(writing, decimal(writing->arena, value));
}

static void send(struct writing *writing)
{
    mw_flight_words(writing->flight, writing->words.items, writing->words.count);
    writing->words.count = 0;
}

/* Text in a hash: cut where it is very long. */
static struct mw_bytes cut(const char *value)
{
    struct mw_bytes bytes = mw_bytes_of(value);
    return mw_bytes_slice(bytes, 0, mw_utf8_cut(bytes, FACT_MOST));
}

/* A field and its value; nothing when there is no value. */
static void fact(struct writing *writing, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    text(writing, name);
    word(writing, cut(value));
}

static void fact_number(struct writing *writing, const char *name, int64_t value)
{
    text(writing, name);
    number(writing, value);
}

static void expire(struct writing *writing, const char *key, unsigned seconds)
{
    if (seconds > 0)
        mw_flight_add(writing->flight, "EXPIRE", key, decimal(writing->arena, seconds), NULL);
}

/* For keys that belong to this message: gone at a time that does not move, told as what is
 * left until then, as our clock and Redis' need not agree. Comes behind all that writes the
 * key: else one that is gone already would be begun anew, and stay. */
static void expire_with_message(struct writing *writing, const char *key)
{
    unsigned keep = writing->message->settings->keep_messages_s;
    int64_t left = writing->message->time_ms / 1000 + keep - writing->now_ms / 1000;
    left = left > (int64_t)keep ? keep : left < 1 ? 1 : left;
    if (keep > 0)
        mw_flight_add(writing->flight, "EXPIRE", key, decimal(writing->arena, left), NULL);
}

/* Entries older than they are kept, now and then. */
static void trim(struct writing *writing, const char *key, unsigned keep_s)
{
    int64_t oldest = writing->trims_ms - (int64_t)keep_s * 1000;
    if (writing->trims_ms > 0 && keep_s > 0)
        mw_flight_add(writing->flight, "ZREMRANGEBYSCORE", key, "-inf",
                      decimal(writing->arena, oldest), NULL);
}

/* An index entry of this message, and now and then old ones trimmed off. */
static void index_entry(struct writing *writing, const char *key, unsigned keep_s)
{
    mw_flight_add(writing->flight, "ZADD", key, writing->score, writing->message->report->id, NULL);
    trim(writing, key, keep_s);
    expire(writing, key, keep_s);
}

/* --- facts as text ---------------------------------------------------------------------------- */

static const char *join(struct mw_arena *arena, const char *list, const char *more)
{
    if (!more || !*more)
        return list;
    return *list ? mw_arena_printf(arena, "%s, %s", list, more) : more;
}

static const char *addresses(struct mw_arena *arena, const struct mw_addresses *list)
{
    const char *joined = "";
    for (size_t i = 0; i < list->count && strlen(joined) < FACT_MOST; i++)
        joined = join(arena, joined, list->items[i].address);
    return joined;
}

static const char *texts(struct mw_arena *arena, const struct mw_texts *list)
{
    const char *joined = "";
    for (size_t i = 0; i < list->count && strlen(joined) < FACT_MOST; i++)
        joined = join(arena, joined, list->items[i]);
    return joined;
}

const char *mw_schema_findings(struct mw_arena *arena, const struct mw_findings *findings)
{
    const char *joined = "";
    for (size_t i = 0; i < findings->count && strlen(joined) < FACT_MOST; i++) {
        const struct mw_finding *one = &findings->items[i];
        joined = join(arena, joined,
                      mw_arena_printf(arena, "%s/%s=%s", one->scanner, one->name,
                                      mw_severity_name(one->severity)));
    }
    return joined;
}

static const char *all_findings(struct mw_arena *arena, const struct mw_report *report)
{
    const char *joined = mw_schema_findings(arena, &report->findings);
    for (size_t i = 0; i < report->attachments.count && strlen(joined) < FACT_MOST; i++)
        joined =
            join(arena, joined, mw_schema_findings(arena, &report->attachments.items[i].findings));
    return joined;
}

static const char *new_names(struct mw_arena *arena, const struct mw_flags *flags)
{
    const char *joined = "";
    for (size_t i = 0; i < flags->count; i++)
        if (flags->items[i].value)
            joined = join(arena, joined, flags->items[i].name);
    return joined;
}

/* The null sender is written as mail servers do. */
static const char *envelope_from(const struct mw_report *report)
{
    const char *from = report->envelope.from;
    return from && !*from ? "<>" : from;
}

/* --- the message's own keys ----------------------------------------------------------------------
 */

static void message_facts(struct writing *writing)
{
    const struct mw_report *report = writing->message->report;
    struct mw_arena *arena = writing->arena;
    fact(writing, "received", writing->received);
    fact(writing, "queue_id", report->queue_id);
    fact(writing, "client", report->client.address);
    fact(writing, "client_name", report->client.name);
    fact(writing, "helo", report->helo);
    fact(writing, "tls", report->tls.version);
    fact(writing, "login", report->auth.name);
    fact(writing, "envelope_from", envelope_from(report));
    fact(writing, "envelope_to", texts(arena, &report->envelope.to));
    fact(writing, "from", addresses(arena, &report->from));
    fact(writing, "to", addresses(arena, &report->to));
    fact(writing, "subject", report->subject);
    fact(writing, "date", report->date);
    fact(writing, "message_id", report->message_id);
    fact_number(writing, "size", report->size);
    fact(writing, "sha256", report->sha256);
    fact_number(writing, "attachments", (int64_t)report->attachments.count);
    fact(writing, "new", new_names(arena, &report->new_values));
    fact(writing, "unscanned", texts(arena, &report->unscanned));
}

static void write_message(struct writing *writing)
{
    bool plain = writing->message->json.size > 0 && writing->message->json.data[0] == '{';
    text(writing, "HSET");
    text(writing, writing->key);
    message_facts(writing);
    fact(writing, "report_form", plain ? "json" : "json+zstd");
    text(writing, "report");
    word(writing, writing->message->json);
    send(writing);
}

static void write_attachment_list(struct writing *writing)
{
    const struct mw_attachments *attachments = &writing->message->report->attachments;
    const char *key = mw_schema_join(writing->arena, writing->key, ":attachments", NULL);
    text(writing, "RPUSH");
    text(writing, key);
    for (size_t i = 0; i < attachments->count; i++)
        if (attachments->items[i].sha256)
            text(writing, attachments->items[i].sha256);
    if (writing->words.count > KEY_WORDS) {
        mw_flight_add(writing->flight, "DEL", key, NULL);
        send(writing);
        expire_with_message(writing, key); /* nothing else writes it */
    }
    writing->words.count = 0;
}

/* --- attachments
 * ------------------------------------------------------------------------------------ */

static bool has_bytes(const struct mw_schema_message *message, size_t index)
{
    const struct mw_store_settings *settings = message->settings;
    const struct mw_attachment *one = &message->report->attachments.items[index];
    return settings->data && one->sha256 && one->data.size > 0 &&
           one->data.size <= settings->data_max && !(message->holders && message->holders[index]);
}

bool mw_schema_asks(const struct mw_schema_message *message, size_t index)
{
    return has_bytes(message, index) &&
           message->report->attachments.items[index].data.size >= MW_SCHEMA_LARGE;
}

void mw_schema_ask(struct mw_flight *flight, struct mw_arena *arena,
                   const struct mw_store_settings *settings, const struct mw_attachment *one)
{
    const char *key = mw_schema_join(arena, settings->prefix, "data:", one->sha256, NULL);
    /* EXPIRE answers 1 when the key is there, and renews its time with that. */
    if (settings->keep_data_s > 0)
        mw_flight_add(flight, "EXPIRE", key, decimal(arena, settings->keep_data_s), NULL);
    else
        mw_flight_add(flight, "EXISTS", key, NULL);
}

static void write_data(struct writing *writing, const struct mw_attachment *one,
                       struct mw_squeezer *squeezer)
{
    const struct mw_store_settings *settings = writing->message->settings;
    struct mw_arena *arena = writing->arena;
    struct mw_bytes bytes = one->data, squeezed;
    bool small = settings->compression > 0 &&
                 mw_squeeze(squeezer, (int)settings->compression, bytes, &squeezed);
    text(writing, "SET");
    text(writing, mw_schema_join(arena, writing->prefix, "data:", one->sha256, NULL));
    word(writing, small ? squeezed : bytes);
    if (settings->keep_data_s > 0) {
        text(writing, "EX");
        number(writing, settings->keep_data_s);
    }
    send(writing);
    mw_flight_add(writing->flight, "HSET",
                  mw_schema_join(arena, writing->prefix, "attachment:", one->sha256, NULL), "data",
                  small ? "zstd" : "plain", NULL);
}

/* Whether the same bytes were an attachment before this one. */
static bool is_repeated(const struct mw_attachments *attachments, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (attachments->items[i].sha256 &&
            strcmp(attachments->items[i].sha256, attachments->items[index].sha256) == 0)
            return true;
    return false;
}

static void write_attachment(struct writing *writing, size_t index, struct mw_squeezer *squeezer)
{
    const struct mw_store_settings *settings = writing->message->settings;
    const struct mw_attachments *attachments = &writing->message->report->attachments;
    const struct mw_attachment *one = &attachments->items[index];
    struct mw_arena *arena = writing->arena;
    const char *key = mw_schema_join(arena, writing->prefix, "attachment:", one->sha256, NULL);
    unsigned keep = settings->keep_attachments_s;
    if (is_repeated(attachments, index))
        return;
    index_entry(writing, mw_schema_join(arena, key, ":messages", NULL),
                mw_schema_keep_indexes(settings));
    const char *all = mw_schema_join(arena, writing->prefix, "attachments", NULL);
    mw_flight_add(writing->flight, "ZADD", all, "GT", writing->score, one->sha256, NULL);
    trim(writing, all, keep);
    expire(writing, all, keep);
    bool known = writing->message->known && writing->message->known[index];
    if (has_bytes(writing->message, index) && !known)
        write_data(writing, one, squeezer);
}

/* --- the script's words
 * -------------------------------------------------------------------------------- */

/* A group of words behind its number, which is filled in when the group is ended. */
static size_t begin_group(struct writing *writing)
{
    text(writing, "");
    return writing->words.count - 1;
}

static void end_group(struct writing *writing, size_t at)
{
    writing->words.items[at] =
        mw_bytes_of(decimal(writing->arena, (int64_t)(writing->words.count - at - 1)));
}

static void findings_json(struct writing *writing, const struct mw_findings *findings)
{
    char *json = mw_findings_to_json(findings);
    text(writing, "findings_json");
    text(writing, json ? mw_arena_dup(writing->arena, json) : "[]");
    free(json);
}

/* Those of the message and of all that is in it. */
static void all_findings_json(struct writing *writing)
{
    const struct mw_report *report = writing->message->report;
    struct mw_findings all = {0};
    for (size_t i = 0; i < report->findings.count; i++) {
        struct mw_finding *one = mw_list_add(writing->arena, &all, sizeof *one);
        *one = report->findings.items[i];
    }
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *part = &report->attachments.items[i];
        for (size_t k = 0; k < part->findings.count; k++) {
            struct mw_finding *one = mw_list_add(writing->arena, &all, sizeof *one);
            *one = part->findings.items[k];
            one->path = one->path ? one->path : part->path;
        }
    }
    if (all.count > 0)
        findings_json(writing, &all);
}

static void scan_facts(struct writing *writing)
{
    const struct mw_report *report = writing->message->report;
    text(writing, "verdict");
    text(writing, mw_verdict_name(report->verdict));
    text(writing, "findings");
    word(writing, cut(all_findings(writing->arena, report)));
    if (writing->version >= 2)
        all_findings_json(writing);
}

/* Whether the report was saved again, as the mail server did not take what was decided. */
static bool is_corrected(const struct mw_report *report)
{
    return report->decided_by && strcmp(report->decided_by, MW_DECIDED_ANEW) == 0;
}

static void action_facts(struct writing *writing)
{
    const struct mw_report *report = writing->message->report;
    fact(writing, "action", mw_action_name(report->action));
    if (report->intended != MW_ACTION_NONE)
        fact(writing, "intended", mw_action_name(report->intended));
    fact(writing, "decided_by", report->decided_by);
    if (writing->version >= 3)
        fact(writing, "recipients", mw_fates_text(writing->arena, report, ", "));
}

/* All fields, also empty ones: a stream keeps the names once while they are the same. */
static void event_fields(struct writing *writing)
{
    const struct mw_report *report = writing->message->report;
    struct mw_arena *arena = writing->arena;
    const char *hashes = "";
    for (size_t i = 0; i < report->attachments.count && strlen(hashes) < FACT_MOST; i++)
        hashes = join(arena, hashes, report->attachments.items[i].sha256);
    const char *const fields[][2] = {
        {"id", report->id},
        {"queue_id", report->queue_id},
        {"client", report->client.address},
        {"envelope_from", envelope_from(report)},
        {"envelope_to", texts(arena, &report->envelope.to)},
        {"from", addresses(arena, &report->from)},
        {"subject", report->subject},
        {"message_id", report->message_id},
        {"verdict", mw_verdict_name(report->verdict)},
        {"action", mw_action_name(report->action)},
        {"findings", all_findings(arena, report)},
        {"new", new_names(arena, &report->new_values)},
        {"attachments", hashes},
    };
    enum { FIELDS = sizeof fields / sizeof *fields };
    bool wanted = writing->message->settings->events_max > 0;
    for (size_t i = 0; wanted && i < FIELDS; i++) {
        text(writing, fields[i][0]);
        word(writing, cut(fields[i][1]));
    }
    if (wanted && writing->version >= 2)
        all_findings_json(writing);
}

static void attachment_facts(struct writing *writing, const struct mw_attachment *one)
{
    fact(writing, "name", one->filename);
    fact(writing, "type", one->file_type ? one->file_type : one->content_type);
    fact_number(writing, "size", one->size);
    fact(writing, "md5", one->md5);
    fact(writing, "sha1", one->sha1);
    fact(writing, "fuzzy", one->fuzzy);
    fact(writing, "verdict", mw_verdict_name(one->verdict));
    fact(writing, "unscanned", one->unscanned);
    /* Always there: what a scan found must not outlive a later one that did not. */
    text(writing, "findings");
    word(writing, cut(mw_schema_findings(writing->arena, &one->findings)));
    if (writing->version >= 2)
        findings_json(writing, &one->findings);
    if (writing->version >= 4) {
        text(writing, "opened");
        text(writing, mw_opened_names[one->opened]);
        text(writing, "not_opened");
        word(writing, cut(one->not_opened));
    }
}

static void attachment_name(struct writing *writing, size_t first, const char *name)
{
    bool wanted = name && *name;
    for (size_t k = first; wanted && k < writing->words.count; k++)
        wanted = strcmp((const char *)writing->words.items[k].data, name) != 0;
    if (wanted && writing->words.count - first < MOST_NAMES)
        text(writing, name);
}

/* All names that the same bytes have in this message, to whatever client, each once. */
static void attachment_names(struct writing *writing, size_t index)
{
    const struct mw_attachments *attachments = &writing->message->report->attachments;
    const char *hash = attachments->items[index].sha256;
    size_t first = writing->words.count;
    for (size_t i = index; i < attachments->count; i++) {
        const struct mw_attachment *one = &attachments->items[i];
        if (!one->sha256 || strcmp(one->sha256, hash) != 0)
            continue;
        attachment_name(writing, first, one->filename);
        for (size_t k = 0; k < one->names.count; k++)
            attachment_name(writing, first, one->names.items[k]);
    }
}

/* What holds bytes that are not kept, and the key they would have. */
static void attachment_holder(struct writing *writing, size_t index)
{
    const char *const *holders = writing->message->holders;
    const char *hash = writing->message->report->attachments.items[index].sha256;
    if (writing->version < 2 || !holders || !holders[index] || !*holders[index])
        return;
    text(writing, mw_schema_join(writing->arena, "in ", holders[index], NULL));
    text(writing, mw_schema_join(writing->arena, writing->prefix, "data:", hash, NULL));
}

static const char *sender_key(const struct writing *writing, const char *address)
{
    return mw_schema_join(writing->arena, writing->prefix,
                          "sender:", mw_index_value(writing->arena, MW_INDEX_FROM, address), NULL);
}

/* Keys whose times the script looks after: senders, then attachments. */
static size_t script_keys(struct writing *writing, size_t *senders)
{
    const struct mw_report *report = writing->message->report;
    size_t before = writing->words.count;
    bool learns = mw_learns_from(report);
    for (size_t i = 0; learns && i < report->from.count && i < MW_LEARN_MOST; i++)
        if (report->from.items[i].address && *report->from.items[i].address)
            text(writing, sender_key(writing, report->from.items[i].address));
    *senders = writing->words.count - before;
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *one = &report->attachments.items[i];
        if (one->sha256 && !is_repeated(&report->attachments, i))
            text(writing,
                 mw_schema_join(writing->arena, writing->prefix, "attachment:", one->sha256, NULL));
    }
    return writing->words.count - before;
}

static void script_groups(struct writing *writing, size_t senders)
{
    const struct mw_attachments *attachments = &writing->message->report->attachments;
    void (*const groups[])(struct writing *) = {scan_facts, action_facts, event_fields};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        size_t group = begin_group(writing);
        groups[i](writing);
        end_group(writing, group);
    }
    for (size_t i = 0; i < 3 * senders; i++)
        text(writing, "0");
    for (size_t i = 0; i < attachments->count; i++) {
        if (!attachments->items[i].sha256 || is_repeated(attachments, i))
            continue;
        size_t group = begin_group(writing);
        attachment_facts(writing, &attachments->items[i]);
        end_group(writing, group);
        group = begin_group(writing);
        attachment_names(writing, i);
        end_group(writing, group);
        group = begin_group(writing);
        attachment_holder(writing, i);
        end_group(writing, group);
    }
}

static void write_script(struct writing *writing)
{
    enum { COUNT_AT = 2, FIXED = 3 };
    const struct mw_store_settings *settings = writing->message->settings;
    const struct mw_report *report = writing->message->report;
    struct mw_arena *arena = writing->arena;
    const char *verdict_key =
        mw_index_key(arena, writing->prefix, MW_INDEX_VERDICT, mw_verdict_name(report->verdict));
    unsigned keep = settings->keep_attachments_s, keep_indexes = mw_schema_keep_indexes(settings);
    size_t senders;
    text(writing, "EVALSHA");
    text(writing, writing->message->script_hash);
    text(writing, "");
    text(writing, writing->key);
    text(writing, mw_schema_join(arena, writing->prefix, "events", NULL));
    text(writing, verdict_key);
    size_t keys = script_keys(writing, &senders);
    struct mw_bytes *first = &writing->words.items[COUNT_AT + 1 + FIXED];
    struct mw_bytes *kept = mw_arena_alloc(arena, keys * sizeof *kept + 1);
    if (keys > 0)
        memcpy(kept, first, keys * sizeof *kept);
    writing->words.items[COUNT_AT] = mw_bytes_of(mw_arena_printf(arena, "%zu", keys + FIXED));
    text(writing, writing->received);
    text(writing, report->id);
    text(writing, writing->score);
    number(writing, settings->events_max);
    number(writing, MW_SCHEMA_NAMES);
    text(writing, is_corrected(report) ? "1" : "0");
    script_groups(writing, senders);
    send(writing);
    for (size_t i = 0; i < keys; i++) {
        const char *key = (const char *)kept[i].data;
        expire(writing, key, i < senders ? keep_indexes : keep);
        if (i >= senders && keep > 0)
            expire(writing, mw_schema_join(arena, key, ":names", NULL), keep);
    }
    trim(writing, verdict_key, keep_indexes);
    expire(writing, verdict_key, keep_indexes);
    if (settings->events_max > 0)
        expire(writing, mw_schema_join(arena, writing->prefix, "events", NULL),
               settings->keep_messages_s);
}

/* --- all of it
 * -------------------------------------------------------------------------------------------- */

unsigned mw_schema_keep_indexes(const struct mw_store_settings *settings)
{
    return settings->keep_indexes_s > 0 ? settings->keep_indexes_s : settings->keep_messages_s;
}

int mw_schema_version(const char *text, unsigned *version, struct mw_error *error)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *version = (unsigned)number;
    if (end != text && *end == '\0' && number >= 1 && number <= MW_SCHEMA_VERSION)
        return 0;
    return mw_fail(error, MW_ERR_FORMAT,
                   "what Redis keeps is of version '%.20s', and this program knows those up to %d: "
                   "use a newer mailwitness here too",
                   text, MW_SCHEMA_VERSION);
}

int mw_schema_check(struct mw_schema_message *message, struct mw_error *error)
{
    uint64_t ms;
    const char *id = message->report->id;
    if (!id || !mw_id_parse(id, &ms))
        return mw_fail(error, MW_ERR_INPUT,
                       "a report with the id '%s' cannot be stored: it is "
                       "no UUID of version 7",
                       id ? id : "");
    message->time_ms = (int64_t)ms;
    return 0;
}

/* --- bytes that are not kept -------------------------------------------------------------------
 */

static const size_t NOT_UNPACKED = SIZE_MAX;

static size_t bytes_of(const struct mw_attachment *one)
{
    return one->sha256 && one->size > 0 ? (size_t)one->size : 0;
}

/* The attachment that the index-th was unpacked from. Mostly it stands shortly before. */
static size_t parent_of(const struct mw_attachments *attachments, size_t index)
{
    const char *parent = attachments->items[index].parent;
    for (size_t i = index; parent && i > 0; i--)
        if (attachments->items[i - 1].path && attachments->items[i - 1].sha256 &&
            strcmp(attachments->items[i - 1].path, parent) == 0)
            return i - 1;
    return NOT_UNPACKED;
}

static size_t all_bytes(const struct mw_store_settings *settings, const struct mw_report *report)
{
    size_t all = 0;
    for (size_t i = 0; i < report->attachments.count; i++)
        if (bytes_of(&report->attachments.items[i]) <= settings->data_max)
            all += bytes_of(&report->attachments.items[i]);
    return all;
}

const char *const *mw_schema_holders(struct mw_arena *arena,
                                     const struct mw_store_settings *settings,
                                     const struct mw_report *report)
{
    const struct mw_attachments *attachments = &report->attachments;
    size_t most = settings->message_data_max > 0 ? settings->message_data_max
                                                 : 2 * (size_t)report->size + (1U << 20);
    if (!settings->data || all_bytes(settings, report) <= most)
        return NULL;
    const char **holders = mw_arena_alloc(arena, attachments->count * sizeof *holders);
    size_t *parents = mw_arena_alloc(arena, attachments->count * sizeof *parents), kept = 0;
    for (size_t i = 0; i < attachments->count; i++) {
        size_t size = bytes_of(&attachments->items[i]);
        parents[i] = parent_of(attachments, i);
        holders[i] = size > settings->data_max ? "" : NULL;
        if (parents[i] == NOT_UNPACKED && !holders[i])
            kept += size;
    }
    for (size_t i = 0; i < attachments->count; i++) {
        size_t size = bytes_of(&attachments->items[i]), parent = parents[i];
        if (parent == NOT_UNPACKED || size == 0)
            continue;
        /* What holds the parent holds this one, too. */
        const char *holder = holders[parent] ? holders[parent] : attachments->items[parent].sha256;
        if (!holders[i] && size <= most - (kept < most ? kept : most))
            kept += size;
        else
            holders[i] = holder;
    }
    /* The same bytes may be there twice, kept once. */
    for (size_t i = 0; i < attachments->count; i++)
        for (size_t k = 0; holders[i] && k < attachments->count; k++)
            if (!holders[k] && attachments->items[i].sha256 && attachments->items[k].sha256 &&
                strcmp(attachments->items[i].sha256, attachments->items[k].sha256) == 0)
                holders[i] = NULL;
    return holders;
}

bool mw_schema_is_past(const struct mw_schema_message *message)
{
    int64_t keep_ms = (int64_t)message->settings->keep_messages_s * 1000;
    int64_t now = message->now_ms > 0 ? message->now_ms : (int64_t)time(NULL) * 1000;
    return keep_ms > 0 && message->time_ms + keep_ms <= now;
}

/* One message in so many trims what it touches: which one is told by its id, so that a
 * repetition does the same. */
static bool is_trimmer(const char *id)
{
    return strtoul(id + strlen(id) - 4, NULL, 16) % TRIM_ONE_IN == 0;
}

static void begin(struct writing *writing, struct mw_flight *flight, struct mw_arena *arena,
                  const struct mw_schema_message *message)
{
    const struct mw_store_settings *settings = message->settings;
    const char *id = message->report->id;
    int64_t now = message->now_ms > 0 ? message->now_ms : (int64_t)time(NULL) * 1000;
    *writing = (struct writing){
        .flight = flight,
        .arena = arena,
        .message = message,
        .prefix = settings->prefix,
        .key = mw_schema_join(arena, settings->prefix, "message:", id, NULL),
        .score = decimal(arena, message->time_ms),
        .received = message->report->received ? message->report->received : "",
        .now_ms = now,
        .version = message->version > 0 ? message->version : MW_SCHEMA_VERSION,
    };
    /* A message from the future must not trim what lives. */
    if (is_trimmer(id))
        writing->trims_ms = message->time_ms < now ? message->time_ms : now;
}

static void write_indexes(struct writing *writing)
{
    unsigned keep = mw_schema_keep_indexes(writing->message->settings);
    const struct mw_texts *keys =
        mw_schema_index_keys(writing->arena, writing->prefix, writing->message->report);
    index_entry(writing, mw_schema_join(writing->arena, writing->prefix, "messages", NULL), keep);
    for (size_t i = 0; i < keys->count; i++)
        index_entry(writing, keys->items[i], keep);
}

const struct mw_bytes *mw_schema_facts(struct mw_arena *arena,
                                       const struct mw_schema_message *message, size_t *count)
{
    struct writing writing;
    begin(&writing, NULL, arena, message);
    message_facts(&writing);
    *count = writing.words.count;
    return writing.words.items;
}

const struct mw_bytes *mw_schema_part_facts(struct mw_arena *arena,
                                            const struct mw_schema_message *message, size_t index,
                                            size_t *count)
{
    struct writing writing;
    begin(&writing, NULL, arena, message);
    const char *const always[][2] = {{"scanned", writing.received},
                                     {"message", message->report->id},
                                     {"first_seen", writing.received},
                                     {"last_seen", writing.received}};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        fact(&writing, always[i][0], always[i][1]);
    /* A later scan may have taken this one away. */
    struct mw_attachment part = message->report->attachments.items[index];
    part.unscanned = NULL;
    attachment_facts(&writing, &part);
    *count = writing.words.count;
    return writing.words.items;
}

void mw_schema_write(struct mw_flight *flight, struct mw_arena *arena,
                     const struct mw_schema_message *message, struct mw_squeezer *squeezer)
{
    struct writing writing;
    const struct mw_attachments *attachments = &message->report->attachments;
    begin(&writing, flight, arena, message);
    mw_flight_add(flight, "MULTI", NULL);
    write_message(&writing);
    write_attachment_list(&writing);
    write_indexes(&writing);
    for (size_t i = 0; i < attachments->count; i++)
        if (attachments->items[i].sha256)
            write_attachment(&writing, i, squeezer);
    write_script(&writing);
    expire_with_message(&writing, writing.key);
    mw_flight_add(flight, "EXEC", NULL);
}
