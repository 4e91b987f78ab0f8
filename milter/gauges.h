/* gauges: how the daemon fares, told to whoever looks at its metrics. */
#ifndef MW_MILTER_GAUGES_H
#define MW_MILTER_GAUGES_H

#include "milter/daemon.h"

/* Registers the daemon as the source of its metrics; its memory must be open. */
void mw_gauges_register(struct mw_daemon *daemon);

#endif
