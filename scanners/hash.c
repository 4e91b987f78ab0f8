/* hash: OpenSSL digests over one pass of cache-sized blocks. */
#include "scanners/hash.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/ascii.h"

enum { DIGESTS = 4, SHA256 = 2, BLOCK = 16384 };

static const char *const digest_names[DIGESTS] = {"MD5", "SHA1", "SHA256", "SHA512"};

struct mw_hasher {
    EVP_MD *digests[DIGESTS];
    EVP_MD_CTX *contexts[DIGESTS];
};

struct mw_hasher *mw_hasher_new(struct mw_error *error)
{
    struct mw_hasher *hasher = calloc(1, sizeof *hasher);
    if (!hasher) {
        mw_fail_errno(error, "cannot prepare digests");
        return NULL;
    }
    for (int i = 0; i < DIGESTS; i++) {
        hasher->digests[i] = EVP_MD_fetch(NULL, digest_names[i], NULL);
        hasher->contexts[i] = EVP_MD_CTX_new();
        if (hasher->digests[i] && hasher->contexts[i])
            continue;
        mw_fail(error, MW_ERR_MISSING, "OpenSSL offers no %s: allow its default provider",
                digest_names[i]);
        mw_hasher_free(hasher);
        return NULL;
    }
    return hasher;
}

void mw_hasher_free(struct mw_hasher *hasher)
{
    if (!hasher)
        return;
    for (int i = 0; i < DIGESTS; i++) {
        EVP_MD_CTX_free(hasher->contexts[i]);
        EVP_MD_free(hasher->digests[i]);
    }
    free(hasher);
}

static const char *finish(EVP_MD_CTX *context, struct mw_arena *arena)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context, raw, &size);
    char *text = mw_arena_alloc(arena, (size_t)size * 2 + 1);
    mw_hex_write(text, raw, size);
    return text;
}

/* Those wanted, cache-sized blocks through each in turn. */
static void digest(struct mw_hasher *hasher, struct mw_bytes bytes, const bool *wanted)
{
    for (int i = 0; i < DIGESTS; i++)
        if (wanted[i])
            EVP_DigestInit_ex(hasher->contexts[i], hasher->digests[i], NULL);
    for (size_t at = 0; at < bytes.size; at += BLOCK) {
        struct mw_bytes block = mw_bytes_slice(bytes, at, BLOCK);
        for (int i = 0; i < DIGESTS; i++)
            if (wanted[i])
                EVP_DigestUpdate(hasher->contexts[i], block.data, block.size);
    }
}

void mw_hasher_others(struct mw_hasher *hasher, struct mw_arena *arena, struct mw_bytes bytes,
                      struct mw_digests *digests)
{
    static const bool others[DIGESTS] = {true, true, false, true};
    digest(hasher, bytes, others);
    digests->md5 = finish(hasher->contexts[0], arena);
    digests->sha1 = finish(hasher->contexts[1], arena);
    digests->sha512 = finish(hasher->contexts[3], arena);
}

void mw_hasher_all(struct mw_hasher *hasher, struct mw_arena *arena, struct mw_bytes bytes,
                   struct mw_digests *digests)
{
    static const bool all[DIGESTS] = {true, true, true, true};
    digest(hasher, bytes, all);
    digests->md5 = finish(hasher->contexts[0], arena);
    digests->sha1 = finish(hasher->contexts[1], arena);
    digests->sha256 = finish(hasher->contexts[SHA256], arena);
    digests->sha512 = finish(hasher->contexts[3], arena);
}

const char *mw_hasher_sha256(struct mw_hasher *hasher, struct mw_arena *arena,
                             struct mw_bytes bytes)
{
    EVP_MD_CTX *context = hasher->contexts[SHA256];
    EVP_DigestInit_ex(context, hasher->digests[SHA256], NULL);
    EVP_DigestUpdate(context, bytes.data, bytes.size);
    return finish(context, arena);
}
