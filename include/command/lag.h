/*
 * `pgsluice lag`: how far each partition is behind, whether or not a replica runs. Nobody's
 * membership of the group is touched. Thread: main.
 */
#ifndef COMMAND_LAG_H
#define COMMAND_LAG_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct lag_options {
    bool watch; /* again and again */
    bool json;
};

/* Ends with a name of NULL. */
extern const struct argument lag_arguments[];

/* EXIT_DONE, EXIT_UNREACHABLE, EXIT_CONFIG, EXIT_INTERNAL; what goes wrong has been logged. */
int command_lag(const struct config *config, const void *lag_options);

#endif
