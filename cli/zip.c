/* zip: libarchive's writer. */
#include "cli/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <time.h>

static int write_entry(struct archive *zip, const char *name, struct mw_bytes data)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, S_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_mtime(entry, time(NULL), 0);
    archive_entry_set_size(entry, (la_int64_t)data.size);
    int result = archive_write_header(zip, entry);
    archive_entry_free(entry);
    if (result != ARCHIVE_OK)
        return result;
    while (data.size > 0) {
        la_ssize_t n = archive_write_data(zip, data.data, data.size);
        if (n <= 0)
            return ARCHIVE_FATAL;
        data = mw_bytes_slice(data, (size_t)n, data.size);
    }
    return archive_write_finish_entry(zip);
}

int mw_zip_write(int fd, const char *target, const char *name, struct mw_bytes data,
                 const char *password, struct mw_error *error)
{
    struct archive *zip = archive_write_new();
    int code = 0;
    if (!zip)
        return mw_fail_errno(error, "cannot write %s", target);
    if (archive_write_set_format_zip(zip) != ARCHIVE_OK ||
        archive_write_set_options(zip, "zip:encryption=traditional") != ARCHIVE_OK ||
        archive_write_set_passphrase(zip, password) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(zip, 1) != ARCHIVE_OK ||
        archive_write_open_fd(zip, fd) != ARCHIVE_OK ||
        write_entry(zip, name, data) != ARCHIVE_OK || archive_write_close(zip) != ARCHIVE_OK)
        code =
            mw_fail(error, MW_ERR_SYSTEM, "cannot write %s: %s", target, archive_error_string(zip));
    archive_write_free(zip);
    return code;
}
