/*
 * configured: the configuration that a command works by.
 */
#ifndef MW_CLI_CONFIGURED_H
#define MW_CLI_CONFIGURED_H

#include "cli/command.h"
#include "conf/config.h"

/*
 * Loads the configuration in path; without one (NULL) the installed one,
 * MW_CONFIG_FILE, where there is such a file, and else the defaults. NULL after every
 * mistake was told on standard error. The caller frees it.
 */
struct mw_config *mw_configured(const struct mw_command *command, const char *path);

/* The filter called name in the configuration, or NULL after telling the nearest. */
const struct mw_tracked_settings *mw_configured_filter(const struct mw_command *command,
                                                       const struct mw_config *config,
                                                       const char *name);

#endif
