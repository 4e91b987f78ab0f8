/* container: the names. */
#include "core/container.h"

#include <stddef.h>

const char *const mw_opened_names[] = {"nothing", "yes", "no", "partly", NULL};

static const struct {
    const char *finding, *sentence;
} kinds[MW_ENCRYPTED_KINDS] = {
    [MW_ENCRYPTED_ARCHIVE] = {"archive.encrypted",
                              "is encrypted: nobody but its reader can see what is in it"},
    [MW_ENCRYPTED_OFFICE] = {"office.encrypted", "is a document that opens with a password only"},
    [MW_ENCRYPTED_PDF] = {"pdf.encrypted", "is an encrypted PDF: scanners cannot read it"},
    [MW_ENCRYPTED_SMIME] = {"smime.encrypted",
                            "is encrypted with S/MIME: nobody but its recipient can read it"},
    [MW_ENCRYPTED_PGP] = {"pgp.encrypted",
                          "is encrypted with PGP: nobody but its recipient can read it"},
};

const char *mw_encrypted_finding(enum mw_encrypted kind)
{
    return kinds[kind].finding;
}

const char *mw_encrypted_sentence(enum mw_encrypted kind)
{
    return kinds[kind].sentence;
}
