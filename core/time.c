/* time: gmtime(3) and strftime(3). */
#include "core/time.h"

#include <stdio.h>
#include <time.h>

int64_t mw_time_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void mw_time_text(int64_t ms, char out[MW_TIME_SIZE])
{
    /* Of a time before 1970 the milliseconds count forward, too. */
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    struct tm parts;
    time_t when = (time_t)seconds;
    size_t used =
        gmtime_r(&when, &parts) ? strftime(out, MW_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts) : 0;
    if (used > 0)
        snprintf(out + used, MW_TIME_SIZE - used, ".%03dZ", (int)(ms - seconds * 1000));
    else
        out[0] = '\0';
}

void mw_time_seconds_text(int64_t seconds, char out[MW_TIME_SIZE])
{
    struct tm parts;
    time_t when = (time_t)seconds;
    if (!gmtime_r(&when, &parts) || strftime(out, MW_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        out[0] = '\0';
}
