/*
 * metrics: what the daemon did and how it fares, as Prometheus reads it
 * (text exposition format 0.0.4), and the HTTP listener that hands it out.
 *
 * Messages are counted as they come; everything that can be asked for (workers, queue,
 * Redis, filters) is told by a source when somebody looks. All functions are
 * safe from any thread.
 */
#ifndef MW_MILTER_METRICS_H
#define MW_MILTER_METRICS_H

#include "core/report.h"

struct mw_metrics;

struct mw_metrics *mw_metrics_new(void);

/* Stops the listener and waits for requests under way. NULL is allowed. */
void mw_metrics_free(struct mw_metrics *metrics);

/*
 * Counts one message: by its action and verdict, its size, the time it took, and the
 * time of each scanner (the report's timings "total_us" and "scan_NAME_us").
 */
void mw_metrics_message(struct mw_metrics *metrics, const struct mw_report *report);

/* Counts a failure condition by its name ("worker.crashed", "queue.full", ...). */
void mw_metrics_condition(struct mw_metrics *metrics, const char *name);

/* Has a condition stand there as 0 before it happens for the first time. */
void mw_metrics_expect(struct mw_metrics *metrics, const char *name);

/* A metric that is told at each look; texts are borrowed for the call. */
struct mw_metric {
    const char *name;                /* "mailwitness_workers" */
    const char *help;                /* a sentence without newline */
    bool counter;                    /* only ever rises; else a gauge */
    const char *label, *label_value; /* one label, or NULL */
};

/* Somebody looking. */
struct mw_metrics_look;

/* Tells one value; those of one name (with different labels) one after the other. */
void mw_metrics_tell(struct mw_metrics_look *look, const struct mw_metric *metric, double value);

/*
 * Registers who tells what can be asked for: tell is called at each look, from any thread,
 * and calls mw_metrics_tell. user must outlive the metrics. Before mw_metrics_listen; the
 * last one registered counts.
 */
void mw_metrics_source(struct mw_metrics *metrics,
                       void (*tell)(void *user, struct mw_metrics_look *look), void *user);

/* Everything as text; the caller frees it. */
char *mw_metrics_text(struct mw_metrics *metrics);

/*
 * Listens on HOST:PORT or [HOST]:PORT (numeric addresses) and answers GET /metrics. The
 * listener is a thread of its own. MW_ERR_INPUT when the address cannot be read,
 * MW_ERR_SYSTEM when it cannot be listened on.
 */
int mw_metrics_listen(struct mw_metrics *metrics, const char *address, struct mw_error *error);

#endif
