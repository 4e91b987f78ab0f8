/* normal: libidn2 for domains, GLib for case, the rest by hand. */
#include "bloom/normal.h"

#include <glib.h>
#include <idn2.h>
#include <string.h>
#include <strings.h>

#include "core/ascii.h"

static const char *const names[] = {"address", "domain", "caseless", "text"};

int mw_normal_from_name(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

static char *trimmed(struct mw_arena *arena, const char *value)
{
    value += strspn(value, " \t\r\n");
    size_t size = strlen(value);
    while (size > 0 && strchr(" \t\r\n", value[size - 1]))
        size--;
    return mw_arena_dup_bytes(arena, value, size);
}

/* In place for ASCII, which nearly all of it is. */
static char *folded(struct mw_arena *arena, char *text)
{
    mw_ascii_lower_text(text);
    if (mw_bytes_is_ascii(mw_bytes_of(text)) || !g_utf8_validate(text, -1, NULL))
        return text;
    char *fold = g_utf8_casefold(text, -1);
    char *composed = g_utf8_normalize(fold, -1, G_NORMALIZE_NFC);
    char *result = mw_arena_dup(arena, composed ? composed : fold);
    g_free(composed);
    g_free(fold);
    return result;
}

static const char *domain_form(struct mw_arena *arena, char *domain)
{
    size_t size = strlen(domain);
    if (size > 0 && domain[size - 1] == '.')
        domain[size - 1] = '\0';
    char *ascii = NULL;
    const char *form = folded(arena, domain);
    if (idn2_to_ascii_8z(form, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK)
        form = mw_arena_dup(arena, ascii);
    idn2_free(ascii);
    return form;
}

/* RFC 5322 section 3.2.3, with UTF-8 (RFC 6532). */
static bool is_dot_atom(const char *text, size_t size)
{
    static const char specials[] = "()<>[]:;@\\,\" \t";
    bool after_dot = true;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 127 || strchr(specials, c) || (c == '.' && after_dot))
            return false;
        after_dot = c == '.';
    }
    return !after_dot;
}

/* Takes away quotes that are not needed. */
static char *unquoted(char *local)
{
    size_t size = strlen(local);
    bool quoted = size > 2 && local[0] == '"' && local[size - 1] == '"';
    if (!quoted || !is_dot_atom(local + 1, size - 2))
        return local;
    local[size - 1] = '\0';
    return local + 1;
}

static const char *address_form(struct mw_arena *arena, char *text, bool strip_plus)
{
    char *open = strrchr(text, '<'), *close = open ? strchr(open, '>') : NULL;
    if (close) {
        *close = '\0';
        text = trimmed(arena, open + 1);
    }
    char *at = strrchr(text, '@');
    if (!at)
        return folded(arena, text);
    *at = '\0';
    const char *domain = domain_form(arena, at + 1);
    char *local = folded(arena, unquoted(text));
    char *plus = strip_plus ? strchr(local, '+') : NULL;
    if (plus && plus != local)
        *plus = '\0';
    return mw_arena_printf(arena, "%s@%s", local, domain);
}

const char *mw_normalise(struct mw_arena *arena, enum mw_normal kind, const char *value,
                         bool strip_plus)
{
    char *text = trimmed(arena, value);
    switch (kind) {
    case MW_NORMAL_ADDRESS:
        return address_form(arena, text, strip_plus);
    case MW_NORMAL_DOMAIN:
        return domain_form(arena, text);
    case MW_NORMAL_CASELESS:
        return folded(arena, text);
    case MW_NORMAL_TEXT:
        break;
    }
    return text;
}
