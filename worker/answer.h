/*
 * answer: how a report comes back from a worker. The asking side makes an empty memory
 * file and a pipe and sends both along with the job. The worker says in the file who it is
 * when it begins, then writes its report there, and one byte into the pipe. The asker
 * sleeps until that byte or, when the worker died, until the end of the pipe: it is woken
 * once. No descriptor and no length of the worker's making comes back.
 */
#ifndef MW_WORKER_ANSWER_H
#define MW_WORKER_ANSWER_H

#include <stdint.h>

#include "core/memfile.h"
#include "core/report.h"

enum { MW_ANSWER_FDS = 2 };

/* --- the asking side; one thread uses an answer -------------------------------------- */

struct mw_answer;

struct mw_answer *mw_answer_new(struct mw_error *error);
void mw_answer_free(struct mw_answer *answer);

/* What goes with the job: the file and the pipe's end, borrowed. */
void mw_answer_fds(const struct mw_answer *answer, int fds[MW_ANSWER_FDS]);

/* The job was sent, or will not be: from here on only the worker holds the pipe's end. */
void mw_answer_sent(struct mw_answer *answer);

/* Bounds of the waiting, in ms; 0: none. */
struct mw_answer_wait {
    unsigned queue_ms;        /* until a worker begins */
    unsigned work_ms;         /* from then on */
    unsigned alarm_ms;        /* one that dies after so long was ended as its time was up */
    unsigned tick_ms;         /* tick(user) is called about so often; 0: never */
    bool (*tick)(void *user); /* false: nobody wants the answer any more */
    void *user;
};

/*
 * Waits. 0, or MW_ERR_BUSY: nobody began in time; MW_ERR_TIMEOUT: who began, *worker, is
 * not done in time; MW_ERR_MISSING: nobody who might have begun is left, or
 * nobody wants to know; MW_ERR_INTERNAL:
 * who began has died before its time was up. *worker is what that process said, not to be trusted.
 */
int mw_answer_await(struct mw_answer *answer, const struct mw_answer_wait *wait, int *worker,
                    struct mw_error *error);

/* The report of up to max bytes, read as mw_wire_unpack does; the answer is empty then. */
struct mw_report *mw_answer_take(struct mw_answer *answer, size_t max, struct mw_error *error);

/* --- the worker's side; both take the descriptors that came with the job ------------- */

/* Tells who begins; false when nobody waits any more. */
bool mw_answer_begin(const int fds[MW_ANSWER_FDS]);

/* Writes the report and tells so. Owns the file (fds[0]) in every case. */
int mw_answer_give(const int fds[MW_ANSWER_FDS], const struct mw_report *report,
                   struct mw_error *error);

#endif
