/* source: a scanner for what libconfig calls strings and comments, and @include between. */
#include "conf/source.h"

#include <string.h>

#include "core/file.h"

static const char MAGIC[] = "mwconf1\n";
enum { MAGIC_SIZE = 8, NUMBER = 4, NAME_MOST = 4096 };

/* Whole lines of one file, up to an @include or the end. */
struct piece {
    const char *file;
    unsigned line, lines; /* the first, and how many newlines it has */
    struct mw_bytes text; /* without the newline that ends it */
};

struct mw_config_source {
    struct mw_arena *arena;
    MW_LIST(struct piece) pieces;
    size_t files, size;
};

/* --- what is a string, a comment, or neither ------------------------------------------------ */

struct cursor {
    const char *file;
    struct mw_bytes text;
    size_t at;
    unsigned line;
    unsigned long_text; /* where the first text begins that goes over the end of its line; 0 */
};

static bool is_at(const struct cursor *cursor, const char *what)
{
    size_t size = strlen(what);
    return cursor->text.size - cursor->at >= size &&
           memcmp(cursor->text.data + cursor->at, what, size) == 0;
}

static void step(struct cursor *cursor, size_t size)
{
    for (; size > 0 && cursor->at < cursor->text.size; size--)
        cursor->line += cursor->text.data[cursor->at++] == '\n';
}

/* Moves behind the next end; false when there is none. In strings a backslash takes what
 * follows it along. */
static bool step_behind(struct cursor *cursor, const char *end, bool escapes)
{
    while (cursor->at < cursor->text.size) {
        if (is_at(cursor, end)) {
            step(cursor, strlen(end));
            return true;
        }
        step(cursor, escapes && is_at(cursor, "\\") ? 2 : 1);
    }
    return false;
}

/* Moves to the next @ that is neither in a string nor in a comment: 1, 0 at the end. */
static int find_directive(struct cursor *cursor, struct mw_error *error)
{
    while (cursor->at < cursor->text.size) {
        unsigned begun = cursor->line;
        if (is_at(cursor, "@"))
            return 1;
        if (is_at(cursor, "#") || is_at(cursor, "//")) {
            step_behind(cursor, "\n", false);
        } else if (is_at(cursor, "/*")) {
            step(cursor, 2);
            if (!step_behind(cursor, "*/", false))
                return mw_fail(error, MW_ERR_INPUT,
                               "%s:%u: the comment that begins here has no end", cursor->file,
                               begun);
        } else if (is_at(cursor, "\"")) {
            step(cursor, 1);
            bool ends = step_behind(cursor, "\"", true);
            if (cursor->line > begun && cursor->long_text == 0)
                cursor->long_text = begun;
            /* Each quote that is missing turns texts and what is between them around. */
            if (!ends)
                return mw_fail(error, MW_ERR_INPUT,
                               "%s:%u: the text that begins here has no end: is a quote missing?",
                               cursor->file, cursor->long_text > 0 ? cursor->long_text : begun);
        } else {
            step(cursor, 1);
        }
    }
    return 0;
}

static bool begins_line(const struct cursor *cursor)
{
    size_t at = cursor->at;
    while (at > 0 && strchr(" \t", cursor->text.data[at - 1]))
        at--;
    return at == 0 || cursor->text.data[at - 1] == '\n';
}

static void skip_blanks(struct cursor *cursor)
{
    while (is_at(cursor, " ") || is_at(cursor, "\t"))
        cursor->at++;
}

/* The name in quotes at the cursor, which moves behind it; NULL when there is none. */
static const char *read_name(struct cursor *cursor, struct mw_arena *arena)
{
    char *name = mw_arena_alloc(arena, NAME_MOST + 1);
    size_t size = 0;
    if (!is_at(cursor, "\""))
        return NULL;
    for (cursor->at++; cursor->at < cursor->text.size; cursor->at++) {
        if (is_at(cursor, "\"")) {
            cursor->at++;
            return size > 0 ? name : NULL;
        }
        if (is_at(cursor, "\n") || size == NAME_MOST)
            return NULL;
        if (is_at(cursor, "\\\\") || is_at(cursor, "\\\""))
            cursor->at++;
        name[size++] = (char)cursor->text.data[cursor->at];
    }
    return NULL;
}

/* Reads the directive at the cursor: the file's name, or NULL with error. */
static const char *read_directive(struct cursor *cursor, struct mw_arena *arena,
                                  struct mw_error *error)
{
    const char *name = NULL;
    if (begins_line(cursor) && (is_at(cursor, "@include ") || is_at(cursor, "@include\t"))) {
        cursor->at += strlen("@include");
        skip_blanks(cursor);
        name = read_name(cursor, arena);
    }
    if (!name)
        mw_fail(error, MW_ERR_INPUT,
                "%s:%u: syntax error: an @ outside of quotes can only be a line @include \"FILE\"",
                cursor->file, cursor->line);
    return name;
}

/* --- reading --------------------------------------------------------------------------------- */

static unsigned count_lines(struct mw_bytes text)
{
    unsigned lines = 0;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static void add_piece(struct mw_config_source *source, const char *file, unsigned line,
                      struct mw_bytes text)
{
    struct piece *piece = mw_list_add(source->arena, &source->pieces, sizeof *piece);
    *piece = (struct piece){file, line, count_lines(text), text};
}

/* Beside the file that names it. */
static const char *beside(struct mw_arena *arena, const char *file, const char *name)
{
    const char *slash = name[0] == '/' ? NULL : strrchr(file, '/');
    return slash ? mw_arena_printf(arena, "%.*s/%s", (int)(slash - file), file, name) : name;
}

/* The bytes of a file as a cursor at its beginning. */
static int open_file(struct mw_config_source *source, const char *path, struct cursor *cursor,
                     struct mw_error *error)
{
    *cursor = (struct cursor){.file = path, .line = 1};
    if (mw_file_read(path, MW_SOURCE_SIZE - source->size, source->arena, &cursor->text, error) != 0)
        return error->code;
    source->files++;
    source->size += cursor->text.size;
    const unsigned char *nul =
        cursor->text.size > 0 ? memchr(cursor->text.data, '\0', cursor->text.size) : NULL;
    if (!nul)
        return 0;
    size_t before = (size_t)(nul - cursor->text.data);
    return mw_fail(error, MW_ERR_INPUT, "%s:%u: has a NUL byte: this is no text file", path,
                   1 + count_lines(mw_bytes_slice(cursor->text, 0, before)));
}

static int split(struct mw_config_source *source, struct cursor *cursor, unsigned depth,
                 struct mw_error *error);

static int take_in(struct mw_config_source *source, const struct cursor *from, const char *name,
                   unsigned depth, struct mw_error *error)
{
    struct mw_error why = {0};
    struct cursor cursor;
    if (depth == MW_SOURCE_DEPTH)
        mw_fail(&why, MW_ERR_LIMIT, "%s: one file within the other, more than %d deep", name,
                MW_SOURCE_DEPTH);
    else if (source->files == MW_SOURCE_FILES)
        mw_fail(&why, MW_ERR_LIMIT, "%s: more than %d files", name, MW_SOURCE_FILES);
    else if (open_file(source, beside(source->arena, from->file, name), &cursor, &why) == 0)
        return split(source, &cursor, depth + 1, error);
    return mw_fail(error, why.code, "%s:%u: @include: %s", from->file, from->line, why.text);
}

static int split(struct mw_config_source *source, struct cursor *cursor, unsigned depth,
                 struct mw_error *error)
{
    size_t begun = 0;
    unsigned line = 1;
    for (int found; (found = find_directive(cursor, error)) != 0;) {
        size_t at = cursor->at;
        const char *name = found > 0 ? read_directive(cursor, source->arena, error) : NULL;
        if (!name)
            return error->code;
        add_piece(source, cursor->file, line, mw_bytes_slice(cursor->text, begun, at - begun));
        if (take_in(source, cursor, name, depth, error) != 0)
            return error->code;
        begun = cursor->at;
        line = cursor->line;
    }
    add_piece(source, cursor->file, line,
              mw_bytes_slice(cursor->text, begun, cursor->text.size - begun));
    return 0;
}

static struct mw_config_source *new_source(struct mw_arena *arena)
{
    struct mw_config_source *source = mw_arena_alloc(arena, sizeof *source);
    source->arena = arena;
    return source;
}

struct mw_config_source *mw_config_source_read(const char *path, struct mw_arena *arena,
                                               struct mw_error *error)
{
    struct mw_config_source *source = new_source(arena);
    struct cursor cursor;
    bool read = open_file(source, mw_arena_dup(arena, path), &cursor, error) == 0 &&
                split(source, &cursor, 0, error) == 0;
    return read ? source : NULL;
}

/* --- using ------------------------------------------------------------------------------------ */

const char *mw_config_source_text(const struct mw_config_source *source, struct mw_arena *arena)
{
    size_t size = 0;
    for (size_t i = 0; i < source->pieces.count; i++)
        size += source->pieces.items[i].text.size + 1;
    char *text = mw_arena_alloc_raw(arena, size + 1), *to = text;
    for (size_t i = 0; i < source->pieces.count; i++) {
        struct mw_bytes piece = source->pieces.items[i].text;
        if (piece.size > 0)
            memcpy(to, piece.data, piece.size);
        to += piece.size;
        *to++ = '\n';
    }
    *to = '\0';
    return text;
}

const char *mw_config_source_place(const struct mw_config_source *source, unsigned line,
                                   unsigned *in_file)
{
    unsigned first = 1;
    size_t i = 0;
    /* Each piece has one newline more than its own. */
    while (i + 1 < source->pieces.count && line > first + source->pieces.items[i].lines)
        first += source->pieces.items[i++].lines + 1;
    const struct piece *piece = &source->pieces.items[i];
    unsigned behind = line > first ? line - first : 0;
    *in_file = piece->line + (behind < piece->lines ? behind : piece->lines);
    return piece->file;
}

/* --- as bytes ----------------------------------------------------------------------------------
 */

/* MAGIC, then for each piece three numbers of 4 bytes, little endian: the first line, the
 * sizes of name and text; then these. */
struct mw_bytes mw_config_source_pack(const struct mw_config_source *source, struct mw_arena *arena)
{
    size_t size = MAGIC_SIZE;
    for (size_t i = 0; i < source->pieces.count; i++)
        size += 3 * (size_t)NUMBER + strlen(source->pieces.items[i].file) +
                source->pieces.items[i].text.size;
    unsigned char *packed = mw_arena_alloc_raw(arena, size), *to = packed + MAGIC_SIZE;
    memcpy(packed, MAGIC, MAGIC_SIZE);
    for (size_t i = 0; i < source->pieces.count; i++) {
        const struct piece *piece = &source->pieces.items[i];
        size_t name = strlen(piece->file);
        mw_bytes_put_little(to, piece->line, NUMBER);
        mw_bytes_put_little(to + NUMBER, name, NUMBER);
        mw_bytes_put_little(to + 2 * (size_t)NUMBER, piece->text.size, NUMBER);
        to += 3 * (size_t)NUMBER;
        memcpy(to, piece->file, name);
        if (piece->text.size > 0)
            memcpy(to + name, piece->text.data, piece->text.size);
        to += name + piece->text.size;
    }
    return (struct mw_bytes){packed, size};
}

/* The piece at the beginning of *rest, which moves behind it. */
static bool unpack_piece(struct mw_config_source *source, struct mw_bytes *rest)
{
    enum { HEAD = 3 * NUMBER };
    struct mw_error error = {0};
    if (rest->size < HEAD)
        return false;
    uint64_t line = mw_bytes_get_little(rest->data, NUMBER);
    uint64_t name = mw_bytes_get_little(rest->data + NUMBER, NUMBER);
    uint64_t size = mw_bytes_get_little(rest->data + 2 * (size_t)NUMBER, NUMBER);
    if (line == 0 || line > MW_SOURCE_SIZE || name == 0 || name > rest->size - HEAD ||
        size > rest->size - HEAD - name)
        return false;
    const unsigned char *data = rest->data + HEAD;
    struct cursor cursor = {
        mw_arena_dup_bytes(source->arena, data, name), {data + name, size}, 0, 1, 0};
    /* libconfig must find nothing here that would make it open a file. */
    if (strlen(cursor.file) != name || (size > 0 && memchr(data + name, '\0', size)) ||
        find_directive(&cursor, &error) != 0)
        return false;
    add_piece(source, cursor.file, (unsigned)line, cursor.text);
    *rest = mw_bytes_slice(*rest, HEAD + name + size, rest->size);
    return true;
}

struct mw_config_source *mw_config_source_unpack(struct mw_bytes packed, struct mw_arena *arena,
                                                 struct mw_error *error)
{
    struct mw_config_source *source = new_source(arena);
    struct mw_bytes rest = packed;
    bool sound = packed.size >= MAGIC_SIZE && packed.size <= 2 * (size_t)MW_SOURCE_SIZE &&
                 memcmp(packed.data, MAGIC, MAGIC_SIZE) == 0;
    if (sound)
        rest = mw_bytes_slice(packed, MAGIC_SIZE, packed.size);
    while (sound && rest.size > 0)
        sound = unpack_piece(source, &rest);
    if (sound && source->pieces.count > 0)
        return source;
    mw_fail(error, MW_ERR_FORMAT, "a configuration that was handed over is not in its form");
    return NULL;
}
