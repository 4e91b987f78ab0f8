/*
 * json_out: JSON text as it is written, without a tree in between: for what is
 * written for each message. Reading is left to jansson.
 */
#ifndef MW_CORE_JSON_OUT_H
#define MW_CORE_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing text; start with zeroes. One thread at a time. */
struct mw_json_out {
    char *text; /* the caller frees it; not terminated before mw_json_out_finish */
    size_t size, capacity;
    bool wrong; /* a string was not valid UTF-8: the text is of no use */
};

/*
 * JSON text (from malloc, which it takes; NULL stays NULL) as people may see it: characters
 * that do not show (mw_utf8_is_hidden) are written as \\u escapes, which mean the same. The
 * caller frees what it returns.
 */
char *mw_json_show(char *json);

/* A string in quotes, escaped (RFC 8259 section 7) no more than it must be. */
void mw_json_out_string(struct mw_json_out *out, const char *text);

void mw_json_out_integer(struct mw_json_out *out, int64_t value);

/* One character, or text as it is: punctuation, literals, JSON written elsewhere. */
void mw_json_out_char(struct mw_json_out *out, char c);
void mw_json_out_raw(struct mw_json_out *out, const char *text);

/* A comma, unless the text ends where an object or array began. */
void mw_json_out_comma(struct mw_json_out *out);

/* A comma where one is needed, "key" and a colon. */
void mw_json_out_key(struct mw_json_out *out, const char *key);

/* Goes back to an earlier size: what was written since is dropped. */
void mw_json_out_back(struct mw_json_out *out, size_t size);

/* Terminates the text. */
void mw_json_out_finish(struct mw_json_out *out);

#endif
