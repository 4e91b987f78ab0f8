/*
 * smtp_load: many SMTP clients at once, each message another one, and what the server
 * said to each written down. (smtp-source of postfix sends the same message each time.)
 *
 *     smtp_load PORT FOLDER SESSIONS MESSAGES PER_CONNECTION [OUT [SECONDS]]
 *
 * The files of FOLDER are messages as they go over the wire: CRLF, dots doubled, no last
 * dot. They are sent in turn, over and over, by SESSIONS threads to 127.0.0.1:PORT, with
 * PER_CONNECTION of them on a connection. Each has a line of its own on top, "X-Load: NAME-NUMBER",
 * NAME being the last part of OUT. OUT gets a line for each message: its number, the reply code
 * (0 when the connection broke), the queue id or -, microseconds, and how often it was sent.
 * A message that is put off, or whose connection broke before its end, is sent again, as mail
 * servers do, until SECONDS have passed; without SECONDS it is not.
 * The summary goes to standard output: seconds, taken, refused, tempfailed, broken,
 * median and 99th percentile of microseconds a message.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS_MAX = 1000, PATIENCE_SECONDS = 300, RETRY_US = 200000 };

struct mail {
    const char *data;
    size_t size;
};

struct outcome {
    int code;
    char queue_id[24];
    int64_t microseconds;
    unsigned tries;
};

struct load {
    uint16_t port;
    const char *name;
    int64_t retry_until; /* by clock_us */
    struct mail *mails;
    size_t mail_count, messages, per_connection;
    atomic_size_t next;
    struct outcome *outcomes;
};

struct client {
    int socket;
    size_t used;
    char line[4096];
};

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "smtp_load: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* Whether the buffer ends a reply: the last line has a blank behind its code. */
static int reply_code(const char *text)
{
    const char *line = text, *next;
    while ((next = strchr(line, '\n')) != NULL && next[1] != '\0')
        line = next + 1;
    if (!next || strlen(line) < 4 || line[3] == '-')
        return 0;
    return atoi(line);
}

/* The code of the next reply, its text in client->line; 0 when the connection broke. */
static int read_reply(struct client *client)
{
    client->used = 0;
    for (;;) {
        ssize_t got = read(client->socket, client->line + client->used,
                           sizeof client->line - 1 - client->used);
        if (got <= 0)
            return 0;
        client->used += (size_t)got;
        client->line[client->used] = '\0';
        int code = reply_code(client->line);
        if (code > 0 || client->used == sizeof client->line - 1)
            return code;
    }
}

static int send_bytes(struct client *client, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(client->socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int command(struct client *client, const char *text)
{
    return send_bytes(client, text, strlen(text)) == 0 ? read_reply(client) : 0;
}

static void hang_up(struct client *client)
{
    if (client->socket >= 0)
        close(client->socket);
    client->socket = -1;
}

static int connect_to(struct client *client, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    int yes = 1;
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0)
        give_up("socket");
    setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(client->socket, (struct sockaddr *)&address, sizeof address) == 0 &&
        read_reply(client) == 220 && command(client, "EHLO client.test\r\n") == 250)
        return 0;
    hang_up(client);
    return -1;
}

/* One message; the code of the reply that decided over it. *ended is set when all of it was
 * sent: it may have been taken, whatever becomes of the reply. */
static int send_mail(const struct load *load, struct client *client, size_t number, bool *ended)
{
    const struct mail *mail = &load->mails[number % load->mail_count];
    char text[128];
    snprintf(text, sizeof text, "MAIL FROM:<sender%zu@load.example>\r\n", number);
    int code = command(client, text);
    if (code == 250)
        code = command(client, "RCPT TO:<bob@example.org>\r\n");
    if (code == 250)
        code = command(client, "DATA\r\n");
    if (code != 354)
        return code;
    snprintf(text, sizeof text, "X-Load: %.64s-%zu\r\n", load->name, number);
    if (send_bytes(client, text, strlen(text)) != 0 ||
        send_bytes(client, mail->data, mail->size) != 0)
        return 0;
    *ended = true;
    return command(client, ".\r\n");
}

static void note(struct load *load, const struct client *client, size_t number, int code,
                 int64_t start)
{
    struct outcome *outcome = &load->outcomes[number];
    const char *id = strstr(client->line, "queued as ");
    outcome->code = code;
    outcome->microseconds = clock_us() - start;
    if (code == 250 && id)
        sscanf(id, "queued as %23[0-9A-Za-z]", outcome->queue_id);
}

static void *session(void *argument)
{
    struct load *load = argument;
    struct client client = {.socket = -1};
    size_t sent = 0, number;
    bool again = false;
    while (again || (number = atomic_fetch_add(&load->next, 1)) < load->messages) {
        int64_t start = clock_us();
        bool ended = false;
        int code = 0;
        load->outcomes[number].tries++;
        if (client.socket >= 0 || connect_to(&client, load->port) == 0)
            code = send_mail(load, &client, number, &ended);
        note(load, &client, number, code, start);
        if (code == 0) {
            hang_up(&client);
            usleep(20000);
        } else if (++sent % load->per_connection == 0) {
            command(&client, "QUIT\r\n");
            hang_up(&client);
        } else if (code != 250) {
            command(&client, "RSET\r\n");
        }
        again = (code / 100 == 4 || (code == 0 && !ended)) && clock_us() < load->retry_until;
        if (again)
            usleep(RETRY_US);
    }
    if (client.socket >= 0)
        command(&client, "QUIT\r\n");
    hang_up(&client);
    return NULL;
}

static void load_mail(const char *path, struct mail *mail)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        give_up(path);
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (data == MAP_FAILED)
        give_up(path);
    close(file);
    mail->data = data;
    mail->size = (size_t)status.st_size;
}

static int is_mail(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load_mails(struct load *load, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_mail, alphasort);
    if (count <= 0)
        give_up(folder);
    load->mails = calloc((size_t)count, sizeof *load->mails);
    if (!load->mails)
        give_up(folder);
    load->mail_count = (size_t)count;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        load_mail(path, &load->mails[i]);
        free(entries[i]);
    }
    free(entries);
}

static int by_time(const void *left, const void *right)
{
    int64_t a = ((const struct outcome *)left)->microseconds;
    int64_t b = ((const struct outcome *)right)->microseconds;
    return (a > b) - (a < b);
}

static void write_outcomes(const struct load *load, const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out)
        give_up(path);
    for (size_t i = 0; i < load->messages; i++) {
        const struct outcome *o = &load->outcomes[i];
        fprintf(out, "%zu %d %s %lld %u\n", i, o->code, o->queue_id[0] ? o->queue_id : "-",
                (long long)o->microseconds, o->tries);
    }
    if (fclose(out) != 0)
        give_up(path);
}

static void summarise(struct load *load, int64_t microseconds)
{
    size_t taken = 0, refused = 0, tempfailed = 0, broken = 0;
    for (size_t i = 0; i < load->messages; i++) {
        int code = load->outcomes[i].code;
        taken += code == 250;
        refused += code >= 500;
        tempfailed += code >= 400 && code < 500;
        broken += code < 400 && code != 250;
    }
    qsort(load->outcomes, load->messages, sizeof *load->outcomes, by_time);
    printf("%.3f %zu %zu %zu %zu %lld %lld\n", (double)microseconds / 1e6, taken, refused,
           tempfailed, broken, (long long)load->outcomes[load->messages / 2].microseconds,
           (long long)load->outcomes[load->messages * 99 / 100].microseconds);
}

int main(int count, char **arguments)
{
    if (count < 6 || count > 8) {
        fprintf(stderr, "usage: smtp_load PORT FOLDER SESSIONS MESSAGES PER_CONNECTION "
                        "[OUT [SECONDS]]\n");
        return 2;
    }
    struct load load = {.port = (uint16_t)atoi(arguments[1]),
                        .name = count > 6 ? basename(arguments[6]) : "load",
                        .retry_until = count > 7 ? clock_us() + atol(arguments[7]) * 1000000 : 0,
                        .messages = (size_t)atol(arguments[4]),
                        .per_connection = (size_t)atol(arguments[5])};
    size_t sessions = (size_t)atol(arguments[3]);
    static pthread_t threads[SESSIONS_MAX];
    if (sessions < 1 || sessions > SESSIONS_MAX || load.messages < 1 || load.per_connection < 1) {
        fprintf(stderr, "smtp_load: numbers are at least 1, SESSIONS at most %d\n", SESSIONS_MAX);
        return 2;
    }
    load_mails(&load, arguments[2]);
    load.outcomes = calloc(load.messages, sizeof *load.outcomes);
    if (!load.outcomes)
        give_up("memory");
    int64_t start = clock_us();
    for (size_t i = 0; i < sessions; i++)
        if (pthread_create(&threads[i], NULL, session, &load) != 0)
            give_up("thread");
    for (size_t i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    int64_t end = clock_us();
    if (count > 6)
        write_outcomes(&load, arguments[6]);
    summarise(&load, end - start);
    return 0;
}
