/* card: sections, each left out when it is empty. */
#include "cli/card.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/terminal.h"
#include "cli/when.h"

enum { NAME_COLUMNS = 12, SHOWN = 20, BODY_LINES = 15 };

void mw_card_heading(FILE *out, const char *text)
{
    bool colour = mw_terminal_colour(out);
    fprintf(out, "\n%s%s%s\n", colour ? "\033[1m" : "", text, colour ? MW_TERMINAL_PLAIN : "");
}

void mw_card_line(FILE *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(out, "  %-*s ", NAME_COLUMNS, name);
    mw_terminal_text(out, value, "");
}

static const char *address_text(struct mw_arena *arena, const struct mw_address *one)
{
    const char *address = one->address ? one->address : one->group ? one->group : "?";
    return one->name && *one->name ? mw_arena_printf(arena, "%s <%s>", one->name, address)
                                   : address;
}

static void address_lines(FILE *out, struct mw_arena *arena, const char *name,
                          const struct mw_addresses *list)
{
    for (size_t i = 0; i < list->count && i < SHOWN; i++)
        mw_card_line(out, i == 0 ? name : "", address_text(arena, &list->items[i]));
    if (list->count > SHOWN)
        mw_card_line(out, "", mw_arena_printf(arena, "... and %zu more", list->count - SHOWN));
}

static void text_lines(FILE *out, struct mw_arena *arena, const char *name,
                       const struct mw_texts *list)
{
    for (size_t i = 0; i < list->count && i < SHOWN; i++)
        mw_card_line(out, i == 0 ? name : "", list->items[i]);
    if (list->count > SHOWN)
        mw_card_line(out, "", mw_arena_printf(arena, "... and %zu more", list->count - SHOWN));
}

static void print_verdict(FILE *out, const struct mw_report *report)
{
    bool colour = mw_terminal_colour(out);
    fprintf(out, "  %-*s %s%s%s", NAME_COLUMNS, "verdict",
            colour ? mw_terminal_verdict(report->verdict) : "", mw_verdict_name(report->verdict),
            colour ? MW_TERMINAL_PLAIN : "");
    if (report->action != MW_ACTION_NONE)
        fprintf(out, ", %s", mw_action_name(report->action));
    if (report->intended != MW_ACTION_NONE)
        fprintf(out, " (would be %s)", mw_action_name(report->intended));
    if (report->decided_by) {
        fputs(" by ", out);
        mw_terminal_cell(out, report->decided_by, 0, MW_CELL_WHOLE);
    }
    fputc('\n', out);
}

/* The envelope's recipients; of those that fared otherwise than the message, how. */
static void print_recipients(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    struct mw_report different = *report;
    different.recipients = (struct mw_fates){0};
    text_lines(out, arena, "rcpt to", &report->envelope.to);
    for (size_t i = 0, shown = 0; i < report->recipients.count && shown <= SHOWN; i++) {
        if (!mw_fate_differs(report, &report->recipients.items[i]))
            continue;
        different.recipients = (struct mw_fates){&report->recipients.items[i], 1, 1};
        mw_card_line(out, shown == 0 ? "but for" : "",
                     shown == SHOWN ? "... and others (--json)"
                                    : mw_fates_text(arena, &different, ""));
        shown++;
    }
}

static const char *client_text(struct mw_arena *arena, const struct mw_report *report)
{
    const char *name = report->client.name, *address = report->client.address;
    if (!name && !address)
        return NULL;
    return mw_arena_printf(arena, "%s [%s]%s%s", name ? name : "unknown", address ? address : "?",
                           report->helo ? ", HELO " : "", report->helo ? report->helo : "");
}

static const char *tls_text(struct mw_arena *arena, const struct mw_tls *tls)
{
    if (!tls->version)
        return NULL;
    return mw_arena_printf(arena, "%s, %s%s%s", tls->version, tls->cipher ? tls->cipher : "?",
                           tls->cert_subject ? ", certificate of " : "",
                           tls->cert_subject ? tls->cert_subject : "");
}

static const char *login_text(struct mw_arena *arena, const struct mw_auth *auth)
{
    if (!auth->name)
        return NULL;
    return mw_arena_printf(arena, "%s (%s)", auth->name, auth->type ? auth->type : "?");
}

static const char *received_text(struct mw_arena *arena, const char *received)
{
    int64_t ms;
    char local[MW_WHEN_SIZE];
    if (!received || mw_when_parse(received, 0, MW_WHEN_START, &ms, NULL) != 0)
        return received;
    mw_when_local(ms, local);
    return mw_arena_dup(arena, local);
}

static void print_new(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    struct mw_texts fresh = {0};
    for (size_t i = 0; i < report->new_values.count; i++)
        if (report->new_values.items[i].value)
            mw_texts_add(arena, &fresh, report->new_values.items[i].name);
    text_lines(out, arena, "never seen", &fresh);
}

static void print_facts(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    char size[MW_SIZE_TEXT];
    mw_card_line(out, "id", report->id);
    print_verdict(out, report);
    text_lines(out, arena, "unscanned", &report->unscanned);
    mw_card_line(out, "received", received_text(arena, report->received));
    mw_card_line(out, "source", report->source);
    mw_card_line(out, "queue id", report->queue_id);
    mw_card_line(out, "client", client_text(arena, report));
    mw_card_line(out, "TLS", tls_text(arena, &report->tls));
    mw_card_line(out, "login", login_text(arena, &report->auth));
    if (report->envelope.from)
        mw_card_line(out, "mail from", mw_arena_printf(arena, "<%s>", report->envelope.from));
    print_recipients(out, arena, report);
    address_lines(out, arena, "From", &report->from);
    address_lines(out, arena, "Sender", &report->sender);
    address_lines(out, arena, "Reply-To", &report->reply_to);
    address_lines(out, arena, "To", &report->to);
    address_lines(out, arena, "Cc", &report->cc);
    address_lines(out, arena, "Bcc", &report->bcc);
    mw_card_line(out, "Subject", report->subject);
    mw_card_line(out, "Date", report->date ? report->date : report->date_given);
    mw_card_line(out, "Message-ID", report->message_id);
    print_new(out, arena, report);
    mw_terminal_size(report->size, size);
    mw_card_line(out, "size", size);
    mw_card_line(out, "sha256", report->sha256);
}

static void print_finding(FILE *out, const struct mw_finding *found)
{
    bool colour = mw_terminal_colour(out);
    fprintf(out, "  %s%-*s%s ", colour ? mw_terminal_severity(found->severity) : "", NAME_COLUMNS,
            mw_severity_name(found->severity), colour ? MW_TERMINAL_PLAIN : "");
    mw_terminal_cell(out, found->scanner ? found->scanner : "-", 0, MW_CELL_WHOLE);
    fputs(": ", out);
    mw_terminal_cell(out, found->name ? found->name : "-", 0, MW_CELL_WHOLE);
    if (found->path) {
        fputs(" in part ", out);
        mw_terminal_cell(out, found->path, 0, MW_CELL_WHOLE);
    }
    if (found->message) {
        fputs(": ", out);
        mw_terminal_cell(out, found->message, 0, MW_CELL_WHOLE);
    }
    fputc('\n', out);
}

static void print_findings(FILE *out, const struct mw_report *report)
{
    size_t count = report->findings.count;
    for (size_t i = 0; i < report->attachments.count; i++)
        count += report->attachments.items[i].findings.count;
    if (count == 0)
        return;
    mw_card_heading(out, "Findings");
    for (size_t i = 0; i < report->findings.count; i++)
        print_finding(out, &report->findings.items[i]);
    for (size_t i = 0; i < report->attachments.count; i++)
        for (size_t j = 0; j < report->attachments.items[i].findings.count; j++)
            print_finding(out, &report->attachments.items[i].findings.items[j]);
}

static void print_attachments(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    if (report->attachments.count > 0)
        mw_card_heading(out, "Attachments");
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *file = &report->attachments.items[i];
        char size[MW_SIZE_TEXT];
        mw_terminal_size(file->size, size);
        mw_card_line(out, file->path,
                     mw_arena_printf(arena, "%s  %s, %s, %s",
                                     file->filename ? file->filename : "(no name)",
                                     mw_verdict_name(file->verdict), size,
                                     file->file_type      ? file->file_type
                                     : file->content_type ? file->content_type
                                                          : "unknown type"));
        mw_card_line(out, "", file->sha256);
    }
}

static void print_indicators(FILE *out, struct mw_arena *arena, const struct mw_indicators *found)
{
    const struct {
        const char *name;
        const struct mw_texts *list;
    } lists[] = {{"urls", &found->urls}, {"domains", &found->domains}, {"ipv4", &found->ipv4},
                 {"ipv6", &found->ipv6}, {"emails", &found->emails},   {"hashes", &found->sha256}};
    bool any = false;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (lists[i].list->count == 0)
            continue;
        if (!any)
            mw_card_heading(out, "Indicators");
        any = true;
        text_lines(out, arena, lists[i].name, lists[i].list);
    }
}

static void print_errors(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    if (report->errors.count > 0)
        mw_card_heading(out, "Notes");
    for (size_t i = 0; i < report->errors.count && i < SHOWN; i++) {
        const struct mw_problem *one = &report->errors.items[i];
        mw_card_line(out, one->place ? one->place : "message",
                     mw_arena_printf(arena, "%s: %s", one->name, one->detail ? one->detail : ""));
    }
    if (report->errors.count > SHOWN)
        mw_card_line(out, "",
                     mw_arena_printf(arena, "... and %zu more", report->errors.count - SHOWN));
}

static void print_headers(FILE *out, struct mw_arena *arena, const struct mw_report *report)
{
    mw_card_heading(out, "Headers");
    for (size_t i = 0; i < report->headers.count; i++)
        mw_terminal_text(out,
                         mw_arena_printf(arena, "%s: %s", report->headers.items[i].name,
                                         report->headers.items[i].value),
                         "  ");
}

/* All of a text, or its first lines and how many more there are. */
static void print_text(FILE *out, struct mw_arena *arena, const char *text, bool all)
{
    size_t lines = 0, rest = 0;
    const char *end = text;
    for (; *end && (all || lines < BODY_LINES); end++)
        lines += *end == '\n';
    for (const char *c = end; *c; c++)
        rest += *c == '\n' || c[1] == '\0';
    mw_terminal_text(out, mw_arena_dup_bytes(arena, text, (size_t)(end - text)), "  ");
    if (rest > 0)
        fprintf(out, "  ... and %zu more lines (--body)\n", rest);
}

int mw_card_print(FILE *out, const struct mw_report *report, unsigned parts, struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    print_facts(out, arena, report);
    print_findings(out, report);
    print_attachments(out, arena, report);
    print_indicators(out, arena, &report->indicators);
    print_errors(out, arena, report);
    if (parts & MW_CARD_HEADERS)
        print_headers(out, arena, report);
    if (report->body && *report->body) {
        mw_card_heading(out, "Text");
        print_text(out, arena, report->body, parts & MW_CARD_BODY);
    }
    if (parts & MW_CARD_HTML && report->body_html) {
        mw_card_heading(out, "HTML");
        print_text(out, arena, report->body_html, true);
    }
    mw_arena_free(arena);
    return ferror(out) ? mw_fail_errno(error, "cannot write the output") : 0;
}

struct text_output {
    FILE *out;
    unsigned parts;
    bool begun;
};

static int print_report(void *state, const struct mw_report *report, struct mw_error *error)
{
    struct text_output *text = state;
    if (text->begun)
        fputs("\n\n", text->out);
    text->begun = true;
    return mw_card_print(text->out, report, text->parts, error);
}

static int print_end(void *state, struct mw_error *error)
{
    const struct text_output *text = state;
    return fflush(text->out) == 0 ? 0 : mw_fail_errno(error, "cannot write the output");
}

struct mw_printer mw_printer_text(FILE *out, unsigned parts)
{
    struct text_output *state = calloc(1, sizeof *state);
    if (!state)
        abort();
    *state = (struct text_output){out, parts, false};
    return (struct mw_printer){print_report, print_end, free, state};
}
