/*
 * accept_all: a milter that hears everything and answers "continue". What mailwitnessd is
 * measured against, and what proves the test rig itself. With "least" it asks only for
 * header, body and end, and postfix leaves out the rest.
 *
 *     accept_all unix:/path/of/socket [least]
 */
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address)
{
    (void)context, (void)name, (void)address;
    return SMFIS_CONTINUE;
}

static sfsistat on_text(SMFICTX *context, char *text)
{
    (void)context, (void)text;
    return SMFIS_CONTINUE;
}

static sfsistat on_envelope(SMFICTX *context, char **arguments)
{
    (void)context, (void)arguments;
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    (void)context, (void)name, (void)value;
    return SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *context, unsigned char *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return SMFIS_CONTINUE;
}

static sfsistat on_event(SMFICTX *context)
{
    (void)context;
    return SMFIS_CONTINUE;
}

int main(int count, char **arguments)
{
    bool least = count == 3 && strcmp(arguments[2], "least") == 0;
    if (count != 2 && !least) {
        fprintf(stderr, "usage: accept_all unix:SOCKET [least]\n");
        return EX_USAGE;
    }
    struct smfiDesc milter = {.xxfi_version = SMFI_VERSION,
                              .xxfi_name = "accept_all",
                              .xxfi_header = on_header,
                              .xxfi_body = on_body,
                              .xxfi_eom = on_event};
    if (!least) {
        milter.xxfi_connect = on_connect;
        milter.xxfi_helo = on_text;
        milter.xxfi_envfrom = on_envelope;
        milter.xxfi_envrcpt = on_envelope;
        milter.xxfi_data = on_event;
        milter.xxfi_eoh = on_event;
        milter.xxfi_abort = on_event;
        milter.xxfi_close = on_event;
    }
    if (smfi_setconn(arguments[1]) == MI_FAILURE || smfi_register(milter) == MI_FAILURE) {
        fprintf(stderr, "accept_all: %s cannot be listened on\n", arguments[1]);
        return EX_UNAVAILABLE;
    }
    return smfi_main() == MI_SUCCESS ? EXIT_SUCCESS : EX_SOFTWARE;
}
