/* unit_store: what the store tells, and what it holds meanwhile. */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"
#include "t/unit/tap.h"

enum { HANGS_S = 30, PAUSE_US = 5000 };

struct told {
    struct mw_store *store;
    atomic_uint count;
};

/* A log that looks at the store, as a slow one would keep others from doing. */
static void look_back(void *user, enum mw_log_level level, const char *text)
{
    struct told *told = user;
    struct mw_store_state state;
    (void)level, (void)text;
    mw_store_get_state(told->store, &state);
    atomic_fetch_add(&told->count, 1);
}

static void await(struct told *told, unsigned count)
{
    while (atomic_load(&told->count) < count)
        usleep(PAUSE_US);
}

int main(void)
{
    struct mw_error error = {0};
    struct told told = {0}, late = {0};
    /* Nobody listens there. */
    const struct mw_store_settings settings = {
        .redis = {.address = "unix:/nowhere/redis", .connect_ms = 100, .command_ms = 100},
        .prefix = "mw:"};
    alarm(HANGS_S);
    told.store = mw_store_new(&settings, &error);
    mw_store_on_notice(told.store, look_back, &told);
    await(&told, 1);
    tap_ok(true, "the log is told without the lock that messages wait for");
    mw_store_free(told.store);
    late.store = mw_store_new(&settings, &error);
    struct mw_store_state state = {.up = true};
    while (state.up) {
        usleep(PAUSE_US);
        mw_store_get_state(late.store, &state);
    }
    mw_store_on_notice(late.store, look_back, &late);
    await(&late, 1);
    tap_ok(true, "... and so is what happened before there was one");
    mw_store_free(late.store);
    return tap_done();
}
