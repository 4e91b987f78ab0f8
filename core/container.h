/*
 * container: words for parts that hold others: what became of what lies inside, and what an
 * encrypted one is. All is thread-safe.
 */
#ifndef MW_CORE_CONTAINER_H
#define MW_CORE_CONTAINER_H

/* What became of what lies inside a part. */
enum mw_opened {
    MW_OPENED_NOTHING, /* it holds nothing that anybody would open */
    MW_OPENED_YES,
    MW_OPENED_NO,
    MW_OPENED_PARTLY
};
/* "yes" ... by number, with NULL at the end. */
extern const char *const mw_opened_names[MW_OPENED_PARTLY + 2];

enum mw_encrypted {
    MW_ENCRYPTED_NOT,
    MW_ENCRYPTED_ARCHIVE,
    MW_ENCRYPTED_OFFICE,
    MW_ENCRYPTED_PDF,
    MW_ENCRYPTED_SMIME,
    MW_ENCRYPTED_PGP,
    MW_ENCRYPTED_KINDS
};

/* The finding's name, as "archive.encrypted", and the sentence for people; NULL for
 * MW_ENCRYPTED_NOT. */
const char *mw_encrypted_finding(enum mw_encrypted kind);
const char *mw_encrypted_sentence(enum mw_encrypted kind);

#endif
