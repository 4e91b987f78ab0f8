/* input: files, folders, mailboxes. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/mbox.h"
#include "core/memfile.h"

static void report_failure(const struct mw_input *input, const struct mw_error *error)
{
    input->failed(input->user, error);
}

/* One mbox message, unquoted, as "path:N". */
struct mbox_walk {
    const struct mw_input *input;
    const char *path;
};

static int mbox_message(void *user, struct mw_bytes raw, size_t number)
{
    struct mbox_walk *walk = user;
    char *source = NULL;
    if (asprintf(&source, "%s:%zu", walk->path, number) < 0)
        return -1;
    int result = walk->input->message(walk->input->user, raw, source);
    free(source);
    return result;
}

static int hand_over(const struct mw_input *input, struct mw_bytes raw, const char *path)
{
    struct mbox_walk walk = {input, path};
    if (mw_mbox_is(raw))
        return mw_mbox_each(raw, mbox_message, &walk);
    return input->message(input->user, raw, path);
}

static int walk_file(const struct mw_input *input, const char *path)
{
    struct mw_error error = {0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        mw_fail_errno(&error, "cannot open %s", path);
        report_failure(input, &error);
        if (fd >= 0)
            close(fd);
        return 0;
    }
    size_t size = (size_t)status.st_size;
    void *map = NULL;
    if (!S_ISREG(status.st_mode))
        mw_fail(&error, MW_ERR_INPUT, "%s is not a file; use - to read standard input", path);
    else if (size > 0 && (map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        mw_fail_errno(&error, "cannot read %s", path);
    close(fd);
    if (error.code != MW_OK) {
        report_failure(input, &error);
        return 0;
    }
    int result = hand_over(input, (struct mw_bytes){map, size}, path);
    if (size > 0)
        munmap(map, size);
    return result;
}

static int read_all(struct mw_memfile *file, size_t max, struct mw_error *error)
{
    unsigned char buffer[65536];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mw_fail_errno(error, "cannot read standard input");
        if (n == 0)
            return 0;
        if (mw_memfile_append(file, (struct mw_bytes){buffer, (size_t)n}, max, error) != 0)
            return mw_fail(error, MW_ERR_LIMIT,
                           "standard input: more than %zu bytes (raise it with "
                           "--limit message_size=SIZE)",
                           max);
    }
}

static int walk_stdin(const struct mw_input *input)
{
    struct mw_error error = {0};
    struct mw_bytes raw;
    struct mw_memfile *file = mw_memfile_new("stdin", &error);
    if (!file || read_all(file, input->max_size, &error) != 0 ||
        mw_memfile_map(file, &raw, &error) != 0) {
        report_failure(input, &error);
        mw_memfile_free(file);
        return 0;
    }
    int result = hand_over(input, raw, "-");
    mw_memfile_free(file);
    return result;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* A Maildir's tmp holds what is not delivered yet. */
static bool is_maildir_tmp(const FTSENT *entry)
{
    if (entry->fts_info != FTS_D || strcmp(entry->fts_name, "tmp") != 0 || entry->fts_level == 0)
        return false;
    char path[4096];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/../cur", entry->fts_accpath);
    return length > 0 && (size_t)length < sizeof path && stat(path, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

static int visit(const struct mw_input *input, FTS *walk, FTSENT *entry)
{
    struct mw_error error = {0};
    bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
    switch (entry->fts_info) {
    case FTS_D:
        /* Maildir++ keeps its folders in hidden ones. */
        if (is_maildir_tmp(entry))
            fts_set(walk, entry, FTS_SKIP);
        return 0;
    case FTS_F:
        return hidden ? 0 : walk_file(input, entry->fts_path);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        errno = entry->fts_errno;
        mw_fail_errno(&error, "cannot read %s", entry->fts_path);
        report_failure(input, &error);
        return 0;
    default:
        return 0;
    }
}

static int walk_folder(const struct mw_input *input, const char *path)
{
    struct mw_error error = {0};
    char *copy = strdup(path);
    char *paths[] = {copy, NULL};
    FTS *walk = copy ? fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name) : NULL;
    if (!walk) {
        mw_fail_errno(&error, "cannot read the folder %s", path);
        report_failure(input, &error);
        free(copy);
        return 0;
    }
    int result = 0;
    FTSENT *entry;
    while (result == 0 && (entry = fts_read(walk)))
        result = visit(input, walk, entry);
    fts_close(walk);
    free(copy);
    return result;
}

int mw_input_walk(const struct mw_input *input, const char *path)
{
    struct stat status;
    if (strcmp(path, "-") == 0)
        return walk_stdin(input);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return walk_folder(input, path);
    return walk_file(input, path);
}
