/* problem: the table, and looking up in it. */
#include "core/problem.h"

#include <string.h>

#define ROW(constant, name, effect, failure, severity, sentence)                                   \
    {name, effect, failure, severity, sentence},
static const struct mw_problem_row rows[] = {MW_PROBLEMS(ROW){
    "unknown", MW_HIDES, MW_UNREADABLE, MW_INFO, "a problem that this version does not know"}};
#undef ROW

const struct mw_problem_row *mw_problem_row(enum mw_problem_kind kind)
{
    return &rows[kind < MW_PROBLEM_COUNT ? kind : MW_PROBLEM_COUNT];
}

enum mw_problem_kind mw_problem_find(const char *name)
{
    unsigned kind = 0;
    while (kind < MW_PROBLEM_COUNT && (!name || strcmp(rows[kind].name, name) != 0))
        kind++;
    return (enum mw_problem_kind)kind;
}
