/* frame: a table of letters and forms, and the forms. */
#include "milter/frame.h"

#include <stddef.h>
#include <string.h>

/* As libmilter, of which there is one a process. */
static mw_frame_listener *the_listener;
static void *the_user;

/* Each returns NULL or what is wrong. */
typedef const char *check_form(struct mw_bytes data);

static const char *nothing(struct mw_bytes data)
{
    return data.size == 0 ? NULL : "data where none belongs";
}

static const char *some_bytes(struct mw_bytes data)
{
    return data.size > 0 ? NULL : "no data";
}

/* QUIT_NC. libmilter ignores it after a message that was accepted, and the CONNECT behind it
 * too: mail of the new client would be taken for the old one's. No mail server known sends it. */
static const char *another_connection(struct mw_bytes data)
{
    (void)data;
    return "a new connection within one, which libmilter would take for the old one";
}

static const char *options(struct mw_bytes data)
{
    return data.size >= 12 ? NULL : "less than a version and two sets of options";
}

/* The length of the text that begins at `at`, its NUL included; 0 when it has no end. */
static size_t text_at(struct mw_bytes data, size_t at)
{
    const unsigned char *end = at < data.size ? memchr(data.data + at, '\0', data.size - at) : NULL;
    return end ? (size_t)(end - data.data) - at + 1 : 0;
}

static const char *texts(struct mw_bytes data)
{
    return data.size > 0 && data.data[data.size - 1] == '\0' ? NULL : "a text without an end";
}

static const char *one_text(struct mw_bytes data)
{
    size_t size = text_at(data, 0);
    return size == 0 ? "a text without an end" : size == data.size ? NULL : "more than one text";
}

static const char *header(struct mw_bytes data)
{
    size_t name = text_at(data, 0), value = name > 0 ? text_at(data, name) : 0;
    if (name == 0 || value == 0)
        return "a header field without an end";
    if (name == 1)
        return "a header field without a name";
    return name + value == data.size ? NULL : "a header field with a NUL";
}

static const char *connection(struct mw_bytes data)
{
    size_t name = text_at(data, 0);
    if (name == 0 || name == data.size)
        return "a client without a name or an address";
    char family = (char)data.data[name];
    if (family == 'U')
        return NULL;
    if (family != '4' && family != '6' && family != 'L')
        return "an address of an unknown kind";
    size_t address = name + 1 + 2; /* behind the port */
    size_t size = text_at(data, address);
    return size > 0 && address + size == data.size ? NULL : "an address without an end";
}

static bool is_command(char letter);

/* The letter of a command, then names and values. */
static const char *macros(struct mw_bytes data)
{
    if (data.size == 0 || !is_command((char)data.data[0]))
        return "macros for no command";
    size_t count = 0, at = 1;
    for (size_t size; at < data.size; at += size, count++) {
        size = text_at(data, at);
        if (size == 0)
            return "a macro without an end";
    }
    return count % 2 == 0 ? NULL : "a macro without a value";
}

static const struct {
    char letter;
    check_form *form;
} commands[] = {
    {'L', header},
    {'B', some_bytes},
    {'D', macros},
    {'R', texts},
    {'M', texts},
    {'C', connection},
    {'H', one_text},
    {'E', nothing},
    {'N', nothing},
    {'T', nothing},
    {'A', nothing},
    {'Q', nothing},
    {'K', another_connection},
    {'O', options},
    {'U', one_text},
};

static check_form *form_of(char letter)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].letter == letter)
            return commands[i].form;
    return NULL;
}

static bool is_command(char letter)
{
    return form_of(letter) != NULL;
}

long mw_frame_data_size(const unsigned char head[MW_FRAME_HEAD])
{
    unsigned long size = (unsigned long)head[0] << 24 | (unsigned long)head[1] << 16 |
                         (unsigned long)head[2] << 8 | head[3];
    return size >= 1 && size - 1 <= MW_FRAME_DATA_MAX ? (long)size - 1 : -1;
}

const char *mw_frame_wrong(char letter, struct mw_bytes data)
{
    check_form *check = form_of(letter);
    return check ? check(data) : "no command of the protocol";
}

void mw_frame_on_refused(mw_frame_listener *listener, void *user)
{
    the_listener = listener;
    the_user = user;
}

void mw_frame_refuse(char letter, const char *why)
{
    if (the_listener)
        the_listener(the_user, letter, why);
}
