/*
 * input: the messages behind a path: a message file, an mbox, a Maildir, a
 * folder of either, or standard input.
 */
#ifndef MW_CLI_INPUT_H
#define MW_CLI_INPUT_H

#include "core/bytes.h"
#include "core/error.h"

struct mw_input {
    size_t max_size; /* bytes read from standard input at most */
    void *user;
    /* One message; raw is valid until it returns. False stops the walk. */
    int (*message)(void *user, struct mw_bytes raw, const char *source);
    /* Something that could not be read; the walk goes on. */
    void (*failed)(void *user, const struct mw_error *error);
};

/* Hands each message behind path ("-": standard input) to input->message, in
 * sorted order. Returns what message returned when it was not 0. */
int mw_input_walk(const struct mw_input *input, const char *path);

#endif
