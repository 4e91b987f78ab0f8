/* notify: systemd's. */
#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "milter/notify.h"

void mw_notify(const char *state)
{
    sd_notify(0, state);
}

void mw_notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

int mw_notify_watchdog_ms(void)
{
    uint64_t usec = 0;
    return sd_watchdog_enabled(0, &usec) > 0 ? (int)(usec / 2000) : 0;
}

int mw_notify_sockets(int *first)
{
    int count = sd_listen_fds(1);
    *first = SD_LISTEN_FDS_START;
    return count > 0 ? count : 0;
}
