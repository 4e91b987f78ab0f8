/*
 * redis_server: a redis-server of a test's own, on a unix socket in a folder of its own.
 */
#ifndef MW_T_UNIT_REDIS_SERVER_H
#define MW_T_UNIT_REDIS_SERVER_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    char folder[64], address[112];
    pid_t pid;
};

static inline bool redis_server_answers(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = connect(fd, (const void *)&to, sizeof to) == 0;
    close(fd);
    return answers;
}

/* False when there is no redis-server or it does not start. */
static inline bool redis_server_start(struct redis_server *server)
{
    char path[96];
    snprintf(server->folder, sizeof server->folder, "/tmp/mwu-XXXXXX");
    if (!mkdtemp(server->folder))
        return false;
    snprintf(path, sizeof path, "%s/s", server->folder);
    snprintf(server->address, sizeof server->address, "unix:%s", path);
    server->pid = fork();
    if (server->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir",
               server->folder, "--save", "", "--appendonly", "no", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 200; i++) {
        if (redis_server_answers(path))
            return true;
        usleep(25000);
    }
    return false;
}

static inline void redis_server_stop(struct redis_server *server)
{
    char command[128];
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", server->folder);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", server->folder);
}

#endif
