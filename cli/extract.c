/* extract: attachments to files. */
#include "cli/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

struct mw_extract {
    char *folder;
    int fd;      /* the folder */
    FILE *index; /* appended to */
};

struct mw_extract *mw_extract_new(const char *folder, struct mw_error *error)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        mw_fail_errno(error, "cannot make the folder %s", folder);
        return NULL;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int index = fd < 0 ? -1
                       : openat(fd, "index.jsonl",
                                O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct mw_extract *extract = calloc(1, sizeof *extract);
    if (!extract || index < 0 || !(extract->index = fdopen(index, "a")) ||
        !(extract->folder = strdup(folder))) {
        mw_fail_errno(error, "cannot write into the folder %s", folder);
        if (index >= 0 && !(extract && extract->index))
            close(index);
        if (fd >= 0)
            close(fd);
        if (extract && extract->index)
            fclose(extract->index);
        free(extract);
        return NULL;
    }
    extract->fd = fd;
    return extract;
}

void mw_extract_free(struct mw_extract *extract)
{
    if (!extract)
        return;
    fclose(extract->index);
    close(extract->fd);
    free(extract->folder);
    free(extract);
}

/* Under a name of its own first: whoever sees the final name sees all of it. */
static int write_file(struct mw_extract *extract, const struct mw_attachment *file,
                      struct mw_error *error)
{
    if (faccessat(extract->fd, file->sha256, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    char temporary[96];
    snprintf(temporary, sizeof temporary, ".%s.%ld", file->sha256, (long)getpid());
    int fd =
        openat(extract->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot create %s/%s", extract->folder, temporary);
    int failed = mw_file_write_all(fd, file->data);
    if (close(fd) != 0 || failed != 0 ||
        renameat(extract->fd, temporary, extract->fd, file->sha256) != 0) {
        mw_fail_errno(error, "cannot write %s/%s", extract->folder, file->sha256);
        unlinkat(extract->fd, temporary, 0);
        return MW_ERR_SYSTEM;
    }
    return 0;
}

static int write_index(struct mw_extract *extract, const struct mw_report *report,
                       const struct mw_attachment *file, struct mw_error *error)
{
    json_t *line = json_pack("{s:s, s:I, s:s*, s:s*, s:s*, s:s*, s:s}", "sha256", file->sha256,
                             "size", (json_int_t)file->size, "filename", file->filename,
                             "content_type", file->content_type, "message", report->id, "source",
                             report->source, "path", file->path);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    bool written = text && fprintf(extract->index, "%s\n", text) > 0 && fflush(extract->index) == 0;
    free(text);
    return written ? 0 : mw_fail_errno(error, "cannot write %s/index.jsonl", extract->folder);
}

int mw_extract_report(struct mw_extract *extract, const struct mw_report *report,
                      struct mw_error *error)
{
    for (size_t i = 0; i < report->attachments.count; i++) {
        const struct mw_attachment *file = &report->attachments.items[i];
        if (write_file(extract, file, error) != 0 || write_index(extract, report, file, error) != 0)
            return error->code;
    }
    return 0;
}
