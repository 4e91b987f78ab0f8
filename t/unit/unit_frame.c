/* unit_frame: what processes of a pool say to each other, and what they may not. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/open_files.h"
#include "t/unit/tap.h"
#include "worker/frame.h"

static struct mw_channel asker, worker;
static unsigned char room[MW_FRAME_MAX];

static void open_pair(enum mw_channel_kind kind)
{
    int ends[2];
    struct mw_error error = {0};
    if (mw_channel_pair(ends, &error) != 0)
        printf("# %s\n", error.text);
    asker = (struct mw_channel){ends[0], kind, true, MW_PHASE_IDLE};
    worker = (struct mw_channel){ends[1], kind, false, MW_PHASE_IDLE};
}

static void close_pair(void)
{
    close(asker.socket);
    close(worker.socket);
}

static int send_kind(struct mw_channel *channel, enum mw_frame_kind kind, unsigned descriptors)
{
    unsigned char bytes[256];
    struct mw_error error = {0};
    struct mw_frame_out frame = mw_frame_begin(bytes, sizeof bytes, kind);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[] = {null, null, null};
    int result = mw_channel_send(channel, &frame, fds, descriptors, &error);
    close(null);
    return result;
}

static int receive(struct mw_channel *channel, struct mw_frame_in *frame)
{
    struct mw_error error = {0};
    return mw_channel_receive(channel, frame, room, sizeof room, 0, &error);
}

static void test_fields(void)
{
    unsigned char bytes[256];
    struct mw_frame_out out = mw_frame_begin(bytes, sizeof bytes, MW_FRAME_FAILED);
    struct mw_error error = {0};
    struct mw_frame_in in;
    open_pair(MW_CHANNEL_CONTROL);
    asker.phase = worker.phase = MW_PHASE_LOADING;
    mw_frame_put_number(&out, UINT64_MAX);
    mw_frame_put_text(&out, "why");
    memcpy(mw_frame_put_space(&out, 3), "\0x\0", 3);
    tap_ok(mw_channel_send(&worker, &out, NULL, 0, &error) == 0 && receive(&asker, &in) == 0 &&
               in.kind == MW_FRAME_FAILED,
           "a frame comes as it was sent");
    tap_ok(mw_frame_take_number(&in) == UINT64_MAX && strcmp(mw_frame_take_text(&in), "why") == 0,
           "... with its numbers and texts");
    tap_ok(!mw_frame_is_done(&in), "... and is not done while something is left");
    tap_ok(mw_frame_take_bytes(&in).size == 3 && mw_frame_is_done(&in), "... but then");
    tap_ok(mw_frame_take_number(&in) == 0 && !mw_frame_is_done(&in), "what is not there is missed");
    for (int i = 0; i < 100; i++)
        mw_frame_put_text(&out, "more");
    tap_ok(mw_channel_send(&worker, &out, NULL, 0, &error) == MW_ERR_INTERNAL,
           "a frame that ran full is not sent");
    close_pair();
}

/* A text without its NUL, or with another one. */
static void test_texts(void)
{
    static const char *const texts[] = {"ab", "a\0b"};
    for (size_t i = 0; i < 2; i++) {
        unsigned char bytes[64];
        struct mw_frame_out out = mw_frame_begin(bytes, sizeof bytes, MW_FRAME_FAILED);
        unsigned char *at = mw_frame_put_space(&out, 2 + i * 2);
        memcpy(at, texts[i], 2 + i * 2);
        at[-9] = 2; /* its type: it is called a text */
        struct mw_frame_in in = {.rest = {bytes, out.size}};
        mw_frame_take_number(&in);
        tap_ok(mw_frame_take_text(&in)[0] == '\0' && !mw_frame_is_done(&in), "a text %s is none",
               i ? "with a NUL inside" : "without its end");
    }
}

/* Every kind, from each side, in each phase, with each number of descriptors: few may be sent,
 * and what may not be sent is not taken either. */
static void test_table(void)
{
    unsigned sent = 0, wrong = 0;
    int before = open_files();
    for (int channel = MW_CHANNEL_ZYGOTE; channel <= MW_CHANNEL_RUNNER; channel++)
        for (int kind = 0; kind <= MW_FRAME_KINDS; kind++)
            for (int phase = MW_PHASE_LOADING; phase <= MW_PHASE_FILING; phase++)
                for (unsigned descriptors = 0; descriptors <= 3; descriptors++)
                    for (int by_asker = 0; by_asker < 2; by_asker++) {
                        struct mw_frame_in in;
                        open_pair((enum mw_channel_kind)channel);
                        struct mw_channel *from = by_asker ? &asker : &worker,
                                          *to = by_asker ? &worker : &asker;
                        from->phase = to->phase = (enum mw_phase)phase;
                        if (send_kind(from, (enum mw_frame_kind)kind, descriptors) == 0) {
                            sent++;
                            wrong += receive(to, &in) != 0 || from->phase != to->phase;
                            mw_frame_close(&in);
                        }
                        close_pair();
                    }
    tap_is_number(sent, 15 + 2, "each kind goes over one channel, from one side, in one phase");
    tap_is_number(wrong, 0, "... and is taken there, and both sides are in the same phase then");
    tap_is_number(open_files(), before, "no descriptor is left over");
}

/* The other side sends what it likes: here, past its own table. */
static void test_refused(void)
{
    struct mw_frame_in in;
    struct mw_channel liar;
    int before = open_files();
    open_pair(MW_CHANNEL_JOBS);
    liar = worker;
    liar.phase = MW_PHASE_WORKING;
    send_kind(&liar, MW_FRAME_RESULT, 0);
    tap_ok(receive(&asker, &in) == MW_ERR_FORMAT, "an answer that nobody asked for is refused");
    liar = (struct mw_channel){worker.socket, MW_CHANNEL_CONTROL, true, MW_PHASE_IDLE};
    send_kind(&liar, MW_FRAME_START, 1);
    tap_ok(receive(&asker, &in) == MW_ERR_FORMAT, "... and what belongs to another channel");
    liar = (struct mw_channel){worker.socket, MW_CHANNEL_RUNNER, false, MW_PHASE_WORKING};
    send_kind(&liar, MW_FRAME_RAN, 1);
    tap_ok(receive(&asker, &in) == MW_ERR_FORMAT, "... with its descriptors");
    tap_ok(write(worker.socket, "x", 1) == 1 && receive(&asker, &in) == MW_ERR_FORMAT,
           "... and what is no frame");
    asker.phase = MW_PHASE_WORKING;
    static unsigned char large[MW_FRAME_MAX * 2];
    tap_ok(write(worker.socket, large, sizeof large) == sizeof large &&
               receive(&asker, &in) == MW_ERR_FORMAT,
           "... and what is larger than there is room for");
    tap_ok(asker.phase == MW_PHASE_WORKING, "what is refused changes no phase");
    close_pair();
    tap_is_number(open_files(), before, "no descriptor is left over");
}

static void test_unread(void)
{
    struct mw_frame_in in;
    open_pair(MW_CHANNEL_JOBS);
    tap_ok(mw_channel_is_quiet(&asker) && mw_channel_is_read(&asker), "a new channel is quiet");
    send_kind(&asker, MW_FRAME_JOB, 1);
    tap_ok(!mw_channel_is_read(&asker), "a job that nobody took is seen");
    tap_ok(receive(&worker, &in) == 0 && mw_channel_is_read(&asker), "... and one that was");
    mw_frame_close(&in);
    send_kind(&worker, MW_FRAME_RESULT, 0);
    tap_ok(!mw_channel_is_quiet(&asker), "what came is seen without taking it");
    receive(&asker, &in);
    send_kind(&asker, MW_FRAME_JOB, 1);
    close(worker.socket);
    tap_ok(receive(&asker, &in) == MW_ERR_BUSY, "who ends with a job unread did not have it");
    close(asker.socket);
    open_pair(MW_CHANNEL_JOBS);
    close(worker.socket);
    tap_ok(receive(&asker, &in) == MW_ERR_MISSING, "who just ends is gone");
    tap_ok(send_kind(&asker, MW_FRAME_JOB, 1) == MW_ERR_MISSING, "... also for who sends");
    close(asker.socket);
}

/* Who does not read keeps nobody waiting. */
static void test_full(void)
{
    int result = 0, sent = 0;
    open_pair(MW_CHANNEL_CONTROL);
    while (sent < 100000 && (result = send_kind(&asker, MW_FRAME_END, 0)) == 0)
        sent++;
    tap_ok(result == MW_ERR_BUSY && sent > 10, "a channel that is full is told, at once");
    close_pair();
}

int main(void)
{
    test_fields();
    test_texts();
    test_table();
    test_refused();
    test_unread();
    test_full();
    return tap_done();
}
