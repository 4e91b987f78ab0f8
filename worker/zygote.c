/* zygote: receive, fork. */
#include "worker/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What else is open here is nobody's business below: another pool, for one, could
 * not be ended while copies of its sockets are kept. Returns where socket is now. */
static int close_others(int socket)
{
    enum { SOCKET = 3 };
    if (socket != SOCKET)
        socket = dup3(socket, SOCKET, O_CLOEXEC);
    close_range(SOCKET + 1, ~0u, 0);
    return socket;
}

/* A terminal's ^C and the like are the asking side's to handle. */
static void set_signals(void)
{
    static const int ignored[] = {SIGCHLD, SIGPIPE, SIGHUP, SIGINT, SIGTERM};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What a generation is to have beside its control socket; false when the frame is not sound. */
static bool read_load(struct mw_frame_in *frame, struct mw_generation_start *start)
{
    uint64_t with = mw_frame_take_number(frame);
    size_t next = 1;
    *start = (struct mw_generation_start){frame->fds[0], -1, -1};
    if ((with & MW_LOAD_TABLE) && next < frame->fd_count)
        start->table = frame->fds[next++];
    if ((with & MW_LOAD_SOURCE) && next < frame->fd_count)
        start->source = frame->fds[next++];
    return mw_frame_is_done(frame) && next == frame->fd_count;
}

_Noreturn void mw_zygote_run(const struct mw_generation_settings *settings, int socket)
{
    struct mw_channel channel = {close_others(socket), MW_CHANNEL_ZYGOTE, false, MW_PHASE_IDLE};
    unsigned char room[MW_FRAME_MAX];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_signals();
    for (;;) {
        struct mw_error error = {0};
        struct mw_frame_in frame;
        struct mw_generation_start start;
        if (mw_channel_receive(&channel, &frame, room, sizeof room, -1, &error) != 0)
            break;
        if (read_load(&frame, &start) && fork() == 0) {
            close(channel.socket);
            mw_generation_run(settings, &start);
        }
        mw_frame_close(&frame);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    _exit(0);
}
