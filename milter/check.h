/*
 * check: what the table of options cannot tell about a configuration: whether what it
 * names is there.
 */
#ifndef MW_MILTER_CHECK_H
#define MW_MILTER_CHECK_H

#include "conf/config.h"

/* Reads the configuration at path (NULL: defaults) and looks at sockets, users and
 * groups. All mistakes, a sentence each, go to mistakes in arena; NULL when there is
 * one. */
struct mw_config *mw_check_load(const char *path, struct mw_arena *arena,
                                struct mw_texts *mistakes);

/* Warns of ports that are open on all addresses. */
void mw_check_listen(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_texts *warnings);

/* Warns when a message may take longer than a mail server waits by default. */
void mw_check_times(const struct mw_config *config, struct mw_arena *arena,
                    struct mw_texts *warnings);

/*
 * Warns of rights that are wider than they need be: root that never becomes another user, files
 * with passwords and keys that everybody can read, folders in which everybody can put something
 * in the place of our files.
 */
void mw_check_rights(const struct mw_config *config, struct mw_arena *arena,
                     struct mw_texts *warnings);

/* Loads rules and databases as a worker would, and throws them away. */
void mw_check_engines(const struct mw_config *config, struct mw_arena *arena,
                      struct mw_texts *mistakes, struct mw_texts *warnings);

#endif
