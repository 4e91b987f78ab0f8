/* reply_milter: the only place that edits mail. */
#include <libmilter/mfapi.h>
#include <string.h>

#include "milter/reply.h"

enum { LINES = 8 };

unsigned long mw_reply_rights(void)
{
    return SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_QUARANTINE;
}

/* libmilter takes texts that it does not write to as char *. */
static char *writable(struct mw_arena *arena, const char *text)
{
    return mw_arena_dup(arena, text);
}

static char *header_value(struct mw_arena *arena, const char *value, bool leading_space)
{
    return mw_arena_printf(arena, "%s%s", leading_space ? " " : "", value);
}

static int carry_out_edit(SMFICTX *context, const struct mw_edit *edit, bool leading_space,
                          struct mw_arena *arena)
{
    char *name = writable(arena, edit->name);
    switch (edit->kind) {
    case MW_EDIT_INSERT_HEADER:
        /* Above all that arrived, below the Received field that the server adds. */
        return smfi_insheader(context, 1, name, header_value(arena, edit->value, leading_space));
    case MW_EDIT_APPEND_HEADER:
        return smfi_addheader(context, name, header_value(arena, edit->value, leading_space));
    case MW_EDIT_CHANGE_HEADER:
        return smfi_chgheader(context, name, edit->index,
                              header_value(arena, edit->value, leading_space));
    case MW_EDIT_REMOVE_HEADER:
        return smfi_chgheader(context, name, edit->index, NULL);
    case MW_EDIT_ADD_RECIPIENT:
        return smfi_addrcpt(context, writable(arena, edit->value));
    case MW_EDIT_REMOVE_RECIPIENT:
        return smfi_delrcpt(context, writable(arena, edit->value));
    case MW_EDIT_QUARANTINE:
        return smfi_quarantine(context, writable(arena, edit->value));
    }
    return MI_FAILURE;
}

static const char *edit_name(const struct mw_edit *edit)
{
    static const char *const names[] = {
        "insert the header", "add the header",       "change the header",      "remove the header",
        "add the recipient", "remove the recipient", "quarantine the message:"};
    return names[edit->kind];
}

/* A line as a format: libmilter and its servers take "%%" for "%". */
static char *as_format(struct mw_arena *arena, const char *line)
{
    char *format = mw_arena_alloc(arena, strlen(line) * 2 + 1), *to = format;
    for (; *line; line++) {
        if (*line == '%')
            *to++ = '%';
        *to++ = *line;
    }
    return format;
}

static int set_answer(SMFICTX *context, const struct mw_reply *reply, struct mw_arena *arena)
{
    char *lines[LINES] = {NULL};
    for (size_t i = 0; i < reply->lines.count && i < LINES; i++)
        lines[i] = as_format(arena, reply->lines.items[i]);
    /* The list ends at the first NULL. */
    return smfi_setmlreply(context, reply->code, reply->enhanced, lines[0], lines[1], lines[2],
                           lines[3], lines[4], lines[5], lines[6], lines[7], NULL);
}

int mw_reply_carry_out(struct smfi_str *context, const struct mw_reply *reply, bool leading_space,
                       struct mw_error *error)
{
    struct mw_arena *arena = mw_arena_new();
    sfsistat answer = reply->end == MW_ACTION_REJECT     ? SMFIS_REJECT
                      : reply->end == MW_ACTION_TEMPFAIL ? SMFIS_TEMPFAIL
                      : reply->end == MW_ACTION_DISCARD  ? SMFIS_DISCARD
                                                         : SMFIS_ACCEPT;
    for (size_t i = 0; i < reply->edits.count; i++) {
        const struct mw_edit *edit = &reply->edits.items[i];
        if (carry_out_edit(context, edit, leading_space, arena) == MI_SUCCESS)
            continue;
        mw_fail(error, MW_ERR_INTERNAL, "the mail server does not let us %s %s", edit_name(edit),
                edit->name ? edit->name : edit->value);
        answer = SMFIS_TEMPFAIL;
        break;
    }
    bool told = answer == SMFIS_REJECT || answer == SMFIS_TEMPFAIL;
    /* Without our words the answer is the same with the server's. */
    if (told && reply->lines.count > 0 && set_answer(context, reply, arena) != MI_SUCCESS)
        mw_fail(error, MW_ERR_INTERNAL, "libmilter does not take the reply '%s %s %s'", reply->code,
                reply->enhanced, reply->lines.items[0]);
    mw_arena_free(arena);
    return answer;
}
