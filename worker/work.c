/* work: receive, examine, answer. */
#include "worker/work.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "worker/answer.h"
#include "worker/wire.h"

struct work {
    struct mw_witness *witness;
    const struct mw_generation_settings *settings;
    const struct mw_runner *helper;
    unsigned done;
    long at_first_kib;
};

static void set_alarm(unsigned milliseconds)
{
    struct itimerval timer = {
        .it_value = {milliseconds / 1000, (suseconds_t)(milliseconds % 1000) * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

void mw_work_alarm(unsigned time_ms)
{
    if (time_ms > 0)
        set_alarm(time_ms + MW_GENERATION_GRACE_MS);
}

static long resident_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

/* Reads the message in file and answers; owns reply[0]. */
static void do_job(struct work *work, struct mw_memfile *file, const int reply[MW_ANSWER_FDS])
{
    struct mw_error error = {0};
    struct mw_bytes raw = {0};
    if (!mw_answer_begin(reply) || mw_memfile_map(file, &raw, &error) != 0) {
        close(reply[0]);
        return;
    }
    struct mw_report *report = mw_witness_examine(work->witness, raw);
    mw_answer_give(reply, report, &error);
    mw_report_free(report);
}

/* Whether it is time for a fresh process. */
static bool is_spent(const struct work *work)
{
    const struct mw_generation_settings *settings = work->settings;
    size_t growth = (size_t)(resident_kib() - work->at_first_kib) * 1024;
    return (settings->recycle_messages > 0 && work->done >= settings->recycle_messages) ||
           (settings->recycle_growth > 0 && growth > settings->recycle_growth) ||
           (work->helper && work->helper->broken);
}

/* One job; false when there are no more. */
static bool next_job(struct work *work, int jobs)
{
    struct mw_wire wire = {0};
    struct mw_error error = {0};
    int fds[1 + MW_ANSWER_FDS];
    unsigned time_ms = work->settings->witness.limits.time_ms;
    int result = mw_wire_receive(jobs, &wire, fds, 1 + MW_ANSWER_FDS, -1, &error);
    if (result == MW_ERR_FORMAT)
        return true;
    if (result != 0)
        return false;
    mw_work_alarm(time_ms);
    struct mw_memfile *file = mw_memfile_receive(fds[0], SIZE_MAX, &error);
    if (file)
        do_job(work, file, fds + 1);
    else
        close(fds[1]);
    mw_memfile_free(file);
    close(fds[2]);
    set_alarm(0);
    work->done++;
    return true;
}

_Noreturn void mw_work(struct mw_witness *witness, const struct mw_generation_settings *settings,
                       const struct mw_runner *helper, int jobs)
{
    struct work work = {
        .witness = witness, .settings = settings, .helper = helper, .at_first_kib = resident_kib()};
    while (next_job(&work, jobs) && !is_spent(&work)) {
    }
    _exit(0);
}
