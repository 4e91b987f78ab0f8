/* terminal: columns by wcwidth(3). */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "core/utf8.h"

int mw_terminal_columns(FILE *out)
{
    struct winsize size;
    const char *text = getenv("COLUMNS");
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return text && atoi(text) > 0 ? atoi(text) : 100;
}

bool mw_terminal_colour(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR");
    return isatty(fileno(out)) && !(no_colour && *no_colour);
}

/* One character of text, which is not at its end, and what is written for it. */
struct character {
    size_t length;
    int columns;
    char shown[MW_HIDDEN_TEXT]; /* in its place; "": itself */
};

static struct character next_character(const char *text, const char *end, mbstate_t *state)
{
    wchar_t wide;
    size_t length = mbrtowc(&wide, text, (size_t)(end - text), state);
    if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
        memset(state, 0, sizeof *state);
        return (struct character){1, 1, "?"};
    }
    struct character character = {length, wcwidth(wide), ""};
    if (mw_utf8_is_hidden((uint32_t)wide))
        character.columns = (int)mw_utf8_hidden_text((uint32_t)wide, character.shown);
    else if (character.columns < 0)
        character = (struct character){length, 1, "?"};
    return character;
}

static void put_character(FILE *out, const char *text, const struct character *character)
{
    if (character->shown[0])
        fputs(character->shown, out);
    else
        fwrite(text, 1, character->length, out);
}

static int columns_of(const char *text)
{
    mbstate_t state = {0};
    int columns = 0;
    for (const char *end = text + strlen(text); text < end;) {
        struct character one = next_character(text, end, &state);
        columns += one.columns;
        text += one.length;
    }
    return columns;
}

void mw_terminal_cell(FILE *out, const char *text, int width, enum mw_cell form)
{
    mbstate_t state = {0};
    int used = 0, all = columns_of(text), room = form == MW_CELL_WHOLE && all > width ? all : width;
    if (form == MW_CELL_RIGHT && all < room)
        used = fprintf(out, "%*s", room - all, "");
    for (const char *end = text + strlen(text); text < end;) {
        struct character one = next_character(text, end, &state);
        if (used + one.columns > room || (used + one.columns == room && all > room)) {
            fputs(MB_CUR_MAX > 1 ? "\xE2\x80\xA6" : ".", out);
            used++;
            break;
        }
        put_character(out, text, &one);
        used += one.columns;
        text += one.length;
    }
    if (used < room)
        fprintf(out, "%*s", room - used, "");
}

void mw_terminal_text(FILE *out, const char *text, const char *indent)
{
    mbstate_t state = {0};
    bool fresh = true;
    for (const char *end = text + strlen(text); text < end;) {
        struct character one = next_character(text, end, &state);
        if (text[0] == '\r' && text + 1 < end && text[1] == '\n') {
            text++;
            continue;
        }
        if (fresh)
            fputs(indent, out);
        fresh = text[0] == '\n';
        if (text[0] == '\n' || text[0] == '\t')
            fputc(text[0], out);
        else
            put_character(out, text, &one);
        text += one.length;
    }
    if (!fresh)
        fputc('\n', out);
}

void mw_terminal_size(int64_t size, char out[MW_SIZE_TEXT])
{
    static const char units[] = "BKMGT";
    double value = (double)size;
    int unit = 0;
    while (value >= 1000 && unit < 4) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(out, MW_SIZE_TEXT, "%lldB", (long long)size);
    else
        snprintf(out, MW_SIZE_TEXT, "%.1f%c", value, units[unit]);
}

const char *mw_terminal_verdict(enum mw_verdict verdict)
{
    static const char *const colours[MW_VERDICTS] = {[MW_CLEAN] = "\033[32m",
                                                     [MW_SUSPICIOUS] = "\033[33m",
                                                     [MW_MALICIOUS] = "\033[1;31m",
                                                     [MW_UNSCANNED] = "\033[36m"};
    return colours[verdict];
}

const char *mw_terminal_severity(enum mw_severity severity)
{
    return severity == MW_INFO ? "" : mw_terminal_verdict(mw_verdict_of_severity(severity));
}
