/* intake: small pieces are gathered, so that one header is not one system call. */
#include "milter/intake.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER = 32768 };

struct mw_intake {
    size_t max;
    struct mw_admission *admission;
    size_t taken; /* bytes of admission that are ours */
    struct mw_memfile *file;
    uint64_t size;        /* that came */
    uint64_t header_size; /* where the body begins; 0 while the header goes on */
    enum mw_intake_state state;
    struct mw_error error;
    size_t buffered;
    unsigned char buffer[BUFFER];
};

static void drop(struct mw_intake *intake, enum mw_intake_state state)
{
    mw_memfile_free(intake->file);
    intake->file = NULL;
    intake->buffered = 0;
    mw_admission_give(intake->admission, intake->taken);
    intake->taken = 0;
    intake->state = state;
}

static bool take(struct mw_intake *intake, size_t bytes)
{
    if (!mw_admission_take(intake->admission, bytes))
        return false;
    intake->taken += bytes;
    return true;
}

struct mw_intake *mw_intake_new(size_t max, struct mw_admission *admission)
{
    struct mw_intake *intake = malloc(sizeof *intake);
    if (!intake)
        abort();
    memset(intake, 0, offsetof(struct mw_intake, buffer));
    intake->max = max;
    intake->admission = admission;
    if (!take(intake, sizeof *intake))
        intake->state = MW_INTAKE_FULL;
    return intake;
}

void mw_intake_free(struct mw_intake *intake)
{
    if (!intake)
        return;
    drop(intake, intake->state);
    free(intake);
}

static bool append(struct mw_intake *intake, struct mw_bytes bytes)
{
    if (!take(intake, bytes.size)) {
        drop(intake, MW_INTAKE_FULL);
        return false;
    }
    if (!intake->file)
        intake->file = mw_memfile_new("mailwitness-message", &intake->error);
    if (intake->file && mw_memfile_append(intake->file, bytes, intake->max, &intake->error) == 0)
        return true;
    drop(intake, MW_INTAKE_FAILED);
    return false;
}

static bool flush(struct mw_intake *intake)
{
    struct mw_bytes bytes = {intake->buffer, intake->buffered};
    intake->buffered = 0;
    return append(intake, bytes);
}

/* The rest will not be kept, so the beginning must not look like the message: what
 * stays is the header block, for the facts. */
static void keep_header(struct mw_intake *intake)
{
    struct mw_bytes bytes = {0};
    if (!flush(intake))
        return;
    struct mw_memfile *whole = intake->file;
    intake->file = NULL;
    if (mw_memfile_map(whole, &bytes, &intake->error) == 0 && intake->header_size > 0)
        append(intake, mw_bytes_slice(bytes, 0, (size_t)intake->header_size));
    mw_memfile_free(whole);
    if (intake->state == MW_INTAKE_WHOLE)
        intake->state = MW_INTAKE_TOO_LARGE;
}

static void put(struct mw_intake *intake, const void *data, size_t size)
{
    intake->size += size;
    if (intake->state != MW_INTAKE_WHOLE)
        return;
    if (intake->size > intake->max) {
        keep_header(intake);
        return;
    }
    if (size > BUFFER - intake->buffered && !flush(intake))
        return;
    if (size > BUFFER) {
        append(intake, (struct mw_bytes){data, size});
        return;
    }
    memcpy(intake->buffer + intake->buffered, data, size);
    intake->buffered += size;
}

void mw_intake_header(struct mw_intake *intake, const char *name, const char *value,
                      bool leading_space)
{
    put(intake, name, strlen(name));
    put(intake, ": ", leading_space ? 1 : 2);
    for (const char *line = value;;) {
        const char *end = strchr(line, '\n');
        if (!end) {
            put(intake, line, strlen(line));
            break;
        }
        size_t length = (size_t)(end - line);
        put(intake, line, length > 0 && end[-1] == '\r' ? length - 1 : length);
        put(intake, "\r\n", 2);
        line = end + 1;
    }
    put(intake, "\r\n", 2);
}

static void end_header(struct mw_intake *intake)
{
    if (intake->header_size > 0)
        return;
    put(intake, "\r\n", 2);
    intake->header_size = intake->size;
}

void mw_intake_body(struct mw_intake *intake, struct mw_bytes bytes)
{
    end_header(intake);
    put(intake, bytes.data, bytes.size);
}

void mw_intake_finish(struct mw_intake *intake)
{
    end_header(intake);
    if (intake->state == MW_INTAKE_WHOLE)
        flush(intake);
    if (intake->file && mw_memfile_seal(intake->file, &intake->error) != 0)
        drop(intake, MW_INTAKE_FAILED);
}

enum mw_intake_state mw_intake_get_state(const struct mw_intake *intake)
{
    return intake->state;
}

const struct mw_error *mw_intake_error(const struct mw_intake *intake)
{
    return &intake->error;
}

uint64_t mw_intake_size(const struct mw_intake *intake)
{
    return intake->size;
}

struct mw_memfile *mw_intake_file(const struct mw_intake *intake)
{
    return intake->file;
}
