/* received: the clauses of a trace field. */
#include "parsers/received.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Where a word that may start a clause ends: blank, or a comment's start. */
static size_t word_length(const char *text)
{
    return strcspn(text, " \t;(");
}

static size_t comment_length(const char *text)
{
    size_t depth = 0, i = 0;
    for (; text[i]; i++) {
        if (text[i] == '\\' && text[i + 1])
            i++;
        else if (text[i] == '(')
            depth++;
        else if (text[i] == ')' && --depth == 0)
            return i + 1;
    }
    return i;
}

static bool is_address(const char *text, size_t size, char out[INET6_ADDRSTRLEN])
{
    if (size >= 5 && strncasecmp(text, "IPv6:", 5) == 0) {
        text += 5;
        size -= 5;
    }
    if (size < 3 || size >= INET6_ADDRSTRLEN)
        return false;
    char copy[INET6_ADDRSTRLEN];
    memcpy(copy, text, size);
    copy[size] = '\0';
    unsigned char binary[16];
    int family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, copy, binary) != 1)
        return false;
    return inet_ntop(family, binary, out, INET6_ADDRSTRLEN) != NULL;
}

/* The first IP address in the "from" clause: its end is where "by" starts. */
static const char *find_address(struct mw_arena *arena, const char *text, const char *end)
{
    static const char stops[] = " \t[]()<>,;@=";
    char found[INET6_ADDRSTRLEN];
    while (text < end) {
        text += strspn(text, stops);
        size_t size = strcspn(text, stops);
        if (size == 0 || text + size > end)
            break;
        if (is_address(text, size, found))
            return mw_arena_dup(arena, found);
        text += size;
    }
    return NULL;
}

static const char *take_word(struct mw_arena *arena, const char *text, size_t size)
{
    if (size > 1 && text[0] == '<' && text[size - 1] == '>') {
        text++;
        size -= 2;
    }
    return size > 0 ? mw_arena_dup_bytes(arena, text, size) : NULL;
}

void mw_received_parse(struct mw_arena *arena, const char *value, struct mw_hop *hop)
{
    struct {
        const char *keyword;
        const char **field;
    } clauses[] = {{"from", &hop->from},
                   {"by", &hop->by},
                   {"with", &hop->with},
                   {"id", &hop->id},
                   {"for", &hop->recipient}};
    const char *semicolon = strrchr(value, ';');
    const char *end = semicolon ? semicolon : value + strlen(value);
    const char *from_end = end;
    const char **awaited = NULL;
    for (const char *at = value; at < end;) {
        at += strspn(at, " \t");
        if (*at == '(') {
            at += comment_length(at);
            continue;
        }
        size_t size = word_length(at);
        if (size == 0) {
            at++;
            continue;
        }
        const char **field = awaited;
        awaited = NULL;
        if (field && !*field)
            *field = take_word(arena, at, size);
        for (size_t i = 0; !field && i < sizeof clauses / sizeof *clauses; i++) {
            if (strlen(clauses[i].keyword) != size ||
                strncasecmp(at, clauses[i].keyword, size) != 0)
                continue;
            awaited = clauses[i].field;
            if (awaited == &hop->by && from_end == end)
                from_end = at;
        }
        at += size;
    }
    if (hop->from)
        hop->address = find_address(arena, value, from_end);
    if (semicolon) {
        semicolon += 1 + strspn(semicolon + 1, " \t");
        hop->date = *semicolon ? semicolon : NULL;
    }
}
