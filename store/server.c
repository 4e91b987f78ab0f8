/* server: a few lines of text, read leniently: what is not known only costs a repetition. */
#include "store/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/ascii.h"

void mw_server_clear(struct mw_server *server)
{
    *server = (struct mw_server){.offset = -1};
}

static void server_line(FILE *file, char text[MW_SERVER_ID])
{
    char line[MW_SERVER_ID + 2];
    if (fgets(line, sizeof line, file))
        snprintf(text, MW_SERVER_ID, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Older versions wrote the first line only. */
void mw_server_load(struct mw_server *server, const char *path)
{
    char offset[MW_SERVER_ID] = "";
    mw_server_clear(server);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    server_line(file, server->run_id);
    server_line(file, server->replid);
    server_line(file, offset);
    server_line(file, server->marker);
    fclose(file);
    if (*offset)
        server->offset = strtoll(offset, NULL, 10);
}

int mw_server_save(const struct mw_server *server, const char *path, struct mw_error *error)
{
    char next[PATH_MAX], text[4 * MW_SERVER_ID + 32];
    int size = snprintf(text, sizeof text, "%s\n%s\n%" PRId64 "\n%s\n", server->run_id,
                        server->replid, server->offset, server->marker);
    snprintf(next, sizeof next, "%s.new", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot write %s", next);
    bool written = write(fd, text, (size_t)size) == size;
    close(fd);
    if (written && rename(next, path) == 0)
        return 0;
    int result = mw_fail_errno(error, "cannot write %s", path);
    unlink(next);
    return result;
}

/* The value of a field of INFO, up to its line's end; false when it is not there. */
static bool server_field(const char *info, const char *name, char value[MW_SERVER_ID])
{
    size_t size = strlen(name);
    for (const char *at = info; (at = strstr(at, name)) != NULL; at += size) {
        if ((at > info && at[-1] != '\n') || at[size] != ':')
            continue;
        at += size + 1;
        snprintf(value, MW_SERVER_ID, "%.*s", (int)strcspn(at, "\r\n"), at);
        return true;
    }
    return false;
}

void mw_server_read_info(struct mw_server *server, const char *info, int64_t *clock_ms)
{
    char number[MW_SERVER_ID];
    server_field(info, "run_id", server->run_id);
    server_field(info, "master_replid", server->replid);
    if (server_field(info, "master_repl_offset", number))
        server->offset = strtoll(number, NULL, 10);
    if (server_field(info, "server_time_usec", number))
        *clock_ms = strtoll(number, NULL, 10) / 1000;
}

static bool differ(const char *before, const char *now)
{
    return *before && *now && strcmp(before, now) != 0;
}

const char *mw_server_forgot(const struct mw_server *before, const struct mw_server *now)
{
    if (differ(before->run_id, now->run_id))
        return "it is another run of the server";
    if (differ(before->marker, now->marker))
        return "the marker that was left in it is gone";
    if (differ(before->replid, now->replid))
        return "its data belongs to another history, as after a failover";
    if (*before->replid && *now->replid && now->offset >= 0 && before->offset > now->offset)
        return "its data is of an earlier time";
    return NULL;
}

void mw_server_new_marker(char marker[MW_SERVER_ID])
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort();
    mw_hex_write(marker, random, sizeof random);
}
