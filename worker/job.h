/*
 * job: one message or file, given to one worker over a channel that nobody else has, and
 * the report that comes back. A small report comes in a frame; for a large one the
 * worker asks for a memory file of the asker's making. No descriptor and no length of a
 * worker's making is used.
 */
#ifndef MW_WORKER_JOB_H
#define MW_WORKER_JOB_H

#include "core/memfile.h"
#include "core/report.h"
#include "worker/frame.h"

/* --- the asking side; one thread at a time has a channel ------------------------------- */

/* Gives the job: a sealed message (MW_FRAME_JOB) or a packed report (MW_FRAME_FILE).
 * MW_ERR_BUSY when the worker is gone or said something that it was not asked: it has not
 * read the job. */
int mw_job_give(struct mw_channel *channel, enum mw_frame_kind kind, const struct mw_memfile *file,
                struct mw_error *error);

/* Bounds of the waiting, in ms; 0: none. */
struct mw_job_wait {
    unsigned unread_ms;       /* until the worker has read the job */
    unsigned work_ms;         /* until its report is here */
    unsigned alarm_ms;        /* one that dies after so long was ended as its time was up */
    unsigned tick_ms;         /* tick(user) is called about so often; 0: never */
    bool (*tick)(void *user); /* false: nobody wants the report any more */
    void *user;
    size_t result_max; /* bytes of a result that are accepted */
};

/*
 * Waits for the report of the job that was given; the caller frees it. *spent: the worker
 * takes no more jobs. NULL with MW_ERR_BUSY: the worker has not read the job (whatever else it
 * said or did), another may;
 * MW_ERR_TIMEOUT; MW_ERR_INTERNAL: it died; MW_ERR_FORMAT: what it said is no sound report;
 * MW_ERR_MISSING: nobody wants it any more. After an error the worker is not to be used.
 */
struct mw_report *mw_job_await(struct mw_channel *channel, const struct mw_job_wait *wait,
                               bool *spent, struct mw_error *error);

/* --- the worker's side ------------------------------------------------------------------- */

/* Waits for a job: its kind, and *file, the caller's then. MW_ERR_MISSING when there are no
 * more. */
int mw_job_take(struct mw_channel *channel, enum mw_frame_kind *kind, struct mw_memfile **file,
                struct mw_error *error);

/* Hands the report over; spent: this was the last job. */
int mw_job_answer(struct mw_channel *channel, const struct mw_report *report, bool spent,
                  struct mw_error *error);

#endif
