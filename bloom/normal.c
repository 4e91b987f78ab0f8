/* normal: libidn2 for domains, the rest by hand. */
#include "bloom/normal.h"

#include <idn2.h>
#include <string.h>
#include <strings.h>

static const char *const names[] = {"address", "domain", "text"};

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

static char *lower(char *text)
{
    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return text;
}

static const char *domain_form(struct mw_arena *arena, char *domain)
{
    size_t size = strlen(domain);
    if (size > 0 && domain[size - 1] == '.')
        domain[size - 1] = '\0';
    char *ascii = NULL;
    const char *form = lower(domain);
    if (idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK)
        form = mw_arena_dup(arena, ascii);
    idn2_free(ascii);
    return form;
}

static const char *address_form(struct mw_arena *arena, char *text, bool strip_plus)
{
    char *open = strrchr(text, '<'), *close = open ? strchr(open, '>') : NULL;
    if (close) {
        *close = '\0';
        text = open + 1;
    }
    char *at = strrchr(text, '@');
    if (!at)
        return lower(text);
    *at = '\0';
    lower(text);
    char *plus = strip_plus ? strchr(text, '+') : NULL;
    if (plus && plus != text)
        *plus = '\0';
    return mw_arena_printf(arena, "%s@%s", text, domain_form(arena, at + 1));
}

const char *mw_normalise(struct mw_arena *arena, enum mw_normal kind, const char *value,
                         bool strip_plus)
{
    char *text = trimmed(arena, value);
    if (kind == MW_NORMAL_ADDRESS)
        return address_form(arena, text, strip_plus);
    if (kind == MW_NORMAL_DOMAIN)
        return domain_form(arena, text);
    return text;
}
