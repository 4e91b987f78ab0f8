/* report_fields: every member of a report, in the order it is written. */
#include "core/report_fields.h"

#include "core/report.h"

#define TABLE(of, table)                                                                           \
    {                                                                                              \
#of, sizeof(struct of), table, sizeof(table) / sizeof *(table)                             \
    }
#define AT(member) #member, offsetof(struct HERE, member)
#define TEXT(member)                                                                               \
    {                                                                                              \
        AT(member), MW_FIELD_TEXT, 0, NULL, NULL                                                   \
    }
#define TEXTS(member)                                                                              \
    {                                                                                              \
        AT(member), MW_FIELD_TEXTS, 0, NULL, NULL                                                  \
    }
#define INTEGER(member)                                                                            \
    {                                                                                              \
        AT(member), MW_FIELD_INTEGER, MW_FIELD_ALWAYS, NULL, NULL                                  \
    }
#define NUMBER(member)                                                                             \
    {                                                                                              \
        AT(member), MW_FIELD_INTEGER, 0, NULL, NULL                                                \
    }
#define ENUM(member, names)                                                                        \
    {                                                                                              \
        AT(member), MW_FIELD_ENUM, MW_FIELD_ALWAYS, NULL, names                                    \
    }
#define OBJECT(member, table)                                                                      \
    {                                                                                              \
        AT(member), MW_FIELD_OBJECT, 0, &(table), NULL                                             \
    }
#define LIST(member, table, flags)                                                                 \
    {                                                                                              \
        AT(member), MW_FIELD_LIST, flags, &(table), NULL                                           \
    }

#define HERE mw_address
static const struct mw_field address_fields[] = {TEXT(name), TEXT(address), TEXT(group)};
#undef HERE
static const struct mw_fields address_table = TABLE(mw_address, address_fields);

#define HERE mw_hop
static const struct mw_field hop_fields[] = {TEXT(from), TEXT(address),   TEXT(by),  TEXT(with),
                                             TEXT(id),   TEXT(recipient), TEXT(date)};
#undef HERE
static const struct mw_fields hop_table = TABLE(mw_hop, hop_fields);

#define HERE mw_finding
static const struct mw_field finding_fields[] = {
    TEXT(scanner), TEXT(name), ENUM(severity, mw_severity_names),
    TEXT(message), TEXT(path), {AT(details), MW_FIELD_JSON, 0, NULL, NULL},
};
#undef HERE
const struct mw_fields mw_finding_fields = TABLE(mw_finding, finding_fields);

#define HERE mw_problem
static const struct mw_field problem_fields[] = {TEXT(name), TEXT(place), TEXT(detail)};
#undef HERE
static const struct mw_fields problem_table = TABLE(mw_problem, problem_fields);

#define HERE mw_text_part
static const struct mw_field text_part_fields[] = {
    TEXT(path),    TEXT(content_type), TEXT(charset), TEXT(charset_used), TEXT(role),
    INTEGER(size), TEXT(sha256),       TEXT(reading), TEXT(text),
};
#undef HERE
static const struct mw_fields text_part_table = TABLE(mw_text_part, text_part_fields);

#define HERE mw_attachment
static const struct mw_field attachment_fields[] = {
    TEXT(path),
    TEXT(parent),
    TEXT(filename),
    TEXT(filename_raw),
    TEXTS(names),
    TEXT(reading),
    TEXT(content_type),
    TEXT(file_type),
    {AT(opened), MW_FIELD_ENUM, 0, NULL, mw_opened_names},
    TEXT(not_opened),
    TEXT(opened_by),
    TEXT(disposition),
    TEXT(description),
    TEXT(content_id),
    TEXT(encoding),
    INTEGER(size),
    TEXT(md5),
    TEXT(sha1),
    TEXT(sha256),
    TEXT(sha512),
    TEXT(fuzzy),
    {AT(headers), MW_FIELD_HEADERS, 0, NULL, NULL},
    LIST(findings, mw_finding_fields, MW_FIELD_ALWAYS),
    ENUM(verdict, mw_verdict_names),
    TEXT(unscanned),
    TEXTS(reused),
};
#undef HERE
static const struct mw_fields attachment_table = TABLE(mw_attachment, attachment_fields);

#define HERE mw_client
static const struct mw_field client_fields[] = {TEXT(name), TEXT(address), TEXT(ptr), NUMBER(port)};
#undef HERE
static const struct mw_fields client_table = TABLE(mw_client, client_fields);

#define HERE mw_daemon_facts
static const struct mw_field daemon_fields[] = {TEXT(name), TEXT(address), NUMBER(port)};
#undef HERE
static const struct mw_fields daemon_table = TABLE(mw_daemon_facts, daemon_fields);

#define HERE mw_tls
static const struct mw_field tls_fields[] = {TEXT(version), TEXT(cipher), NUMBER(cipher_bits),
                                             TEXT(cert_subject), TEXT(cert_issuer)};
#undef HERE
static const struct mw_fields tls_table = TABLE(mw_tls, tls_fields);

#define HERE mw_auth
static const struct mw_field auth_fields[] = {TEXT(name), TEXT(type), TEXT(author)};
#undef HERE
static const struct mw_fields auth_table = TABLE(mw_auth, auth_fields);

#define HERE mw_rcpt
static const struct mw_field recipient_fields[] = {TEXT(address), TEXTS(arguments)};
#undef HERE
static const struct mw_fields recipient_table = TABLE(mw_rcpt, recipient_fields);

#define HERE mw_envelope
static const struct mw_field envelope_fields[] = {TEXT(from), TEXTS(from_arguments), TEXTS(to),
                                                  LIST(to_arguments, recipient_table, 0)};
#undef HERE
static const struct mw_fields envelope_table = TABLE(mw_envelope, envelope_fields);

#define HERE mw_indicators
static const struct mw_field indicators_fields[] = {
    TEXTS(urls), TEXTS(domains), TEXTS(ipv4),   TEXTS(ipv6), TEXTS(emails),
    TEXTS(md5),  TEXTS(sha1),    TEXTS(sha256), TEXTS(mac),
};
#undef HERE
static const struct mw_fields indicators_table = TABLE(mw_indicators, indicators_fields);

#define HERE mw_engine
static const struct mw_field engine_fields[] = {
    TEXT(name), TEXT(version), TEXT(database), TEXT(date), INTEGER(signatures),
};
#undef HERE
const struct mw_fields mw_engine_fields = TABLE(mw_engine, engine_fields);

#define HERE mw_fate
static const struct mw_field fate_fields[] = {
    TEXT(address),
    {AT(action), MW_FIELD_ENUM, 0, NULL, mw_action_names},
    {AT(intended), MW_FIELD_ENUM, 0, NULL, mw_action_names},
    TEXT(by),
    TEXT(moved_to),
    TEXT(added_for),
};
#undef HERE
static const struct mw_fields fate_table = TABLE(mw_fate, fate_fields);

#define HERE mw_report
static const struct mw_field report_fields[] = {
    TEXT(id),
    TEXT(received),
    TEXT(source),
    OBJECT(client, client_table),
    OBJECT(daemon, daemon_table),
    TEXT(helo),
    OBJECT(tls, tls_table),
    OBJECT(auth, auth_table),
    TEXT(queue_id),
    OBJECT(envelope, envelope_table),
    {AT(headers), MW_FIELD_HEADERS, MW_FIELD_ALWAYS, NULL, NULL},
    LIST(from, address_table, 0),
    LIST(sender, address_table, 0),
    LIST(reply_to, address_table, 0),
    LIST(to, address_table, 0),
    LIST(cc, address_table, 0),
    LIST(bcc, address_table, 0),
    TEXT(subject),
    TEXT(date),
    TEXT(date_given),
    TEXT(message_id),
    TEXTS(in_reply_to),
    TEXTS(references),
    LIST(hops, hop_table, 0),
    INTEGER(size),
    TEXT(md5),
    TEXT(sha1),
    TEXT(sha256),
    TEXT(sha512),
    TEXT(body),
    TEXT(body_html),
    LIST(text_parts, text_part_table, MW_FIELD_ALWAYS),
    {"new", offsetof(struct mw_report, new_values), MW_FIELD_FLAGS, 0, NULL, NULL},
    OBJECT(indicators, indicators_table),
    LIST(attachments, attachment_table, MW_FIELD_ALWAYS),
    LIST(findings, mw_finding_fields, MW_FIELD_ALWAYS),
    ENUM(verdict, mw_verdict_names),
    LIST(engines, mw_engine_fields, 0),
    TEXTS(unscanned),
    {AT(action), MW_FIELD_ENUM, 0, NULL, mw_action_names},
    {AT(intended), MW_FIELD_ENUM, 0, NULL, mw_action_names},
    TEXT(decided_by),
    LIST(recipients, fate_table, 0),
    LIST(errors, problem_table, MW_FIELD_ALWAYS),
    {AT(timings), MW_FIELD_NUMBERS, MW_FIELD_ALWAYS, NULL, NULL},
};
#undef HERE
const struct mw_fields mw_report_fields = TABLE(mw_report, report_fields);
