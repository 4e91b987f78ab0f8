/* count_work: what the compiler calls in each block, and stands in for the libraries. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "t/unit/count_work.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

uint64_t mw_work_counted;

/* The names are the compiler's and the linker's. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    mw_work_counted++;
}

#define REAL(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* How far a search came: to what it found, or over all there was. */
static void count_search(const void *from, const void *found, size_t most)
{
    mw_work_counted +=
        found ? (uint64_t)((const char *)found - (const char *)from) : (uint64_t)most;
}

REAL(void *, memchr, const void *text, int byte, size_t size)
{
    void *found = __real_memchr(text, byte, size);
    count_search(text, found, size);
    return found;
}

REAL(void *, memrchr, const void *text, int byte, size_t size)
{
    mw_work_counted += size;
    return __real_memrchr(text, byte, size);
}

REAL(void *, memmem, const void *text, size_t size, const void *what, size_t length)
{
    void *found = __real_memmem(text, size, what, length);
    count_search(text, found, size);
    return found;
}

REAL(int, memcmp, const void *a, const void *b, size_t size)
{
    mw_work_counted += size;
    return __real_memcmp(a, b, size);
}

REAL(void *, memcpy, void *to, const void *from, size_t size)
{
    mw_work_counted += size;
    return __real_memcpy(to, from, size);
}

REAL(size_t, strlen, const char *text)
{
    size_t length = __real_strlen(text);
    mw_work_counted += length;
    return length;
}

REAL(char *, strchr, const char *text, int byte)
{
    char *found = __real_strchr(text, byte);
    count_search(text, found, found ? 0 : __real_strlen(text));
    return found;
}

REAL(char *, strrchr, const char *text, int byte)
{
    mw_work_counted += __real_strlen(text);
    return __real_strrchr(text, byte);
}

REAL(char *, strstr, const char *text, const char *what)
{
    char *found = __real_strstr(text, what);
    count_search(text, found, found ? 0 : __real_strlen(text));
    return found;
}

REAL(char *, strcasestr, const char *text, const char *what)
{
    char *found = __real_strcasestr(text, what);
    count_search(text, found, found ? 0 : __real_strlen(text));
    return found;
}

REAL(size_t, strcspn, const char *text, const char *stops)
{
    size_t length = __real_strcspn(text, stops);
    mw_work_counted += length;
    return length;
}

REAL(size_t, strspn, const char *text, const char *those)
{
    size_t length = __real_strspn(text, those);
    mw_work_counted += length;
    return length;
}

/* Each item of a pattern that is tried, and how far the last one went. */
static int count_step(pcre2_callout_block *block, void *user)
{
    PCRE2_SIZE *last = user;
    PCRE2_SIZE at = block->current_position;
    mw_work_counted += 1 + (at > *last ? at - *last : *last - at);
    *last = at;
    return 0;
}

REAL(pcre2_code *, pcre2_compile_8, PCRE2_SPTR pattern, PCRE2_SIZE size, uint32_t options,
     int *code, PCRE2_SIZE *offset, pcre2_compile_context *context)
{
    return __real_pcre2_compile_8(pattern, size, options | PCRE2_AUTO_CALLOUT, code, offset,
                                  context);
}

REAL(int, pcre2_match_8, const pcre2_code *code, PCRE2_SPTR subject, PCRE2_SIZE length,
     PCRE2_SIZE start, uint32_t options, pcre2_match_data *data, pcre2_match_context *context)
{
    PCRE2_SIZE last = start;
    pcre2_set_callout(context, count_step, &last);
    int found = __real_pcre2_match_8(code, subject, length, start, options, data, context);
    pcre2_set_callout(context, NULL, NULL);
    return found;
}
