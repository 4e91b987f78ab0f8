/*
 * hash: the digests people look files up by, in one pass over the bytes
 * (OpenSSL EVP; FIPS 180-4 and RFC 1321).
 */
#ifndef MW_SCANNERS_HASH_H
#define MW_SCANNERS_HASH_H

#include "core/arena.h"
#include "core/bytes.h"
#include "core/error.h"

struct mw_digests {
    const char *md5, *sha1, *sha256, *sha512; /* lower case hex, in the arena */
};

/* Reusable digest contexts; one thread at a time. NULL with error if OpenSSL
 * offers one of the four no more (a FIPS-only provider has no MD5). */
struct mw_hasher;
struct mw_hasher *mw_hasher_new(struct mw_error *error);
void mw_hasher_free(struct mw_hasher *hasher);

/* All four digests of bytes, cache-sized blocks through each in turn. */
void mw_hasher_all(struct mw_hasher *hasher, struct mw_arena *arena, struct mw_bytes bytes,
                   struct mw_digests *digests);

/* Only SHA-256. */
const char *mw_hasher_sha256(struct mw_hasher *hasher, struct mw_arena *arena,
                             struct mw_bytes bytes);

/* The other three, where that is there already. */
void mw_hasher_others(struct mw_hasher *hasher, struct mw_arena *arena, struct mw_bytes bytes,
                      struct mw_digests *digests);

#endif
