/* keep: one file a message. */
#include "worker/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

static unsigned count_kept(DIR *folder)
{
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        count += length > 4 && strcmp(entry->d_name + length - 4, ".eml") == 0;
    }
    return count;
}

int mw_keep_message(const char *folder, unsigned most, const char *sha256, struct mw_bytes raw,
                    struct mw_error *error)
{
    char path[4096];
    DIR *listing = opendir(folder);
    if (!listing)
        return mw_fail_errno(error, "cannot keep a message in %s", folder);
    unsigned count = count_kept(listing);
    closedir(listing);
    if (count >= most ||
        snprintf(path, sizeof path, "%s/%s.eml", folder, sha256) >= (int)sizeof path)
        return 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno == EEXIST)
        return 1;
    if (fd < 0)
        return mw_fail_errno(error, "cannot write %s", path);
    int result = mw_file_write_all(fd, raw);
    if (result != 0) {
        mw_fail_errno(error, "cannot write %s", path);
        unlink(path);
    }
    close(fd);
    return result == 0 ? 0 : error->code;
}
