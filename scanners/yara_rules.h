/*
 * yara_rules: rule files and folders to a set of scanners, every mistake in them
 * told with file and line.
 */
#ifndef MW_SCANNERS_YARA_RULES_H
#define MW_SCANNERS_YARA_RULES_H

#include <stdbool.h>
#include <yara.h>

#include "core/arena.h"
#include "core/error.h"

/* The facts a rule can ask for as external variables, set for each part. */
struct mw_yara_variable {
    const char *name;
    enum { MW_YARA_TEXT, MW_YARA_INTEGER, MW_YARA_BOOLEAN } type;
};
extern const struct mw_yara_variable mw_yara_variables[];
extern const size_t mw_yara_variable_count;

struct mw_yara_rules;

/*
 * Compiles *.yar and *.yara files, loads compiled ones (*.yarc), and walks folders
 * (in sorted order, without following links out of them). Each file is a
 * namespace, named as the file without its extension. include works within the
 * folder of the path given and nowhere else.
 *
 * All mistakes of all files are gathered: with skip_broken they go to warnings
 * and the good files are used, without it the error names the first and counts
 * the rest. NULL with error then, or when a path holds no rules at all.
 * yr_initialize must have been called.
 */
struct mw_yara_rules *mw_yara_rules_load(const struct mw_texts *paths, bool skip_broken,
                                         struct mw_arena *arena, struct mw_texts *warnings,
                                         struct mw_error *error);
void mw_yara_rules_free(struct mw_yara_rules *rules);

/* The scanners of a set, one for all sources and one for each compiled file. */
size_t mw_yara_rules_count(const struct mw_yara_rules *rules);
YR_SCANNER *mw_yara_rules_scanner(const struct mw_yara_rules *rules, size_t index);

/* Whether what a set finds in a file depends on the file's bytes and on variables alone. */
bool mw_yara_rules_are_constant(const struct mw_yara_rules *rules);

/* Whether it may depend on the variable at this place of mw_yara_variables. */
bool mw_yara_rules_use(const struct mw_yara_rules *rules, size_t variable);

/* How many rules there are in all of them. */
size_t mw_yara_rules_total(const struct mw_yara_rules *rules);

#endif
