/* Metrics: what is counted, how it is written, who may ask. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/metrics.h"
#include "t/unit/tap.h"

static void add_timing(struct mw_report *report, const char *name, int64_t microseconds)
{
    struct mw_number *timing = mw_list_add(report->arena, &report->timings, sizeof *timing);
    timing->name = name;
    timing->value = microseconds;
}

static void count(struct mw_metrics *metrics, enum mw_action action, enum mw_verdict verdict,
                  int64_t clamav_us)
{
    struct mw_report *report = mw_report_new();
    report->action = action;
    report->verdict = verdict;
    report->size = 1000;
    add_timing(report, "total_us", clamav_us + 100);
    add_timing(report, "scan_clamav_us", clamav_us);
    add_timing(report, "scan_us", 1);
    mw_metrics_message(metrics, report);
    mw_report_free(report);
}

static double workers = 2;

static void tell(void *user, struct mw_metrics_look *look)
{
    (void)user;
    struct mw_metric fill = {.name = "mailwitness_filter_fill",
                             .help = "Fill.",
                             .label = "filter",
                             .label_value = "a\"b\\c\nd"};
    mw_metrics_tell(look, &fill, 0.25);
    fill.label_value = "second";
    mw_metrics_tell(look, &fill, 1);
    mw_metrics_tell(look, &(struct mw_metric){.name = "mailwitness_workers", .help = "Workers."},
                    workers);
}

/* Whether the text has this very line. */
static bool has(struct mw_metrics *metrics, const char *line)
{
    char *text = mw_metrics_text(metrics);
    const char *at = text;
    size_t length = strlen(line);
    while ((at = strstr(at, line)) && !((at == text || at[-1] == '\n') && at[length] == '\n'))
        at++;
    free(text);
    return at != NULL;
}

static void test_messages(struct mw_metrics *metrics)
{
    count(metrics, MW_ACTION_REJECT, MW_MALICIOUS, 2000);
    count(metrics, MW_ACTION_REJECT, MW_MALICIOUS, 40000);
    count(metrics, MW_ACTION_ACCEPT, MW_CLEAN, 60000000);
    tap_ok(has(metrics, "mailwitness_messages_total{action=\"reject\",verdict=\"malicious\"} 2"),
           "messages are counted by action and verdict");
    tap_ok(has(metrics, "mailwitness_messages_total{action=\"tag\",verdict=\"suspicious\"} 0"),
           "what did not happen yet stands there as 0");
    tap_ok(has(metrics, "mailwitness_message_bytes_total 3000"), "their bytes are summed up");
    tap_ok(has(metrics, "mailwitness_scan_seconds_bucket{scanner=\"clamav\",le=\"0.0025\"} 1") &&
               has(metrics, "mailwitness_scan_seconds_bucket{scanner=\"clamav\",le=\"30\"} 2") &&
               has(metrics, "mailwitness_scan_seconds_bucket{scanner=\"clamav\",le=\"+Inf\"} 3"),
           "a scanner's time falls into cumulative buckets");
    tap_ok(has(metrics, "mailwitness_scan_seconds_sum{scanner=\"clamav\"} 60.042000") &&
               has(metrics, "mailwitness_scan_seconds_count{scanner=\"clamav\"} 3"),
           "... with sum and count");
    tap_ok(has(metrics, "mailwitness_examination_seconds_count 3"), "so does the whole time");
}

static void test_conditions(struct mw_metrics *metrics)
{
    mw_metrics_expect(metrics, "made.up0");
    tap_ok(has(metrics, "mailwitness_failures_total{condition=\"made.up0\"} 0"),
           "a failure that is expected stands there as 0");
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "made.up%u", i);
        mw_metrics_condition(metrics, name);
    }
    mw_metrics_condition(metrics, "made.up0");
    tap_ok(has(metrics, "mailwitness_failures_total{condition=\"made.up0\"} 2"),
           "failures are counted by name");
    tap_ok(has(metrics, "mailwitness_failures_total{condition=\"other\"} 69"),
           "names without end cannot fill the memory");
}

static void test_source(struct mw_metrics *metrics)
{
    mw_metrics_source(metrics, tell, NULL);
    tap_ok(has(metrics, "mailwitness_filter_fill{filter=\"a\\\"b\\\\c\\nd\"} 0.25"),
           "a label cannot break the format");
    workers = 3;
    tap_ok(has(metrics, "mailwitness_workers 3"), "a source is asked at each look");
    char *text = mw_metrics_text(metrics);
    const char *first = strstr(text, "# TYPE mailwitness_filter_fill gauge\n");
    tap_ok(first && !strstr(first + 1, "# TYPE mailwitness_filter_fill"),
           "metrics of one name share one title");
    free(text);
}

/* What the listener on port answers to a request; false when nothing is there. */
static bool ask(uint16_t port, const char *request, char *answer, size_t size)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    size_t used = 0;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        write(descriptor, request, strlen(request)) == (ssize_t)strlen(request)) {
        ssize_t got;
        while (used + 1 < size && (got = read(descriptor, answer + used, size - used - 1)) > 0)
            used += (size_t)got;
    }
    answer[used] = '\0';
    close(descriptor);
    return used > 0;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(descriptor, (struct sockaddr *)&address, size) == 0)
        getsockname(descriptor, (struct sockaddr *)&address, &size);
    close(descriptor);
    return ntohs(address.sin_port);
}

static void test_http(struct mw_metrics *metrics)
{
    struct mw_error error = {0};
    static const char *const bad[] = {"",           "9197",  "localhost:9197",
                                      "127.0.0.1:", ":9197", "127.0.0.1:http"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tap_ok(mw_metrics_listen(metrics, bad[i], &error) == MW_ERR_INPUT &&
                   strstr(error.text, "is not HOST:PORT"),
               "'%s' is refused as an address", bad[i]);
    uint16_t port = free_port();
    char where[32], answer[65536];
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    tap_is_number(mw_metrics_listen(metrics, where, &error), 0, "the listener starts");
    struct mw_metrics *second = mw_metrics_new();
    tap_ok(mw_metrics_listen(second, where, &error) == MW_ERR_SYSTEM && strstr(error.text, where),
           "a second one on the same port is refused, the port named");
    mw_metrics_free(second);
    tap_ok(ask(port, "GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer) &&
               strstr(answer, " 200 ") && strstr(answer, "version=0.0.4") &&
               strstr(answer, "mailwitness_workers 3\n"),
           "GET /metrics gives the text");
    tap_ok(ask(port, "GET / HTTP/1.0\r\n\r\n", answer, sizeof answer) && strstr(answer, " 404 ") &&
               strstr(answer, "/metrics"),
           "another path is told where to look");
    tap_ok(ask(port, "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", answer,
               sizeof answer) &&
               strstr(answer, " 405 "),
           "nothing can be written");
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        printf("# no connection\n");
    return descriptor;
}

/* What they do not say for ten seconds would end them. */
static void test_idle(struct mw_metrics *metrics)
{
    enum { IDLE = 100, PATIENCE_S = 30 };
    int idle[IDLE];
    char answer[65536];
    struct mw_error error = {0};
    uint16_t port = free_port();
    snprintf(answer, sizeof answer, "127.0.0.1:%u", port);
    mw_metrics_listen(metrics, answer, &error);
    for (size_t i = 0; i < IDLE; i++) {
        idle[i] = connect_to(port);
        send(idle[i], "G", 1, MSG_NOSIGNAL);
    }
    alarm(PATIENCE_S);
    tap_ok(ask(port, "GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer) &&
               strstr(answer, " 200 "),
           "%d connections that say next to nothing keep nobody waiting", IDLE);
    alarm(0);
    tap_ok(recv(idle[0], answer, sizeof answer, 0) <= 0, "... the oldest of them was hung up on");
    tap_ok(recv(idle[IDLE - 1], answer, sizeof answer, MSG_DONTWAIT) < 0,
           "... the newest one was not");
    for (size_t i = 0; i < IDLE; i++)
        close(idle[i]);
    for (unsigned i = 0; i < IDLE; i++)
        if (!ask(port, "GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer))
            printf("# no answer to %u\n", i);
    tap_ok(ask(port, "GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer),
           "... and when all have gone it is as before");
}

int main(void)
{
    struct mw_metrics *metrics = mw_metrics_new();
    test_messages(metrics);
    test_conditions(metrics);
    test_source(metrics);
    test_http(metrics);
    mw_metrics_free(metrics);
    metrics = mw_metrics_new();
    test_idle(metrics);
    mw_metrics_free(metrics);
    return tap_done();
}
