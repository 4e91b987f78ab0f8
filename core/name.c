/* name: its end is cut off from behind, the rest is copied without what does not show. */
#include "core/name.h"

#include <string.h>

#include "core/ascii.h"
#include "core/utf8.h"

/* The size of the hidden character at the end of text, or 0. */
static size_t hidden_end(struct mw_bytes text)
{
    uint32_t code;
    size_t start = text.size;
    while (start > 0 && text.size - start < 4) {
        start--;
        if ((text.data[start] & 0xC0) != 0x80)
            break;
    }
    size_t length = mw_utf8_character(mw_bytes_slice(text, start, text.size), &code);
    return length == text.size - start && length > 0 && mw_utf8_is_hidden(code) ? length : 0;
}

/* How much at the end of text has no meaning to a system, in bytes. */
static size_t useless_end(struct mw_bytes text)
{
    static const char stream[] = "::$data";
    enum { STREAM = sizeof stream - 1 };
    if (text.size == 0)
        return 0;
    if (text.data[text.size - 1] <= ' ' || strchr("./\\", text.data[text.size - 1]))
        return 1;
    if (text.size > STREAM &&
        mw_bytes_has_prefix_nocase(mw_bytes_slice(text, text.size - STREAM, STREAM), stream))
        return STREAM;
    return hidden_end(text);
}

/* The part of a name that is not folders, less what has no meaning at its end. */
static struct mw_bytes core_of(const char *name)
{
    struct mw_bytes text = mw_bytes_of(name ? name : "");
    size_t end;
    while ((end = useless_end(text)) > 0)
        text.size -= end;
    size_t start = text.size;
    while (start > 0 && !strchr("/\\", text.data[start - 1]))
        start--;
    size_t excess = text.size - start >= MW_NAME_SIZE ? text.size - start - MW_NAME_SIZE + 1 : 0;
    for (start += excess; excess > 0 && (text.data[start] & 0xC0) == 0x80;)
        start++;
    return mw_bytes_slice(text, start, text.size);
}

char *mw_name_effective(const char *name, char out[MW_NAME_SIZE])
{
    size_t size = 0;
    struct mw_bytes text = core_of(name);
    for (size_t at = 0; at < text.size;) {
        uint32_t code;
        size_t length = mw_utf8_character(mw_bytes_slice(text, at, text.size), &code);
        bool dropped = length > 0 && mw_utf8_is_hidden(code);
        for (size_t end = at + (length > 0 ? length : 1); at < end; at++)
            if (!dropped)
                out[size++] = mw_ascii_lower((char)text.data[at]);
    }
    out[size] = '\0';
    return out;
}

const char *mw_name_extension(const char *name, char room[MW_NAME_SIZE])
{
    const char *dot = strrchr(mw_name_effective(name, room), '.');
    return dot ? dot + 1 : NULL;
}
