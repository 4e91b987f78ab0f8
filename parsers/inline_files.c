/* inline_files: finds blocks, leaves their decoding to the transfer decoders. */
#include "parsers/inline_files.h"

#include <string.h>

#include "core/utf8.h"
#include "parsers/mime_private.h"

struct block {
    struct mw_bytes content; /* from its first to behind its last line */
    struct mw_bytes name;
    enum mw_encoding encoding;
};

static struct mw_bytes line_at(struct mw_bytes text, size_t at)
{
    struct mw_bytes line = mw_bytes_slice(text, at, mw_bytes_next_line(text, at) - at);
    while (line.size > 0 && strchr("\r\n", line.data[line.size - 1]))
        line.size--;
    return line;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '7';
}

/* "begin 644 name", and a next line that can be data or the end. */
static bool uu_begins(struct mw_bytes text, size_t at, struct block *block)
{
    struct mw_bytes line = line_at(text, at);
    if (line.size < 11 || memcmp(line.data, "begin ", 6) != 0)
        return false;
    size_t name = 6;
    while (name < line.size && is_digit(line.data[name]))
        name++;
    if (name < 9 || name > 10 || name + 1 >= line.size || line.data[name] != ' ')
        return false;
    block->name = mw_bytes_slice(line, name + 1, line.size);
    block->encoding = MW_ENCODING_UU;
    struct mw_bytes data = line_at(text, mw_bytes_next_line(text, at));
    return data.size > 0 && data.data[0] >= ' ' && data.data[0] <= '`';
}

static bool yenc_begins(struct mw_bytes text, size_t at, struct block *block)
{
    struct mw_bytes line = line_at(text, at);
    static const char key[] = " name=";
    if (line.size < 16 || memcmp(line.data, "=ybegin ", 8) != 0)
        return false;
    struct mw_bytes needle = mw_bytes_of(key);
    size_t name = mw_bytes_find(line, 0, needle);
    if (name >= line.size)
        return false;
    block->name = mw_bytes_slice(line, name + needle.size, line.size);
    block->encoding = MW_ENCODING_YENC;
    return true;
}

/* The offset behind the block's closing line; all that is left when it is missing. */
static size_t block_end(struct mw_bytes text, size_t at, const char *closing)
{
    size_t length = strlen(closing);
    while (at < text.size) {
        struct mw_bytes line = line_at(text, at);
        at = mw_bytes_next_line(text, at);
        if (line.size >= length && memcmp(line.data, closing, length) == 0 &&
            (line.size == length || line.data[length] == ' '))
            return at;
    }
    return at;
}

static bool find_block(struct mw_bytes text, size_t *at, struct block *block)
{
    while (*at < text.size) {
        size_t start = *at;
        bool uu = uu_begins(text, start, block);
        if (uu || yenc_begins(text, start, block)) {
            *at = block_end(text, mw_bytes_next_line(text, start), uu ? "end" : "=yend");
            block->content = mw_bytes_slice(text, start, *at - start);
            return true;
        }
        *at = mw_bytes_next_line(text, start);
    }
    return false;
}

void mw_inline_files(struct mw_parse *parse, struct mw_part *text)
{
    struct mw_arena *arena = parse->report->arena;
    bool possible = mw_bytes_find(text->data, 0, mw_bytes_of("begin ")) < text->data.size;
    struct block block;
    for (size_t at = 0; possible && find_block(text->data, &at, &block);) {
        if (parse->parts > parse->limits->parts || mw_parse_expired(parse))
            return;
        struct mw_part *file = mw_parse_part(parse, text, MW_PART_LEAF);
        if (!file)
            return;
        file->unpacked = true;
        file->content_type = "application/octet-stream";
        file->encoding = mw_encoding_name(block.encoding);
        file->filename = mw_utf8_clean_line(arena, block.name, NULL);
        file->data = mw_mime_decode(parse, file->path, block.content, block.encoding, NULL);
    }
}
