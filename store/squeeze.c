/* squeeze: libzstd with its working memory kept. */
#include "store/squeeze.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

enum { KEPT = 1 << 20 };

struct mw_squeezer {
    ZSTD_CCtx *context;
    unsigned char *room;
    size_t size;
};

struct mw_squeezer *mw_squeezer_new(void)
{
    struct mw_squeezer *squeezer = calloc(1, sizeof *squeezer);
    if (squeezer)
        squeezer->context = ZSTD_createCCtx();
    if (squeezer && squeezer->context)
        return squeezer;
    fputs("mailwitness: out of memory\n", stderr);
    abort();
}

void mw_squeezer_free(struct mw_squeezer *squeezer)
{
    if (!squeezer)
        return;
    ZSTD_freeCCtx(squeezer->context);
    free(squeezer->room);
    free(squeezer);
}

void mw_squeezer_rest(struct mw_squeezer *squeezer)
{
    if (squeezer->size <= KEPT)
        return;
    free(squeezer->room);
    squeezer->room = NULL;
    squeezer->size = 0;
}

bool mw_squeeze(struct mw_squeezer *squeezer, int level, struct mw_bytes bytes,
                struct mw_bytes *squeezed)
{
    size_t bound = ZSTD_compressBound(bytes.size);
    if (squeezer->size < bound) {
        free(squeezer->room);
        squeezer->room = malloc(bound);
        squeezer->size = squeezer->room ? bound : 0;
    }
    if (!squeezer->room)
        return false;
    size_t size = ZSTD_compressCCtx(squeezer->context, squeezer->room, squeezer->size, bytes.data,
                                    bytes.size, level);
    *squeezed = (struct mw_bytes){squeezer->room, size};
    return !ZSTD_isError(size) && size < bytes.size - bytes.size / 10;
}

int mw_unsqueeze(struct mw_arena *arena, struct mw_bytes frame, size_t most, struct mw_bytes *bytes,
                 struct mw_error *error)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.size);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
        return mw_fail(error, MW_ERR_FORMAT, "is no zstd frame that tells its size");
    if (size > most)
        return mw_fail(error, MW_ERR_FORMAT, "unpacks to %llu bytes, more than %zu", size, most);
    unsigned char *room = mw_arena_alloc_raw(arena, (size_t)size + 1);
    size_t got = ZSTD_decompress(room, (size_t)size, frame.data, frame.size);
    if (ZSTD_isError(got) || got != size)
        return mw_fail(error, MW_ERR_FORMAT, "is a damaged zstd frame");
    *bytes = (struct mw_bytes){room, got};
    return 0;
}
