/* id: UUIDv7 with a 12-bit counter in rand_a (RFC 9562 section 6.2, method 1). */
#include "core/id.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/ascii.h"
#include "core/time.h"

enum { COUNTER_BITS = 12, COUNTER_END = 1 << COUNTER_BITS };

struct mw_id_source {
    pthread_mutex_t lock;
    uint64_t last_ms;
    unsigned counter;
};

static bool random_bytes(void *out, size_t size)
{
    return getrandom(out, size, 0) == (ssize_t)size;
}

struct mw_id_source *mw_id_source_new(void)
{
    unsigned char probe[8];
    if (!random_bytes(probe, sizeof probe))
        return NULL;
    struct mw_id_source *source = calloc(1, sizeof *source);
    if (source)
        pthread_mutex_init(&source->lock, NULL);
    return source;
}

void mw_id_source_free(struct mw_id_source *source)
{
    if (!source)
        return;
    pthread_mutex_destroy(&source->lock);
    free(source);
}

/* The next time and counter, always above the last pair. */
static void advance(struct mw_id_source *source, uint64_t now, unsigned seed)
{
    if (now > source->last_ms) {
        source->last_ms = now;
        /* The top bit starts clear, so that a millisecond has room to count. */
        source->counter = seed % (COUNTER_END / 2);
    } else if (++source->counter == COUNTER_END) {
        source->last_ms++;
        source->counter = seed % (COUNTER_END / 2);
    }
}

void mw_id_next_at(struct mw_id_source *source, uint64_t unix_ms, char out[MW_ID_SIZE])
{
    unsigned char tail[10] = {0};
    if (!random_bytes(tail, sizeof tail))
        abort(); /* it worked when the source was made and cannot fail after */
    pthread_mutex_lock(&source->lock);
    advance(source, unix_ms, (unsigned)tail[8] << 8 | tail[9]);
    uint64_t ms = source->last_ms & 0xFFFFFFFFFFFFU;
    unsigned counter = source->counter;
    pthread_mutex_unlock(&source->lock);
    tail[0] = (unsigned char)(0x80 | (tail[0] & 0x3F));
    snprintf(out, MW_ID_SIZE, "%08x-%04x-7%03x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             (unsigned)(ms >> 16), (unsigned)(ms & 0xFFFF), counter & 0xFFF, tail[0], tail[1],
             tail[2], tail[3], tail[4], tail[5], tail[6], tail[7]);
}

void mw_id_next(struct mw_id_source *source, char out[MW_ID_SIZE])
{
    mw_id_next_at(source, (uint64_t)mw_time_now(), out);
}

/* An id is written in lower case. */
static int id_digit(char c)
{
    return c == mw_ascii_lower(c) ? mw_hex_value(c) : -1;
}

bool mw_id_parse(const char *text, uint64_t *unix_ms)
{
    uint64_t ms = 0;
    if (strlen(text) != MW_ID_SIZE - 1)
        return false;
    for (int i = 0, digits = 0; i < MW_ID_SIZE - 1; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen != (text[i] == '-') || (!hyphen && id_digit(text[i]) < 0))
            return false;
        if (!hyphen && digits++ < 12)
            ms = ms << 4 | (uint64_t)id_digit(text[i]);
    }
    if (text[14] != '7' || !strchr("89ab", text[19]))
        return false;
    if (unix_ms)
        *unix_ms = ms;
    return true;
}
