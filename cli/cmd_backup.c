/* mailwitness backup and restore: filters, spool, configuration and what Redis keeps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bloom/filter.h"
#include "cli/configured.h"
#include "conf/source.h"
#include "store/snapshot.h"
#include "store/spool.h"
#include "store/store.h"

static const char backup_usage[] =
    "usage: mailwitness backup [OPTION]... DIR\n"
    "\n"
    "Copies into the new folder DIR what mailwitness remembers, beside a running daemon: the\n"
    "spool, the filters, the configuration with all files that it includes, as one, and what\n"
    "Redis keeps, as it is at one moment.\n"
    "What was acknowledged before the backup began is in it. sha256sum -c SHA256SUMS in DIR\n"
    "tells whether it is whole.\n"
    "\n"
    "  --no-redis       without what Redis keeps, which is backed up otherwise\n"
    "  --config FILE    read the configuration from FILE\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all is there, 2 an error.\n";

static const char restore_usage[] =
    "usage: mailwitness restore [OPTION]... DIR\n"
    "\n"
    "Brings back what 'mailwitness backup DIR' copied, to where the configuration says. No\n"
    "daemon may run meanwhile. Filters and keys that are there already stay as they are.\n"
    "\n"
    "  --replace        take the backup's in their place\n"
    "  --no-redis       leave Redis alone\n"
    "  --config FILE    the configuration; the backup's is brought to where FILE is when\n"
    "                   there is none\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 done, 2 an error.\n";

enum { NO_REDIS = 'n', REPLACE = 'r', DIGITS = 64, PATH = 4096, TRIES = 50, IDLE_MS = 300000 };
static const char sums_name[] = "SHA256SUMS", snapshot_name[] = "redis.rdb",
                  conf_name[] = "mailwitness.conf";

static const struct option backup_options[] = {
    {"no-redis", no_argument, NULL, NO_REDIS},
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};
static const struct option restore_options[] = {
    {"replace", no_argument, NULL, REPLACE},
    {"no-redis", no_argument, NULL, NO_REDIS},
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct backup {
    const struct mw_command *command;
    const char *folder, *config_path;
    bool no_redis, replace, begun; /* begun: the folder is ours */
    struct mw_config *config;
    const struct passwd *owner; /* of what is brought back; NULL: who runs this */
    FILE *sums;
    unsigned filters, kept_filters, spool_files;
};

static int fail(const struct backup *backup, const struct mw_error *error)
{
    return mw_command_fail(backup->command, "%s", error->text);
}

static const char *inside(char path[PATH], const char *folder, const char *name)
{
    /* A path that is cut names nothing: opening it fails, and is told. */
    if (snprintf(path, PATH, "%s/%s", folder, name) >= PATH)
        path[0] = '\0';
    return path;
}

/* --- copying --------------------------------------------------------------------------------- */

static void print_digest(EVP_MD_CTX *context, char text[DIGITS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context, digest, &size);
    for (unsigned i = 0; i < size && i < DIGITS / 2; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* All of `from` into `to` (-1: only read); the SHA-256 of what was read. */
static int copy_bytes(int from, int to, char digest[DIGITS + 1])
{
    static char block[1 << 16];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ssize_t got = -1;
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort();
    while ((got = read(from, block, sizeof block)) > 0) {
        EVP_DigestUpdate(context, block, (size_t)got);
        for (ssize_t done = 0, n = 0; to >= 0 && done < got; done += n)
            if ((n = write(to, block + done, (size_t)(got - done))) < 0) {
                EVP_MD_CTX_free(context);
                return -1;
            }
    }
    print_digest(context, digest);
    EVP_MD_CTX_free(context);
    return got == 0 ? 0 : -1;
}

/* One file, on disk when this returns; 1 when there is none. */
static int copy_file(const struct backup *backup, const char *from, const char *to,
                     char digest[DIGITS + 1], struct mw_error *error)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errno == ENOENT ? 1 : mw_fail_errno(error, "cannot read %s", from);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = out >= 0 && copy_bytes(in, out, digest) == 0 && fsync(out) == 0 ? 0 : -1;
    if (result == 0 && backup->owner)
        result = fchown(out, backup->owner->pw_uid, backup->owner->pw_gid);
    if (result != 0)
        result = mw_fail_errno(error, "cannot copy %s to %s", from, to);
    if (out >= 0)
        close(out);
    close(in);
    return result;
}

/* The same into the backup, with a line of sums. */
static int save_file(struct backup *backup, const char *from, const char *name,
                     struct mw_error *error)
{
    char to[PATH], digest[DIGITS + 1] = "";
    int result = copy_file(backup, from, inside(to, backup->folder, name), digest, error);
    if (result == 0)
        fprintf(backup->sums, "%s  %s\n", digest, name);
    return result;
}

/* The text of the configuration, which has in it what its files include: so it can be read
 * wherever it is brought to. */
static int save_config(struct backup *backup, struct mw_error *error)
{
    char path[PATH], digest[DIGITS + 1] = "";
    if (!backup->config->source)
        return 0;
    const char *text = mw_config_source_text(backup->config->source, backup->config->arena);
    int fd =
        open(inside(path, backup->folder, conf_name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot make %s", path);
    int result = 0;
    for (size_t done = 0, size = strlen(text); result == 0 && done < size;) {
        ssize_t n = write(fd, text + done, size - done);
        result = n < 0 ? -1 : 0;
        done += n < 0 ? 0 : (size_t)n;
    }
    if (result != 0 || fsync(fd) != 0 || lseek(fd, 0, SEEK_SET) != 0 ||
        copy_bytes(fd, -1, digest) != 0)
        result = mw_fail_errno(error, "cannot write %s", path);
    else
        fprintf(backup->sums, "%s  %s\n", digest, conf_name);
    close(fd);
    return result;
}

/* --- backup ---------------------------------------------------------------------------------- */

static bool is_spool_file(const char *name)
{
    const char *at = strstr(name, ".spool");
    return at && (strcmp(at, ".spool") == 0 || strcmp(at, ".spool.damaged") == 0);
}

/* Files that go meanwhile were brought to Redis, whose snapshot comes later. What is cut at the
 * end of one that is written to was not acknowledged. */
static int save_spool(struct backup *backup, struct mw_error *error)
{
    const char *folder = backup->config->store.spool.folder;
    char from[PATH], name[PATH];
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : mw_fail_errno(error, "cannot read %s", folder);
    int result = 0;
    for (const struct dirent *entry; result >= 0 && (entry = readdir(dir)) != NULL;) {
        if (!is_spool_file(entry->d_name))
            continue;
        result = save_file(backup, inside(from, folder, entry->d_name),
                           inside(name, "spool", entry->d_name), error);
        backup->spool_files += result == 0;
    }
    closedir(dir);
    return result < 0 ? result : 0;
}

/* Whether a copy is whole: one that was taken while the filter was flushed may not be. */
static bool is_whole(const char *path)
{
    struct mw_filter_sums sums = {0};
    struct mw_filter *filter = mw_filter_open(path, MW_FILTER_READ, MW_FILTER_SYNC_NEVER, NULL);
    if (filter)
        mw_filter_verify(filter, &sums);
    mw_filter_close(filter);
    return filter && sums.damaged == 0;
}

static int save_filters(struct backup *backup, struct mw_error *error)
{
    char name[PATH], copy[PATH], digest[DIGITS + 1];
    for (size_t i = 0; i < backup->config->filters.count; i++) {
        const struct mw_tracked_settings *filter = &backup->config->filters.items[i];
        int result = 0;
        bool whole = false;
        inside(copy, backup->folder, inside(name, "filters", filter->name));
        for (int try = 0; result == 0 && !whole && try < TRIES; try++) {
            result = copy_file(backup, filter->file, copy, digest, error);
            whole = result == 0 && is_whole(copy);
        }
        if (result < 0)
            return result;
        if (result == 0 && !whole)
            return mw_fail(error, MW_ERR_FORMAT,
                           "%s is damaged: look at it with 'mailwitness bloom verify'",
                           filter->file);
        if (result == 0)
            fprintf(backup->sums, "%s  %s\n", digest, name);
        backup->filters += result == 0;
    }
    return 0;
}

static int save_redis(struct backup *backup, struct mw_error *error)
{
    char path[PATH], digest[DIGITS + 1] = "";
    if (backup->no_redis || !mw_store_is_wanted(&backup->config->store))
        return 0;
    inside(path, backup->folder, snapshot_name);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return mw_fail_errno(error, "cannot make %s", path);
    int result = mw_store_snapshot(&backup->config->store, fd, IDLE_MS, NULL, error);
    if (result == 0 &&
        (fsync(fd) != 0 || lseek(fd, 0, SEEK_SET) != 0 || copy_bytes(fd, -1, digest) != 0))
        result = mw_fail_errno(error, "cannot write %s", path);
    if (result == 0)
        fprintf(backup->sums, "%s  %s\n", digest, snapshot_name);
    close(fd);
    return result;
}

static int make_folders(struct backup *backup, struct mw_error *error)
{
    char path[PATH];
    if (mkdir(backup->folder, 0700) != 0)
        return mw_fail_errno(error, "cannot make %s, which must be new", backup->folder);
    backup->begun = true;
    if (mkdir(inside(path, backup->folder, "spool"), 0700) != 0 ||
        mkdir(inside(path, backup->folder, "filters"), 0700) != 0)
        return mw_fail_errno(error, "cannot make %s", path);
    return 0;
}

/* Redis comes last: what leaves the spool meanwhile is there then. The sums are named when all
 * is there: a backup without them is none. */
static int save_all(struct backup *backup, struct mw_error *error)
{
    char sums[PATH], next[PATH];
    inside(sums, backup->folder, sums_name);
    inside(next, backup->folder, "SHA256SUMS.unfinished");
    if (make_folders(backup, error) != 0)
        return error->code;
    backup->sums = fopen(next, "wxe");
    if (!backup->sums)
        return mw_fail_errno(error, "cannot make %s", next);
    int result = save_spool(backup, error);
    if (result == 0)
        result = save_filters(backup, error);
    if (result == 0)
        result = save_config(backup, error);
    if (result == 0)
        result = save_redis(backup, error);
    bool written = fflush(backup->sums) == 0 && fsync(fileno(backup->sums)) == 0;
    fclose(backup->sums);
    if (result == 0 && (!written || rename(next, sums) != 0))
        result = mw_fail_errno(error, "cannot write %s", sums);
    return result;
}

static int run_backup_in(struct backup *backup)
{
    struct mw_error error = {0};
    if (save_all(backup, &error) != 0)
        return backup->begun
                   ? mw_command_fail(backup->command, "%s; %s holds a part of a backup: remove it",
                                     error.text, backup->folder)
                   : fail(backup, &error);
    printf("%s: %u files of the spool, %u filters%s\n", backup->folder, backup->spool_files,
           backup->filters,
           backup->no_redis || !mw_store_is_wanted(&backup->config->store)
               ? ""
               : ", and what Redis keeps");
    return MW_EXIT_OK;
}

/* --- restore --------------------------------------------------------------------------------- */

/* Every file named in the sums is there and as it was. */
static int check_sums(const struct backup *backup, struct mw_error *error)
{
    char path[PATH], line[PATH], digest[DIGITS + 1];
    FILE *sums = fopen(inside(path, backup->folder, sums_name), "re");
    if (!sums)
        return mw_fail_errno(error, "%s is no whole backup: cannot read %s", backup->folder, path);
    int result = 0;
    while (result == 0 && fgets(line, sizeof line, sums)) {
        line[strcspn(line, "\n")] = '\0';
        if (strlen(line) < DIGITS + 3 || strstr(line, "/../") || line[DIGITS + 2] == '/') {
            result = mw_fail(error, MW_ERR_FORMAT, "%s: '%s' names no file", path, line);
            break;
        }
        char file[PATH];
        int fd = open(inside(file, backup->folder, line + DIGITS + 2), O_RDONLY | O_CLOEXEC);
        if (fd < 0 || copy_bytes(fd, -1, digest) != 0)
            result = mw_fail_errno(error, "cannot read %s", file);
        else if (strncmp(digest, line, DIGITS) != 0)
            result = mw_fail(error, MW_ERR_FORMAT, "%s is not as it was when it was copied", file);
        if (fd >= 0)
            close(fd);
    }
    fclose(sums);
    return result;
}

static int bring_config(const struct backup *backup, struct mw_error *error)
{
    char from[PATH], digest[DIGITS + 1];
    if (access(backup->config_path, F_OK) == 0)
        return 0;
    int result = copy_file(backup, inside(from, backup->folder, conf_name), backup->config_path,
                           digest, error);
    if (result == 0)
        printf("%s: brought back\n", backup->config_path);
    return result < 0 ? result : 0;
}

static int bring_filters(struct backup *backup, struct mw_error *error)
{
    char from[PATH], next[PATH], name[PATH], digest[DIGITS + 1];
    for (size_t i = 0; i < backup->config->filters.count; i++) {
        const struct mw_tracked_settings *filter = &backup->config->filters.items[i];
        inside(from, backup->folder, inside(name, "filters", filter->name));
        if (access(filter->file, F_OK) == 0 && !backup->replace) {
            backup->kept_filters++;
            continue;
        }
        snprintf(next, sizeof next, "%s.restored", filter->file);
        int result = copy_file(backup, from, next, digest, error);
        if (result == 0 && rename(next, filter->file) != 0)
            result = mw_fail_errno(error, "cannot bring back %s", filter->file);
        if (result < 0)
            return result;
        backup->filters += result == 0;
    }
    return 0;
}

/* The name that a spool file gets among those there are: its kind and the next free number. */
static void free_name(const char *folder, const char *name, char path[PATH])
{
    const char *dash = strchr(name, '-'), *ending = strstr(name, ".spool");
    unsigned long long number = strtoull(dash + 1, NULL, 10);
    char other[PATH];
    do {
        snprintf(path, PATH, "%s/%.*s-%010llu%s", folder, (int)(dash - name), name, number, ending);
        snprintf(other, PATH, "%s/%.*s-%010llu.spool%s", folder, (int)(dash - name), name, number,
                 strcmp(ending, ".spool") == 0 ? ".damaged" : "");
        number++;
    } while (access(path, F_OK) == 0 || access(other, F_OK) == 0);
}

static int bring_spool(struct backup *backup, struct mw_error *error)
{
    const char *folder = backup->config->store.spool.folder;
    char from[PATH], path[PATH], to[PATH], digest[DIGITS + 1];
    DIR *dir = opendir(inside(path, backup->folder, "spool"));
    if (!dir)
        return mw_fail_errno(error, "cannot read %s", path);
    int lock = mw_spool_lock(folder, error), result = lock < 0 ? lock : 0;
    if (lock >= 0 && backup->owner &&
        (chown(folder, backup->owner->pw_uid, backup->owner->pw_gid) != 0 ||
         fchown(lock, backup->owner->pw_uid, backup->owner->pw_gid) != 0))
        result = mw_fail_errno(error, "cannot give %s to milter.user", folder);
    for (const struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;) {
        if (!is_spool_file(entry->d_name) || !strchr(entry->d_name, '-'))
            continue;
        free_name(folder, entry->d_name, to);
        result = copy_file(backup, inside(from, path, entry->d_name), to, digest, error);
        backup->spool_files += result == 0;
    }
    if (lock >= 0)
        close(lock);
    closedir(dir);
    return result < 0 ? result : 0;
}

static int bring_redis(const struct backup *backup, struct mw_restored *restored,
                       struct mw_error *error)
{
    char path[PATH];
    if (backup->no_redis || !mw_store_is_wanted(&backup->config->store) ||
        access(inside(path, backup->folder, snapshot_name), F_OK) != 0)
        return 0;
    return mw_store_restore(&backup->config->store, path, backup->replace, restored, error);
}

static int run_restore_in(struct backup *backup)
{
    struct mw_error error = {0};
    struct mw_restored restored = {0};
    const char *user = backup->config->milter.user;
    backup->owner = geteuid() == 0 && user && *user ? getpwnam(user) : NULL;
    if (bring_spool(backup, &error) != 0 || bring_filters(backup, &error) != 0 ||
        bring_redis(backup, &restored, &error) != 0)
        return fail(backup, &error);
    printf("%u files of the spool, %u filters, %llu keys of Redis brought back\n",
           backup->spool_files, backup->filters, (unsigned long long)restored.keys);
    if (backup->kept_filters > 0 || restored.there > 0)
        printf("%u filters and %llu keys were there and stay as they are (--replace)%s\n",
               backup->kept_filters, (unsigned long long)restored.there,
               restored.there > 0 ? "; 'mailwitness store check --mend' fits both together" : "");
    return MW_EXIT_OK;
}

/* --- the command line ------------------------------------------------------------------------ */

static int parse(struct backup *backup, const struct option *options, const char *usage, int argc,
                 char **argv)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (c) {
        case NO_REDIS:
            backup->no_redis = true;
            break;
        case REPLACE:
            backup->replace = true;
            break;
        case 'c':
            backup->config_path = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return -1;
        default:
            return mw_command_bad_option(backup->command, argv, options);
        }
    }
    if (optind + 1 != argc)
        return mw_command_fail(backup->command, "name one folder; see 'mailwitness help %s'",
                               backup->command->name);
    backup->folder = argv[optind];
    return 0;
}

static int with_config(struct backup *backup, int (*work)(struct backup *backup))
{
    const char *path = access(backup->config_path, F_OK) == 0 ? backup->config_path : NULL;
    signal(SIGPIPE, SIG_IGN);
    backup->config = mw_configured(backup->command, path);
    if (!backup->config)
        return MW_EXIT_ERROR;
    int status = work(backup);
    mw_config_free(backup->config);
    return status;
}

static int run_backup(const struct mw_command *command, int argc, char **argv)
{
    struct backup backup = {.command = command, .config_path = MW_CONFIG_FILE};
    int status = parse(&backup, backup_options, backup_usage, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    return with_config(&backup, run_backup_in);
}

static int run_restore(const struct mw_command *command, int argc, char **argv)
{
    struct mw_error error = {0};
    struct backup backup = {.command = command, .config_path = MW_CONFIG_FILE};
    int status = parse(&backup, restore_options, restore_usage, argc, argv);
    if (status != 0)
        return status < 0 ? MW_EXIT_OK : status;
    if (check_sums(&backup, &error) != 0 || bring_config(&backup, &error) != 0)
        return fail(&backup, &error);
    return with_config(&backup, run_restore_in);
}

const struct mw_command mw_command_backup = {
    "backup", "copy filters, spool, configuration and what Redis keeps", backup_usage, run_backup};
const struct mw_command mw_command_restore = {"restore", "bring back what backup copied",
                                              restore_usage, run_restore};
