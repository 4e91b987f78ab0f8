/*
 * scan_type: what a file is by its content (libmagic), and names that pretend it
 * is something else.
 */
#include <magic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/name.h"
#include "core/utf8.h"
#include "scanners/known.h"
#include "scanners/scanners.h"

/* Magic looks at the beginning only. */
enum { MAGIC_BYTES = 1 << 20 };

/* What an extension promises, as far as people trust it. */
static const struct {
    const char *extension;
    const char *kind;
} promised[] = {
    {"pdf", "document"},  {"doc", "document"}, {"docx", "document"}, {"xls", "document"},
    {"xlsx", "document"}, {"ppt", "document"}, {"pptx", "document"}, {"odt", "document"},
    {"rtf", "document"},  {"jpg", "image"},    {"jpeg", "image"},    {"png", "image"},
    {"gif", "image"},     {"bmp", "image"},    {"txt", "text"},      {"csv", "text"},
    {"mp3", "audio"},     {"wav", "audio"},    {"mp4", "video"},     {"zip", "archive"},
    {"exe", "program"},   {"scr", "program"},  {"com", "program"},   {"pif", "program"},
    {"bat", "program"},   {"cmd", "program"},  {"js", "program"},    {"jse", "program"},
    {"vbs", "program"},   {"vbe", "program"},  {"wsf", "program"},   {"hta", "program"},
    {"ps1", "program"},   {"lnk", "program"},  {"jar", "program"},   {"msi", "program"},
    {"cpl", "program"},   {"dll", "program"},  {"iso", "disk"},      {"img", "disk"},
    {"vhd", "disk"},      {"vhdx", "disk"},
};

/* What a content is, by the start of its type. */
static const struct {
    const char *type;
    const char *kind;
} detected[] = {
    {"application/x-dosexec", "program"},
    {"application/vnd.microsoft.portable-executable", "program"},
    {"application/x-executable", "program"},
    {"application/x-pie-executable", "program"},
    {"application/x-sharedlib", "program"},
    {"application/x-mach-binary", "program"},
    {"application/x-msi", "program"},
    {"application/x-ms-shortcut", "program"},
    {"application/java-archive", "program"},
    {"text/x-shellscript", "program"},
    {"text/x-msdos-batch", "program"},
    {"application/x-iso9660-image", "disk"},
    {"text/html", "page"},
};

struct type_engine {
    magic_t magic;
};

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    (void)arena;
    (void)warnings;
    if (!settings->type.enabled)
        return 0;
    struct type_engine *type = calloc(1, sizeof *type);
    if (!type)
        return mw_fail_errno(error, "cannot prepare file types");
    type->magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS);
    if (type->magic && magic_load(type->magic, NULL) == 0) {
        *engine = type;
        return 0;
    }
    mw_fail(error, MW_ERR_MISSING, "cannot load libmagic's database: %s (Debian: libmagic-mgc)",
            type->magic ? magic_error(type->magic) : "out of memory");
    if (type->magic)
        magic_close(type->magic);
    free(type);
    return error->code;
}

static void unload(void *engine)
{
    struct type_engine *type = engine;
    magic_close(type->magic);
    free(type);
}

static const char *promise_of(const char *extension)
{
    for (size_t i = 0; extension && i < sizeof promised / sizeof *promised; i++)
        if (strcasecmp(extension, promised[i].extension) == 0)
            return promised[i].kind;
    return NULL;
}

static bool runs(const char *promise)
{
    return promise && (strcmp(promise, "program") == 0 || strcmp(promise, "disk") == 0);
}

static const char *kind_of(const char *type)
{
    for (size_t i = 0; i < sizeof detected / sizeof *detected; i++)
        if (strncmp(type, detected[i].type, strlen(detected[i].type)) == 0)
            return detected[i].kind;
    return NULL;
}

static void finding(struct mw_scan_result *result, const struct mw_scan_part *part,
                    const char *name, enum mw_severity severity, const char *message)
{
    struct mw_finding *found = mw_scan_finding(result, part, "type", name, severity);
    if (found)
        found->message = message;
}

/* A program or page under the name or type of something harmless. */
static void check_disguise(const struct mw_scan_part *part, struct mw_scan_result *result)
{
    const char *kind = kind_of(part->file_type), *promise = promise_of(part->extension);
    struct mw_arena *arena = result->report->arena;
    if (!kind)
        return;
    if (promise && !runs(promise) && strcmp(kind, promise) != 0) {
        finding(result, part, "type.disguised", MW_SEVERITY_SUSPICIOUS,
                mw_arena_printf(arena, "is %s although its name ends in .%s", part->file_type,
                                part->extension));
        return;
    }
    static const char *const harmless[] = {"image/", "audio/", "video/", "text/plain",
                                           "application/pdf"};
    for (size_t i = 0; part->content_type && i < sizeof harmless / sizeof *harmless; i++)
        if (strncmp(part->content_type, harmless[i], strlen(harmless[i])) == 0 &&
            strcmp(kind, "page") != 0) {
            finding(result, part, "type.disguised", MW_SEVERITY_SUSPICIOUS,
                    mw_arena_printf(arena, "is %s although declared as %s", part->file_type,
                                    part->content_type));
            return;
        }
    if (strcmp(kind, "program") == 0)
        finding(result, part, "type.program", MW_INFO, "is a program");
}

/* "invoice.pdf.exe", also with blanks between. */
static bool has_double_extension(const char *name)
{
    char effective[MW_NAME_SIZE];
    char *last = strrchr(mw_name_effective(name, effective), '.');
    if (!last || last == effective || !runs(promise_of(last + 1)))
        return false;
    while (last > effective && strchr(" _.", last[-1]))
        last--;
    *last = '\0';
    const char *dot = strrchr(effective, '.'), *first = dot ? promise_of(dot + 1) : NULL;
    return dot > effective && first && !runs(first);
}

static bool has_direction_override(const char *name)
{
    static const char *const marks[] = {"\xE2\x80\xAA", "\xE2\x80\xAB", "\xE2\x80\xAD",
                                        "\xE2\x80\xAE", "\xE2\x81\xA6", "\xE2\x81\xA7",
                                        "\xE2\x81\xA8"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strstr(name, marks[i]))
            return true;
    return false;
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    struct type_engine *type = engine;
    size_t size = part->data.size < MAGIC_BYTES ? part->data.size : MAGIC_BYTES;
    const char *found = part->known       ? part->known->facts->file_type
                        : part->file_type ? part->file_type
                                          : NULL;
    if (!found)
        found = size > 0 ? magic_buffer(type->magic, part->data.data, size) : "application/x-empty";
    if (!found)
        return mw_fail(error, MW_ERR_INTERNAL, "libmagic: %s", magic_error(type->magic));
    result->attachment->file_type =
        mw_utf8_clean_line(result->report->arena, mw_bytes_of(found), NULL);
    struct mw_scan_part typed = *part;
    typed.file_type = result->attachment->file_type;
    check_disguise(&typed, result);
    if (part->filename && has_double_extension(part->filename))
        finding(result, part, "type.double_extension", MW_SEVERITY_SUSPICIOUS,
                "has a harmless extension before one that runs");
    if (part->filename && has_direction_override(part->filename))
        finding(result, part, "type.direction_override", MW_SEVERITY_SUSPICIOUS,
                "has a name that reads backwards in part, to hide its extension");
    return 0;
}

static bool by_name(const void *engine)
{
    (void)engine;
    return true;
}

const struct mw_scanner mw_scanner_type = {
    .name = "type",
    .kinds = MW_SCAN_ATTACHMENT,
    .fields = "none",
    .load = load,
    .scan = scan,
    .unload = unload,
    .by_name = by_name,
};
