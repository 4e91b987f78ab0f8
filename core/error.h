/*
 * error: the one way a function says why it failed.
 *
 * A function that can fail returns 0 or one of the negative codes below (or
 * NULL) and fills the caller's struct mw_error with a sentence that names the
 * offending thing. Nothing below the program's top level logs or exits.
 */
#ifndef MW_CORE_ERROR_H
#define MW_CORE_ERROR_H

enum mw_code {
    MW_OK = 0,
    MW_ERR_SYSTEM = -1,  /* a system call failed; the text carries strerror */
    MW_ERR_INPUT = -2,   /* the caller's or a person's input is wrong */
    MW_ERR_FORMAT = -3,  /* a file or message is not in the form it must have */
    MW_ERR_LIMIT = -4,   /* a configured bound was reached */
    MW_ERR_BUSY = -5,    /* another process holds it, or it is full for now */
    MW_ERR_MISSING = -6, /* the thing asked for does not exist */
    MW_ERR_TIMEOUT = -7, /* the time allowed ran out */
    MW_ERR_INTERNAL = -8 /* our own mistake, or a library's */
};

struct mw_error {
    int code;        /* enum mw_code; MW_OK when nothing failed */
    char text[1024]; /* one sentence, valid UTF-8, no newline */
};

/*
 * Fills error (which may be NULL) and returns code, so that a caller can write
 * `return mw_fail(error, MW_ERR_INPUT, "...")`. The text is cut at the
 * buffer's size, on a character boundary. Thread-safe.
 */
int mw_fail(struct mw_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * As mw_fail with MW_ERR_SYSTEM, and appends ": " and the text for errno as it
 * was at the call. Thread-safe.
 */
int mw_fail_errno(struct mw_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The short name of a code ("limit", "input", ...), never NULL. */
const char *mw_code_name(int code);

#endif
