/* options: every option there is, once. */
#include "bloom/source.h"
#include "bloom/tracked.h"
#include "conf/check.h"
#include "conf/option.h"
#include "core/verdict.h"

static const char *const targets[] = {"stderr", "syslog", "journal", NULL};
static const char *const forms[] = {"text", "json", NULL};
static const char *const levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const inputs[] = {"file", "stdin", NULL};
static const char *const outputs[] = {"json", "text", "nothing", NULL};
static const char *const sandboxes[] = {"required", "best", "off", NULL};
static const char *const modes[] = {"observe", "act", NULL};
static const char *const outcomes[] = {"strictest", "lenient", "each", NULL};
/* By the numbers of actions. */
static const char *const unrecorded_actions[] = {"as_decided", "",       "tag",     "quarantine",
                                                 "tempfail",   "reject", "discard", NULL};
static const char *const removals[] = {"record", "quarantine", NULL};
static const char *const spool_policies[] = {"refuse", "drop_oldest", NULL};

static const double TERA = 1099511627776.0;

#define AT(member) offsetof(struct mw_config, member)
#define KIND(section, name, type, member, initial, least, most, help)                              \
    {                                                                                              \
        section, name, type, AT(member), initial, least, most, NULL, help, NULL                    \
    }
#define BOOL(section, name, member, initial, help)                                                 \
    KIND(section, name, MW_OPTION_BOOL, member, initial, 0, 1, help)
#define TEXT(section, name, member, initial, help)                                                 \
    KIND(section, name, MW_OPTION_TEXT, member, initial, 0, 0, help)
#define TEXTS(section, name, member, initial, help)                                                \
    KIND(section, name, MW_OPTION_TEXTS, member, initial, 0, 0, help)
#define NAME(section, name, member, initial, names, help)                                          \
    {                                                                                              \
        section, name, MW_OPTION_NAME, AT(member), initial, 0, 0, names, help, NULL                \
    }
#define CHECKED(section, name, type, member, initial, check, help)                                 \
    {                                                                                              \
        section, name, type, AT(member), initial, 0, 0, NULL, help, check                          \
    }
/* From the first action that may be chosen on. */
#define ACTION(section, name, member, initial, first, help)                                        \
    {                                                                                              \
        section, name, MW_OPTION_NAME, AT(member), initial, first, 0, mw_action_names, help, NULL  \
    }
/* What failed is never accepted as if it were clean. */
#define FAILURE(name, initial, help)                                                               \
    ACTION("failure", #name, failure.name, initial, MW_ACTION_TAG, help)

const struct mw_option mw_options[] = {
    NAME("log", "target", log_target, "stderr", targets, "where log lines go"),
    NAME("log", "form", log_form, "text", forms, "text, or one JSON object a line"),
    NAME("log", "level", log_level, "info", levels, "the least important lines that are written"),

    KIND("milter", "listen", MW_OPTION_TEXTS, milter.listen, "unix:/run/mailwitness/milter.sock", 0,
         MW_CONFIG_LISTENERS,
         "sockets for the mail server: unix:PATH, inet:PORT@HOST; several in brackets"),
    TEXT("milter", "socket_mode", milter.socket_mode, "0660", "permissions of unix sockets"),
    TEXT("milter", "socket_group", milter.socket_group, NULL,
         "group of unix sockets, as the mail server's"),
    TEXT("milter", "user", milter.user, NULL, "user to become, when started as root"),
    TEXT("milter", "pid_file", milter.pid_file, NULL, "file to write the process id to"),
    TEXT("milter", "control", milter.control, "/run/mailwitness/control.sock",
         "socket for mailwitness status, stats and reload; empty for none"),
    KIND("milter", "memory_max", MW_OPTION_SIZE, milter.memory_max, "1g", 1048576, TERA,
         "bytes of messages held at once, with their reports and what was unpacked from them; what "
         "comes beyond meets failure.queue_full"),
    KIND("milter", "queue_time", MW_OPTION_TIME, milter.queue_ms, "60s", 100, 3600000,
         "how long a message waits for a free worker before it meets failure.queue_full"),
    KIND("milter", "queue_length", MW_OPTION_COUNT, milter.queue_most, "1000", 1, 1e6,
         "messages that wait for a free worker at most"),
    KIND("milter", "grace", MW_OPTION_TIME, milter.grace_ms, "30s", 0, 3600000,
         "how long messages under way may take to finish when the daemon is told to end"),
    KIND("milter", "core_size", MW_OPTION_SIZE, milter.core_size, "0", 0, TERA,
         "bytes of a core file, should the daemon crash"),
    NAME("milter", "mode", milter.mode, "observe", modes,
         "observe does everything but touch mail; act does what is said below"),
    ACTION("milter", "clean", milter.clean, "accept", MW_ACTION_ACCEPT,
           "what is done with clean mail"),
    ACTION("milter", "suspicious", milter.suspicious, "tag", MW_ACTION_ACCEPT,
           "with suspicious mail"),
    ACTION("milter", "malicious", milter.malicious, "reject", MW_ACTION_ACCEPT,
           "with malicious mail"),
    ACTION("milter", "unscanned", milter.unscanned, "tag", MW_ACTION_TAG,
           "with mail in which something could not be scanned"),
    ACTION(
        "milter", "repeated", milter.repeated, "tag", MW_ACTION_TAG,
        "in the place of tempfail, when the same message met failure.worker_crashed, timed_out or "
        "bad_report more often than repeat_most says"),
    KIND("milter", "repeat_most", MW_OPTION_COUNT, milter.repeat_most, "3", 0, 1e6,
         "how often that message is put off"),
    CHECKED("milter", "reject_text", MW_OPTION_TEXT, milter.reject_text,
            "550 5.7.1 refused: ${verdict}: ${why} (${id})", mw_check_reject_text,
            "the words of a refusal, with its codes; doc/policy.md lists what ${...} there is"),
    CHECKED("milter", "tempfail_text", MW_OPTION_TEXT, milter.tempfail_text,
            "451 4.7.1 try again later (${id})", mw_check_tempfail_text,
            "the words when the sender is to try again"),
    CHECKED("milter", "quarantine_text", MW_OPTION_TEXT, milter.quarantine_text,
            "mailwitness: ${verdict}: ${why} (${id})", mw_check_words,
            "the reason the mail server is given for holding a message"),
    CHECKED("milter", "header_prefix", MW_OPTION_TEXT, milter.header_prefix, "X-Mailwitness-",
            mw_check_prefix, "how the headers of a tag begin; any that arrive are removed"),
    BOOL("milter", "sender_new_header", milter.sender_new_header, "true",
         "tell in a header whether the sender was never seen before"),
    CHECKED("milter", "authserv_id", MW_OPTION_TEXT, milter.authserv_id, NULL, mw_check_authserv_id,
            "add an Authentication-Results header under this name"),
    CHECKED("milter", "internal_networks", MW_OPTION_TEXTS, milter.internal_networks, NULL,
            mw_check_network, "clients whose mail is outbound, as is that of authenticated ones"),
    NAME("milter", "recipients", milter.recipients, "strictest", outcomes,
         "when rules say different things for the recipients of one message: do the strictest, "
         "the most lenient, or remove the recipients it is refused for"),
    NAME("milter", "removed", milter.removed, "record", removals,
         "when a recipient is removed: only record it, or quarantine the message for the others"),
    CHECKED("milter", "removed_to", MW_OPTION_TEXT, milter.removed_to, NULL, mw_check_address,
            "address that gets the message in the place of a removed recipient"),

    FAILURE(worker_crashed, "tempfail", "when the worker died over the message"),
    FAILURE(timed_out, "tag", "when scanning took longer than limits.time"),
    FAILURE(bad_report, "tempfail", "when what the worker answered is no sound report"),
    FAILURE(queue_full, "tempfail", "when no worker or no memory was free in time"),
    FAILURE(out_of_resources, "tempfail",
            "when the system had no descriptor, process or memory for it"),
    FAILURE(too_large, "tag", "above limits.message_size; such mail is never scanned in part"),
    FAILURE(limits, "tag", "when another of the limits kept a part from being scanned"),
    FAILURE(unreadable, "tag",
            "when a part is damaged, or mail clients may read it in a way that was not scanned"),
    FAILURE(not_opened, "tag",
            "when nobody opened an archive, a document or another part that holds others"),
    FAILURE(engine_missing, "tag", "when a scanner is missing or failed"),
    FAILURE(store_unavailable, "tempfail", "when neither Redis nor the spool took the result"),
    NAME("failure", "refusal_unrecorded", failure.refusal_unrecorded, "as_decided",
         unrecorded_actions, "with a message that is to be refused, when that cannot be recorded"),
    FAILURE(internal_error, "tempfail", "when mailwitness itself made a mistake"),

    KIND("workers", "count", MW_OPTION_COUNT, workers.count, "0", 0, 1024,
         "worker processes; 0 for one a processor"),
    KIND("workers", "per_client", MW_OPTION_COUNT, workers.per_client, "0", 0, 1024,
         "workers that the mail of one client (a network of /24 or /64) may have while no other is "
         "free; 0 for one less than count"),
    KIND("workers", "recycle_messages", MW_OPTION_COUNT, workers.recycle_messages, "10000", 0, 1e9,
         "a worker makes way for a fresh one after so many messages; 0 for never"),
    KIND("workers", "recycle_growth", MW_OPTION_SIZE, workers.recycle_growth, "512m", 0, TERA,
         "or when its memory has grown so much; 0 for never"),
    KIND("workers", "memory_max", MW_OPTION_SIZE, workers.memory_max, "4g", 67108864, TERA,
         "memory a worker may use"),
    NAME("workers", "sandbox", workers.sandbox, "best", sandboxes,
         "required refuses to start where the kernel lacks a part of it"),
    TEXT("workers", "user", workers.user, "nobody",
         "user that workers become, started as root or with CAP_SETUID; used by nothing else"),
    TEXT("workers", "scratch", workers.scratch, NULL,
         "folder for temporary files, each worker's own in it; /dev/shm without one"),
    TEXT("workers", "keep_folder", workers.keep_folder, NULL,
         "folder in which messages that ended a worker are kept for study"),
    KIND("workers", "keep_most", MW_OPTION_COUNT, workers.keep_most, "20", 1, 1e6,
         "of them at most"),
    KIND("workers", "remember_crashes", MW_OPTION_PERIOD, workers.remember_seconds, "1h", 0, 604800,
         "how long a message that ended a worker, or took it too long, is not scanned again when "
         "it comes again; 0 for not at all"),
    BOOL(
        "workers", "reuse_verdicts", workers.reuse_verdicts, "true",
        "do not scan an attachment again that came twice, for as long as rules and databases stay"),
    KIND("workers", "reuse_time", MW_OPTION_PERIOD, workers.reuse_seconds, "1h", 1, 604800,
         "and for at most so long after it was scanned"),
    KIND("workers", "reuse_entries", MW_OPTION_COUNT, workers.reuse_entries, "4096", 8, 1e6,
         "attachments that are known at once; each takes 4 KB of memory"),

    TEXTS(
        "scan", "order", scan.order, NULL,
        "the scanners to run, in this order; all, as type, fuzzy, yara, pe, clamav, exec, without "
        "it"),
    BOOL("scan", "types", scan.type.enabled, "true", "detect file types and disguises"),
    BOOL("scan", "fuzzy", scan.fuzzy.enabled, "true",
         "ssdeep hashes, of all but pictures, sound and films"),
    BOOL("scan", "message_hashes", scan.message_hashes, "false",
         "MD5, SHA-1 and SHA-512 of the raw message, beside its SHA-256"),
    BOOL("scan", "pe", scan.pe.enabled, "true", "facts about Windows programs"),
    NAME("scan", "ambiguous", scan.ambiguous, "suspicious", mw_severity_names,
         "mail that mail clients read in different ways; every one of them is scanned"),
    TEXTS("scan", "may_stay_closed", scan.may_stay_closed, NULL,
          "kinds and types of parts that are trusted although nobody opened them, as \"pgp\", "
          "\"smime\", \"application/x-arj\"; with wildcards"),
    NAME("scan", "encrypted_archive", scan.encrypted[MW_ENCRYPTED_ARCHIVE], "suspicious",
         mw_severity_names, "encrypted archives"),
    NAME("scan", "encrypted_office", scan.encrypted[MW_ENCRYPTED_OFFICE], "suspicious",
         mw_severity_names, "encrypted documents, spreadsheets and presentations"),
    NAME("scan", "encrypted_pdf", scan.encrypted[MW_ENCRYPTED_PDF], "suspicious", mw_severity_names,
         "encrypted PDFs"),
    NAME("scan", "encrypted_smime", scan.encrypted[MW_ENCRYPTED_SMIME], "info", mw_severity_names,
         "what is encrypted with S/MIME"),
    NAME("scan", "encrypted_pgp", scan.encrypted[MW_ENCRYPTED_PGP], "info", mw_severity_names,
         "what is encrypted with PGP"),
    TEXTS("yara", "rules", scan.yara.rules, NULL, "rule files or folders for attachments"),
    TEXTS("yara", "body_rules", scan.yara.body_rules, NULL, "for decoded texts"),
    TEXTS("yara", "message_rules", scan.yara.message_rules, NULL, "for the raw message"),
    NAME("yara", "severity", scan.yara.severity, "suspicious", mw_severity_names,
         "of rules whose metadata name none"),
    BOOL("yara", "skip_broken", scan.yara.skip_broken, "false",
         "use the good files when some do not compile"),
    KIND("yara", "time", MW_OPTION_TIME, scan.yara.time_ms, "0", 0, 3600000,
         "for one part; 0 for the message's time only"),
    TEXT("clamav", "database", scan.clamav.database, NULL,
         "folder or file, as /var/lib/clamav; without it ClamAV is not used"),
    BOOL("clamav", "scan_texts", scan.clamav.scan_texts, "true", "scan decoded texts too"),
    BOOL("clamav", "scan_message", scan.clamav.scan_message, "false", "scan the raw message too"),
    BOOL("clamav", "heuristics", scan.clamav.heuristics, "true",
         "Heuristics.* detection, of the kinds that follow"),
    BOOL("clamav", "encrypted", scan.clamav.encrypted, "true", "encrypted archives and documents"),
    BOOL("clamav", "broken", scan.clamav.broken, "true", "broken programs"),
    BOOL("clamav", "broken_media", scan.clamav.broken_media, "false", "broken pictures"),
    BOOL("clamav", "macros", scan.clamav.macros, "true", "office files with macros"),
    BOOL("clamav", "phishing", scan.clamav.phishing, "false",
         "disguised addresses in web pages and mail"),
    BOOL("clamav", "partitions", scan.clamav.partitions, "false", "overlapping disk partitions"),
    BOOL("clamav", "structured", scan.clamav.structured, "false",
         "numbers of credit cards and social security"),
    BOOL("clamav", "pua", scan.clamav.pua, "false", "potentially unwanted applications"),
    BOOL("clamav", "official_only", scan.clamav.official_only, "false",
         "load only databases signed by ClamAV's makers"),
    NAME("clamav", "heuristic_severity", scan.clamav.heuristic_severity, "suspicious",
         mw_severity_names, "of Heuristics.*"),
    NAME("clamav", "pua_severity", scan.clamav.pua_severity, "suspicious", mw_severity_names,
         "of PUA.*"),
    KIND("clamav", "max_scan_size", MW_OPTION_SIZE, scan.clamav.max_scan_size, "400m", 0, TERA,
         "unpacked bytes of a part; 0 for ClamAV's own"),
    KIND("clamav", "max_file_size", MW_OPTION_SIZE, scan.clamav.max_file_size, "100m", 0, TERA,
         "bytes of one file"),
    KIND("clamav", "max_files", MW_OPTION_COUNT, scan.clamav.max_files, "10000", 0, 1e9,
         "files in an archive"),
    KIND("clamav", "max_recursion", MW_OPTION_COUNT, scan.clamav.max_recursion, "17", 0, 100,
         "archives in archives"),
    KIND("clamav", "max_scan_time", MW_OPTION_TIME, scan.clamav.max_scan_ms, "20s", 0, 3600000,
         "for one part"),
    KIND("clamav", "max_embedded_pe", MW_OPTION_SIZE, scan.clamav.max_embedded_pe, "0", 0, TERA,
         "bytes searched for programs inside files"),
    KIND("clamav", "max_html_normalize", MW_OPTION_SIZE, scan.clamav.max_html_normalize, "0", 0,
         TERA, "bytes of a web page that is brought to a normal form"),
    KIND("clamav", "max_html_no_tags", MW_OPTION_SIZE, scan.clamav.max_html_no_tags, "0", 0, TERA,
         "bytes of one whose tags are removed"),
    KIND("clamav", "max_script_normalize", MW_OPTION_SIZE, scan.clamav.max_script_normalize, "0", 0,
         TERA, "bytes of a script that is brought to a normal form"),
    KIND("clamav", "max_zip_type_recognition", MW_OPTION_SIZE, scan.clamav.max_zip_type_recognition,
         "0", 0, TERA, "bytes of a zip whose kind is recognised again"),
    KIND("clamav", "max_partitions", MW_OPTION_COUNT, scan.clamav.max_partitions, "0", 0, 1e9,
         "partitions of a disk image"),
    KIND("clamav", "max_icons", MW_OPTION_COUNT, scan.clamav.max_icons, "0", 0, 1e9,
         "icons of a program"),
    KIND("clamav", "max_rec_hwp3", MW_OPTION_COUNT, scan.clamav.max_rec_hwp3, "0", 0, 1e9,
         "levels in a Hangul document"),
    KIND("clamav", "pcre_match_limit", MW_OPTION_COUNT, scan.clamav.pcre_match_limit, "0", 0, 4e9,
         "steps of a regular expression"),
    KIND("clamav", "pcre_recursion_limit", MW_OPTION_COUNT, scan.clamav.pcre_recursion_limit, "0",
         0, 4e9, "and its levels"),
    KIND("clamav", "pcre_max_file_size", MW_OPTION_SIZE, scan.clamav.pcre_max_file_size, "0", 0,
         TERA, "bytes that regular expressions are tried on"),
    KIND("clamav", "max_age", MW_OPTION_COUNT, scan.clamav.max_age_days, "7", 0, 100000,
         "days after which an old database is warned of; 0 for never"),

    KIND("limits", "message_size", MW_OPTION_SIZE, limits.message_size, "256m", 1024, 2147483648.0,
         "bytes of a message; a larger one is not opened"),
    KIND("limits", "header_count", MW_OPTION_SIZE, limits.header_count, "10000", 1, 1e6,
         "header fields kept"),
    KIND("limits", "header_length", MW_OPTION_SIZE, limits.header_length, "64k", 256, 67108864,
         "bytes kept of one"),
    KIND("limits", "parts", MW_OPTION_SIZE, limits.parts, "2000", 1, 1e6, "parts, nested included"),
    KIND("limits", "readings", MW_OPTION_SIZE, limits.readings, "256", 0, 1e6,
         "ways to read a message or a part of it, beside the first"),
    KIND("limits", "depth", MW_OPTION_SIZE, limits.depth, "32", 1, 100, "levels of nesting"),
    KIND("limits", "unpacked_size", MW_OPTION_SIZE, limits.unpacked_size, "128m", 1024, TERA,
         "decoded and unpacked bytes of a message"),
    KIND("limits", "unpack_ratio", MW_OPTION_SIZE, limits.unpack_ratio, "200", 1, 1e6,
         "of them for each byte of the message, which count from 16 MB on"),
    KIND("limits", "text_length", MW_OPTION_SIZE, limits.text_length, "1m", 1024, 268435456,
         "bytes kept of one text"),
    KIND("limits", "address_count", MW_OPTION_SIZE, limits.address_count, "2000", 1, 1e6,
         "addresses kept of one field"),
    KIND("limits", "recipients", MW_OPTION_SIZE, limits.recipients, "2000", 1, 1e6,
         "recipients kept of one message; with more it is unscanned"),
    KIND("limits", "findings_per_part", MW_OPTION_SIZE, limits.findings_per_part, "256", 1, 1e5,
         "findings kept of one part"),
    KIND("limits", "indicators", MW_OPTION_SIZE, limits.indicators, "2000", 0, 1e6,
         "indicators kept of one kind"),
    KIND("limits", "errors", MW_OPTION_SIZE, limits.errors, "200", 1, 1e5,
         "problems kept of a message"),
    KIND("limits", "time", MW_OPTION_TIME, limits.time_ms, "30s", 100, 3600000,
         "for a whole message; keep it below postfix's milter_content_timeout"),

    TEXT("redis", "address", store.redis.address, NULL,
         "unix:PATH or HOST:PORT; without it, or sentinels, nothing is stored"),
    TEXTS("redis", "sentinels", store.redis.sentinels, NULL,
          "HOST:PORT of Sentinels, several in brackets; they name the master"),
    TEXT("redis", "master", store.redis.master, NULL, "the name Sentinels know the master by"),
    TEXT("redis", "user", store.redis.user, NULL, "user to log in as"),
    TEXT("redis", "password_file", store.redis.password_file, NULL,
         "file with the password; read anew at each connection"),
    TEXT("redis", "sentinel_user", store.redis.sentinel_user, NULL, "the same for Sentinels"),
    TEXT("redis", "sentinel_password_file", store.redis.sentinel_password_file, NULL,
         "the same for Sentinels"),
    KIND("redis", "database", MW_OPTION_COUNT, store.redis.database, "0", 0, 65535, "its number"),
    KIND("redis", "connect_time", MW_OPTION_TIME, store.redis.connect_ms, "1s", 10, 60000,
         "to connect at most"),
    KIND("redis", "command_time", MW_OPTION_TIME, store.redis.command_ms, "2s", 10, 60000,
         "a message may wait for Redis so long, then it goes to the spool"),
    KIND("redis", "connections", MW_OPTION_COUNT, store.redis.connections, "8", 1, 1000,
         "kept open at most"),
    BOOL("redis", "tls", store.redis.tls, "false", "encrypt, and check the server's certificate"),
    TEXT("redis", "tls_ca", store.redis.tls_ca_file, NULL,
         "file with the authorities trusted; without it the system's"),
    TEXT("redis", "tls_cert", store.redis.tls_cert_file, NULL,
         "file with a certificate to show to Redis"),
    TEXT("redis", "tls_key", store.redis.tls_key_file, NULL,
         "file with its key; without it the key is in tls_cert"),
    TEXT("redis", "tls_name", store.redis.tls_name, NULL,
         "name the certificate of Redis must have; without it the host's"),
    TEXT("redis", "prefix", store.prefix, "mw:", "how all keys begin"),
    BOOL("redis", "data", store.data, "true", "keep the bytes of attachments"),
    KIND("redis", "data_max", MW_OPTION_SIZE, store.data_max, "32m", 0, 536870912,
         "attachments above this keep their facts only"),
    KIND("redis", "message_data_max", MW_OPTION_SIZE, store.message_data_max, "0", 0, TERA,
         "of a message with more bytes of attachments, what was unpacked from those is not kept: "
         "it is unpacked again when somebody asks; 0 for twice the message and 1m"),
    KIND("redis", "compression", MW_OPTION_COUNT, store.compression, "1", 0, 19,
         "zstd level for the bytes of attachments; 0 keeps them as they are"),
    KIND("redis", "keep_messages", MW_OPTION_PERIOD, store.keep_messages_s, "90d", 0, 4e9,
         "how long messages are kept; 0 for ever"),
    KIND("redis", "keep_attachments", MW_OPTION_PERIOD, store.keep_attachments_s, "365d", 0, 4e9,
         "how long the facts of attachments are"),
    KIND("redis", "keep_data", MW_OPTION_PERIOD, store.keep_data_s, "30d", 0, 4e9,
         "how long their bytes are"),
    KIND("redis", "keep_indexes", MW_OPTION_PERIOD, store.keep_indexes_s, "0", 0, 4e9,
         "how long messages can be searched for; 0 for as long as they are kept"),
    KIND("redis", "events", MW_OPTION_COUNT, store.events_max, "100000", 0, 1e9,
         "entries of the stream of events, about; 0 for no events"),

    TEXT("spool", "folder", store.spool.folder, NULL,
         "where messages wait while Redis is away; without it a folder spool among the state"),
    KIND("spool", "size", MW_OPTION_SIZE, store.spool.size_max, "2g", 1048576, TERA,
         "bytes it may take"),
    NAME("spool", "full", store.spool.full, "refuse", spool_policies,
         "when it has: refuse new messages, as failure.store_unavailable says, or drop old ones"),
    KIND("spool", "recent", MW_OPTION_PERIOD, store.spool.recent_s, "1h", 0, 604800,
         "what Redis took is kept so long, to be told again to a Redis that was started anew; "
         "0 for not"),
    KIND("spool", "recent_size", MW_OPTION_SIZE, store.spool.recent_max, "256m", 1048576, TERA,
         "bytes that may take"),

    CHECKED("metrics", "listen", MW_OPTION_TEXT, metrics_listen, NULL, mw_check_host_port,
            "ADDRESS:PORT on which Prometheus may ask, as 127.0.0.1:9197; without it nobody can"),
};
const size_t mw_option_count = sizeof mw_options / sizeof *mw_options;

#undef AT
#define AT(member) offsetof(struct mw_scan_condition, member)

/* Which parts: in a condition, and in what runs a program. */
#define CONDITION_OPTIONS(section, when)                                                           \
    TEXTS(section, "types", when types, NULL, "file types wanted, as \"application/*\""),          \
        TEXTS(section, "skip_types", when skip_types, NULL, "file types not wanted"),              \
        TEXTS(section, "names", when names, NULL, "file names wanted, as \"*.pdf\""),              \
        TEXTS(section, "skip_names", when skip_names, NULL, "file names not wanted"),              \
        KIND(section, "size_min", MW_OPTION_SIZE, when size_min, "0", 0, TERA, "bytes, at least"), \
        KIND(section, "size_max", MW_OPTION_SIZE, when size_max, "0", 0, TERA,                     \
             "bytes, at most; 0 for no bound")

static const struct mw_option condition_options[] = {CONDITION_OPTIONS("condition", )};

#undef AT
#define AT(member) offsetof(struct mw_exec_program, member)

static const struct mw_option exec_options[] = {
    TEXT("exec", "command", command, NULL, "whole path of the program"),
    TEXTS("exec", "arguments", arguments, NULL,
          "its arguments; ${file} is the part as a file, and there are ${filename} ${extension} "
          "${file_type} ${content_type} ${path} ${size}"),
    NAME("exec", "input", input, "file", inputs, "how it gets the part"),
    NAME("exec", "output", output, "text", outputs, "what it prints"),
    TEXTS("exec", "exit_codes", exit_codes, NULL,
          "what exit codes mean: 0=clean, 3-5=malicious, *=failed; clean, info, suspicious, "
          "malicious or failed. Without it 0 is clean and all else failed"),
    BOOL("exec", "judges", judges, "false",
         "it knows malware: what it finds nothing in may be called clean"),
    BOOL("exec", "attachments", attachments, "true", "it looks at attachments"),
    BOOL("exec", "texts", texts, "false", "at decoded texts"),
    BOOL("exec", "message", message, "false", "at the raw message"),
    CONDITION_OPTIONS("exec", when.),
    KIND("exec", "time", MW_OPTION_TIME, time_ms, "10s", 10, 3600000, "it may take for a part"),
    KIND("exec", "memory_max", MW_OPTION_SIZE, memory_max, "512m", 1048576, TERA,
         "memory each of its processes may use"),
    KIND("exec", "output_max", MW_OPTION_SIZE, output_max, "256k", 1, 67108864,
         "bytes it may print"),
    BOOL("exec", "network", network, "false", "it may use the Internet"),
    TEXTS("exec", "environment", environment, NULL,
          "NAME=value beside PATH, LC_ALL, HOME and TMPDIR"),
    TEXTS("exec", "paths", paths, NULL,
          "files and folders it may read beside /usr, /lib, /bin, /opt and /etc"),
};

static const char *finish_exec(struct mw_arena *arena, void *element)
{
    return mw_exec_mistake(element, arena);
}

#undef AT
#define AT(member) offsetof(struct mw_tracked_settings, member)

static const struct mw_option filter_options[] = {
    TEXT("filter", "source", source, "from",
         "what is remembered: from, reply-to, sender, return-path, to, cc, envelope-from, "
         "envelope-to, sender-domain, envelope-domain, client, client-name, helo, message-id, "
         "attachment-sha256, filename, url, url-host, domain, or header:NAME"),
    TEXT("filter", "file", file, NULL,
         "its file, made when it is not there; NAME.filter in the state folder without one"),
    KIND("filter", "capacity", MW_OPTION_BIG, capacity, "50m", 1, 1099511627776.0,
         "values it is made for; it grows beyond"),
    KIND("filter", "fp_rate", MW_OPTION_REAL, fp_rate, "0.001", 1e-8, 0.5,
         "share of unknown values taken for known"),
    TEXT("filter", "sync", sync, "everysec",
         "always, everysec, or seconds: what a power cut may lose"),
    BOOL("filter", "strip_plus_tag", strip_plus_tag, "false",
         "addresses: user+tag@domain is user@domain"),
    KIND("filter", "new_for", MW_OPTION_PERIOD, new_for_s, "0", 0, 31622400,
         "so long after mail with it was first accepted a value is still new; 0: it is known at "
         "once"),
};

/* Without a file of its own a filter lies in the state folder. */
static const char *finish_filter(struct mw_arena *arena, void *element)
{
    struct mw_tracked_settings *filter = element;
    struct mw_error error = {0};
    struct mw_source source;
    int sync_ms;
    if (!filter->file)
        filter->file = mw_arena_printf(arena, MW_STATE_FOLDER "/%s.filter", filter->name);
    if (mw_source_find(&source, filter->source, &error) != 0)
        return mw_arena_printf(arena, "source: %s", error.text);
    if (mw_tracked_sync(filter->sync, &sync_ms, &error) != 0)
        return mw_arena_printf(arena, "sync: %s", error.text);
    return NULL;
}

#define NAMED(section, example, list, options, finish, help)                                       \
    {                                                                                              \
        section, example, help, options, sizeof(options) / sizeof *(options),                      \
            sizeof *((struct mw_config *)NULL)->list.items, offsetof(struct mw_config, list),      \
            finish                                                                                 \
    }

const struct mw_named_section mw_named_sections[] = {
    NAMED("condition", "clamav", scan.conditions, condition_options, NULL,
          "Which parts the scanner of this name looks at; all that is said must hold."),
    NAMED("exec", "exiftool", scan.programs, exec_options, finish_exec,
          "External programs that look at parts, confined, with what they print as a finding."),
    NAMED("filter", "from", filters, filter_options, finish_filter,
          "Memories of what was ever seen, as many as you like. Without this section there is\n"
          "# one, called from, with the defaults below; an empty section has none."),
};
const size_t mw_named_section_count = sizeof mw_named_sections / sizeof *mw_named_sections;
