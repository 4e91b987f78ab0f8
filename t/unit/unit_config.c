/* unit_config: a configuration that is read once and handed over. */
#include <stdlib.h>
#include <unistd.h>

#include "conf/config.h"
#include "conf/source.h"
#include "core/file.h"
#include "t/unit/tap.h"

static char folder[] = "/tmp/unit_config-XXXXXX";

static const char *put(struct mw_arena *arena, const char *name, const char *text)
{
    struct mw_error error = {0};
    const char *path = mw_arena_printf(arena, "%s/%s", folder, name);
    if (mw_file_replace(path, mw_bytes_of(text), 0600, &error) != 0)
        printf("# %s\n", error.text);
    return path;
}

static char *dump(const struct mw_config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    mw_config_dump(config, out);
    fclose(out);
    return text;
}

static void hands_over(struct mw_arena *arena)
{
    struct mw_texts mistakes = {0};
    struct mw_error error = {0};
    struct mw_bytes bytes = {0};
    const char *main_path =
        put(arena, "main.conf",
            "log: { form = \"json\"; };\n@include \"b.conf\"\nlimits: { parts = 9; };");
    const char *part = put(arena, "b.conf", "milter: { mode = \"act\"; };");
    struct mw_config *config = mw_config_load(main_path, arena, &mistakes);
    tap_ok(config != NULL, "a configuration of two files is read");
    struct mw_memfile *file = mw_config_pack(config, &error);
    tap_ok(file && mw_memfile_append(file, mw_bytes_of("x"), SIZE_MAX, &error) != 0,
           "what is handed over is sealed");
    unlink(main_path);
    put(arena, "b.conf", "milter: { mode = \"observe\"; };");
    int fd = dup(mw_memfile_fd(file));
    struct mw_memfile *received = mw_memfile_receive(fd, SIZE_MAX, &error);
    mw_memfile_map(received, &bytes, &error);
    struct mw_config *other = mw_config_load_packed(bytes, arena, &mistakes);
    mw_memfile_free(received);
    char *texts[] = {dump(config), other ? dump(other) : strdup("none")};
    tap_is(texts[1], texts[0], "what becomes of the files does not change what was handed over");
    free(texts[0]);
    free(texts[1]);
    mw_config_free(config);
    mw_config_free(other);
    mw_memfile_free(file);
    unlink(part);
}

/* As files that are wrong only for another program, say after an upgrade. */
static void names_places(struct mw_arena *arena)
{
    struct mw_error error = {0};
    struct mw_texts mistakes = {0};
    put(arena, "b.conf", "\nmilter: { mode = \"dream\"; };\n");
    const char *path = put(arena, "main.conf", "\n@include \"b.conf\" limits: { parts = 0; };\n");
    struct mw_config_source *source = mw_config_source_read(path, arena, &error);
    mw_config_load_packed(mw_config_source_pack(source, arena), arena, &mistakes);
    tap_is_number((long long)mistakes.count, 2, "mistakes are found where it was handed over to");
    if (mistakes.count == 2) {
        tap_ok(strstr(mistakes.items[0], "/b.conf:2: milter.mode") != NULL,
               "... with the file that was taken in, and its line");
        tap_ok(strstr(mistakes.items[1], "/main.conf:2: limits.parts") != NULL,
               "... and behind it with the one that took it in");
    }
}

static void stands_for_defaults(struct mw_arena *arena)
{
    struct mw_texts mistakes = {0};
    struct mw_error error = {0};
    struct mw_config *config = mw_config_load(NULL, arena, &mistakes);
    struct mw_memfile *file = mw_config_pack(config, &error);
    tap_is_number((long long)mw_memfile_size(file), 0, "the defaults are handed over as nothing");
    struct mw_config *other = mw_config_load_packed((struct mw_bytes){0}, arena, &mistakes);
    char *texts[] = {dump(config), dump(other)};
    tap_is(texts[1], texts[0], "... and nothing makes the defaults");
    free(texts[0]);
    free(texts[1]);
    mw_memfile_free(file);
    mw_config_free(config);
    mw_config_free(other);
}

/* Every byte changed, every length: refused, or a source that packs to the same. */
static void refuses_what_is_damaged(struct mw_arena *arena)
{
    struct mw_error error = {0};
    put(arena, "b.conf", "log: { };");
    const char *path = put(arena, "main.conf", "@include \"b.conf\"\nlimits: { };\n");
    struct mw_bytes packed =
        mw_config_source_pack(mw_config_source_read(path, arena, &error), arena);
    unsigned wrong = 0;
    for (size_t size = 0; size < packed.size; size++) {
        struct mw_config_source *source =
            mw_config_source_unpack((struct mw_bytes){packed.data, size}, arena, &error);
        wrong += source && mw_config_source_pack(source, arena).size != size;
    }
    unsigned char *copy = mw_arena_alloc(arena, packed.size);
    for (size_t i = 0; i < packed.size * 256; i++) {
        memcpy(copy, packed.data, packed.size);
        copy[i / 256] = (unsigned char)i;
        struct mw_config_source *source =
            mw_config_source_unpack((struct mw_bytes){copy, packed.size}, arena, &error);
        struct mw_bytes again = source ? mw_config_source_pack(source, arena) : packed;
        wrong += source && (again.size != packed.size || memcmp(again.data, copy, again.size) != 0);
        wrong += source && strchr(mw_config_source_text(source, arena), '@') != NULL;
    }
    tap_is_number(wrong, 0, "what was damaged on the way is refused, or read as it stands");
}

int main(void)
{
    struct mw_arena *arena = mw_arena_new();
    if (!mkdtemp(folder))
        return 1;
    hands_over(arena);
    names_places(arena);
    stands_for_defaults(arena);
    refuses_what_is_damaged(arena);
    unlink(put(arena, "main.conf", ""));
    unlink(put(arena, "b.conf", ""));
    rmdir(folder);
    mw_arena_free(arena);
    return tap_done();
}
