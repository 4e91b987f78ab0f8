/* metrics_http: the listener that hands metrics out; inner part of metrics. */
#ifndef MW_MILTER_METRICS_HTTP_H
#define MW_MILTER_METRICS_HTTP_H

#include "milter/metrics.h"

struct mw_metrics_http;

/* Listens on HOST:PORT in a thread of its own; NULL with error. */
struct mw_metrics_http *mw_metrics_http_start(struct mw_metrics *metrics, const char *address,
                                              struct mw_error *error);
void mw_metrics_http_stop(struct mw_metrics_http *http);

#endif
