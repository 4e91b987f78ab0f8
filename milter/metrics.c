/* metrics: counters and histograms behind one lock, and their text. */
#include "milter/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/metrics_http.h"

enum {
    NAMES = 32, /* scanners or conditions told apart; the rest count as "other" */
    NAME_LENGTH = 48
};

/* Upper bounds in seconds; what is above the last counts as +Inf. */
static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                0.25,  0.5,    1,     2.5,  5,     10,   30};
enum { BOUNDS = sizeof bounds / sizeof *bounds };

struct histogram {
    uint64_t counts[BOUNDS + 1];
    double sum;
};

/* Things counted by a name that is not known beforehand. */
struct named {
    char name[NAME_LENGTH];
    uint64_t count;
    struct histogram histogram;
};
struct table {
    struct named entries[NAMES];
    size_t count;
};

struct mw_metrics {
    pthread_mutex_t lock;
    uint64_t messages[MW_ACTIONS][MW_VERDICTS];
    uint64_t bytes;
    struct histogram total;
    struct table scanners, conditions;
    void (*tell)(void *user, struct mw_metrics_look *look);
    void *user;
    struct mw_metrics_http *http;
};

struct mw_metrics *mw_metrics_new(void)
{
    struct mw_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics)
        pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void mw_metrics_free(struct mw_metrics *metrics)
{
    if (!metrics)
        return;
    mw_metrics_http_stop(metrics->http);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* The entry of a name, made when it is new. The last one takes all that is too many. */
static struct named *named_entry(struct table *table, const char *name, size_t length)
{
    if (length >= NAME_LENGTH)
        length = NAME_LENGTH - 1;
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->entries[i].name, name, length) == 0 &&
            table->entries[i].name[length] == '\0')
            return &table->entries[i];
    if (table->count == NAMES)
        return &table->entries[NAMES - 1];
    struct named *entry = &table->entries[table->count++];
    if (table->count == NAMES)
        strcpy(entry->name, "other");
    else
        memcpy(entry->name, name, length);
    return entry;
}

static void observe(struct histogram *histogram, int64_t microseconds)
{
    double seconds = (double)microseconds / 1e6;
    size_t i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    histogram->counts[i]++;
    histogram->sum += seconds;
}

/* "scan_NAME_us": the time of a scanner. */
static void observe_timing(struct mw_metrics *metrics, const struct mw_number *timing)
{
    static const char before[] = "scan_", after[] = "_us";
    size_t length = strlen(timing->name);
    if (strcmp(timing->name, "total_us") == 0) {
        observe(&metrics->total, timing->value);
        return;
    }
    if (length <= sizeof before + sizeof after - 2 ||
        strncmp(timing->name, before, sizeof before - 1) != 0 ||
        strcmp(timing->name + length - (sizeof after - 1), after) != 0)
        return;
    struct named *scanner = named_entry(&metrics->scanners, timing->name + sizeof before - 1,
                                        length - (sizeof before + sizeof after - 2));
    observe(&scanner->histogram, timing->value);
}

void mw_metrics_message(struct mw_metrics *metrics, const struct mw_report *report)
{
    pthread_mutex_lock(&metrics->lock);
    if ((unsigned)report->action < MW_ACTIONS && (unsigned)report->verdict < MW_VERDICTS)
        metrics->messages[report->action][report->verdict]++;
    if (report->size > 0)
        metrics->bytes += (uint64_t)report->size;
    for (size_t i = 0; i < report->timings.count; i++)
        observe_timing(metrics, &report->timings.items[i]);
    pthread_mutex_unlock(&metrics->lock);
}

void mw_metrics_condition(struct mw_metrics *metrics, const char *name)
{
    pthread_mutex_lock(&metrics->lock);
    named_entry(&metrics->conditions, name, strlen(name))->count++;
    pthread_mutex_unlock(&metrics->lock);
}

void mw_metrics_expect(struct mw_metrics *metrics, const char *name)
{
    pthread_mutex_lock(&metrics->lock);
    named_entry(&metrics->conditions, name, strlen(name));
    pthread_mutex_unlock(&metrics->lock);
}

void mw_metrics_source(struct mw_metrics *metrics,
                       void (*tell)(void *user, struct mw_metrics_look *look), void *user)
{
    metrics->tell = tell;
    metrics->user = user;
}

static void write_title(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value with what the format asks to be escaped. */
static void write_value(FILE *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            fputc(*value, out);
    }
}

static void write_histogram(FILE *out, const char *name, const char *scanner,
                            const struct histogram *histogram)
{
    uint64_t count = 0;
    char label[NAME_LENGTH + 16] = "";
    if (scanner)
        snprintf(label, sizeof label, "scanner=\"%s\"", scanner);
    for (size_t i = 0; i <= BOUNDS; i++) {
        count += histogram->counts[i];
        fprintf(out, "%s_bucket{%s%sle=\"", name, label, scanner ? "," : "");
        if (i < BOUNDS)
            fprintf(out, "%g\"} %llu\n", bounds[i], (unsigned long long)count);
        else
            fprintf(out, "+Inf\"} %llu\n", (unsigned long long)count);
    }
    const char *open = scanner ? "{" : "", *close = scanner ? "}" : "";
    fprintf(out, "%s_sum%s%s%s %.6f\n", name, open, label, close, histogram->sum);
    fprintf(out, "%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)count);
}

static void write_messages(const struct mw_metrics *metrics, FILE *out)
{
    write_title(out, "mailwitness_messages_total", "counter", "Messages by action and verdict.");
    for (unsigned a = MW_ACTION_ACCEPT; a < MW_ACTIONS; a++)
        for (unsigned v = 0; v < MW_VERDICTS; v++)
            fprintf(out, "mailwitness_messages_total{action=\"%s\",verdict=\"%s\"} %llu\n",
                    mw_action_name((enum mw_action)a), mw_verdict_name((enum mw_verdict)v),
                    (unsigned long long)metrics->messages[a][v]);
    write_title(out, "mailwitness_message_bytes_total", "counter", "Bytes of all messages.");
    fprintf(out, "mailwitness_message_bytes_total %llu\n", (unsigned long long)metrics->bytes);
    write_title(out, "mailwitness_examination_seconds", "histogram",
                "Time a worker took for a message.");
    write_histogram(out, "mailwitness_examination_seconds", NULL, &metrics->total);
    write_title(out, "mailwitness_scan_seconds", "histogram",
                "Time one scanner took for all parts of a message.");
    for (size_t i = 0; i < metrics->scanners.count; i++)
        write_histogram(out, "mailwitness_scan_seconds", metrics->scanners.entries[i].name,
                        &metrics->scanners.entries[i].histogram);
    write_title(out, "mailwitness_failures_total", "counter", "Failure conditions by name.");
    for (size_t i = 0; i < metrics->conditions.count; i++)
        fprintf(out, "mailwitness_failures_total{condition=\"%s\"} %llu\n",
                metrics->conditions.entries[i].name,
                (unsigned long long)metrics->conditions.entries[i].count);
}

struct mw_metrics_look {
    FILE *out;
    char name[2 * NAME_LENGTH]; /* told last: the next of that name needs no title */
};

void mw_metrics_tell(struct mw_metrics_look *look, const struct mw_metric *metric, double value)
{
    if (strcmp(look->name, metric->name) != 0)
        write_title(look->out, metric->name, metric->counter ? "counter" : "gauge", metric->help);
    snprintf(look->name, sizeof look->name, "%s", metric->name);
    fputs(metric->name, look->out);
    if (metric->label) {
        fprintf(look->out, "{%s=\"", metric->label);
        write_value(look->out, metric->label_value);
        fputs("\"}", look->out);
    }
    fprintf(look->out, " %.15g\n", value);
}

char *mw_metrics_text(struct mw_metrics *metrics)
{
    char *text = NULL;
    size_t size = 0;
    struct mw_metrics_look look = {.out = open_memstream(&text, &size)};
    if (!look.out)
        return NULL;
    pthread_mutex_lock(&metrics->lock);
    write_messages(metrics, look.out);
    pthread_mutex_unlock(&metrics->lock);
    /* Without the lock: who tells may have to wait for somebody who counts. */
    if (metrics->tell)
        metrics->tell(metrics->user, &look);
    if (fclose(look.out) == 0)
        return text;
    free(text);
    return NULL;
}

int mw_metrics_listen(struct mw_metrics *metrics, const char *address, struct mw_error *error)
{
    metrics->http = mw_metrics_http_start(metrics, address, error);
    return metrics->http ? 0 : error->code;
}
