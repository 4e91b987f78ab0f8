/* unit_file: what a configuration names is read without waiting, and written without being led
 * anywhere else. */
#include "core/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "t/unit/tap.h"

enum { HANGS_S = 30 };

static char folder[] = "/tmp/unit_file-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static struct mw_bytes content(struct mw_arena *arena, const char *path)
{
    struct mw_bytes bytes = {0};
    struct mw_error error = {0};
    mw_file_read(path, 1024, arena, &bytes, &error);
    return bytes;
}

static void reads(struct mw_arena *arena)
{
    struct mw_bytes bytes = {0};
    struct mw_error error = {0};
    const char *file = path_of("file"), *fifo = path_of("fifo");
    mw_file_replace(file, mw_bytes_of("twelve bytes"), 0600, &error);
    mkfifo(fifo, 0600);
    tap_ok(mw_file_read(file, 12, arena, &bytes, &error) == 0 && bytes.size == 12 &&
               strcmp((const char *)bytes.data, "twelve bytes") == 0,
           "a file is read as a whole, with a NUL behind it");
    tap_ok(mw_file_read(file, 11, arena, &bytes, &error) == MW_ERR_LIMIT &&
               strstr(error.text, "11 bytes"),
           "one byte too many is refused");
    tap_ok(mw_file_read("/proc/self/status", 65536, arena, &bytes, &error) == 0 && bytes.size > 0,
           "so is a file that tells no size");
    static const struct {
        const char *path, *says;
        int code;
    } cases[] = {{"/dev/zero", "is no file but a device", MW_ERR_INPUT},
                 {"/tmp", "is no file but a folder", MW_ERR_INPUT},
                 {"/tmp/nothing/here", "No such file", MW_ERR_MISSING}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tap_ok(mw_file_check(cases[i].path, &error) == cases[i].code &&
                   strstr(error.text, cases[i].says) &&
                   strncmp(error.text, cases[i].path, strlen(cases[i].path)) == 0,
               "%s is refused by name: %s", cases[i].path, cases[i].says);
    tap_ok(mw_file_check(fifo, &error) == MW_ERR_INPUT && strstr(error.text, "a FIFO"),
           "a FIFO is not waited for");
}

static void writes(struct mw_arena *arena)
{
    struct mw_error error = {0};
    const char *file = path_of("file"), *way = path_of("link"), *fifo = path_of("fifo");
    struct stat facts;
    mw_file_replace(file, mw_bytes_of("precious"), 0600, &error);
    if (symlink(file, way) != 0)
        printf("# no link\n");
    tap_ok(mw_file_replace(way, mw_bytes_of("lost"), 0600, &error) == MW_ERR_BUSY,
           "nothing is written through a link");
    tap_is((const char *)content(arena, file).data, "precious", "... what it leads to stays");
    tap_ok(mw_file_replace(fifo, mw_bytes_of("x"), 0600, &error) == MW_ERR_BUSY,
           "... nor to a FIFO");
    const char *hard = path_of("hard");
    if (link(file, hard) != 0)
        printf("# no hard link\n");
    tap_ok(mw_file_replace(file, mw_bytes_of("new"), 0640, &error) == 0 &&
               stat(file, &facts) == 0 && (facts.st_mode & 07777) == 0640,
           "a file is replaced, with the mode that was asked for");
    tap_is((const char *)content(arena, hard).data, "precious",
           "... and never written over, whatever else it is called");
    tap_ok(mw_file_replace(path_of("none/file"), mw_bytes_of("x"), 0600, &error) == MW_ERR_SYSTEM &&
               strstr(error.text, "none/file"),
           "a folder that is missing is told");
    unlink(hard);
}

static void gives(void)
{
    struct mw_error error = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = path_of("socket"), *hard = path_of("hard");
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        printf("# no socket\n");
    tap_ok(mw_file_give(path, S_IFSOCK, geteuid(), getegid(), &error) == 0,
           "what is of its type is given away");
    tap_ok(mw_file_give(path_of("link"), S_IFSOCK, geteuid(), getegid(), &error) == MW_ERR_BUSY &&
               mw_file_give(path_of("file"), S_IFSOCK, geteuid(), getegid(), &error) == MW_ERR_BUSY,
           "... a link or a file in its place is not");
    if (link(path, hard) == 0)
        tap_ok(mw_file_give(path, S_IFSOCK, geteuid(), getegid(), &error) == MW_ERR_BUSY,
               "... nor what has another name");
    unlink(hard);
    unlink(path);
    close(fd);
}

static void looks(void)
{
    struct mw_error error = {0};
    chmod(folder, 0777);
    tap_ok(mw_file_check_folder(folder, geteuid(), &error) == MW_ERR_INPUT &&
               strstr(error.text, "anybody may write"),
           "a folder that anybody may write to is told");
    chmod(folder, 01777);
    tap_is_number(mw_file_check_folder(folder, geteuid(), &error), 0, "... a sticky one is not");
    chmod(folder, 0700);
    tap_is_number(mw_file_check_folder(folder, geteuid(), &error), 0, "... nor one of our own");
    tap_is_number(mw_file_check_folder("/", geteuid(), &error), 0, "... nor one of root's");
    if (geteuid() == 0 && chown(folder, 12345, (gid_t)-1) == 0) {
        tap_ok(mw_file_check_folder(folder, 0, &error) == MW_ERR_INPUT &&
                   strstr(error.text, "belongs to user 12345"),
               "a folder of somebody else is told");
        tap_is_number(mw_file_check_folder(folder, 12345, &error), 0,
                      "... unless it is the user that will be");
    }
}

int main(void)
{
    struct mw_arena *arena = mw_arena_new();
    if (!mkdtemp(folder))
        return 1;
    alarm(HANGS_S);
    reads(arena);
    writes(arena);
    gives();
    looks();
    static const char *const names[] = {"file", "fifo", "link"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    rmdir(folder);
    mw_arena_free(arena);
    return tap_done();
}
