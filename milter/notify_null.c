/* notify: no service manager in this build. */
#include "milter/notify.h"

void mw_notify(const char *state)
{
    (void)state;
}

void mw_notify_reloading(void)
{
}

int mw_notify_watchdog_ms(void)
{
    return 0;
}

int mw_notify_sockets(int *first)
{
    *first = 3;
    return 0;
}
