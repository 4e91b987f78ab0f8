/* header: little-endian fields in a fixed order, an XXH3 checksum at the end. */
#include "bloom/header.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

static const char magic[8] = "MWBLOOM";
enum { PAGE = 4096, GENERATION_AT = 16, CHECKSUM_AT = MW_BLOOM_COPY_SIZE - 8 };

static void put(unsigned char **at, uint64_t value)
{
    value = htole64(value);
    memcpy(*at, &value, sizeof value);
    *at += sizeof value;
}

static uint64_t get(const unsigned char **at)
{
    uint64_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return le64toh(value);
}

static void put_double(unsigned char **at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(at, bits);
}

static double get_double(const unsigned char **at)
{
    uint64_t bits = get(at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t mw_bloom_header_newest(const unsigned char *copies)
{
    const unsigned char *first = copies + GENERATION_AT, *second = first + MW_BLOOM_COPY_SIZE;
    uint64_t a = get(&first), b = get(&second);
    return a > b ? a : b;
}

void mw_bloom_header_write(const struct mw_bloom_header *header, unsigned char *copy)
{
    memset(copy, 0, MW_BLOOM_COPY_SIZE);
    memcpy(copy, magic, sizeof magic);
    unsigned char *at = copy + sizeof magic;
    put(&at, header->version);
    put(&at, header->generation);
    put(&at, header->seed);
    put(&at, header->capacity);
    put_double(&at, header->fp_rate);
    put(&at, header->created);
    put(&at, header->layers);
    for (uint32_t i = 0; i < header->layers; i++) {
        const struct mw_bloom_layer *layer = &header->layer[i];
        put(&at, layer->offset);
        put(&at, layer->shape.blocks);
        put(&at, layer->shape.capacity);
        put_double(&at, layer->shape.fp_rate);
        put(&at, layer->shape.bits);
        if (header->version > 1)
            put(&at, layer->sums);
    }
    at = copy + CHECKSUM_AT;
    put(&at, XXH3_64bits(copy, CHECKSUM_AT));
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

uint64_t mw_bloom_layer_size(const struct mw_bloom_shape *shape)
{
    return whole_pages(shape->blocks * MW_BLOOM_BLOCK_SIZE);
}

uint64_t mw_bloom_sums_size(const struct mw_bloom_shape *shape)
{
    return whole_pages(mw_bloom_layer_size(shape) / PAGE * sizeof(uint64_t));
}

struct region {
    uint64_t start, size;
};

/* What the header names, layers and checksums; how many there are. */
static unsigned regions_of(const struct mw_bloom_header *header, struct region *regions)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < header->layers; i++) {
        const struct mw_bloom_layer *layer = &header->layer[i];
        regions[count++] = (struct region){layer->offset, mw_bloom_layer_size(&layer->shape)};
        if (header->version > 1)
            regions[count++] = (struct region){layer->sums, mw_bloom_sums_size(&layer->shape)};
    }
    return count;
}

uint64_t mw_bloom_header_end(const struct mw_bloom_header *header)
{
    struct region regions[2 * MW_BLOOM_LAYERS];
    unsigned count = regions_of(header, regions);
    uint64_t end = MW_BLOOM_DATA_AT;
    for (unsigned i = 0; i < count; i++)
        if (regions[i].start + regions[i].size > end)
            end = regions[i].start + regions[i].size;
    return end;
}

static bool shape_is_sane(const struct mw_bloom_shape *shape, uint64_t file_size)
{
    return shape->blocks > 0 && shape->blocks <= file_size / MW_BLOOM_BLOCK_SIZE &&
           shape->bits >= 1 && shape->bits <= 2 && shape->capacity > 0 &&
           shape->capacity <= MW_BLOOM_MOST;
}

/* Whether layers and checksums lie within the file, apart from each other. */
static bool layers_fit(const struct mw_bloom_header *header, uint64_t file_size)
{
    struct region regions[2 * MW_BLOOM_LAYERS];
    for (uint32_t i = 0; i < header->layers; i++)
        if (!shape_is_sane(&header->layer[i].shape, file_size))
            return false;
    unsigned count = regions_of(header, regions);
    for (unsigned i = 0; i < count; i++) {
        const struct region *one = &regions[i];
        if (one->start % PAGE != 0 || one->start < MW_BLOOM_DATA_AT || one->start > file_size ||
            one->size > file_size - one->start)
            return false;
        for (unsigned j = 0; j < i; j++)
            if (one->start < regions[j].start + regions[j].size &&
                regions[j].start < one->start + one->size)
                return false;
    }
    return count > 0;
}

enum copy_state { SOUND, DAMAGED, OTHER_VERSION, NO_FILTER };

static enum copy_state read_copy(struct mw_bloom_header *header, const unsigned char *copy)
{
    if (memcmp(copy, magic, sizeof magic) != 0)
        return NO_FILTER;
    const unsigned char *at = copy + CHECKSUM_AT;
    if (get(&at) != XXH3_64bits(copy, CHECKSUM_AT))
        return DAMAGED;
    at = copy + sizeof magic;
    uint64_t version = get(&at);
    if (version < 1 || version > MW_BLOOM_VERSION)
        return OTHER_VERSION;
    header->version = (uint32_t)version;
    header->generation = get(&at);
    header->seed = get(&at);
    header->capacity = get(&at);
    header->fp_rate = get_double(&at);
    header->created = get(&at);
    uint64_t layers = get(&at);
    if (layers < 1 || layers > MW_BLOOM_LAYERS || !(header->fp_rate > 0 && header->fp_rate < 1))
        return DAMAGED;
    header->layers = (uint32_t)layers;
    for (uint32_t i = 0; i < header->layers; i++) {
        struct mw_bloom_layer *layer = &header->layer[i];
        layer->offset = get(&at);
        layer->shape.blocks = get(&at);
        layer->shape.capacity = get(&at);
        layer->shape.fp_rate = get_double(&at);
        layer->shape.bits = (uint32_t)get(&at);
        layer->sums = version > 1 ? get(&at) : 0;
    }
    return SOUND;
}

int mw_bloom_header_read(struct mw_bloom_header *header, struct mw_bytes bytes, uint64_t file_size,
                         bool *damaged, struct mw_error *error)
{
    struct mw_bloom_header copies[2];
    enum copy_state states[2] = {NO_FILTER, NO_FILTER};
    for (size_t i = 0; i < 2; i++)
        if (bytes.size >= (i + 1) * MW_BLOOM_COPY_SIZE)
            states[i] = read_copy(&copies[i], bytes.data + i * MW_BLOOM_COPY_SIZE);
    if (states[0] == OTHER_VERSION || states[1] == OTHER_VERSION)
        return mw_fail(error, MW_ERR_FORMAT,
                       "is a filter of a version above %d: use the program that made it, or "
                       "rebuild it",
                       MW_BLOOM_VERSION);
    if (states[0] == NO_FILTER && states[1] == NO_FILTER)
        return mw_fail(error, MW_ERR_FORMAT, "is no filter");
    if (states[0] != SOUND && states[1] != SOUND)
        return mw_fail(error, MW_ERR_FORMAT,
                       "has both copies of its header damaged: restore it from a copy, or rebuild "
                       "it");
    int newer =
        states[1] == SOUND && (states[0] != SOUND || copies[1].generation > copies[0].generation);
    *header = copies[newer];
    *damaged = states[0] != SOUND || states[1] != SOUND;
    if (!layers_fit(header, file_size))
        return mw_fail(error, MW_ERR_FORMAT,
                       "is cut short or its layers do not fit: restore it from a copy, or rebuild "
                       "it");
    return 0;
}
