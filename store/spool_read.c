/* spool_read: finding sound records in files that may be cut short or damaged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "store/spool_private.h"

static const char magic[] = "MWSP", file_magic[] = "MWSPOOL2", old_magic[] = "MWSPOOL1";
enum { ONE_HEAD = MW_SPOOL_FILE_HEAD / 2, OLD_HEAD = 16 };

/* Of a head, without the state and itself. */
static uint32_t head_check(const unsigned char *head, uint64_t seed)
{
    unsigned char part[24];
    memcpy(part, head, 4);
    memcpy(part + 4, head + 8, 20);
    return (uint32_t)XXH3_64bits_withSeed(part, sizeof part, seed);
}

static bool is_file_head(const unsigned char *head)
{
    return memcmp(head, file_magic, 8) == 0 &&
           mw_bytes_get_little(head + 16, 8) == XXH3_64bits(head, 16);
}

struct mw_spool_file mw_spool_read_file_head(struct mw_bytes bytes)
{
    struct mw_spool_file file = {0};
    if (bytes.size >= MW_SPOOL_FILE_HEAD) {
        bool first = is_file_head(bytes.data), second = is_file_head(bytes.data + ONE_HEAD);
        file.known = first || second;
        file.damaged = first != second;
        file.start = MW_SPOOL_FILE_HEAD;
        file.seed = mw_bytes_get_little(bytes.data + (first ? 0 : ONE_HEAD) + 8, 8);
    }
    if (!file.known && bytes.size >= OLD_HEAD && memcmp(bytes.data, old_magic, 8) == 0)
        file = (struct mw_spool_file){
            .known = true, .seed = mw_bytes_get_little(bytes.data + 8, 8), .start = OLD_HEAD};
    return file;
}

void mw_spool_file_head(unsigned char head[MW_SPOOL_FILE_HEAD], uint64_t seed)
{
    memcpy(head, file_magic, 8);
    mw_bytes_put_little(head + 8, seed, 8);
    mw_bytes_put_little(head + 16, XXH3_64bits(head, 16), 8);
    memcpy(head + ONE_HEAD, head, ONE_HEAD);
}

void mw_spool_head(unsigned char head[MW_SPOOL_HEAD], const struct mw_bytes *pieces, size_t count,
                   uint64_t seed, int64_t now)
{
    uint64_t size = 0;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        abort();
    XXH3_64bits_reset_withSeed(state, seed);
    for (size_t i = 0; i < count; i++) {
        XXH3_64bits_update(state, pieces[i].data, pieces[i].size);
        size += pieces[i].size;
    }
    memset(head, 0, MW_SPOOL_HEAD);
    memcpy(head, magic, 4);
    head[MW_SPOOL_STATE_AT] = MW_SPOOL_NEW;
    mw_bytes_put_little(head + 8, size, 8);
    mw_bytes_put_little(head + 16, XXH3_64bits_digest(state), 8);
    mw_bytes_put_little(head + 24, (uint64_t)now, 4);
    mw_bytes_put_little(head + 28, head_check(head, seed), 4);
    XXH3_freeState(state);
}

/* Whether a sound head is there, whatever follows it. */
static bool is_sound_head(struct mw_bytes bytes, size_t at, uint64_t seed)
{
    return at <= bytes.size && bytes.size - at >= MW_SPOOL_HEAD &&
           memcmp(bytes.data + at, magic, 4) == 0 &&
           mw_bytes_get_little(bytes.data + at + 28, 4) == head_check(bytes.data + at, seed);
}

bool mw_spool_read_head(struct mw_bytes bytes, size_t at, uint64_t *size, int64_t *written,
                        bool *done)
{
    const unsigned char *head = bytes.data + at;
    struct mw_spool_file file = mw_spool_read_file_head(bytes);
    if (!file.known || !is_sound_head(bytes, at, file.seed))
        return false;
    *size = mw_bytes_get_little(head + 8, 8);
    *written = (int64_t)mw_bytes_get_little(head + 24, 4);
    *done = head[MW_SPOOL_STATE_AT] == MW_SPOOL_DONE;
    return *size <= bytes.size - at - MW_SPOOL_HEAD;
}

bool mw_spool_is_unfinished(struct mw_bytes bytes, size_t end)
{
    struct mw_spool_file file = mw_spool_read_file_head(bytes);
    size_t like = bytes.size < 7 ? bytes.size : 7;
    if (!file.known)
        return bytes.size < MW_SPOOL_FILE_HEAD && memcmp(bytes.data, file_magic, like) == 0;
    end = end < file.start ? file.start : end;
    return bytes.size - end < MW_SPOOL_HEAD ||
           (is_sound_head(bytes, end, file.seed) &&
            mw_bytes_get_little(bytes.data + end + 8, 8) > bytes.size - end - MW_SPOOL_HEAD);
}

static bool is_sound(struct mw_bytes bytes, size_t at, uint64_t seed, struct mw_bytes *record,
                     bool check)
{
    if (!is_sound_head(bytes, at, seed))
        return false;
    uint64_t size = mw_bytes_get_little(bytes.data + at + 8, 8);
    if (size > bytes.size - at - MW_SPOOL_HEAD)
        return false;
    *record = (struct mw_bytes){bytes.data + at + MW_SPOOL_HEAD, (size_t)size};
    return !check || XXH3_64bits_withSeed(record->data, record->size, seed) ==
                         mw_bytes_get_little(bytes.data + at + 16, 8);
}

bool mw_spool_find(struct mw_bytes bytes, size_t *at, struct mw_bytes *record, bool check,
                   uint64_t *damaged)
{
    struct mw_spool_file file = mw_spool_read_file_head(bytes);
    if (*at == 0 && file.known) {
        *at = file.start;
        *damaged += file.damaged;
    }
    size_t from = *at;
    while (file.known && *at < bytes.size && bytes.size - *at >= MW_SPOOL_HEAD) {
        if (is_sound(bytes, *at, file.seed, record, check)) {
            *damaged += *at > from;
            return true;
        }
        *at = mw_bytes_find(bytes, *at + 1, mw_bytes_of(magic));
    }
    *at = bytes.size;
    *damaged += from < bytes.size && !mw_spool_is_unfinished(bytes, from);
    return false;
}

/* --- names -------------------------------------------------------------------------------- */

void mw_spool_name(char name[MW_SPOOL_NAME], const char *kind, uint64_t number)
{
    snprintf(name, MW_SPOOL_NAME, "%s-%010llu.spool", kind, (unsigned long long)number);
}

static bool spool_number(const char *name, const char *kind, const char *ending, uint64_t *number)
{
    size_t size = strlen(kind);
    char *end;
    if (strncmp(name, kind, size) != 0 || name[size] != '-' || name[size + 1] < '0' ||
        name[size + 1] > '9')
        return false;
    *number = strtoull(name + size + 1, &end, 10);
    return strcmp(end, ending) == 0;
}

bool mw_spool_number(const char *name, const char *kind, uint64_t *number)
{
    return spool_number(name, kind, ".spool", number);
}

bool mw_spool_damaged_number(const char *name, const char *kind, uint64_t *number)
{
    return spool_number(name, kind, ".spool.damaged", number);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int mw_spool_list(const char *folder, const char *kind, uint64_t **numbers, size_t *count,
                  struct mw_error *error)
{
    *numbers = NULL;
    *count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return mw_fail_errno(error, "cannot read the spool's folder %s", folder);
    size_t room = 0;
    uint64_t number;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!mw_spool_number(entry->d_name, kind, &number))
            continue;
        if (*count == room) {
            room = room * 2 + 16;
            uint64_t *more = realloc(*numbers, room * sizeof *more);
            if (!more)
                abort();
            *numbers = more;
        }
        (*numbers)[(*count)++] = number;
    }
    closedir(dir);
    if (*count > 0)
        qsort(*numbers, *count, sizeof **numbers, by_number);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int mw_spool_list_damaged(const char *folder, const char *kind, struct mw_arena *arena,
                          struct mw_texts *names, struct mw_error *error)
{
    static const char ending[] = ".spool.damaged";
    uint64_t number;
    DIR *dir = opendir(folder);
    if (!dir)
        return mw_fail_errno(error, "cannot read the spool's folder %s", folder);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *at = strstr(entry->d_name, ending);
        bool wanted = kind ? mw_spool_damaged_number(entry->d_name, kind, &number)
                           : at && strcmp(at, ending) == 0;
        if (wanted)
            mw_texts_add(arena, names, mw_arena_dup(arena, entry->d_name));
    }
    closedir(dir);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, by_name);
    return 0;
}

/* --- the reader ---------------------------------------------------------------------------- */

struct mw_spool_reader {
    int folder;
    char kind[32];
    uint64_t *files;
    size_t count, next;
    struct mw_bytes bytes; /* of the file being read */
    size_t at;
    uint64_t damaged;
};

struct mw_spool_reader *mw_spool_reader_new(const char *folder, const char *kind,
                                            struct mw_error *error)
{
    struct mw_spool_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        abort();
    reader->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(reader->kind, sizeof reader->kind, "%s", kind);
    if (reader->folder < 0)
        mw_fail_errno(error, "cannot open the spool's folder %s", folder);
    else if (mw_spool_list(folder, kind, &reader->files, &reader->count, error) == 0)
        return reader;
    mw_spool_reader_free(reader);
    return NULL;
}

static void leave_file(struct mw_spool_reader *reader)
{
    if (reader->bytes.data)
        munmap((void *)(uintptr_t)reader->bytes.data, reader->bytes.size);
    reader->bytes = (struct mw_bytes){NULL, 0};
    reader->at = 0;
}

void mw_spool_reader_free(struct mw_spool_reader *reader)
{
    if (!reader)
        return;
    leave_file(reader);
    free(reader->files);
    if (reader->folder >= 0)
        close(reader->folder);
    free(reader);
}

uint64_t mw_spool_reader_damaged(const struct mw_spool_reader *reader)
{
    return reader->damaged;
}

/* Maps the next file; one that is gone meanwhile counts as empty. */
static int enter_file(struct mw_spool_reader *reader, struct mw_error *error)
{
    char name[MW_SPOOL_NAME];
    struct stat facts;
    mw_spool_name(name, reader->kind, reader->files[reader->next++]);
    int fd = openat(reader->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : mw_fail_errno(error, "cannot open %s", name);
    void *map = NULL;
    int result = fstat(fd, &facts);
    if (result == 0 && facts.st_size > 0) {
        map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, fd, 0);
        result = map == MAP_FAILED ? -1 : 0;
    }
    if (result != 0)
        mw_fail_errno(error, "cannot read %s", name);
    else if (map)
        reader->bytes = (struct mw_bytes){map, (size_t)facts.st_size};
    close(fd);
    return result == 0 ? 0 : error->code;
}

int mw_spool_next(struct mw_spool_reader *reader, struct mw_spool_entry *entry,
                  struct mw_error *error)
{
    uint64_t size;
    for (;;) {
        if (mw_spool_find(reader->bytes, &reader->at, &entry->record, true, &reader->damaged))
            break;
        leave_file(reader);
        if (reader->next == reader->count)
            return 0;
        if (enter_file(reader, error) != 0)
            return error->code;
    }
    entry->file = reader->files[reader->next - 1];
    entry->at = reader->at;
    mw_spool_read_head(reader->bytes, reader->at, &size, &entry->written, &entry->done);
    reader->at += MW_SPOOL_HEAD + entry->record.size;
    return 1;
}
