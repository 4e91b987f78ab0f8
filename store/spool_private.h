/* What spool.c (writing) and spool_read.c (reading) share. */
#ifndef MW_STORE_SPOOL_PRIVATE_H
#define MW_STORE_SPOOL_PRIVATE_H

#include "store/spool.h"

enum { MW_SPOOL_FILE_HEAD = 48, MW_SPOOL_HEAD = 32, MW_SPOOL_STATE_AT = 4, MW_SPOOL_NAME = 64 };
enum { MW_SPOOL_NEW = 'N', MW_SPOOL_DONE = 'D' };

/* What the head of a file says. */
struct mw_spool_file {
    bool known;   /* it is a spool file */
    bool damaged; /* one of its two heads is not sound */
    uint64_t seed;
    size_t start; /* of the first record */
};
struct mw_spool_file mw_spool_read_file_head(struct mw_bytes bytes);
void mw_spool_file_head(unsigned char head[MW_SPOOL_FILE_HEAD], uint64_t seed);

/* Whether what follows the last sound record, from end on (0: not even a head of a file was
 * found), is what a killed writer leaves: the beginning of a head, or a sound head whose
 * record is not all there. */
bool mw_spool_is_unfinished(struct mw_bytes bytes, size_t end);

/* Writes the head of a record made of pieces. */
void mw_spool_head(unsigned char head[MW_SPOOL_HEAD], const struct mw_bytes *pieces, size_t count,
                   uint64_t seed, int64_t now);

/* What a sound head, of a file whose own head is sound, at bytes.data + at says; the record
 * itself is not looked at, but for being all there. */
bool mw_spool_read_head(struct mw_bytes bytes, size_t at, uint64_t *size, int64_t *written,
                        bool *done);

/* The name of a file, and the number in a name of kind (false for other names). */
void mw_spool_name(char name[MW_SPOOL_NAME], const char *kind, uint64_t number);
bool mw_spool_number(const char *name, const char *kind, uint64_t *number);
bool mw_spool_damaged_number(const char *name, const char *kind, uint64_t *number);

/* The numbers of kind's files in folder, sorted; the caller frees them. */
int mw_spool_list(const char *folder, const char *kind, uint64_t **numbers, size_t *count,
                  struct mw_error *error);

#endif
