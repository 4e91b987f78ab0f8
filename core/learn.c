/* learn: the rule. */
#include "core/learn.h"

bool mw_learns_from(const struct mw_report *report)
{
    return report->action == MW_ACTION_ACCEPT || report->action == MW_ACTION_TAG ||
           report->action == MW_ACTION_NONE;
}
