/*
 * rar: which files of a RAR archive (versions 4 and 5) are encrypted, by its headers.
 * libarchive calls some of these damaged, and hands the ciphertext of others out as if it were
 * the file.
 */
#ifndef MW_PARSERS_RAR_H
#define MW_PARSERS_RAR_H

#include "parsers/archive.h"

struct mw_rar {
    bool sound;                          /* the first header's checksum is right */
    bool headers_encrypted;              /* so that not even names can be read */
    size_t files;                        /* with folders */
    struct mw_encrypted_entries entries; /* of each */
    size_t encrypted;                    /* so many of them */
    size_t end;                          /* behind the last header that could be read */
};

/* Whether bytes begin as a RAR archive does; rar has what its headers say. */
bool mw_rar_read(struct mw_arena *arena, struct mw_bytes bytes, struct mw_rar *rar);

#endif
