/*
 * `pgsluice backfill status [NAME]`: how far a run is, or all are, from anywhere, while it runs and
 * after. What goes wrong has been logged when it returns. Thread: main.
 */
#ifndef COMMAND_BACKFILL_STATUS_H
#define COMMAND_BACKFILL_STATUS_H

#include "command/arguments.h"
#include "command/exit.h"
#include "config.h"

struct backfill_status_options {
    const char *name; /* NULL: all */
    bool json;
};

/* Ends with a name of NULL. */
extern const struct argument backfill_status_arguments[];

/*
 * Of one run its summary, of all a line each; as JSON an object a line. EXIT_DONE, however far it
 * is; EXIT_USAGE: there is no such run; EXIT_UNREACHABLE, EXIT_CONFIG, EXIT_INTERNAL.
 */
int command_backfill_status(const struct config *config, const void *backfill_status_options);

#endif
