/*
 * fuzz_frame: what a worker answers, and what is asked of a generation or runner. The first
 * byte of the input says who receives the rest, and when.
 *
 * Nothing that comes may crash the receiver, leave a descriptor open, or become a report that
 * cannot be written.
 */
#include <stdlib.h>
#include <unistd.h>

#include "worker/job.h"
#include "worker/result.h"

enum { KINDS = MW_CHANNEL_RUNNER + 1, PHASES = MW_PHASE_FILING + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As one that receives reads them, until all are there. */
static void take_fields(struct mw_frame_in *frame)
{
    for (int i = 0; i < 8 && !frame->bad && frame->rest.size > 0; i++)
        if (frame->rest.data[0] == 1)
            mw_frame_take_number(frame);
        else if (frame->rest.data[0] == 2)
            mw_frame_take_text(frame);
        else
            mw_frame_take_bytes(frame);
    if (mw_frame_is_done(frame) != (!frame->bad && frame->rest.size == 0))
        abort();
}

static void receive(struct mw_channel *channel)
{
    static unsigned char room[MW_FRAME_RESULT_MAX];
    struct mw_error error = {0};
    struct mw_frame_in frame;
    if (mw_channel_receive(channel, &frame, room, sizeof room, 0, &error) == 0)
        take_fields(&frame);
    mw_frame_close(&frame);
}

/* The asking side waits for a report, and this comes; then the other end is closed. */
static void await(struct mw_channel *channel)
{
    const struct mw_job_wait wait = {.work_ms = 1000, .result_max = 1 << 20};
    struct mw_error error = {0};
    bool spent;
    struct mw_report *report = mw_job_await(channel, &wait, &spent, &error);
    char *text = report ? mw_report_to_json(report, MW_JSON_LINE, &error) : NULL;
    if (report && !text)
        abort();
    free(text);
    mw_report_free(report);
}

static void read_result(const uint8_t *data, size_t size)
{
    struct mw_error error = {0};
    struct mw_report *report = mw_result_read((struct mw_bytes){data, size}, &error);
    char *text = report ? mw_report_to_json(report, MW_JSON_LINE, &error) : NULL;
    if (report && !text)
        abort();
    free(text);
    mw_report_free(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2];
    struct mw_error error = {0};
    if (size < 2 || size > MW_FRAME_RESULT_MAX || mw_channel_pair(ends, &error) != 0)
        return 0;
    unsigned how = data[0];
    struct mw_channel channel = {ends[0], (enum mw_channel_kind)(how % KINDS), (how & 64) != 0,
                                 (enum mw_phase)(how / KINDS % PHASES)};
    bool sent = write(ends[1], data + 1, size - 1) == (ssize_t)size - 1;
    close(ends[1]);
    if (sent && (how & 128)) {
        channel = (struct mw_channel){ends[0], MW_CHANNEL_JOBS, true, MW_PHASE_WORKING};
        await(&channel);
    } else if (sent) {
        receive(&channel);
    }
    close(ends[0]);
    read_result(data + 1, size - 1);
    return 0;
}
