/*
 * admission: how many bytes of mail the daemon holds at once. Lock-free; any thread.
 */
#ifndef MW_MILTER_ADMISSION_H
#define MW_MILTER_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct mw_admission {
    atomic_size_t held;
    atomic_size_t max; /* may be changed while in use */
};

/* Takes bytes unless there would be more than max; false then, and nothing taken. */
bool mw_admission_take(struct mw_admission *admission, size_t bytes);

/* Takes them whatever is held: for what is there already and only has to be counted. */
void mw_admission_force(struct mw_admission *admission, size_t bytes);

/* Gives taken bytes back. */
void mw_admission_give(struct mw_admission *admission, size_t bytes);

#endif
