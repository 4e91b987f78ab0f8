/*
 * memory: where the daemon remembers: the filters, and the store. Shared by all
 * messages; a reload replaces what changed while no message is at it.
 */
#ifndef MW_MILTER_MEMORY_H
#define MW_MILTER_MEMORY_H

#include "bloom/tracked.h"
#include "core/log.h"
#include "milter/snapshot.h"
#include "store/store.h"

struct mw_memory;

/*
 * Makes the files of filters that have none, so that the workers, which start before filters
 * are opened, find them from the first message on. As root it does so with the rights of
 * milter.user, whose they are.
 */
int mw_memory_prepare(const struct mw_config *config, struct mw_error *error);

/* Opens what snapshot's configuration names. NULL with error. log is borrowed. */
struct mw_memory *mw_memory_open(struct mw_snapshot *snapshot, struct mw_log *log,
                                 struct mw_error *error);

/* Flushes and closes. NULL allowed. */
void mw_memory_close(struct mw_memory *memory);

/*
 * Prepares all that is another in snapshot's configuration, so that nothing is left to fail:
 * filters and spool are opened, Redis is asked whether it takes the login. Messages go on as
 * they did. NULL, and nothing has changed, with what is wrong. Then either mw_memory_commit, for
 * which messages that are just being remembered are waited for and later ones wait; or
 * mw_memory_abandon, after which all is as it was. One thread at a time.
 */
struct mw_memory_change;
struct mw_memory_change *mw_memory_prepare_change(struct mw_memory *memory,
                                                  struct mw_snapshot *snapshot,
                                                  struct mw_error *error);
void mw_memory_commit(struct mw_memory *memory, struct mw_memory_change *change);
void mw_memory_abandon(struct mw_memory_change *change);

/* Asks the filters what is new in the message, which fills in report->new_values. Any
 * thread. What is returned is for mw_memory_learn. */
const struct mw_recalled *mw_memory_recall(struct mw_memory *memory, struct mw_report *report);

/* The filters learn from the message, when its action is one that memory learns from
 * (core/learn.h); trouble with one is told in the log and keeps no message. Any thread. */
void mw_memory_learn(struct mw_memory *memory, const struct mw_report *report,
                     const struct mw_recalled *recalled, const char *queue_id);

/*
 * Keeps the report and the bytes of its attachments: 0 when they are in Redis or in the
 * spool, or when no store is configured; else why they are nowhere. Any thread.
 */
int mw_memory_save(struct mw_memory *memory, const struct mw_report *report,
                   struct mw_error *error);

/* How the store is; false when none is configured. Any thread. */
bool mw_memory_store_state(struct mw_memory *memory, struct mw_store_state *state);

/* Asks Redis now whether it takes writes: 0, also when no store is configured, or why not. It may
 * take as long as a save. Any thread. */
int mw_memory_ask_store(struct mw_memory *memory, struct mw_error *error);

/* Calls look with the filters, which stay open meanwhile. Any thread. */
void mw_memory_look(struct mw_memory *memory,
                    void (*look)(void *user, const struct mw_tracked *tracked), void *user);

#endif
