/*
 * id: message ids that sort by time (UUID version 7, RFC 9562 section 5.7).
 */
#ifndef MW_CORE_ID_H
#define MW_CORE_ID_H

#include <stdbool.h>
#include <stdint.h>

#define MW_ID_SIZE 37 /* 36 characters and the NUL */

struct mw_id_source;

/*
 * A source of ids; NULL when the system gives no random bytes. Ids from one
 * source are strictly increasing, also when the clock stands still or steps
 * back (RFC 9562 section 6.2, method 1: a counter seeded anew each
 * millisecond). Thread-safe.
 */
struct mw_id_source *mw_id_source_new(void);
void mw_id_source_free(struct mw_id_source *source);

/* Writes the next id, lower case with hyphens, into out. */
void mw_id_next(struct mw_id_source *source, char out[MW_ID_SIZE]);

/* As mw_id_next, with the clock's milliseconds since 1970 given: for tests. */
void mw_id_next_at(struct mw_id_source *source, uint64_t unix_ms, char out[MW_ID_SIZE]);

/* Whether text is a well-formed version 7 id; *unix_ms (may be NULL) gets its time. */
bool mw_id_parse(const char *text, uint64_t *unix_ms);

#endif
