/*
 * reader: frames read in libmilter's place (mi_rd_cmd, a function that it exports and calls,
 * but does not document), so that each is looked at before libmilter uses it, and so that
 * several small ones cost one read.
 *
 * Where the linker does not let us (configure looks), reader_none.c is built instead, and
 * every connection goes by the front, which looks at frames as well.
 */
#ifndef MW_MILTER_READER_H
#define MW_MILTER_READER_H

#include <stdbool.h>

/* Whether it is built to read frames; the front must look at all of them when not. */
bool mw_reader_is_built(void);

/* The letter of the frame that this thread works on; '\0' when libmilter did not ask us for
 * it. In callbacks. */
char mw_reader_command(void);

/* Whether the client of this thread takes what it is told: libmilter would wait for that, for as
 * long as it waits for anything. In callbacks. True when nobody knows. */
bool mw_reader_is_heard(void);

/* A connection ends, or another begins in its place: nothing that was read ahead stays.
 * From xxfi_close, which libmilter calls in the thread that reads. */
void mw_reader_close(void);

#endif
