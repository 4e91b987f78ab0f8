/*
 * accept_all: the least a milter can be: takes in everything, answers "continue". What
 * mailwitnessd is measured against, and what proves the test rig itself.
 *
 *     accept_all unix:/path/of/socket
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

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

static sfsistat on_end(SMFICTX *context)
{
    (void)context;
    return SMFIS_CONTINUE;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: accept_all unix:SOCKET\n");
        return EX_USAGE;
    }
    struct smfiDesc milter = {.xxfi_version = SMFI_VERSION,
                              .xxfi_name = "accept_all",
                              .xxfi_header = on_header,
                              .xxfi_body = on_body,
                              .xxfi_eom = on_end};
    if (smfi_setconn(arguments[1]) == MI_FAILURE || smfi_register(milter) == MI_FAILURE) {
        fprintf(stderr, "accept_all: %s cannot be listened on\n", arguments[1]);
        return EX_UNAVAILABLE;
    }
    return smfi_main() == MI_SUCCESS ? EXIT_SUCCESS : EX_SOFTWARE;
}
