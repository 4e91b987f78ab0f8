/* archive_source: one reader of libarchive for the filters, whose blocks feed another one. */
#include "parsers/archive_source.h"

#include <archive_entry.h>
#include <string.h>

#include "core/bytes.h"

/* Not those that start other programs. */
static struct archive *new_filters(void)
{
    struct archive *filters = archive_read_new();
    if (!filters)
        return NULL;
    archive_read_support_filter_bzip2(filters);
    archive_read_support_filter_compress(filters);
    archive_read_support_filter_gzip(filters);
    archive_read_support_filter_lz4(filters);
    archive_read_support_filter_lzip(filters);
    archive_read_support_filter_lzma(filters);
    archive_read_support_filter_rpm(filters);
    archive_read_support_filter_xz(filters);
    archive_read_support_filter_zstd(filters);
    archive_read_support_format_raw(filters);
    return filters;
}

/* What came out of the filters and is neither kept as a file nor refused already. */
static size_t in_headers(const struct mw_archive_source *source)
{
    size_t told = source->parse->unpacked + source->parse->refused - source->before;
    return source->passed > told ? source->passed - told : 0;
}

/* The next block for the reader of formats. */
static la_ssize_t read_block(struct archive *reader, void *user, const void **bytes)
{
    struct mw_archive_source *source = user;
    struct mw_parse *parse = source->parse;
    size_t size = 0;
    la_int64_t offset;
    if (in_headers(source) > MW_ARCHIVE_HEADERS_MOST) {
        source->stopped = true;
        mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE,
                          source->part->path,
                          "more than %d bytes of it are headers: the rest was not opened",
                          MW_ARCHIVE_HEADERS_MOST);
        archive_set_error(reader, -1, "too many bytes of headers");
        return ARCHIVE_FATAL;
    }
    if (mw_parse_expired(parse)) {
        source->stopped = true;
        archive_set_error(reader, -1, "the message's time is up");
        return ARCHIVE_FATAL;
    }
    int code = archive_read_data_block(source->filters, bytes, &size, &offset);
    if (code == ARCHIVE_EOF)
        return 0;
    if (code < ARCHIVE_WARN) {
        archive_set_error(reader, -1, "%s", archive_error_string(source->filters));
        return ARCHIVE_FATAL;
    }
    source->passed += size;
    return (la_ssize_t)size;
}

/* An xar's list of files stands compressed in its header, with its size: libarchive and libxml2
 * take some hundred bytes of memory for each file in it. */
static bool is_listed_in_too_much(struct mw_archive_source *source, struct mw_bytes bytes)
{
    enum { SIZE_AT = 16, HEADER = 28 };
    struct mw_parse *parse = source->parse;
    if (bytes.size < HEADER || memcmp(bytes.data, "xar!", 4) != 0)
        return false;
    uint64_t size = 0;
    for (int i = 0; i < 8; i++)
        size = size << 8 | bytes.data[SIZE_AT + i];
    if (size <= MW_ARCHIVE_HEADERS_MOST)
        return false;
    source->stopped = true;
    mw_report_problem(parse->report, parse->limits, MW_PROBLEM_LIMIT_UNPACKED_SIZE,
                      source->part->path, "its list of files takes %llu bytes: it was not opened",
                      (unsigned long long)size);
    return true;
}

int mw_archive_source_open(struct mw_archive_source *source, struct mw_parse *parse,
                           const struct mw_part *part, struct mw_bytes bytes,
                           struct archive *reader)
{
    struct archive_entry *entry;
    *source = (struct mw_archive_source){.parse = parse, .part = part};
    source->before = parse->unpacked + parse->refused;
    if (is_listed_in_too_much(source, bytes))
        return ARCHIVE_FATAL;
    source->filters = new_filters();
    if (!source->filters)
        return ARCHIVE_FATAL;
    int code = archive_read_open_memory(source->filters, bytes.data, bytes.size);
    if (code == ARCHIVE_OK)
        code = archive_read_next_header(source->filters, &entry);
    if (code >= ARCHIVE_WARN && code != ARCHIVE_EOF && archive_filter_count(source->filters) > 1)
        return archive_read_open(reader, source, NULL, read_block, NULL);
    if (code < ARCHIVE_WARN && archive_filter_count(source->filters) > 1) {
        archive_set_error(reader, -1, "%s", archive_error_string(source->filters));
        return ARCHIVE_FATAL;
    }
    archive_read_free(source->filters);
    source->filters = NULL;
    return archive_read_open_memory(reader, bytes.data, bytes.size);
}

bool mw_archive_source_is_compressed(const struct mw_archive_source *source)
{
    return source->filters != NULL;
}

size_t mw_archive_source_taken(const struct mw_archive_source *source, struct archive *reader)
{
    int64_t taken = archive_filter_bytes(source->filters ? source->filters : reader, -1);
    return taken > 0 ? (size_t)taken : 0;
}

void mw_archive_source_close(struct mw_archive_source *source)
{
    source->parse->refused += in_headers(source);
    archive_read_free(source->filters);
}
