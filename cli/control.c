/* control: one line of JSON to the socket, one back. */
#include "cli/control.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/terminal.h"

static int connect_to(const char *path, struct mw_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return mw_fail(error, MW_ERR_INPUT, "%s: too long for a socket", path), -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    mw_fail_errno(error, "no mailwitnessd answers on %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

json_t *mw_control_ask(const char *path, const char *name, struct mw_error *error)
{
    json_error_t why;
    char question[64];
    int fd = connect_to(path, error);
    if (fd < 0)
        return NULL;
    int size = snprintf(question, sizeof question, "{\"command\": \"%s\"}\n", name);
    bool sent = write(fd, question, (size_t)size) == size;
    json_t *answer = sent ? json_loadfd(fd, JSON_DISABLE_EOF_CHECK, &why) : NULL;
    close(fd);
    if (!json_is_object(answer)) {
        mw_fail(error, MW_ERR_FORMAT, "mailwitnessd hung up");
        json_decref(answer);
        return NULL;
    }
    return answer;
}

/* One line a fact; those of an object within with its name before theirs. */
static void print_facts(const char *prefix, const json_t *object)
{
    const char *key;
    const json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value)) {
            print_facts(name, value);
        } else if (strcmp(name, "ok") != 0) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            bool string = json_is_string(value);
            printf("%-26s ", name);
            mw_terminal_text(stdout, string ? json_string_value(value) : text ? text : "-", "");
            free(text);
        }
    }
}

void mw_control_print(const json_t *answer)
{
    print_facts("", answer);
}
