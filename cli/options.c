/* options: what is wrong with an option, and what may have been meant. */
#include <getopt.h>
#include <string.h>

#include "cli/command.h"

enum { MOST = 64 };

int mw_command_bad_option(const struct mw_command *command, char **argv,
                          const struct option *options)
{
    const char *typed = argv[optind - 1];
    const char *names[MOST];
    size_t count = 0;
    bool is_long = strncmp(typed, "--", 2) == 0;
    for (; count < MOST && options[count].name; count++) {
        names[count] = options[count].name;
        if (is_long && strcmp(typed + 2, names[count]) == 0)
            return mw_command_fail(command, "option '%s' needs a value", typed);
    }
    const char *near = is_long ? mw_suggest(typed + 2, names, count) : NULL;
    if (near)
        return mw_command_fail(command, "'%s' is not an option; did you mean '--%s'?", typed, near);
    return mw_command_fail(command, "'%s' is not an option; see 'mailwitness help %s'", typed,
                           command->name);
}
