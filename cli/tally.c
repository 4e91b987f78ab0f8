/* tally: GLib's hash table. */
#include "cli/tally.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

struct mw_tally {
    GHashTable *counts; /* text to size_t, both in the table's memory */
};

struct mw_tally *mw_tally_new(void)
{
    struct mw_tally *tally = g_new0(struct mw_tally, 1);
    tally->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return tally;
}

void mw_tally_free(struct mw_tally *tally)
{
    if (tally)
        g_hash_table_destroy(tally->counts);
    g_free(tally);
}

void mw_tally_add(struct mw_tally *tally, const char *text)
{
    if (!text || !*text)
        return;
    size_t *count = g_hash_table_lookup(tally->counts, text);
    if (!count) {
        count = g_new0(size_t, 1);
        g_hash_table_insert(tally->counts, g_strdup(text), count);
    }
    ++*count;
}

struct entry {
    const char *text;
    size_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    return strcmp(one->text, other->text);
}

json_t *mw_tally_top(const struct mw_tally *tally, size_t most)
{
    size_t count = g_hash_table_size(tally->counts), i = 0;
    struct entry *entries = g_new0(struct entry, count + 1);
    json_t *top = json_array();
    GHashTableIter iterator;
    gpointer text, value;
    g_hash_table_iter_init(&iterator, tally->counts);
    while (g_hash_table_iter_next(&iterator, &text, &value))
        entries[i++] = (struct entry){text, *(const size_t *)value};
    qsort(entries, count, sizeof *entries, by_count);
    for (i = 0; i < count && i < most; i++)
        json_array_append_new(top, json_pack("{s:s, s:I}", "value", entries[i].text, "count",
                                             (json_int_t)entries[i].count));
    g_free(entries);
    return top;
}
