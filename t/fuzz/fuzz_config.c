/* libFuzzer target: a configuration that was handed over, as bytes: refused, or one that
 * packs to the same bytes, has no @include left, and is read with or without mistakes.
 * libconfig 1.5 loses a text that a mistake follows: -detect_leaks=0. */
#include <stdlib.h>
#include <string.h>

#include "conf/config.h"
#include "conf/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_arena *arena = mw_arena_new();
    struct mw_error error = {0};
    struct mw_texts mistakes = {0};
    struct mw_bytes packed = {data, size};
    struct mw_config_source *source = mw_config_source_unpack(packed, arena, &error);
    if (source) {
        struct mw_bytes again = mw_config_source_pack(source, arena);
        unsigned line;
        if (again.size != size || memcmp(again.data, data, size) != 0)
            abort();
        if (!mw_config_source_place(source, (unsigned)size, &line) || line == 0)
            abort();
    }
    struct mw_config *config = mw_config_load_packed(packed, arena, &mistakes);
    if ((config == NULL) != (mistakes.count > 0) || (config && size > 0 && !source))
        abort();
    mw_config_free(config);
    mw_arena_free(arena);
    return 0;
}
