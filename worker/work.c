/* work: receive, examine, answer. */
#include "worker/work.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "worker/result.h"

struct work {
    struct mw_witness *witness;
    const struct mw_generation_settings *settings;
    const struct mw_runner *helper;
    struct mw_channel *jobs;
    long at_first_kib;
};

/* The kernel ends the process after time_ms and some grace, whatever hangs in it; 0: it does
 * not. */
static void set_alarm(unsigned time_ms)
{
    unsigned ms = time_ms > 0 ? time_ms + MW_GENERATION_GRACE_MS : 0;
    struct itimerval timer = {.it_value = {ms / 1000, (suseconds_t)(ms % 1000) * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static long resident_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

/* Whether it is time for a fresh process. How many messages one may have is counted by who
 * gives them. */
static bool is_spent(const struct work *work)
{
    const struct mw_generation_settings *settings = work->settings;
    size_t growth = (size_t)(resident_kib() - work->at_first_kib) * 1024;
    return (settings->recycle_growth > 0 && growth > settings->recycle_growth) ||
           (work->helper && work->helper->broken);
}

/* Whether there may be more. */
static bool examine(struct work *work, struct mw_memfile *message)
{
    struct mw_error error = {0};
    struct mw_bytes raw = {0};
    if (mw_memfile_map(message, &raw, &error) != 0)
        return false;
    struct mw_report *report = mw_witness_examine(work->witness, raw);
    bool spent = is_spent(work);
    bool sent = mw_job_answer(work->jobs, report, spent, &error) == 0;
    mw_report_free(report);
    return sent && !spent;
}

/* What it finds in one file can only be that file's doing: there is no other, before or after. */
_Noreturn static void verify(struct work *work, struct mw_memfile *file)
{
    struct mw_error error = {0};
    struct mw_report *asked = mw_result_read_file(file, &error);
    if (!asked || asked->attachments.count != 1)
        _exit(1);
    _exit(mw_job_answer(work->jobs, mw_witness_verify(work->witness, asked), true, &error) != 0);
}

/* One job; false when there are to be no more. */
static bool next_job(struct work *work)
{
    struct mw_error error = {0};
    enum mw_frame_kind kind;
    struct mw_memfile *file;
    if (mw_job_take(work->jobs, &kind, &file, &error) != 0)
        return false;
    set_alarm(work->settings->witness.limits.time_ms);
    if (kind == MW_FRAME_FILE)
        verify(work, file);
    bool more = examine(work, file);
    mw_memfile_free(file);
    set_alarm(0);
    return more;
}

_Noreturn void mw_work(struct mw_witness *witness, const struct mw_generation_settings *settings,
                       const struct mw_runner *helper, struct mw_channel *jobs)
{
    struct work work = {witness, settings, helper, jobs, resident_kib()};
    while (next_job(&work)) {
    }
    _exit(0);
}
